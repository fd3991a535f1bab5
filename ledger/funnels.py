"""The stages that the members of a cycle have come to: due, contacted and bought as the Check counts them, the rest as reported.

Cost: that of a Check (`ledger.records`) and one round trip more; rows grow with the members of the cycle and what they did in
it. Who it is for sees which of the members is asked apart, by `seen_members`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from domain.errors import NotFound, Problem
from domain.figures import MemberRecord, check
from domain.funnel import OUTCOMES, Stage
from domain.plan import Plan
from ledger import facts
from ledger.board_moment import Moment, held
from ledger.cycles import read_cycle
from ledger.door import Driver
from ledger.plans import read_plan
from ledger.records import Counting, cycle_records

# $4 plan, $5 cycle
_REPORTED = f"""
SELECT member_id, array_agg(DISTINCT outcome) AS outcomes, bool_or(products <> '{{}}') AS needs FROM ({
    held("k.member_id, k.outcome, k.products", "k.plan_id = $4 AND k.cycle = $5")
}) r GROUP BY 1"""


@dataclass(frozen=True, slots=True)
class StagesReached:
    """By stage, the members of a cycle who have come to it."""

    plan: Plan
    cycle: int
    starts_on: date
    ends_on: date
    time_zone: str
    members: dict[Stage, frozenset[UUID]]


async def read_stages(
    connection: Driver, tenant_id: int, plan_id: str, cycle: int | None, moment: Moment
) -> StagesReached:
    """The stages of a cycle, the newest where none is named.

    Args:
        connection: that sees the whole campaign, in a snapshot of its own.
        tenant_id: the brand.
        plan_id: which plan.
        cycle: which cycle.
        moment: nothing later counts; items that were withdrawn are as they stand now, as in a Check.

    Raises:
        NotFound: no such plan, or the cycle has not begun.
    """
    standing = await read_plan(connection, tenant_id, plan_id)
    number = cycle or standing.cycle
    state = await read_cycle(connection, tenant_id, plan_id, number)
    if state is None:
        raise NotFound(Problem("cycle", str(number), "cycle_not_begun", {"plan": plan_id}))
    plan = standing.plan
    start, end = state.span
    categories = await facts.category_ids(connection, tenant_id, plan.members.bought_categories)
    records = await cycle_records(
        connection,
        tenant_id,
        Counting(plan_id, number, sorted(categories.values()), start, moment.at, plan.attribution_window),
    )
    members: dict[Stage, set[UUID]] = {
        "due": set(),
        "contacted": set(),
        "bought": set(),
        "needs_recorded": set(),
    }
    members |= {stage: set() for stage in OUTCOMES.values()}
    for record in records.members:
        for stage in _counted(record, plan, start, end, max(moment.at, start), state.time_zone):
            members[stage].add(UUID(record.member_id))
    for row in await connection.fetch(_REPORTED, tenant_id, moment.at, moment.position, plan_id, number):
        for outcome in row["outcomes"]:
            if outcome in OUTCOMES:
                members[OUTCOMES[outcome]].add(row["member_id"])
        if row["needs"]:
            members["needs_recorded"].add(row["member_id"])
    return StagesReached(
        plan,
        number,
        state.starts_on,
        state.ends_on,
        state.time_zone,
        {stage: frozenset(every) for stage, every in members.items()},
    )


def _counted(
    record: MemberRecord, plan: Plan, start: datetime, end: datetime, as_of: datetime, zone: str
) -> list[Stage]:
    figures = check(
        [record], cycle_start=start, cycle_end=end, as_of=as_of, zone=zone, window=plan.attribution_window
    )
    stages: list[Stage] = []
    if figures.due:
        stages.append("due")
    if figures.attempted:
        stages.append("contacted")
    if figures.succeeded or figures.provisional_succeeded:
        stages.append("bought")
    return stages


async def seen_members(
    connection: Driver, tenant_id: int, plan_id: str, cycle: int, *, after: UUID | None = None
) -> frozenset[UUID]:
    """The members of a cycle whom the connection sees."""
    rows = await connection.fetch(
        "SELECT member_id FROM plan_member WHERE tenant_id = $1 AND plan_id = $2 AND cycle = $3"
        " AND ($4::uuid IS NULL OR member_id > $4)",
        tenant_id,
        plan_id,
        cycle,
        after,
    )
    return frozenset(row["member_id"] for row in rows)


def within(stages: StagesReached, seen: Collection[UUID] | None) -> dict[Stage, frozenset[UUID]]:
    """The members of each stage who are seen; None: all."""
    if seen is None:
        return stages.members
    known = frozenset(seen)
    return {stage: members & known for stage, members in stages.members.items()}
