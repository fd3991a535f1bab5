"""The forecast of a plan counts on the days on which lists are cut, and the same for whoever asks."""

from __future__ import annotations

from datetime import date

from activities.forecasting import forecast_plan
from activities.sessions import digest
from domain.policy import Role
from ledger.account_places import Grant
from ledger.asking import standing
from ledger.ledger import Ledger
from tests.brand import Brand, at, plan
from tests.identities import identity

QINGMING = date(2026, 4, 6)


async def test_the_forecast_works_no_public_holiday(shop: Brand) -> None:
    await shop.due_on(3, "M1", "M2", "M3")
    await shop.start(plan(care={"items_per_day": 1}, period={"start": "2026-03-02", "working_days": 60}))
    (hers,) = (await forecast_plan(shop.ledger, "p1", at=at(2, 8), days=40)).guides
    told = [one.day for one in hers.days]
    assert len(told) == 40
    assert QINGMING not in told
    assert max(told) > QINGMING


async def test_the_forecast_counts_no_capacity_on_a_day_without_a_shift(shop: Brand) -> None:
    await shop.due_on(3, "M1", "M2", "M3")
    guide = await shop.value("SELECT guide_id FROM guide")
    off = (
        "INSERT INTO calendar_layer (tenant_id, scope, subject, facts, version, decided_at) VALUES"
        """ (1, 'guide', $1, '{"dated": [{"on": "2026-03-03", "hours": []}]}', 1, now())"""
    )
    await shop.execute(off, str(guide))
    await shop.start(plan())
    (hers,) = (await forecast_plan(shop.ledger, "p1", at=at(2, 8), days=3)).guides
    assert [(one.day.day, one.load, one.left) for one in hers.days] == [(2, 0, 0), (3, 3, 3), (4, 3, 0)]


async def test_hq_and_a_manager_foresee_the_same_for_a_guide(shop: Brand, served: Ledger) -> None:
    await shop.open_store("S2")
    await shop.hire("G9", "S2")
    await shop.due_on(3, *(f"M{n}" for n in range(6)))
    await shop.start(plan(care={"guides": ["G1"], "items_per_day": 1}))
    await shop.start(plan(plan="p2", care={"guides": ["G9"], "items_per_day": 4}))
    hq = await forecast_plan(shop.ledger, "p1", at=at(2, 8), days=5)
    token = await identity(shop.ledger, "boss", Grant(Role.STORE_MANAGER, "S1"))
    async with standing(served, digest(token), at(2, 12)) as stood:
        assert stood is not None
        hers = await forecast_plan(stood.bound(), "p1", at=at(2, 8), days=5)
    assert hq.guides == hers.guides
    assert hq.guides
