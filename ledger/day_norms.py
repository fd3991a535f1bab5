"""What a brand asks of a guide a day, and the booked visits that are traded against invitations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from domain.day_norm import (
    CALLS,
    INVITATIONS,
    INVITATIONS_A_VISIT,
    Capacity,
    DayNorm,
    day_capacity,
    share_invitations,
)
from domain.events import DayNormSet
from domain.plan import Plan
from ledger.door import Appended, Driver
from ledger.due_items import AT_WORK, Holds
from ledger.ledger import Command, record

DAY_NORM_STREAM = "day-norm"

_NORM = f"""
SELECT coalesce(max(calls), {CALLS}) AS calls, coalesce(max(invitations), {INVITATIONS}) AS invitations,
       coalesce(max(invitations_a_visit), {INVITATIONS_A_VISIT}) AS invitations_a_visit
FROM day_norm WHERE tenant_id = $1"""

# Of stores to which somebody comes, every guide at work. A visit counts once, for whoever booked it last.
_VISITS = f"""
WITH visits AS (
    SELECT guide_id, count(*)::int AS visits FROM (
        SELECT DISTINCT ON (member_id) member_id, guide_id FROM check_in
        WHERE tenant_id = $1 AND outcome = 'booked_visit' AND next_on = $2 ORDER BY member_id, occurred_at DESC
    ) booked GROUP BY 1
), stores AS (
    SELECT DISTINCT g.store_id FROM visits v JOIN guide g ON g.tenant_id = $1 AND g.guide_id = v.guide_id
    JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id AND s.time_zone = $3
)
SELECT n.*, g.store_id, g.guide_id, v.visits FROM ({_NORM}) n
LEFT JOIN (SELECT g.* FROM guide g JOIN stores o ON o.store_id = g.store_id WHERE g.tenant_id = $1 AND {AT_WORK}) g ON true
LEFT JOIN visits v ON v.guide_id = g.guide_id
ORDER BY g.store_id, g.guide_id"""


async def read_day_norm(connection: Driver, tenant_id: int) -> DayNorm:
    """The brand's target a guide a day."""
    return DayNorm(**dict(await connection.fetchrow(_NORM, tenant_id)))


async def asked_of_day(
    connection: Driver, tenant_id: int, *, day: date, time_zone: str, plans: Sequence[Plan]
) -> Holds:
    """Capacity and targets of a zone's day, visits booked until now traded against invitations.

    A list holds what the plans ask for in which its guide takes part. One round trip, two where a plan names its guides.
    Rows: the guides of the stores to which somebody comes; in the second, those of the zone.
    """
    rows = await connection.fetch(_VISITS, tenant_id, day, time_zone)
    norm = DayNorm(rows[0]["calls"], rows[0]["invitations"], rows[0]["invitations_a_visit"])
    stores: dict[UUID, dict[UUID, int]] = {}
    for row in rows:
        if row["guide_id"] is not None:
            stores.setdefault(row["store_id"], {})[row["guide_id"]] = row["visits"] or 0

    def shared(each: int) -> dict[UUID, int]:
        return {
            guide: invitations
            for visits in stores.values()
            for guide, invitations in share_invitations(each, visits, norm.invitations_a_visit).items()
        }

    capacity = day_capacity(plans, norm)
    own = await _own_capacities(connection, tenant_id, time_zone, plans, norm)
    invitations = {guide: one.invitations for guide, one in own.items()}
    for guide, traded in shared(capacity.invitations).items():
        invitations[guide] = max(
            0, invitations.get(guide, capacity.invitations) + traded - capacity.invitations
        )
    return Holds(
        capacity,
        invitations,
        Capacity(norm.calls, norm.invitations),
        shared(norm.invitations),
        {guide: one.calls for guide, one in own.items()},
    )


async def _own_capacities(
    connection: Driver, tenant_id: int, time_zone: str, plans: Sequence[Plan], norm: DayNorm
) -> dict[UUID, Capacity]:
    """What lists of guides hold who do not take part in all of the plans; the others' hold what `day_capacity` says of all."""
    if not any(plan.care.guides or plan.care.without_guides for plan in plans):
        return {}
    rows = await connection.fetch(
        "SELECT g.guide_id, g.code FROM guide g JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id"
        " WHERE g.tenant_id = $1 AND g.active AND s.time_zone = $2",
        tenant_id,
        time_zone,
    )
    known: dict[tuple[bool, ...], Capacity] = {}  # whoever takes part in the same plans
    found: dict[UUID, Capacity] = {}
    for row in rows:
        part = tuple(plan.care.takes_part(row["code"]) for plan in plans)
        if part not in known:
            known[part] = day_capacity([plan for plan, takes in zip(plans, part, strict=True) if takes], norm)
        found[row["guide_id"]] = known[part]
    return found


async def set_day_norm(connection: Driver, tenant_id: int, command: Command, norm: DayNormSet) -> Appended:
    """Ask something else of guides from the next cut on: event and row; call it in a transaction."""
    appended = await record(connection, tenant_id, command, [(DAY_NORM_STREAM, norm)])
    if not appended.duplicate:
        await connection.execute(
            "INSERT INTO day_norm (tenant_id, calls, invitations, invitations_a_visit, changed_at, version)"
            " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant_id) DO UPDATE SET calls = excluded.calls,"
            " invitations = excluded.invitations, invitations_a_visit = excluded.invitations_a_visit,"
            " changed_at = excluded.changed_at, version = excluded.version",
            tenant_id,
            norm.calls,
            norm.invitations,
            norm.invitations_a_visit,
            command.occurred_at,
            appended.version,
        )
    return appended
