"""The Check of a cycle: was it done, and what came of it?

Source: domain.md, *Plan–Do–Check–Act*, "Check", whose words are the names here. Every figure is a count of
distinct members or a sum of money, so that a rate can always be shown with its counts.

How a figure is read here, where the definition leaves room:

- The cycle is the half-open span [start, end); items belong to it by their due day in the plan's zone.
- Nothing later than `as_of` counts: no contact, no purchase, and no item due on a later day.
- A contact counts as attempt or follow-up of the cycle in which it occurred.
- A purchase is won by the last reached contact before it, of any plan; it makes a success only if that is
  the last reached contact of the cycle. A later contact that reaches the member starts a new window.
- A return counts with the purchase it takes back if the till names it, else at its own instant.

A day's figures count items, a cycle's distinct members: `add_up` adds the rows of a breakdown, never days.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from decimal import Decimal

from domain.attribution import WINDOW, Contact, NetPurchase, attribute, recency
from domain.calendar import business_date
from domain.rate import Rate
from domain.revenue_tree import RevenueTree, revenue_tree

__all__ = [
    "WINDOW",
    "Contact",
    "Figures",
    "Item",
    "MemberRecord",
    "NetPurchase",
    "Rate",
    "RevenueTree",
    "Row",
    "add_up",
    "attribute",
    "by_guide",
    "by_store",
    "by_store_and_guide",
    "check",
    "revenue_tree",
]

_ONE_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Item:
    """An item of the plan for the member, due on a local day.

    `withdrawn_before_attempt`: closed before anybody checked in (bought before contact, do-not-contact,
    junk, erased, merged).
    """

    due_on: date
    withdrawn_before_attempt: bool = False


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """All that the Check reads of one member of one plan.

    Attributes:
        member_id: the member.
        guide_id: the assigned guide, None if nobody can take the member.
        store_id: the store the member counts for.
        items: the plan's items.
        contacts: the plan's check-ins, of all cycles.
        purchases: lines of the plan's category.
        in_plan_at_start: whether the member was in the plan when the cycle began.
        other_plans: check-ins of other plans, which may win a purchase.
    """

    member_id: str
    guide_id: str | None
    store_id: str
    items: tuple[Item, ...] = ()
    contacts: tuple[Contact, ...] = ()
    purchases: tuple[NetPurchase, ...] = ()
    in_plan_at_start: bool = True
    other_plans: tuple[Contact, ...] = ()


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a cycle: distinct members, and money in minor units (definitions: domain.md, *Check*).

    `window_closed` + `provisional` = `followed_up`; `succeeded` is of the closed windows only,
    `provisional_succeeded` of the open ones; `revenue` and `provisional_revenue` are the values of their
    purchases. `repurchased` is of the `members_at_start`, contacted or not.
    """

    due: int = 0
    attempted: int = 0
    followed_up: int = 0
    withdrawn: int = 0
    window_closed: int = 0
    provisional: int = 0
    succeeded: int = 0
    provisional_succeeded: int = 0
    repurchased: int = 0
    members_at_start: int = 0
    revenue: int = 0
    provisional_revenue: int = 0

    @property
    def completion_rate(self) -> Rate:
        """跟踪完成率: followed up ÷ due."""
        return Rate(self.followed_up, self.due)

    @property
    def attempt_rate(self) -> Rate:
        """Attempted ÷ due."""
        return Rate(self.attempted, self.due)

    @property
    def success_rate(self) -> Rate:
        """跟踪成功率: succeeded ÷ followed up whose window has closed."""
        return Rate(self.succeeded, self.window_closed)

    @property
    def repurchase_rate(self) -> Rate:
        """复购率: bought again in the cycle ÷ in the plan at its start."""
        return Rate(self.repurchased, self.members_at_start)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a breakdown; `key` is the store or guide, None for members without a guide."""

    key: str | None
    figures: Figures


def check(
    records: Iterable[MemberRecord],
    *,
    cycle_start: datetime,
    cycle_end: datetime,
    as_of: datetime,
    zone: str,
    window: timedelta = WINDOW,
) -> Figures:
    """The figures of a cycle as they stand at `as_of`.

    Args:
        records: every member of the plan once, in any order.
        cycle_start: first instant of the cycle.
        cycle_end: first instant after it.
        as_of: nothing later counts.
        zone: IANA name of the zone in which due days are days.
        window: how long after the last reached contact a purchase is its success, the end included.

    Raises:
        ValueError: a naive instant, an empty cycle, a negative window, an unknown zone, a doubled member.
    """
    span = _Span.of(cycle_start, cycle_end, as_of, zone, window)
    return add_up(_figures_of(record, span)[1] for record in _once_each(records))


def by_store(
    records: Iterable[MemberRecord],
    *,
    cycle_start: datetime,
    cycle_end: datetime,
    as_of: datetime,
    zone: str,
    window: timedelta = WINDOW,
) -> tuple[Row, ...]:
    """The figures by the member's store, in order of store ids.

    Each member counts in exactly one row, so the rows add up to `check`. Arguments and errors: see `check`.
    """
    span = _Span.of(cycle_start, cycle_end, as_of, zone, window)
    return _break_down(records, span, lambda record, _credited: record.store_id)


def by_guide(
    records: Iterable[MemberRecord],
    *,
    cycle_start: datetime,
    cycle_end: datetime,
    as_of: datetime,
    zone: str,
    window: timedelta = WINDOW,
) -> tuple[Row, ...]:
    """The figures by guide, in order of guide ids, members without one last.

    A due member counts for whoever made the last reached contact, else for the assigned guide: credit stays
    with the one who did the work. Each member counts in exactly one row, so the rows add up to `check`.
    Arguments and errors: see `check`.
    """
    span = _Span.of(cycle_start, cycle_end, as_of, zone, window)
    return _break_down(records, span, lambda _record, credited: credited)


def by_store_and_guide(
    records: Iterable[MemberRecord],
    *,
    cycle_start: datetime,
    cycle_end: datetime,
    as_of: datetime,
    zone: str,
    window: timedelta = WINDOW,
) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """`by_store` and `by_guide` of the same records, each member counted once."""
    span = _Span.of(cycle_start, cycle_end, as_of, zone, window)
    counted = [(record, *_figures_of(record, span)) for record in _once_each(records)]
    return (
        _rows((record.store_id, figures) for record, _, figures in counted),
        _rows((credited, figures) for _, credited, figures in counted),
    )


def add_up(parts: Iterable[Figures]) -> Figures:
    """The sum of figures of *different* members: the rows of a breakdown, or stores of a region.

    Not for days or cycles: a member worked on twice would be counted twice.
    """
    every = list(parts)
    return Figures(
        **{field.name: sum(getattr(part, field.name) for part in every) for field in fields(Figures)}
    )


@dataclass(frozen=True, slots=True)
class _Span:
    """The cycle seen from `as_of`."""

    start: datetime
    end: datetime
    as_of: datetime
    first_day: date
    last_day: date
    window: timedelta

    @classmethod
    def of(cls, start: datetime, end: datetime, as_of: datetime, zone: str, window: timedelta) -> "_Span":
        if end <= start:
            raise ValueError(f"cycle_end: {end} is not after cycle_start {start}")
        if window < timedelta():
            raise ValueError(f"window: {window} is negative; use 0 or more")
        last_day = min(business_date(end - _ONE_TICK, zone), business_date(as_of, zone))
        return cls(start, end, as_of, business_date(start, zone), last_day, window)

    def holds(self, instant: datetime) -> bool:
        return self.start <= instant < self.end and instant <= self.as_of


def _once_each(records: Iterable[MemberRecord]) -> list[MemberRecord]:
    every = sorted(records, key=lambda record: record.member_id)
    if len({record.member_id for record in every}) != len(every):
        raise ValueError("records: a member is listed twice; figures count distinct members")
    return every


def _break_down(
    records: Iterable[MemberRecord], span: _Span, key: Callable[[MemberRecord, str | None], str | None]
) -> tuple[Row, ...]:
    counted = ((record, *_figures_of(record, span)) for record in _once_each(records))
    return _rows((key(record, credited), figures) for record, credited, figures in counted)


def _rows(shares: Iterable[tuple[str | None, Figures]]) -> tuple[Row, ...]:
    parts: dict[str | None, list[Figures]] = {}
    for key, figures in shares:
        parts.setdefault(key, []).append(figures)
    ordered = sorted(parts, key=lambda name: (name is None, name or ""))
    return tuple(Row(name, add_up(parts[name])) for name in ordered)


def _figures_of(record: MemberRecord, span: _Span) -> tuple[str | None, Figures]:
    """Whom the member counts for, and the member's share of every figure: 0 or 1, or money."""
    at_start = record.in_plan_at_start
    bought_again, _ = _bought(record, span, lambda instant: span.start <= instant < span.end)
    figures = Figures(members_at_start=int(at_start), repurchased=int(at_start and bought_again))
    items = [item for item in record.items if span.first_day <= item.due_on <= span.last_day]
    contacts = [contact for contact in record.contacts if span.holds(contact.occurred_at)]
    if not items:
        return record.guide_id, figures
    if not contacts:
        gone = all(item.withdrawn_before_attempt for item in items)
        return record.guide_id, add_up([figures, Figures(withdrawn=int(gone), due=int(not gone))])
    reached = [contact for contact in contacts if contact.reached]
    if not reached:
        return record.guide_id, add_up([figures, Figures(due=1, attempted=1)])
    last = max(reached, key=recency)
    # Contacts after as_of need no care: they win none of the purchases before it.
    rivals = record.contacts + record.other_plans
    bought, value = _bought(record, span, lambda instant: attribute(instant, rivals, span.window) == last)
    if last.occurred_at + span.window <= span.as_of:
        effect = Figures(window_closed=1, succeeded=int(bought), revenue=value)
    else:
        effect = Figures(provisional=1, provisional_succeeded=int(bought), provisional_revenue=value)
    return last.guide_id, add_up([figures, Figures(due=1, attempted=1, followed_up=1), effect])


def _bought(record: MemberRecord, span: _Span, counts: Callable[[datetime], bool]) -> tuple[bool, int]:
    """Whether the lines that count are a purchase net of returns, and their value (0 if they are not)."""
    lines = [
        line
        for line in record.purchases
        if line.occurred_at <= span.as_of and counts(line.takes_back or line.occurred_at)
    ]
    kept = sum((line.quantity for line in lines), Decimal(0)) > 0
    bought = kept and any(line.quantity > 0 for line in lines)
    return bought, sum(line.value for line in lines) if bought else 0
