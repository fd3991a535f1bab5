"""How an item and its figures came about: each line from an event, each rate as the stored Check has it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import date
from uuid import UUID, uuid4

import pytest

from domain.errors import NotFound
from domain.messages import PlanStep
from ledger.door import NewEvent, StreamBatch, append, read_head
from ledger.ledger import task_stream
from ledger.why import Why, why
from tests.brand import Brand, at, plan

NOW = at(date(2026, 5, 1))


async def asked(brand: Brand, task: UUID) -> Why:
    async with brand.ledger.connection() as connection:
        return await why(connection, brand.ledger.tenant_id, task, now=NOW)


async def first_task(brand: Brand, member: UUID) -> UUID:
    """The member's item of the plan."""
    found = await brand.value(
        "SELECT task_id FROM task WHERE plan_id = 'p1' AND member_id = $1 ORDER BY bought_at LIMIT 1", member
    )
    return UUID(str(found))


async def a_cycle(brand: Brand) -> tuple[dict[str, UUID], UUID]:
    """Two weeks in which eight members end in every way there is, checked and settled; their items, and the guide."""
    guide = UUID(str(await brand.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    names = ("kept", "returned", "nothing", "late", "unreached", "before", "refused", "lost")
    members = dict(zip(names, await brand.due_on(2, *names), strict=True))
    await brand.start()
    await brand.buy(members["lost"], at(date(2026, 2, 7)), category="SOAP")
    await brand.start(plan(plan="p2", members={"bought_categories": ["SOAP"]}))
    await brand.morning(2, guide)
    tasks = {name: await first_task(brand, member) for name, member in members.items()}
    await brand.buy(members["before"], at(2, 9, 10))
    await brand.purchases.settle_purchases(brand.day(2, 10))
    await brand.reminders.nudge_guides(brand.day(2, 16, slot="16:00"))
    for name in ("kept", "returned", "nothing", "lost"):
        await brand.report(tasks[name], guide, at(2, 10), "interested")
    await brand.report(tasks["unreached"], guide, at(2, 10), "no_answer")
    await brand.report(tasks["refused"], guide, at(2, 10), "refused")
    await brand.evening(2, guide)
    soap = await brand.value(
        "SELECT task_id FROM task WHERE plan_id = 'p2' AND member_id = $1", members["lost"]
    )
    await brand.report(soap, guide, at(3, 10), "interested")
    await brand.buy(members["lost"], at(4))
    await brand.buy(members["kept"], at(4), value=120_00)
    basket = await brand.buy(members["returned"], at(5))
    await brand.buy(members["returned"], at(6), -4, return_of=basket)
    await brand.morning(9, guide)
    await brand.report(tasks["late"], guide, at(9, 10), "interested")
    await brand.evening(9, guide)
    for name, kind in (("provisional", brand.review.check_cycle), ("settled", brand.review.settle_cycles)):
        step = PlanStep(
            plan_id="p1", cycle=1, at=at(12, 21) if name == "provisional" else NOW, rehearsal=True
        )
        await kind(step)
        if name == "provisional":
            await brand.buy(members["late"], at(14))
            await brand.review.act_on_check(step)
    return tasks, guide


async def test_what_the_items_members_count_for_adds_up_to_every_stored_check(shop: Brand) -> None:
    tasks, _ = await a_cycle(shop)
    told = {name: await asked(shop, task) for name, task in tasks.items()}
    for kind in ("provisional", "settled"):
        added: Counter[str] = Counter()
        for one in told.values():
            (counted,) = [check for check in one.checks if check.kind == kind]
            added.update(asdict(counted.effect.figures))
        figures = await shop.value("SELECT figures->'total' FROM plan_check WHERE kind = $1", kind)
        assert added == Counter(figures)
    assert {name: one.effect.outcome for name, one in told.items()} == {
        "kept": "counted", "returned": "returned", "nothing": "no_purchase", "late": "counted",
        "unreached": "not_reached", "before": "not_reached", "refused": "no_purchase", "lost": "won_by_other",
    }  # fmt: skip
    assert told["before"].checks[0].effect.figures.withdrawn == 1
    outcomes = [check.effect.outcome for check in told["late"].checks]
    assert outcomes == ["window_open", "counted"]
    lost = told["lost"].effect
    assert lost.winner is not None
    assert (lost.winner.plan_id, lost.winner.occurred_at) == ("p2", at(3, 10))


async def test_every_line_is_an_event_of_the_ledger(shop: Brand) -> None:
    tasks, guide = await a_cycle(shop)
    told = await asked(shop, tasks["kept"])
    assert told.rule.model_dump()["bought_categories"] == ("TIN",)
    assert [one.type for one in told.selected] == ["plan_launched", "cycle_started", "task_created"]
    run_out = told.basis.run_out
    assert run_out is not None
    assert (told.basis.agrees, run_out.basis, str(run_out.run_out)) == (True, "product", "2026-03-07")
    assert [(one.type, one.payload["why"]) for one in told.assigned] == [
        ("member_assigned", "fewest_members")
    ]
    assert [(day.guide, day.day, [one.type for one in day.events]) for day in told.days] == [
        (guide, date(2026, 3, 2), ["list_published", "nudged", "day_closed"])
    ]
    assert [one.type for one in told.reports] == ["checked_in"]
    assert [check.event and check.event.type for check in told.checks] == ["cycle_checked"] * 2
    assert told.codes == {str(guide): "G1"}
    named = [*told.selected, *told.assigned, *told.reports, *(one for day in told.days for one in day.events)]
    for one in named:
        assert await shop.value(
            "SELECT known_at FROM event WHERE stream = $1 AND version = $2 AND type = $3",
            one.stream, one.version, one.type,
        ) == one.known_at  # fmt: skip


async def test_an_event_of_a_kind_not_known_here_is_told_all_the_same(shop: Brand) -> None:
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide")))
    (member,) = await shop.due_on(2, "M1")
    await shop.start()
    task = await shop.task(member)
    await shop.report(task, guide, at(2, 10), "interested")
    stream = task_stream(task)
    async with shop.ledger.transaction() as connection:
        head = await read_head(connection, shop.ledger.tenant_id, stream)
        event = NewEvent("made_up_later", {"outcome": "no_answer"}, at(3), "hq", "", 1)
        await append(
            connection, tenant_id=shop.ledger.tenant_id, command_id="later", known_at=at(3),
            batches=[StreamBatch(stream, [event], head)],
        )  # fmt: skip
    told = await asked(shop, task)
    assert [(one.type, one.payload.get("outcome")) for one in told.reports] == [
        ("checked_in", "interested"), ("made_up_later", "no_answer"),
    ]  # fmt: skip
    assert told.effect.outcome == "no_purchase"
    assert told.checks == ()


async def test_what_happens_after_a_check_changes_nothing_of_what_was_counted_in_it(shop: Brand) -> None:
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide")))
    (member,) = await shop.due_on(2, "M1")
    await shop.start()
    await shop.morning(2, guide)
    task = await shop.task(member)
    step = PlanStep(plan_id="p1", cycle=1, at=at(2, 21), rehearsal=True)
    await shop.review.check_cycle(step)
    before = (await asked(shop, task)).checks[0].effect
    await shop.report(task, guide, at(2, 10), "interested", known_at=at(2, 22))
    after = await asked(shop, task)
    assert after.checks[0].effect == before
    assert (before.figures.attempted, after.effect.figures.attempted) == (0, 1)


async def test_what_is_not_there_is_not_found(shop: Brand) -> None:
    with pytest.raises(NotFound):
        await asked(shop, uuid4())
