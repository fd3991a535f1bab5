"""What guides did in a span of days, counted as the Check counts (`domain.figures`), the span in the place of the cycle.

Nothing is counted here: lists, reports and purchases become the records that `domain.figures.by_guide` counts. The store
of a day is where the guide stood on it (`ledger.board_roster`), so a guide who moved counts for each of her stores.

Cost: one round trip for the lists' sizes, then three and one a plan for each slice of some `SLICE` listed items. Rows read:
a line a member and guide for the lists, and of those members the reports and purchases since one window before the span.
It grows with the items of the span, of the guides asked for, not with the years; `MOST_ITEMS` bounds it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from domain.board_span import Span
from domain.calendar import local_instant
from domain.errors import Problem, Refused
from domain.figures import Contact, Figures, Item, MemberRecord, NetPurchase, add_up, by_guide
from domain.leaderboard import Performance
from domain.plan import Plan
from ledger import facts
from ledger.board_moment import Moment, held, told
from ledger.board_roster import Roster
from ledger.door import Driver
from ledger.plans import parse_spec
from ledger.records import purchases_of

SLICE = 2_000
"""Listed items whose records are held at once: a tenth of a second of a process's time, in which it does nothing else."""
MOST_ITEMS = 1_000_000
"""Items on the lists of one board (ours): two days of ten thousand guides, two months of three hundred."""

KeyOf = Callable[[UUID, date], str | None]
"""Whom a day of a guide counts for; None: nobody on this board."""


@dataclass(frozen=True, slots=True)
class Work:
    """Whose work is read: of these guides in the span, by what was known at the moment, of one plan where it is named."""

    roster: Roster
    guides: Sequence[UUID]
    key_of: KeyOf
    span: Span
    moment: Moment
    plan_id: str | None = None


@dataclass(frozen=True, slots=True)
class Lists:
    """A guide's lists of the span: their days, items on them, and the days on which she clocked in."""

    days: frozenset[date] = frozenset()
    items: int = 0
    clocked_in: frozenset[date] = frozenset()


@dataclass
class _Part:
    """A member of a plan as one key's guides had them."""

    listed: list[date] = field(default_factory=list)
    withdrawn: bool = True
    contacts: list[tuple[datetime, bool, date, str]] = field(default_factory=list)
    zone: str = ""


_LISTS = """
SELECT d.guide_id, coalesce(array_agg(d.business_date) FILTER (WHERE p.published), '{}') AS days,
       coalesce(sum(d.listed) FILTER (WHERE p.published), 0)::int AS items,
       coalesce(array_agg(d.business_date) FILTER (WHERE d.clocked_in_at <= $2), '{}') AS clocked_in
FROM guide_day d, LATERAL (SELECT coalesce(d.published_at, d.closed_at) <= $2 AS published) p
WHERE d.tenant_id = $1 AND d.guide_id = ANY($3) AND d.business_date BETWEEN $4 AND $5
GROUP BY 1"""

# What left the list after the moment was still due at it.
_LEFT_BY_THEN = f"""NOT EXISTS (
           SELECT FROM event v WHERE v.tenant_id = $1 AND v.stream = 'task/' || t.task_id AND v.type = 'task_left'
             AND v.known_at >= t.known_at AND NOT {told("v.known_at", "v.stream", "v.version")})"""
# $4 guides, $5 and $6 first and last day, $7 a plan or null
_LISTED = f"""
SELECT i.guide_id, t.plan_id, t.member_id, array_agg(DISTINCT i.business_date) AS days,
       bool_and(CASE WHEN t.state = 'withdrawn' AND t.attempts = 0 THEN {_LEFT_BY_THEN} ELSE false END) AS withdrawn
FROM list_item i
JOIN guide_day d ON d.tenant_id = $1 AND d.guide_id = i.guide_id AND d.business_date = i.business_date
     AND coalesce(d.published_at, d.closed_at) <= $2
JOIN task t ON t.tenant_id = $1 AND t.task_id = i.task_id
WHERE i.tenant_id = $1 AND i.guide_id = ANY($4) AND i.business_date BETWEEN $5 AND $6
  AND ($7::text IS NULL OR t.plan_id = $7)
GROUP BY 1, 2, 3"""
_OF_SPAN = (
    "k.guide_id = ANY($4) AND k.business_date BETWEEN $5 AND $6 AND ($7::text IS NULL OR k.plan_id = $7)"
)
_REPORTED = held("k.member_id", _OF_SPAN)
# $4 members, $5 since
_CONTACTS = f"""
SELECT * FROM ({
    held(
        "k.member_id, k.plan_id, k.guide_id, k.occurred_at, k.business_date, k.reached, k.outcome, k.task_id, k.version",
        "k.member_id = ANY($4) AND k.occurred_at > $5",
    )
}) c ORDER BY member_id, occurred_at, task_id, version"""


async def read_lists(
    connection: Driver, tenant_id: int, guides: Collection[UUID], span: Span, moment: Moment
) -> dict[UUID, Lists]:
    """The sizes of the lists of these guides in the span. One round trip, a row a guide-day read."""
    rows = await connection.fetch(_LISTS, tenant_id, moment.at, list(guides), span.since, span.until)
    return {
        row["guide_id"]: Lists(frozenset(row["days"]), row["items"], frozenset(row["clocked_in"]))
        for row in rows
    }


async def read_performances(
    connection: Driver, tenant_id: int, work: Work, *, slice_of: int = SLICE
) -> list[Performance]:
    """What each key did in the span, in the order of the keys.

    Args:
        connection: that sees everything, in a snapshot of its own: the worker's, or one for upkeep.
        tenant_id: the brand.
        work: whose.
        slice_of: listed items that are read at once.

    Raises:
        Refused: there are more items on the lists than one board holds.
    """
    lists = await read_lists(connection, tenant_id, work.guides, work.span, work.moment)
    items = sum(one.items for one in lists.values())
    if items > MOST_ITEMS:
        raise Refused([Problem("span", str(items), "board_too_big", {"most": MOST_ITEMS})])
    plans = await _plans(connection, tenant_id)
    found: list[Performance] = []
    for part in _slices(work, {guide: one.items for guide, one in lists.items()}, slice_of):
        found += await _Reader(connection, tenant_id, work, part.guides, part.keys, plans).read()
    return sorted(found, key=lambda one: one.key)


@dataclass(frozen=True, slots=True)
class _Slice:
    guides: tuple[UUID, ...]
    keys: frozenset[str]


def _slices(work: Work, items: Mapping[UUID, int], at_once: int) -> Iterator[_Slice]:
    """Keys in groups of some `at_once` items, each with all guides who have a day of it."""
    of: dict[str, list[UUID]] = {}
    for guide in work.guides:
        moved = bool(work.roster.guides[guide].postings)
        days = [work.span.since + timedelta(days=offset) for offset in range(work.span.days if moved else 1)]
        for key in sorted({key for day in days if (key := work.key_of(guide, day)) is not None}):
            of.setdefault(key, []).append(guide)
    keys: list[str] = []
    members: list[UUID] = []
    size = 0
    for key in sorted(of):
        weight = sum(items.get(guide, 0) for guide in of[key])
        if keys and size + weight > at_once:
            yield _Slice(tuple(dict.fromkeys(members)), frozenset(keys))
            keys, members, size = [], [], 0
        keys.append(key)
        members += of[key]
        size += weight
    if keys:
        yield _Slice(tuple(dict.fromkeys(members)), frozenset(keys))


async def _plans(connection: Driver, tenant_id: int) -> dict[str, tuple[Plan, tuple[int, ...]]]:
    """Every plan with the ids of its categories."""
    rows = await connection.fetch(
        "SELECT plan_id, spec::text AS spec FROM plan WHERE tenant_id = $1", tenant_id
    )
    plans = {row["plan_id"]: parse_spec(row["spec"]) for row in rows}
    named = {name for plan in plans.values() for name in plan.members.bought_categories}
    ids = await facts.category_ids(connection, tenant_id, sorted(named))
    return {
        name: (plan, tuple(sorted(ids[one] for one in plan.members.bought_categories if one in ids)))
        for name, plan in plans.items()
    }


@dataclass
class _Reader:
    """The records of one slice."""

    connection: Driver
    tenant_id: int
    work: Work
    guides: tuple[UUID, ...]
    keys: frozenset[str]
    plans: Mapping[str, tuple[Plan, tuple[int, ...]]]
    parts: dict[tuple[str, str, UUID], _Part] = field(default_factory=dict)
    every: dict[UUID, list[tuple[str | None, Contact]]] = field(default_factory=dict)
    """By member: all their contacts, each with the key it counts for on this board."""

    async def read(self) -> list[Performance]:
        """What the keys of the slice did."""
        await self._lists()
        await self._contacts()
        figures = {key: [Figures()] for key in {key for key, _, _ in self.parts}}
        for (zone, window), records in (await self._records()).items():
            since = local_instant(self.work.span.since, time(), zone)
            until = local_instant(self.work.span.until + timedelta(days=1), time(), zone)
            for row in by_guide(
                records,
                cycle_start=since,
                cycle_end=until,
                as_of=max(self.work.moment.at, since),
                zone=zone,
                window=window,
            ):
                figures[row.key or ""].append(row.figures)
        outcomes, days = self._outcomes()
        return [
            Performance(key, add_up(parts), outcomes.get(key, {}), frozenset(days.get(key, ())))
            for key, parts in sorted(figures.items())
        ]

    async def _lists(self) -> None:
        arguments = (
            self.work.moment.at,
            self.work.moment.position,
            list(self.guides),
            self.work.span.since,
            self.work.span.until,
        )
        for row in await self.connection.fetch(_LISTED, self.tenant_id, *arguments, self.work.plan_id):
            for day in sorted(row["days"]):
                part = self._part(row["guide_id"], row["plan_id"], row["member_id"], day)
                if part is not None:
                    part.listed.append(day)
                    part.withdrawn = part.withdrawn and row["withdrawn"]

    def _part(self, guide: UUID, plan: str, member: UUID, day: date) -> _Part | None:
        key = self.work.key_of(guide, day)
        if key is None or key not in self.keys:
            return None
        part = self.parts.setdefault((key, plan, member), _Part())
        part.zone = self.work.roster.stores[self.work.roster.store_on(guide, day)].time_zone
        return part

    async def _contacts(self) -> None:
        arguments = (
            self.work.moment.at,
            self.work.moment.position,
            list(self.guides),
            self.work.span.since,
            self.work.span.until,
        )
        reported = await self.connection.fetch(_REPORTED, self.tenant_id, *arguments, self.work.plan_id)
        members = {member for _, _, member in self.parts} | {row["member_id"] for row in reported}
        longest = max((plan.attribution_window for plan, _ in self.plans.values()), default=timedelta())
        since = local_instant(self.work.span.since, time(), "UTC") - timedelta(days=1) - longest
        rows = await self.connection.fetch(
            _CONTACTS, self.tenant_id, self.work.moment.at, self.work.moment.position, list(members), since
        )
        mine = frozenset(self.guides)
        for row in rows:
            key = self._contact(row) if row["guide_id"] in mine else None
            contact = Contact(row["occurred_at"], row["reached"], key or str(row["guide_id"]), row["plan_id"])
            self.every.setdefault(row["member_id"], []).append((key, contact))

    def _contact(self, row: Mapping[str, Any]) -> str | None:
        """The key a contact of one of the slice's guides counts for."""
        day = row["business_date"]
        if not self.work.span.since <= day <= self.work.span.until or self.work.plan_id not in (
            None,
            row["plan_id"],
        ):
            return None
        part = self._part(row["guide_id"], row["plan_id"], row["member_id"], day)
        if part is None:
            return None
        part.contacts.append((row["occurred_at"], row["reached"], day, row["outcome"]))
        return self.work.key_of(row["guide_id"], day)

    async def _records(self) -> dict[tuple[str, timedelta], list[MemberRecord]]:
        """By zone and window, for a span is counted in one of each."""
        bought = await self._purchases()
        records: dict[tuple[str, timedelta], list[MemberRecord]] = {}
        for (key, plan_id, member), part in self.parts.items():
            own: list[Contact] = []
            others: list[Contact] = []
            for of, contact in self.every.get(member, ()):
                (own if of == key and contact.plan_id == plan_id else others).append(contact)
            days = sorted({*part.listed, *(day for _, _, day, _ in part.contacts)})
            withdrawn = part.withdrawn and bool(part.listed)
            window = self.plans[plan_id][0].attribution_window
            records.setdefault((part.zone, window), []).append(
                MemberRecord(
                    member_id=f"{member}/{plan_id}/{key}",
                    guide_id=key,
                    store_id=key,
                    items=tuple(Item(day, withdrawn) for day in days),
                    contacts=tuple(own),
                    purchases=tuple(bought.get((plan_id, member), ())),
                    in_plan_at_start=False,
                    other_plans=tuple(others),
                )
            )
        return records

    async def _purchases(self) -> dict[tuple[str, UUID], list[NetPurchase]]:
        """Of members who were reached, what they bought of the plan's categories since the span began."""
        reached: dict[str, set[UUID]] = {}
        for (_, plan_id, member), part in self.parts.items():
            if any(reached for _, reached, _, _ in part.contacts):
                reached.setdefault(plan_id, set()).add(member)
        since = local_instant(self.work.span.since, time(), "UTC") - timedelta(days=1)
        bought: dict[tuple[str, UUID], list[NetPurchase]] = {}
        for plan_id in sorted(reached):
            found = await purchases_of(
                self.connection,
                self.tenant_id,
                sorted(reached[plan_id]),
                self.plans[plan_id][1],
                since,
                self.work.moment.at,
            )
            bought |= {(plan_id, member): lines for member, lines in found.items()}
        return bought

    def _outcomes(self) -> tuple[dict[str, dict[str, int]], dict[str, set[date]]]:
        """By key: members by outcome, each once, and the days of reports."""
        members: dict[str, dict[str, set[UUID]]] = {}
        days: dict[str, set[date]] = {}
        for (key, _, member), part in self.parts.items():
            for _, _, day, outcome in part.contacts:
                members.setdefault(key, {}).setdefault(outcome, set()).add(member)
                days.setdefault(key, set()).add(day)
        counted = {
            key: {outcome: len(every) for outcome, every in sorted(of.items())} for key, of in members.items()
        }
        return counted, days


def total(performances: Iterable[Performance]) -> Performance:
    """The sum of what different keys did."""
    every = list(performances)
    outcomes: dict[str, int] = {}
    for one in every:
        for outcome, count in one.outcomes.items():
            outcomes[outcome] = outcomes.get(outcome, 0) + count
    return Performance("", add_up(one.figures for one in every), outcomes)
