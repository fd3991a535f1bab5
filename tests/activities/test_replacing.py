"""Act on people: a guide is replaced in a running plan."""

from __future__ import annotations

from typing import Any

import pytest

from activities.replacing import Replacement, replace_guide
from domain.errors import Refused
from domain.messages import PlanStep
from tests.brand import Brand, at, plan

THREE = {"care": {"members_per_guide": 3, "strategies": [{"strategy": "round_robin"}]}}


async def replace(brand: Brand, leaving: str, replacement: str, command_id: str = "r1") -> Replacement:
    async with brand.ledger.transaction() as connection:
        return await replace_guide(
            connection,
            brand.ledger.tenant_id,
            brand.command(command_id, at(3)),
            plan_id="p1",
            leaving=leaving,
            replacement=replacement,
            today=at(3).date(),
            reason="moved to another town",
            figures={},
        )


async def holders(brand: Brand) -> dict[Any, int]:
    return dict(
        await brand.rows(
            "SELECT g.code, count(*) FROM task t JOIN guide g USING (guide_id) WHERE t.state = 'open' GROUP BY 1"
        )
    )


async def two_guides(brand: Brand, *members: str) -> None:
    await brand.open_store()
    await brand.hire("G1")
    await brand.hire("G2")
    await brand.due_on(4, *members)
    standing = plan(**THREE)
    await brand.launch(standing)
    await brand.start(standing)


async def test_open_items_and_members_move_to_the_replacement_and_credit_stays(brand: Brand) -> None:
    await two_guides(brand, "M1", "M2", "M3", "M4")
    leaver = (await brand.rows("SELECT guide_id FROM guide WHERE code = 'G1'"))[0][0]
    await brand.morning(4, leaver)
    done = (await brand.rows("SELECT task_id FROM task WHERE guide_id = $1 ORDER BY 1 LIMIT 1", leaver))[0][0]
    await brand.report(done, leaver, at(4, 10), "interested")
    await brand.hire("G3")
    assert await replace(brand, "G1", "G3") == Replacement(members=2, tasks=1, unassigned=0)
    assert await holders(brand) == {"G2": 2, "G3": 1}
    assert await brand.value("SELECT guide_id FROM check_in") == leaver, "credit stays with who did the work"
    assert await brand.value("SELECT guide_id FROM task WHERE task_id = $1", done) == leaver


async def test_nobody_else_moves_and_those_without_room_go_by_the_plans_rule(brand: Brand) -> None:
    await two_guides(brand, "M1", "M2", "M3", "M4", "M5", "M6")
    mine = set(
        await brand.rows("SELECT member_id FROM plan_member JOIN guide USING (guide_id) WHERE code = 'G2'")
    )
    told = await replace(brand, "G1", "G2")
    assert told == Replacement(members=0, tasks=0, unassigned=3), "G2 is full and nobody else is there"
    kept = set(
        await brand.rows("SELECT member_id FROM plan_member JOIN guide USING (guide_id) WHERE code = 'G2'")
    )
    assert kept == mine
    nobody = await brand.rows("SELECT why FROM plan_member WHERE guide_id IS NULL")
    assert len(nobody) == 3
    left = await brand.rows("SELECT state, reason, count(*) FROM task WHERE state <> 'open' GROUP BY 1, 2")
    assert left == [("expired", "no_guide", 3)], "still due, and not done"


async def test_a_replaced_guide_does_not_come_back_with_the_next_cycle(brand: Brand) -> None:
    await brand.open_store()
    await brand.hire("G1")
    await brand.hire("G2")
    members = await brand.due_on(2, "M1", "M2")
    by_hand = {"strategy": "manual", "members": {"G1": ["M1", "M2"]}}
    standing = plan(
        care={"strategies": [by_hand, {"strategy": "round_robin"}]}, period={"working_days": 5, "cycles": 2}
    )
    await brand.start(standing)
    assert await replace(brand, "G1", "G2") == Replacement(members=2, tasks=2, unassigned=0)
    await brand.hire("G0")  # whom an even split would take first
    await brand.review.check_cycle(PlanStep(plan_id="p1", cycle=1, at=at(6, 21, 5), rehearsal=True))
    await brand.start(standing, 2)
    held = await brand.rows(
        "SELECT member_id, g.code, pm.strategy FROM plan_member pm JOIN guide g USING (guide_id) WHERE cycle = 2"
    )
    assert sorted(held) == sorted((member, "G2", "manual") for member in members)


async def test_replacing_twice_under_one_command_moves_once(brand: Brand) -> None:
    await two_guides(brand, "M1", "M2")
    await brand.hire("G3")
    await replace(brand, "G1", "G3")
    before = await brand.everything()
    assert await replace(brand, "G1", "G3") == Replacement(0, 0, 0)
    assert await brand.everything() == before


@pytest.mark.parametrize(
    ("leaving", "replacement", "code"),
    [("G1", "G9", "unknown_guide"), ("G9", "G1", "unknown_guide"), ("G1", "G1", "nothing_to_change")],
)
async def test_a_replacement_that_cannot_be_is_refused_and_nothing_is_written(
    brand: Brand, leaving: str, replacement: str, code: str
) -> None:
    await two_guides(brand, "M1", "M2")
    before = await brand.everything()
    with pytest.raises(Refused) as refused:
        await replace(brand, leaving, replacement)
    assert [problem.code for problem in refused.value.problems] == [code]
    assert await brand.everything() == before
