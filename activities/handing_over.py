"""What was a guide's goes to others because she leaves or stands elsewhere: what must move, and nothing else.

She leaves: all her members move, to the replacement as far as there is room where one is named, as by the people lever;
else, and the rest, by the plan's own rule, first among the guides of the member's home store, then among all.
She is transferred: members whose home is the store she comes from stay with that store and move by the same rule; the
others stay with her. Items go with their members. Whom nobody can take is written with the reasons, and the open items
expire, still due. Reports, grades and credit stay as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from activities.acting import latest_figures
from activities.assignment import guides_on_duty, members_to_assign, strategy_rules
from domain import act
from domain.assignment import AssignmentResult, assign, replace_guide
from domain.calendar import business_date
from domain.errors import Conflict
from domain.events import MemberAssigned
from domain.plan import Plan
from ledger import facts
from ledger.cycles import reassign_members
from ledger.door import Driver
from ledger.held_items import HeldMember, holders, members_held_by, members_per_guide, plans_held_by
from ledger.ledger import Command, Ledger
from ledger.plans import PlanState, adjust, read_plan
from ledger.report import UnassignedReason, by_reasons
from ledger.staff import (
    Posting,
    apply_staff_changes,
    note_settled,
    postings_to_settle,
    zone_of,
)
from ledger.tasks import Leaving, Moving, change_tasks, open_tasks_of_guide

ACTOR = "daogou"
"""Who moves what a decision moves when its day comes; who decided is in the decision's own event."""
TRIES = 5
"""How often a plan's moves are decided anew because check-ins came in between."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What moves in a plan: members and open items, and how many items go to whom (guides by code).

    `unassigned`: members nobody can take, by id; their open items expire and still count as due. `reasons`: why, as the
    plan's report tells it.
    """

    plan_id: str
    members: int
    tasks: int
    to: Mapping[str, int]
    unassigned: tuple[UUID, ...]
    reasons: tuple[UnassignedReason, ...] = ()


@dataclass(frozen=True, slots=True)
class _Moves:
    """What is to move in a plan, decided and not written."""

    standing: PlanState
    plan: Plan
    """As it stands after the change of guides, where a replacement is named."""
    replacement: str | None
    """Code of who takes over by the people lever."""
    going: Mapping[UUID, HeldMember]
    results: tuple[AssignmentResult, ...]
    moving: tuple[Moving, ...]
    leaving: tuple[Leaving, ...]

    @property
    def nothing(self) -> bool:
        return not (self.results or self.moving or self.leaving)


async def settle_staff_changes(ledger: Ledger, at: datetime) -> int:
    """Put what is due into force and move what has to; answers the members that moved. Done again it changes nothing.

    A transaction a plan. Temporal is not needed: workflows read the ledger.
    """
    async with ledger.connection() as connection:
        await apply_staff_changes(connection, at)
        postings = await postings_to_settle(connection, ledger.tenant_id, at)
    moved = 0
    for posting in postings:
        for done in await settle(ledger, posting, at):
            moved += done.members
    return moved


async def settle(ledger: Ledger, posting: Posting, at: datetime) -> list[Moved]:
    """Move what a change that is in force moves, plan by plan."""
    async with ledger.connection() as connection:
        plans = await plans_held_by(connection, ledger.tenant_id, posting.guide_id)
    done = [await _settle_plan(ledger, posting, plan, at) for plan in plans]
    async with ledger.connection() as connection:
        await note_settled(connection, ledger.tenant_id, posting.posting_id, at)
    return [one for one in done if one is not None]


async def preview(connection: Driver, tenant_id: int, posting: Posting, at: datetime) -> list[Moved]:
    """What a change would move if it were in force now; writes nothing."""
    told = []
    for plan in await plans_held_by(connection, tenant_id, posting.guide_id):
        moves = await _moves(connection, tenant_id, posting, plan, at)
        if not moves.nothing:
            told.append(await _moved(connection, tenant_id, moves))
    return told


async def _settle_plan(ledger: Ledger, posting: Posting, plan_id: str, at: datetime) -> Moved | None:
    for tries in range(TRIES):
        try:
            async with ledger.transaction() as connection:
                moves = await _moves(connection, ledger.tenant_id, posting, plan_id, at)
                if moves.nothing:
                    return None
                await _write(connection, ledger.tenant_id, posting, moves, at)
                return await _moved(connection, ledger.tenant_id, moves)
        except Conflict:
            if tries == TRIES - 1:
                raise
    return None


async def _moves(connection: Driver, tenant_id: int, posting: Posting, plan_id: str, at: datetime) -> _Moves:
    standing = await read_plan(connection, tenant_id, plan_id)
    held = await members_held_by(
        connection,
        tenant_id,
        plan_id=plan_id,
        cycle=standing.cycle,
        guide_id=posting.guide_id,
        at=max(at, posting.from_at),
    )
    everyone = {guide.guide_id: guide for guide in await facts.guides(connection, tenant_id)}
    left = posting.store_id is None
    going = {
        key: member
        for key, member in held.items()
        if not _overtaken(posting, everyone[posting.guide_id])
        and (left or member.home_store_id == posting.before)
    }
    replacement = everyone.get(posting.replacement_id) if posting.replacement_id else None
    plan = _with_replacement(standing, posting, replacement)
    if replacement is not None and not plan.care.takes_part(replacement.code):
        replacement = None
    results = await _assigned(connection, tenant_id, posting, plan, standing.cycle, going, replacement, at)
    guide_of = {
        UUID(result.member_id): UUID(result.guide_id) if result.guide_id else None for result in results
    }
    items = await open_tasks_of_guide(connection, tenant_id, plan_id=plan_id, guide_id=posting.guide_id)
    others = await holders(
        connection,
        tenant_id,
        plan_id=plan_id,
        cycle=standing.cycle,
        members=[member for _, member, _ in items if member not in held],
    )
    moving, leaving = [], []
    for task_id, member_id, attempts in items:
        if member_id in held and member_id not in going:
            continue
        after = guide_of.get(member_id) or others.get(member_id)
        if after is not None:
            moving.append(Moving(task_id, attempts, posting.guide_id, after))
        elif member_id in going or (left and not everyone[posting.guide_id].active):
            leaving.append(Leaving(task_id, attempts, "expired", "no_guide"))
    lever = replacement.code if replacement and plan != standing.plan else None
    return _Moves(standing, plan, lever, going, tuple(results), tuple(moving), tuple(leaving))


def _overtaken(posting: Posting, guide: facts.GuideFacts) -> bool:
    """Whether she is back already where the change took her from."""
    return posting.applied and guide.active and (posting.store_id is None or guide.store_id == posting.before)


def _with_replacement(standing: PlanState, posting: Posting, replacement: facts.GuideFacts | None) -> Plan:
    """The plan after the people lever, where the replacement can take over in it; else as it stands."""
    plan, care = standing.plan, standing.plan.care
    gone = replacement is None or not replacement.active or replacement.code in care.without_guides
    if replacement is None or gone or (care.guides and posting.guide not in care.guides):
        return plan
    if posting.guide in care.without_guides:
        return plan  # done before
    adjusted = act.replace_guide(
        plan, leaving=posting.guide, replacement=replacement.code, reason="guide_left", figures={}
    )
    return Plan.model_validate(adjusted.spec)


async def _assigned(
    connection: Driver,
    tenant_id: int,
    posting: Posting,
    plan: Plan,
    cycle: int,
    going: Mapping[UUID, HeldMember],
    replacement: facts.GuideFacts | None,
    at: datetime,
) -> list[AssignmentResult]:
    if not going:
        return []
    members = [
        replace(member, home_store_id=str(going[UUID(member.member_id)].home_store_id or ""))
        for member in await members_to_assign(
            connection, tenant_id, plan, {key: one.value_minor for key, one in going.items()}, at=at
        )
    ]
    has = await members_per_guide(connection, tenant_id, plan_id=plan.plan, cycle=cycle)
    today = await _day_of(connection, tenant_id, posting, at)
    roster = [
        replace(guide, already=has.get(UUID(guide.guide_id), 0))
        for guide in await guides_on_duty(connection, tenant_id, plan, today=today)
        if guide.guide_id != str(posting.guide_id)
    ]
    rules = strategy_rules(plan)
    rules = [*(replace(rule, home_store_only=True) for rule in rules), *rules]
    fit = replacement is not None and any(
        guide.guide_id == str(replacement.guide_id) and not guide.on_leave for guide in roster
    )
    if replacement is None or not fit:
        return assign(members, roster, rules)
    hers = dict.fromkeys((str(key) for key in going), str(posting.guide_id))
    return replace_guide(hers, str(posting.guide_id), str(replacement.guide_id), members, roster, rules)


async def _day_of(connection: Driver, tenant_id: int, posting: Posting, at: datetime) -> date:
    """The day the moves are decided for: today, or the day the change names where that is ahead."""
    zone = await zone_of(connection, tenant_id, posting.store_id or posting.before or posting.guide_id)
    return max(posting.from_on, business_date(at, zone))


async def _write(connection: Driver, tenant_id: int, posting: Posting, moves: _Moves, at: datetime) -> None:
    standing = moves.standing
    plan_id = standing.plan.plan
    if moves.replacement is not None:
        adjusted = act.replace_guide(
            standing.plan,
            leaving=posting.guide,
            replacement=moves.replacement,
            reason="guide_left",
            figures=await latest_figures(connection, tenant_id, standing),
        )
        lever = Command(f"staff/{posting.posting_id}/{plan_id}/people", at, at, ACTOR)
        await adjust(connection, tenant_id, lever, standing, adjusted)
    # What has moved is not found again, so the first of what moves names the command.
    first = min(
        [str(key) for key in moves.going]
        + [str(one.task_id) for one in moves.moving]
        + [str(one.task_id) for one in moves.leaving]
    )
    key = f"staff/{posting.posting_id}/{plan_id}/{standing.cycle}/{first}"
    events = [
        MemberAssigned(
            plan=plan_id,
            cycle=standing.cycle,
            member=UUID(result.member_id),
            guide=UUID(result.guide_id) if result.guide_id else None,
            strategy=result.strategy,
            why=result.why,
            value_minor=moves.going[UUID(result.member_id)].value_minor,
            quadrant=moves.going[UUID(result.member_id)].quadrant,
            score=result.score,
            runner_up=UUID(result.runner_up) if result.runner_up else None,
            full=tuple(UUID(guide) for guide in result.full[:5]),
            tried=result.tried,
        )
        for result in moves.results
    ]
    await reassign_members(connection, tenant_id, Command(f"{key}/members", at, at, ACTOR), events)
    await change_tasks(
        connection,
        tenant_id,
        Command(f"{key}/tasks", at, at, ACTOR),
        leaving=moves.leaving,
        moving=moves.moving,
    )


async def _moved(connection: Driver, tenant_id: int, moves: _Moves) -> Moved:
    code_of = {guide.guide_id: guide.code for guide in await facts.guides(connection, tenant_id)}
    items = Counter(code_of[item.guide_id] for item in moves.moving)
    nobody = [result for result in moves.results if result.guide_id is None]
    return Moved(
        plan_id=moves.standing.plan.plan,
        members=len(moves.results) - len(nobody),
        tasks=len(moves.moving),
        to=dict(sorted(items.items())),
        unassigned=tuple(UUID(result.member_id) for result in nobody),
        reasons=by_reasons(result.tried for result in nobody),
    )
