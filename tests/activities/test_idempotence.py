"""Every activity may run twice: after a success nobody heard of, after a crash in the middle, beside itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from temporalio.testing import ActivityEnvironment

from domain.messages import PlanRun, PlanStep, Shift
from ledger.ledger import Ledger
from tests.brand import Brand, at, plan
from tests.conftest import LedgerDatabase

PLAN = plan(
    members={"bought_categories": ["TIN", "SOAP"]},
    day={"open_items": "expire"},
    act={"raise_at": "100", "lower_at": "60"},
)
END = at(11, 21, 5)
WINDOW_OVER = at(25, 21, 5)


async def seeded(brand: Brand) -> UUID:
    """Members due on the first days, one of them buying again, one opting out; two guides, one of them free."""
    guide = await brand.hire("G2")
    await brand.due_on(2, *(f"M{n}" for n in range(6)))
    again, leaver = await brand.due_on(3, "N1", "N2")
    await brand.buy(again, at(2, 10), 1, category="SOAP")
    await brand.buy(again, at(2, 10), 1)
    await brand.execute("UPDATE member SET opted_out_at = $2 WHERE member_id = $1", leaver, at(2, 10))
    await brand.launch(PLAN)
    return guide


def steps(brand: Brand, guide: UUID, *, before_act: bool = True) -> list[tuple[str, Any]]:
    """Every writing activity of a cycle in the order of its life."""
    cycle = PlanStep(plan_id="p1", cycle=1, at=at(2, 8, 30), rehearsal=True)
    shift = Shift(seed=7, day=date(2026, 3, 2), time_zone="Asia/Shanghai", after=at(2, 0), until=at(2, 21))

    async def work() -> Any:
        return await ActivityEnvironment().run(brand.guides_at_work.work_shift, shift)

    async def close_days() -> None:
        # Of every guide: the Check closes what it finds open, each day in a transaction of its own.
        for (one,) in await brand.rows("SELECT guide_id FROM guide ORDER BY code"):
            await brand.dispatch.close_day(brand.guide_day(one, 2, 21))

    ended = cycle.model_copy(update={"at": END})
    settled = cycle.model_copy(update={"at": WINDOW_OVER})
    return [
        ("start_cycle", lambda: brand.assignment.start_cycle(cycle)),
        ("settle_purchases", lambda: brand.purchases.settle_purchases(brand.day(2, 10))),
        ("cut_lists", lambda: brand.dispatch.cut_lists(brand.day(2))),
        ("publish_list", lambda: brand.dispatch.publish_list(brand.guide_day(guide, 2))),
        ("nudge_guides", lambda: brand.reminders.nudge_guides(brand.day(2, 12, slot="12:00"))),
        ("work_shift", work),
        ("close_day", close_days),
        ("check_cycle", lambda: brand.review.check_cycle(ended)),
        ("act_on_check", lambda: brand.review.act_on_check(ended)),
        ("settle_cycles", lambda: brand.review.settle_cycles(settled)),
    ]


async def test_every_activity_run_twice_leaves_the_same_rows_and_events(shop: Brand) -> None:
    guide = await seeded(shop)
    for name, run in steps(shop, guide):
        before = await shop.everything()
        await run()
        once = await shop.everything()
        assert once != before, f"{name} did nothing"
        await run()
        assert await shop.everything() == once, name


async def test_the_whole_life_run_again_after_its_end_changes_nothing(shop: Brand) -> None:
    guide = await seeded(shop)
    for _, run in steps(shop, guide):
        await run()
    before = await shop.everything()
    for name, run in steps(shop, guide):
        await run()
        assert await shop.everything() == before, name


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("start_cycle", "plan_member"),
        ("start_cycle", "plan_cycle"),
        ("settle_purchases", "task"),
        ("cut_lists", "list_item"),
        ("publish_list", "event"),
        ("nudge_guides", "outbox"),
        ("close_day", "event_pending"),
        ("check_cycle", "plan_check"),
        ("act_on_check", "event"),
        ("settle_cycles", "plan_check"),
    ],
)
async def test_an_activity_that_breaks_in_the_middle_leaves_nothing_and_succeeds_when_run_again(
    shop: Brand, database: LedgerDatabase, name: str, table: str
) -> None:
    guide = await seeded(shop)
    for step, run in steps(shop, guide):
        if step != name:
            await run()
            continue
        before = await shop.everything()
        admin = await asyncpg.connect(database.admin_url, server_settings={"search_path": "daogou"})
        try:
            # The disk is full for this table, say.
            await admin.execute(f"REVOKE INSERT ON {table} FROM daogou_worker")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await run()
        finally:
            await admin.execute(f"GRANT INSERT ON {table} TO daogou_worker")
            await admin.close()
        assert await shop.everything() == before
        await run()
        assert await shop.everything() != before
        return
    pytest.fail(f"no step {name}")


async def test_a_shift_that_broke_off_is_finished_by_the_next_run(shop: Brand) -> None:
    guide = await seeded(shop)
    stages = dict(steps(shop, guide))
    for name in ("start_cycle", "settle_purchases", "cut_lists", "publish_list"):
        await stages[name]()
    await stages["work_shift"]()
    whole = await shop.rows("SELECT task_id, occurred_at, outcome, grade FROM check_in ORDER BY 1")
    half = Shift(seed=7, day=date(2026, 3, 2), time_zone="Asia/Shanghai", after=at(2, 0), until=at(2, 14))
    again = await ActivityEnvironment().run(shop.guides_at_work.work_shift, half)
    assert len(whole) > 1
    assert again.refused == 0
    assert await shop.rows("SELECT task_id, occurred_at, outcome, grade FROM check_in ORDER BY 1") == whole


async def test_the_statements_of_a_cycles_start_do_not_grow_with_its_members(
    database: LedgerDatabase,
) -> None:
    counts = []
    for size in (30, 3000):
        brand = Brand(database.ledger)
        if size == 30:
            await brand.open_store()
            await brand.hire()
            await brand.hire("G2")
            await brand.category()
        members = await brand.join(*(f"{size}-{n}" for n in range(size)))
        await brand.execute(
            "INSERT INTO purchase SELECT 1, $2 || n, 'TIN-1', false, m, s.store_id, 1, NULL, $3, $3, 4, 100, NULL, 1"
            " FROM unnest($1::uuid[]) WITH ORDINALITY AS u(m, n), store s",
            members, f"{size}-", at(date(2026, 2, 7), 12),
        )  # fmt: skip
        what = plan(plan=f"p{size}", care={"members_per_guide": 5000})
        await brand.launch(what)
        statements: list[str] = []
        counted = replace(brand.context(), ledger=CountingLedger(brand.ledger.engine, 1, statements))
        started = await type(brand.assignment)(counted).start_cycle(
            PlanStep(plan_id=what.plan, cycle=1, at=at(2, 8, 30), rehearsal=True)
        )
        assert started.tasks >= size
        counts.append(len(statements))
        assert await brand.value("SELECT count(*) FROM task WHERE plan_id = $1", what.plan) == started.tasks
    # Members and items are 6,060 streams there: one chunk of 5,000 more, at four statements.
    assert counts[0] <= 30
    assert counts[1] - counts[0] <= 4


class CountingLedger(Ledger):
    """A ledger that notes the statements of its transactions."""

    def __init__(self, engine: Any, tenant_id: int, statements: list[str]) -> None:
        super().__init__(engine, tenant_id)
        object.__setattr__(self, "_statements", statements)

    def transaction(self) -> Any:
        return _Counting(super().transaction(), self._statements)  # type: ignore[attr-defined]


class _Counting:
    def __init__(self, inner: Any, statements: list[str]) -> None:
        self._inner, self._statements = inner, statements

    def _note(self, record: Any) -> None:
        self._statements.append(record.query)

    async def __aenter__(self) -> Any:
        self._connection = await self._inner.__aenter__()
        self._connection.add_query_logger(self._note)
        return self._connection

    async def __aexit__(self, *error: object) -> Any:
        self._connection.remove_query_logger(self._note)
        return await self._inner.__aexit__(*error)


# --- what the steps answer -------------------------------------------------------------------------


async def test_a_plan_tells_when_its_steps_are_due(shop: Brand) -> None:
    await seeded(shop)
    view = await shop.plans.read_plan(PlanRun(plan_id="p1"))
    assert (view.status, view.cycles) == ("running", 1)
    assert (view.opens_at, view.checks_at) == (at(2, 8, 30), END)
    step = PlanStep(plan_id="p1", cycle=1, at=END)
    assert (await shop.plans.count_open_days(step)).count == 0


async def test_a_day_tells_its_hours_and_slots_and_that_nobody_works_on_a_closed_day(shop: Brand) -> None:
    await shop.due_on(2, "M1")
    await shop.start(plan(calendar={"closed": ["2026-03-03"]}))
    day = await shop.dispatch.read_day(shop.day(2))
    assert (day.working, day.opens_at, day.closes_at) == (True, at(2, 9), at(2, 21))
    assert [(slot.name, slot.at, slot.escalate_to) for slot in day.slots] == [
        ("12:00", at(2, 12), ""),
        ("17:00", at(2, 17), ""),
        ("18:00", at(2, 18), "store"),
        ("19:00", at(2, 19), "region"),
        ("20:00", at(2, 20), "hq"),
    ]
    assert not (await shop.dispatch.read_day(shop.day(3))).working
    assert (await shop.dispatch.cut_lists(shop.day(3))).lists == 0


async def test_a_rehearsal_has_every_working_day_in_every_zone_of_the_plans_guides(shop: Brand) -> None:
    await shop.open_store("S2", zone="America/New_York")
    await shop.hire("G2", "S2")
    await shop.launch(plan(period={"working_days": 3, "cycles": 2}))
    view = await shop.rehearsal.read_rehearsal(PlanRun(plan_id="p1"))
    assert [zone[0].time_zone for zone in view.zones] == ["America/New_York", "Asia/Shanghai"]
    assert [day.day.day for day in view.zones[1]] == [2, 3, 4, 5, 6, 7]
    assert view.zones[1][0].shifts == (at(2, 11, 55), at(2, 16, 55), at(2, 20, 55))
    assert view.starts_at < at(2, 8, 30)


async def test_outside_a_rehearsal_a_step_is_known_when_it_runs_and_occurred_when_it_was_due(
    shop: Brand,
) -> None:
    await shop.due_on(2, "M1")
    await shop.launch(plan())
    shop.now = datetime(2026, 3, 2, 3, tzinfo=UTC)
    await shop.assignment.start_cycle(PlanStep(plan_id="p1", cycle=1, at=at(2, 8, 30)))
    rows = await shop.rows("SELECT DISTINCT occurred_at, known_at FROM event WHERE type = 'cycle_started'")
    assert rows == [(at(2, 8, 30), shop.now)]
