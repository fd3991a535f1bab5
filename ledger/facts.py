"""What was known of members, guides and purchases at an instant.

Every query that decides takes both times: *occurred* up to the instant, and *known* to us by then.
A purchase that comes to be known tomorrow changes nothing that is decided today.

Cost: one round trip each; rows grow with the members asked for and what they bought in the time asked
for, through the index (member, category, time).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import groupby
from uuid import UUID

from domain.calendar import local_instant
from domain.cycle import History
from domain.plan import Plan
from domain.replenishment import Purchase
from domain.segment import MemberFacts
from ledger.door import Driver

VALUE_SPAN = timedelta(days=90)
"""A member's value is what was spent so many days to yesterday."""


@dataclass(frozen=True, slots=True)
class GuideFacts:
    """A guide as the assignment sees it."""

    guide_id: UUID
    code: str
    store_id: UUID
    store_code: str
    latitude: float | None
    longitude: float | None
    time_zone: str
    skills: tuple[str, ...]
    performance: int
    active: bool
    on_leave_from: date | None
    on_leave_to: date | None


@dataclass(frozen=True, slots=True)
class MemberPlace:
    """Where a member is at home."""

    member_id: UUID
    home_store_id: UUID | None
    latitude: float | None
    longitude: float | None


async def category_ids(connection: Driver, tenant_id: int, names: Sequence[str]) -> dict[str, int]:
    """Category name to id, for the names that exist."""
    rows = await connection.fetch(
        "SELECT name, category_id FROM category WHERE tenant_id = $1 AND name = ANY($2) ORDER BY name",
        tenant_id,
        list(names),
    )
    return {row["name"]: row["category_id"] for row in rows}


async def histories(
    connection: Driver,
    tenant_id: int,
    *,
    categories: Sequence[int],
    as_of: datetime,
    since: datetime | None = None,
    members: Sequence[UUID] | None = None,
) -> list[History]:
    """What members bought of `categories`, netted per day in the store's own time zone.

    Sorted by member and category. Members who only ever returned are left out.
    """
    rows = await connection.fetch(
        """
        SELECT p.member_id, p.category_id, c.name AS category,
               (p.occurred_at AT TIME ZONE s.time_zone)::date AS day,
               sum(p.quantity) AS quantity,
               max(p.occurred_at) FILTER (WHERE p.quantity > 0) AS bought_at
        FROM purchase p
        JOIN store s ON s.tenant_id = $1 AND s.store_id = p.store_id
        JOIN category c ON c.tenant_id = $1 AND c.category_id = p.category_id
        WHERE p.tenant_id = $1 AND p.category_id = ANY($2) AND p.quantity <> 0
          AND p.occurred_at <= $3 AND p.known_at <= $3
          AND ($4::timestamptz IS NULL OR p.occurred_at > $4)
          AND ($5::uuid[] IS NULL OR p.member_id = ANY($5))
        GROUP BY 1, 2, 3, 4
        ORDER BY 1, 2, 4""",
        tenant_id,
        list(categories),
        as_of,
        since,
        list(members) if members is not None else None,
    )
    result = []
    for (member, category_id, category), lines in groupby(
        rows, key=lambda row: (row["member_id"], row["category_id"], row["category"])
    ):
        days = list(lines)
        bought = [row["bought_at"] for row in days if row["bought_at"] is not None]
        if bought:
            result.append(
                History(
                    member_id=UUID(str(member)),
                    category_id=category_id,
                    category=category,
                    purchases=tuple(Purchase(row["day"], row["quantity"]) for row in days),
                    bought_at=max(bought),
                )
            )
    return result


async def member_facts(
    connection: Driver, tenant_id: int, *, plan_id: str, bought: Sequence[History], as_of: datetime
) -> list[MemberFacts]:
    """What the segment is drawn from, for the members of `bought`."""
    last: dict[UUID, dict[str, date]] = {}
    for history in bought:
        positive = [line.occurred_on for line in history.purchases if line.quantity > 0]
        if positive:
            last.setdefault(history.member_id, {})[history.category] = max(positive)
    # A purchase, of whatever, lifts a D: it counts only where nothing was bought since the check-in it is from.
    rows = await connection.fetch(
        """
        SELECT m.member_id, s.code AS home_store, m.tags,
               coalesce(m.opted_out_at <= $4, false) AS opted_out,
               m.member_id IN (
                   SELECT d.member_id FROM check_in_ever d
                   WHERE d.tenant_id = $1 AND d.plan_id = $2 AND d.grade = 'D'
                     AND d.occurred_at <= $4 AND d.known_at <= $4 AND d.superseded_at > $4
                     AND NOT EXISTS (
                         SELECT FROM purchase p WHERE p.tenant_id = $1 AND p.member_id = d.member_id
                           AND p.quantity > 0 AND p.occurred_at > d.occurred_at
                           AND p.occurred_at <= $4 AND p.known_at <= $4)) AS declined
        FROM member m LEFT JOIN store s ON s.tenant_id = $1 AND s.store_id = m.home_store_id
        WHERE m.tenant_id = $1 AND m.member_id = ANY($3)
        ORDER BY m.member_id""",
        tenant_id,
        plan_id,
        sorted(last),
        as_of,
    )
    return [
        MemberFacts(
            member_id=str(row["member_id"]),
            home_store=row["home_store"],
            tags=frozenset(row["tags"]),
            opted_out=row["opted_out"],
            declined=row["declined"],
            last_bought=last[UUID(str(row["member_id"]))],
        )
        for row in rows
    ]


async def member_places(
    connection: Driver, tenant_id: int, members: Sequence[UUID]
) -> dict[UUID, MemberPlace]:
    """Where members are at home; a member without a position of their own stands at the home store."""
    rows = await connection.fetch(
        """
        SELECT m.member_id, m.home_store_id, coalesce(m.latitude, s.latitude) AS latitude,
               coalesce(m.longitude, s.longitude) AS longitude
        FROM member m LEFT JOIN store s ON s.tenant_id = $1 AND s.store_id = m.home_store_id
        WHERE m.tenant_id = $1 AND m.member_id = ANY($2)""",
        tenant_id,
        list(members),
    )
    return {
        UUID(str(row["member_id"])): MemberPlace(
            UUID(str(row["member_id"])), row["home_store_id"], row["latitude"], row["longitude"]
        )
        for row in rows
    }


async def spend_90_days(
    connection: Driver, tenant_id: int, *, members: Sequence[UUID], today: date, zone: str, as_of: datetime
) -> dict[UUID, tuple[int, int]]:
    """Purchases (baskets not fully returned) and net spend in minor units over the 90 local days to yesterday.

    From midnight to midnight in `zone`: over a change of the clocks that is not 90 times 24 hours.
    """
    rows = await connection.fetch(
        """
        SELECT member_id, count(*) FILTER (WHERE units > 0) AS purchases, sum(value)::bigint AS value
        FROM (
            SELECT member_id, coalesce(return_of, basket) AS basket, sum(quantity) AS units,
                   sum(value_minor) AS value
            FROM purchase
            WHERE tenant_id = $1 AND member_id = ANY($2)
              AND occurred_at >= $3 AND occurred_at < $4 AND known_at <= $5
            GROUP BY 1, 2
        ) baskets GROUP BY 1""",
        tenant_id,
        list(members),
        local_instant(today - VALUE_SPAN, time(0), zone),
        local_instant(today, time(0), zone),
        as_of,
    )
    return {UUID(str(row["member_id"])): (row["purchases"], row["value"]) for row in rows}


async def served_by(
    connection: Driver, tenant_id: int, *, members: Sequence[UUID], as_of: datetime
) -> dict[UUID, list[tuple[UUID, int, date]]]:
    """Which guides served a member in the last year: guide, times, last day in the store's own zone."""
    rows = await connection.fetch(
        """
        SELECT p.member_id, p.guide_id, count(DISTINCT p.basket) AS times,
               max((p.occurred_at AT TIME ZONE s.time_zone)::date) AS last_on
        FROM purchase p JOIN store s ON s.tenant_id = $1 AND s.store_id = p.store_id
        WHERE p.tenant_id = $1 AND p.member_id = ANY($2) AND p.guide_id IS NOT NULL AND p.quantity > 0
          AND p.occurred_at <= $3 AND p.known_at <= $3 AND p.occurred_at > $3 - interval '365 days'
        GROUP BY 1, 2 ORDER BY 1, 2""",
        tenant_id,
        list(members),
        as_of,
    )
    served: dict[UUID, list[tuple[UUID, int, date]]] = {}
    for row in rows:
        served.setdefault(UUID(str(row["member_id"])), []).append(
            (UUID(str(row["guide_id"])), row["times"], row["last_on"])
        )
    return served


async def guides(connection: Driver, tenant_id: int) -> list[GuideFacts]:
    """Every guide with the store they stand in, by code."""
    rows = await connection.fetch(
        """
        SELECT g.guide_id, g.code, g.store_id, s.code AS store_code, s.latitude, s.longitude, s.time_zone,
               g.skills, g.performance, g.active, g.on_leave_from, g.on_leave_to
        FROM guide g JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id
        WHERE g.tenant_id = $1 ORDER BY g.code""",
        tenant_id,
    )
    return [
        GuideFacts(
            guide_id=UUID(str(row["guide_id"])),
            code=row["code"],
            store_id=UUID(str(row["store_id"])),
            store_code=row["store_code"],
            latitude=row["latitude"],
            longitude=row["longitude"],
            time_zone=row["time_zone"],
            skills=tuple(row["skills"]),
            performance=row["performance"],
            active=row["active"],
            on_leave_from=row["on_leave_from"],
            on_leave_to=row["on_leave_to"],
        )
        for row in rows
    ]


async def manual_assignment(connection: Driver, tenant_id: int, plan: Plan) -> dict[UUID, str]:
    """Members the plan gives to a guide by hand: member to guide id; codes and ids that don't exist are left out."""
    pairs = sorted(
        (member, guide)
        for step in plan.care.strategies
        for guide, members in step.members.items()
        for member in members
    )
    if not pairs:
        return {}
    rows = await connection.fetch(
        """
        SELECT mp.member_id, g.guide_id
        FROM unnest($2::text[], $3::text[]) AS pair(member, guide)
        JOIN member mp ON mp.tenant_id = $1 AND mp.member_id = coalesce(
            CASE WHEN pg_input_is_valid(pair.member, 'uuid') THEN
                (SELECT m.member_id FROM member m WHERE m.tenant_id = $1 AND m.member_id = pair.member::uuid) END,
            member_id_of(pair.member))
        JOIN guide g ON g.tenant_id = $1 AND g.code = pair.guide""",
        tenant_id,
        [member for member, _ in pairs],
        [guide for _, guide in pairs],
    )
    return {row["member_id"]: str(row["guide_id"]) for row in rows}
