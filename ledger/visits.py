"""Visits and bookings of a span, with what came of them, for `domain.lost_orders`.

Cost: four round trips for each slice of guides; rows: the visits of the span, the later reports and the purchases of their
members until the windows close. It grows with the visits, not with the lists nor the years.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from domain.calendar import local_instant
from domain.check_in import NOT_REACHED
from domain.lost_orders import VISITS, Visit
from ledger.board_moment import held
from ledger.board_roster import Roster
from ledger.door import Driver
from ledger.performances import Work
from ledger.plans import parse_spec
from ledger.records import purchases_of

GUIDES = 500
"""Guides whose visits are read at once."""

# $4 guides, $5 and $6 first and last day, $7 a plan or null, $8 outcomes that are visits. The last one of a member and guide.
_VISITS = f"""
SELECT DISTINCT ON (guide_id, member_id) * FROM ({
    held(
        "k.guide_id, k.member_id, k.plan_id, k.occurred_at, k.business_date, k.outcome, k.task_id, k.version",
        "k.guide_id = ANY($4) AND k.business_date BETWEEN $5 AND $6 AND ($7::text IS NULL OR k.plan_id = $7)"
        " AND (k.outcome = ANY($8) OR k.channel = 'in_store' AND k.reached)",
    )
}) v ORDER BY guide_id, member_id, occurred_at DESC, task_id DESC, version DESC"""
# $4 members, $5 since
_LATER = f"""
SELECT member_id, occurred_at, outcome FROM ({
    held(
        "k.member_id, k.occurred_at, k.outcome, k.task_id, k.version",
        "k.member_id = ANY($4) AND k.occurred_at > $5",
    )
}) l ORDER BY member_id, occurred_at, task_id, version"""


async def read_visits(connection: Driver, tenant_id: int, work: Work) -> list[Visit]:
    """The last visit or booking of each member with each guide in the span, each under its key.

    Args:
        connection: that sees everything, in a snapshot of its own.
        tenant_id: the brand.
        work: whose.
    """
    span, moment = work.span, work.moment
    plans = await connection.fetch(
        "SELECT plan_id, spec::text AS spec FROM plan WHERE tenant_id = $1", tenant_id
    )
    windows = {row["plan_id"]: parse_spec(row["spec"]).attribution_window for row in plans}
    categories = await connection.fetch("SELECT category_id FROM category WHERE tenant_id = $1", tenant_id)
    every = [row["category_id"] for row in categories]
    found: list[Visit] = []
    for first in range(0, len(work.guides), GUIDES):
        rows = await connection.fetch(
            _VISITS, tenant_id, moment.at, moment.position, list(work.guides[first : first + GUIDES]), span.since, span.until,
            work.plan_id, list(VISITS),
        )  # fmt: skip
        members = sorted({row["member_id"] for row in rows})
        if not members:
            continue
        since = datetime.combine(span.since, time(), UTC) - timedelta(days=1)
        bought = await purchases_of(connection, tenant_id, members, every, since, moment.at)
        later: dict[UUID, list[tuple[datetime, str]]] = {}
        for row in await connection.fetch(_LATER, tenant_id, moment.at, moment.position, members, since):
            later.setdefault(row["member_id"], []).append((row["occurred_at"], row["outcome"]))
        for row in rows:
            key = work.key_of(row["guide_id"], row["business_date"])
            if key is not None:
                found.append(_visit(row, key, work.roster, windows, bought.get(row["member_id"], []), later))
    return found


def _visit(
    row: Any,
    key: str,
    roster: Roster,
    windows: dict[str, timedelta],
    bought: Sequence[Any],
    later: dict[UUID, list[tuple[datetime, str]]],
) -> Visit:
    store = roster.stores[roster.store_on(row["guide_id"], row["business_date"])]
    return Visit(
        key=key,
        at=row["occurred_at"],
        day_starts=local_instant(row["business_date"], time(), store.time_zone),
        outcome=row["outcome"],
        window=windows[row["plan_id"]],
        purchases=tuple(bought),
        # Nobody picking up the phone afterwards is no reason.
        later=tuple(
            outcome
            for at, outcome in later.get(row["member_id"], ())
            if at > row["occurred_at"] and outcome not in NOT_REACHED
        ),
    )
