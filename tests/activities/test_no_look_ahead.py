"""Nothing looks ahead: a purchase that becomes known later changes no decision taken before."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activities.assignment import draw_cycle
from activities.purchases import _next_tasks, plans_on
from activities.review import count_cycle
from domain.day_norm import Capacity
from domain.messages import DayStep, PlanStep
from domain.plan import Plan
from ledger.door import Driver
from ledger.due_items import Holds, PlanOnDay, ZoneDay
from ledger.ledger import Command, Ledger
from ledger.list_cutting import cut_lists
from ledger.tasks import bought_again, change_tasks, finished_beforehand
from tests.brand import Brand, at, plan
from tests.conftest import LedgerDatabase
from tests.shared_database import empty

PLAN = plan(members={"bought_categories": ["TIN", "SOAP"]}, means=[{
    "name": "Reminder", "script": "Hello", "days_per_unit": {"TIN": 7},
}])  # fmt: skip
"""TIN lasts as said, SOAP as the members' own rhythm and the segment's say."""
MEMBERS = 4
EARLIEST = at(date(2025, 12, 1), 12)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Line:
    """A purchase: by whom, what, when it occurred and how many hours later it became known."""

    member: int
    category: str
    occurred_at: datetime
    hours_late: int
    quantity: int
    guide: bool
    returns: bool = field(default=False)

    @property
    def known_at(self) -> datetime:
        return self.occurred_at + self.hours_late * HOUR


LINES = st.builds(
    Line,
    member=st.integers(0, MEMBERS - 1),
    category=st.sampled_from(["TIN", "SOAP"]),
    # Half of them over the three months before the cycle, half in it.
    occurred_at=st.integers(0, 90 * 24).map(lambda h: EARLIEST + h * HOUR)
    | st.integers(0, 14 * 24).map(lambda h: at(1) + h * HOUR),
    hours_late=st.just(0) | st.integers(0, 60 * 24),
    quantity=st.integers(1, 5),
    guide=st.booleans(),
    returns=st.booleans(),
)


async def put(brand: Brand, members: list[UUID], guide: UUID, lines: list[tuple[int, Line]]) -> None:
    """Lines under baskets of their own; a line that `returns` comes with a return a day later."""
    for number, line in lines:
        basket = f"basket-{number}"
        await brand.buy(
            members[line.member], line.occurred_at, line.quantity, known_at=line.known_at,
            category=line.category, guide=guide if line.guide else None, basket=basket,
        )  # fmt: skip
    for number, line in lines:
        if line.returns:
            await put_return(brand, members[line.member], number, line)


async def put_return(brand: Brand, member: UUID, number: int, line: Line) -> None:
    """The return is known at once, whenever its purchase becomes known."""
    await brand.buy(
        member, line.occurred_at + 24 * HOUR, -line.quantity, category=line.category,
        basket=f"return-{number}", return_of=f"basket-{number}",
    )  # fmt: skip


async def decisions(ledger: Ledger, what: Plan, when: datetime) -> dict[str, Any]:
    """Everything that is decided or counted at an instant of the cycle's third day."""
    step = Brand(ledger).day(4).model_copy(update={"at": when})
    async with ledger.connection() as connection:
        ((standing, cycle),) = await plans_on(connection, 1, step)
        return {
            "lists": await lists(connection, ledger, what, step),
            "draw": await draw_cycle(connection, 1, what, 1, when),
            "finished": await finished_beforehand(connection, 1, plan_id="p1", cycle=1, as_of=when),
            "again": await bought_again(
                connection, 1, plan_id="p1", cycle=1, categories=[1, 2], since=at(2, 0), as_of=when
            ),
            "next": await _next_tasks(connection, ledger, standing, cycle, step),
            "figures": await count_cycle(connection, 1, PlanStep(plan_id="p1", cycle=1, at=when)),
        }


async def lists(connection: Driver, ledger: Ledger, what: Plan, step: DayStep) -> list[tuple[Any, ...]]:
    """The lists that settling and cutting at an instant would come to; undone again."""
    tried = connection.transaction()
    await tried.start()
    try:
        ((standing, cycle),) = await plans_on(connection, 1, step)
        leaving = await finished_beforehand(connection, 1, plan_id="p1", cycle=1, as_of=step.at)
        await change_tasks(connection, 1, Command("left", step.at, step.at, "test"), leaving=leaving)
        created = await _next_tasks(connection, ledger, standing, cycle, step)
        await change_tasks(connection, 1, Command("created", step.at, step.at, "test"), created=created)
        await cut_lists(
            connection, ZoneDay(1, step.day, step.time_zone),
            plans=[PlanOnDay("p1", 1)],
            holds=Holds(Capacity(what.care.items_per_day or 50, 30)),
            opens_at=step.at, closes_at=step.at + 12 * HOUR,
        )  # fmt: skip
        rows = await connection.fetch("SELECT rank, task_id FROM list_item ORDER BY rank")
        return [tuple(row) for row in rows]
    finally:
        await tried.rollback()


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    lines=st.lists(LINES, min_size=4, max_size=14),
    contacts=st.lists(st.tuples(st.sampled_from(["came", "no_answer"]), st.booleans()), max_size=3),
    when=st.integers(0, 5 * 24).map(lambda h: at(3) + h * HOUR),
)
async def test_what_becomes_known_later_changes_nothing_decided_before(
    shared_database: LedgerDatabase,
    lines: list[Line],
    contacts: list[tuple[str, bool]],
    when: datetime,
) -> None:
    await empty(shared_database)
    brand = Brand(shared_database.ledger)
    await brand.open_store()
    guide = await brand.hire()
    members = await brand.join(*(f"M{n}" for n in range(MEMBERS)))
    await brand.category("TIN")
    await brand.category("SOAP")
    numbered = list(enumerate(lines))
    known = [(n, line) for n, line in numbered if line.known_at <= when]
    later = [(n, line) for n, line in numbered if line.known_at > when]
    await put(brand, members, guide, known)
    # Returns of purchases that are not known yet: known themselves where they occurred by then.
    for number, line in later:
        if line.returns and line.occurred_at + 24 * HOUR <= when:
            await put_return(brand, members[line.member], number, line)
    await brand.start(PLAN)
    # One item a member: whoever was not reached is not dialled twice a day, for whatever item.
    open_tasks = await brand.rows(
        "SELECT DISTINCT ON (member_id) task_id FROM task ORDER BY member_id, task_id"
    )
    for (task,), (outcome, by_noon) in zip(open_tasks, contacts, strict=False):
        await brand.report(task, guide, at(2, 11 if by_noon else 15), outcome)

    without = await decisions(brand.ledger, PLAN, when)
    for number, line in later:
        await put(brand, members, guide, [(number, line)] if not line.returns else [])
        if line.returns:
            await brand.buy(
                members[line.member], line.occurred_at, line.quantity, known_at=line.known_at,
                category=line.category, basket=f"basket-{number}",
            )  # fmt: skip
            if line.occurred_at + 24 * HOUR > when:
                await put_return(brand, members[line.member], number, line)
    assert await decisions(brand.ledger, PLAN, when) == without


async def test_the_lists_of_a_day_do_not_know_what_becomes_known_after_it(shop: Brand) -> None:
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide")))
    members = await shop.due_on(2, "M1", "M2", "M3")
    await shop.buy(members[0], at(1, 18), known_at=at(2, 9, 1))
    await shop.buy(members[1], at(2, 8, 59), known_at=at(2, 9))
    await shop.start()
    await shop.morning(2, guide)
    assert await shop.listed(2, guide) == sorted([members[0], members[2]])
    await shop.morning(3, guide)
    assert await shop.listed(3, guide) == [members[2]]


async def test_a_return_of_a_purchase_not_known_yet_counts_at_its_own_instant(shop: Brand) -> None:
    (member,) = await shop.due_on(2, "M1")
    await shop.start()
    await shop.buy(member, at(3, 10), 1, value=50_00)
    await shop.buy(member, at(4, 10), -1, value=20_00, basket="r", return_of="before")
    async with shop.ledger.connection() as connection:
        before = await count_cycle(connection, 1, PlanStep(plan_id="p1", cycle=1, at=at(6)))
    await shop.buy(member, at(date(2026, 2, 20), 10), 1, known_at=at(7), basket="before")
    async with shop.ledger.connection() as connection:
        assert await count_cycle(connection, 1, PlanStep(plan_id="p1", cycle=1, at=at(6))) == before
    assert before["total"]["repurchased"] == 0
