"""How an item and the figures it is part of came about: read from the ledger, each line with its event.

Cost: 10 round trips, the two of the snapshot among them, 4 for each stored Check of the cycle and 4 for now; up to 3 more
for what is in reach. Rows are those of one member in one cycle. In one snapshot, so that the parts agree. Whoever stands on the connection sees as much of it as they reach (`ledger.asking`): who does not
see the item finds nothing, and where contacts or purchases of others may be missing, `whole` is false.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from domain.calendar import local_instant
from domain.cycle import GOING_COLD
from domain.effect import Effect, effect
from domain.plan import Plan, Segment
from domain.replenishment import RunOut, estimate
from domain.rhythm import Rhythm
from ledger import facts
from ledger.door import Driver
from ledger.item_history import PLAYBOOK_EVENTS, days_listed, entries_of, item_in_cycle
from ledger.member_record import LAST, MemberInCycle, member_record
from ledger.plan_in_reach import plan_in_reach
from ledger.plans import parse_spec
from ledger.timeline import TimelineEntry

RHYTHM = TypeAdapter(Rhythm)


@dataclass(frozen=True, slots=True)
class Basis:
    """The estimate an item rests on, worked out again from the purchases that were known when it was made.

    Attributes:
        run_out: by `domain.replenishment`; None where the asker does not see the purchases.
        lead_days: so many days before the run-out the reminder was due, by the playbook of then.
        agrees: whether the item's event says the same.
    """

    run_out: RunOut | None
    lead_days: int
    agrees: bool | None


@dataclass(frozen=True, slots=True)
class ListedDay:
    """A guide's list with the item on it, and what happened on that day: published, clocked in, reminded, closed."""

    guide: UUID
    day: date
    rank: int
    state: str
    events: tuple[TimelineEntry, ...]


@dataclass(frozen=True, slots=True)
class CountedIn:
    """What the item's member is in a stored Check: the member's share of each of its figures."""

    kind: str
    as_of: datetime
    position: int
    event: TimelineEntry | None
    """`cycle_checked`, where the asker sees the history of the whole plan."""
    effect: Effect


@dataclass(frozen=True, slots=True)
class Why:
    """How an item came about, and what came of it."""

    task_id: UUID
    plan: str
    cycle: int
    member: UUID
    category: str
    state: str
    reason: str | None
    due_on: date
    time_zone: str
    as_of: datetime
    whole: bool
    """Whether everything the figures rest on was seen; else they are as far as the asker sees."""
    rule: Segment
    """Which members, by the playbook as it stood when the cycle began."""
    selected: tuple[TimelineEntry, ...]
    """The playbook's event, the cycle's start, the making of the item."""
    basis: Basis
    assigned: tuple[TimelineEntry, ...]
    days: tuple[ListedDay, ...]
    reports: tuple[TimelineEntry, ...]
    """Everything else in the item's own history: reports, corrections, moves, leaving."""
    effect: Effect
    checks: tuple[CountedIn, ...]
    codes: Mapping[str, str] = field(default_factory=dict)
    """Codes of the guides that stand in it by their ids, as far as the asker knows them."""


async def why(
    connection: Driver, tenant_id: int, task_id: UUID, *, now: datetime, in_reach: bool = False
) -> Why:
    """How the item came about, and what its member counts for in every stored Check of the cycle.

    Args:
        connection: of the ledger, not in a transaction.
        tenant_id: the brand.
        task_id: the item.
        now: what came of it is told as of now; of a rehearsal ahead of now, as of its last Check.
        in_reach: as far as whoever stands on the connection reaches.

    Raises:
        NotFound: no such item, or not the asker's.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        return await _why(connection, tenant_id, task_id, now, in_reach)


async def _why(connection: Driver, tenant_id: int, task_id: UUID, now: datetime, in_reach: bool) -> Why:
    task = await item_in_cycle(connection, tenant_id, task_id)
    days = await days_listed(connection, tenant_id, task)
    entries = await entries_of(
        connection, tenant_id, task, [f"guide-day/{d['guide_id']}/{d['day']}" for d in days]
    )
    of_plan = [one for one in entries if one.stream.startswith("plan/")]
    started = [one for one in of_plan if one.type == "cycle_started"]
    own = [one for one in entries if one.stream == f"task/{task_id}"]
    created = own[0]
    launched = _spec_before(of_plan, lambda one: not started or one.version < started[0].version)
    then = _spec_before(of_plan, lambda one: one.known_at <= created.known_at)
    # Which members is never adjusted, so who does not see the plan's history reads it from the playbook as it stands.
    plan = _plan_of(launched) if launched else parse_spec(task["spec"])
    categories = await facts.category_ids(connection, tenant_id, plan.members.bought_categories)
    lasting = _plan_of(then) if then else plan
    basis = await _basis(connection, tenant_id, task, created, lasting)
    whole = not in_reach or bool(await connection.fetchval("SELECT sees_all()"))
    member = _Member(task, plan.attribution_window, sorted(categories.values()))
    stored = await _stored(connection, tenant_id, task, in_reach)
    checks = [
        CountedIn(
            row["kind"],
            row["as_of"],
            row["position"],
            next((one for one in of_plan if one.payload.get("kind") == row["kind"]), None),
            await member.effect(connection, tenant_id, row["as_of"], row["position"]),
        )
        for row in stored
    ]
    as_of = max([now, *(row["as_of"] for row in stored)])
    standing = await member.effect(connection, tenant_id, as_of, LAST)
    effects = [standing, *(one.effect for one in checks)]
    return Why(
        task_id=task_id,
        plan=plan.plan,
        cycle=task["cycle"],
        member=task["member_id"],
        category=task["category"],
        state=task["state"],
        reason=task["reason"],
        due_on=task["due_on"],
        time_zone=task["time_zone"],
        as_of=as_of,
        whole=whole,
        rule=(await plan_in_reach(connection, tenant_id, plan)).members,
        # A playbook is a document of its own; what of it selected the member stands in `rule`.
        selected=(*([replace(launched, payload={})] if launched else []), *started, created),
        basis=basis,
        assigned=tuple(one for one in entries if one.stream.startswith("plan-member/")),
        days=tuple(
            ListedDay(
                d["guide_id"], d["day"], d["rank"], d["state"], _of_day(entries, d["guide_id"], d["day"])
            )
            for d in days
        ),
        reports=tuple(own[1:]),
        effect=standing,
        checks=tuple(checks),
        codes=await _codes(connection, tenant_id, entries, days, effects),
    )


def _spec_before(
    entries: Iterable[TimelineEntry], before: Callable[[TimelineEntry], bool]
) -> TimelineEntry | None:
    able = [one for one in entries if one.type in PLAYBOOK_EVENTS and before(one)]
    return max(able, key=lambda one: one.version, default=None)


def _plan_of(entry: TimelineEntry) -> Plan:
    return parse_spec(json.dumps(entry.payload["spec"]))


async def _basis(
    connection: Driver, tenant_id: int, task: Mapping[str, Any], created: TimelineEntry, plan: Plan
) -> Basis:
    means = plan.means[0]
    if created.payload["basis"] == GOING_COLD:
        return Basis(None, means.lead_days, None)
    bought = await facts.histories(
        connection,
        tenant_id,
        categories=[task["category_id"]],
        as_of=created.occurred_at,
        members=[task["member_id"]],
    )
    if not bought:
        return Basis(None, means.lead_days, None)
    run_out = estimate(
        bought[0].purchases,
        product_days_per_unit=means.days_per_unit.get(task["category"]),
        segment_days_per_unit=Decimal(task["segment_rate"]) if task["segment_rate"] else None,
        rhythm=RHYTHM.validate_json(task["rhythm"]) if task["rhythm"] else None,
    )
    agrees = run_out is not None and (run_out.run_out, run_out.basis) == (
        task["run_out_on"],
        created.payload["basis"],
    )
    return Basis(run_out, means.lead_days, agrees)


async def _stored(
    connection: Driver, tenant_id: int, task: Mapping[str, Any], in_reach: bool
) -> list[Mapping[str, Any]]:
    source = "plan_check" if not in_reach else (
        "(SELECT $1::int AS tenant_id, $2::text AS plan_id, $3::int AS cycle, k.kind, r.as_of, r.position"
        " FROM unnest(ARRAY['provisional', 'settled']) AS k(kind), check_in_reach($2, $3, k.kind) r)"
    )  # fmt: skip
    rows: list[Mapping[str, Any]] = await connection.fetch(
        f"SELECT kind, as_of, position FROM {source} c"
        " WHERE tenant_id = $1 AND plan_id = $2 AND cycle = $3 ORDER BY position",
        tenant_id,
        task["plan_id"],
        task["cycle"],
    )
    return rows


@dataclass(frozen=True, slots=True)
class _Member:
    """The item's member, to be counted as of this Check and that."""

    task: Mapping[str, Any]
    window: timedelta
    categories: Sequence[int]

    async def effect(self, connection: Driver, tenant_id: int, as_of: datetime, up_to: int) -> Effect:
        zone, midnight = self.task["time_zone"], time(0)
        start = local_instant(self.task["starts_on"], midnight, zone)
        whose = MemberInCycle(
            self.task["member_id"],
            self.task["plan_id"],
            self.task["cycle"],
            self.categories,
            start,
            self.window,
        )
        record = await member_record(connection, tenant_id, whose, as_of=as_of, up_to=up_to)
        return effect(
            record,
            cycle_start=start,
            cycle_end=local_instant(self.task["ends_on"] + timedelta(days=1), midnight, zone),
            as_of=as_of,
            zone=zone,
            window=self.window,
        )


def _of_day(entries: Sequence[TimelineEntry], guide: UUID, day: date) -> tuple[TimelineEntry, ...]:
    return tuple(one for one in entries if one.stream == f"guide-day/{guide}/{day}")


async def _codes(
    connection: Driver,
    tenant_id: int,
    entries: Sequence[TimelineEntry],
    days: Sequence[Mapping[str, Any]],
    effects: Sequence[Effect],
) -> dict[str, str]:
    told = {key: code for one in entries for key, code in one.codes.items()}
    ids = {str(d["guide_id"]) for d in days}
    for one in effects:
        named = (one.guide_id, one.contact and one.contact.guide_id, one.winner and one.winner.guide_id)
        ids |= {guide for guide in named if guide}
    rows = await connection.fetch(
        "SELECT guide_id::text AS id, code FROM guide WHERE tenant_id = $1 AND guide_id = ANY ($2)",
        tenant_id,
        sorted(UUID(one) for one in ids if one not in told),
    )
    told |= {row["id"]: row["code"] for row in rows}
    return {key: told[key] for key in sorted(told)}
