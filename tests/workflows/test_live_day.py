"""The live day on a real Temporal server in real time: Schedules, catching up, and starting anew from the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest
from temporalio.client import Client, ScheduleBackfill
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError

from activities.acting import (
    change_plan_status,
    launch_plan,
)
from activities.asked import Asked
from activities.opening import clock_in
from domain.messages import PlanStep, ReleaseRun
from infra.clock import now
from infra.embedded_temporal import dev_server
from infra.reconciler import Reconciler, wanted_releases
from infra.schedules import drop_schedules, ensure_schedules, schedule_id
from infra.workers import running_workers
from ledger.verify import verify
from tests.brand import Brand
from tests.conftest import LedgerDatabase
from tests.live import brand_today, day_plan, late_morning, local, until

ZONE = late_morning(now())


@pytest.fixture
def brand(ledger_database: LedgerDatabase) -> Brand:
    return Brand(ledger_database.ledger)


@asynccontextmanager
async def temporal(home: Path, database: Path | None = None) -> AsyncIterator[Client]:
    async with dev_server(home, database=database, data_converter=pydantic_data_converter) as server:
        yield server.client


async def launched(brand: Brand, *, lasts: timedelta) -> date:
    today = await brand_today(brand, ZONE)
    await brand.category("SOAP")
    await launch_plan(brand.ledger, day_plan(ZONE, lasts=lasts), Asked(None, now(), "hq"))
    return today


async def published(brand: Brand) -> bool:
    return bool(await brand.value("SELECT count(*) = 2 FROM guide_day WHERE state = 'published'"))


async def checked(brand: Brand) -> bool:
    return bool(await brand.value("SELECT count(*) FROM plan_check"))


async def verified(brand: Brand) -> bool:
    async with brand.ledger.connection() as connection:
        return (await verify(connection, 1)).ok


async def test_a_plan_launched_while_temporal_was_away_runs_its_day_once_it_is_back(
    brand: Brand, tmp_path: Path
) -> None:
    today = await launched(brand, lasts=timedelta(seconds=15))
    async with temporal(tmp_path) as client, running_workers(client, brand.ledger):
        reconciler = Reconciler(client, brand.ledger, now)
        done = await reconciler.once()
        assert (done.plans, done.schedules) == (1, 1)

        async def cut() -> bool:
            await reconciler.once()
            return await published(brand)

        await until(cut, "the lists of a release hour that had passed")
        assert await brand.rows("SELECT DISTINCT business_date FROM guide_day") == [(today,)]
        assert (await reconciler.once()).nothing, "everything runs: nothing is started twice"
        await until(lambda: closed(brand), "the day's close", within=40)
        # One working day: the Check follows five minutes after the close; an early close does not wait for it.
        await change_plan_status(brand.ledger, "p1", "closed", "done", Asked(None, now(), "hq"))
        await reconciler.once()
        await until(lambda: checked(brand), "the Check of a plan that was closed")
    assert await verified(brand)


async def closed(brand: Brand) -> bool:
    return bool(await brand.value("SELECT count(*) = 2 FROM guide_day WHERE state = 'closed'"))


async def test_temporal_losing_everything_in_the_middle_of_a_day_comes_to_the_same_end(
    brand: Brand, tmp_path: Path
) -> None:
    await launched(brand, lasts=timedelta(seconds=18))
    store = tmp_path / "first" / "temporal.db"
    async with temporal(tmp_path, store) as client, running_workers(client, brand.ledger):
        reconciler = Reconciler(client, brand.ledger, now)

        async def cut() -> bool:
            await reconciler.once()
            return await published(brand)

        await until(cut, "lists")
        lists = await brand.rows("SELECT guide_id, rank, task_id FROM list_item ORDER BY 1, 2")
    store.unlink()
    async with temporal(tmp_path, store) as client, running_workers(client, brand.ledger):
        done = await Reconciler(client, brand.ledger, now).resume()
        assert (done.plans, done.days, done.guide_days, done.schedules) == (1, 1, 2, 1)
        await until(lambda: closed(brand), "the day's close", within=45)
    assert await brand.rows("SELECT guide_id, rank, task_id FROM list_item ORDER BY 1, 2") == lists
    assert await brand.rows(
        "SELECT type, count(*) FROM event WHERE stream LIKE 'guide-day/%' GROUP BY 1 ORDER BY 1"
    ) == [
        ("day_closed", 2),
        ("list_published", 2),
    ]
    assert await verified(brand)


async def test_resume_starts_anew_what_runs_and_what_has_run_where_temporal_is_ahead(
    brand: Brand, tmp_path: Path
) -> None:
    """As after restoring a backup: Temporal has published and gone on, the ledger has not."""
    today = await launched(brand, lasts=timedelta(minutes=20))
    async with temporal(tmp_path) as client, running_workers(client, brand.ledger):
        reconciler = Reconciler(client, brand.ledger, now)

        async def cut() -> bool:
            await reconciler.once()
            return await published(brand)

        await until(cut, "lists")
        plan_run = await client.get_workflow_handle("plan/p1").describe()
        # The restored ledger stands where the lists were cut and not published.
        await brand.execute("UPDATE guide_day SET state = 'cut', published_at = NULL")
        assert (await reconciler.once()).nothing, "what runs is left alone by an ordinary pass"
        done = await reconciler.resume()
        assert (done.plans, done.days, done.guide_days) == (1, 1, 2)
        guide = await brand.value("SELECT guide_id FROM guide WHERE code = 'G1'")
        again = client.get_workflow_handle(f"guide-day/{guide}/{today}")
        assert (await again.describe()).status is not None
        assert (await client.get_workflow_handle("plan/p1").describe()).run_id != plan_run.run_id

        async def back() -> bool:
            return await published(brand)

        await until(back, "the lists published again")


async def test_without_temporal_plans_pause_lists_publish_and_check_ins_count(brand: Brand) -> None:
    await launched(brand, lasts=timedelta(minutes=20))
    brand.now = now()
    await brand.assignment.start_cycle(PlanStep(plan_id="p1", cycle=1, at=now()))
    there = await clock_in(brand.ledger, "G1", at=now(), actor="guide")
    assert (there.published, there.listed) == (True, 3)
    task = await brand.value("SELECT task_id FROM list_item WHERE guide_id = $1 AND rank = 1", there.guide_id)
    recorded = await brand.report(task, there.guide_id, now(), "interested")
    assert recorded.state == "done"
    acted = await change_plan_status(brand.ledger, "p1", "paused", "stock", Asked(None, now(), "hq"))
    assert acted.status == "paused"


@pytest.fixture
async def scheduled(brand: Brand, tmp_path: Path) -> AsyncIterator[tuple[Brand, Client, ReleaseRun]]:
    """A brand whose plan is in its cycle, workers, and the Schedule of its release hour."""
    await launched(brand, lasts=timedelta(minutes=20))
    async with temporal(tmp_path) as client, running_workers(client, brand.ledger):
        async with brand.ledger.connection() as connection:
            (run,) = await wanted_releases(connection, 1)
        await ensure_schedules(client, [run])
        yield brand, client, run


async def test_a_schedule_fires_at_its_zones_release_hour(
    scheduled: tuple[Brand, Client, ReleaseRun],
) -> None:
    _, client, run = scheduled
    described = await client.get_schedule_handle(schedule_id(run)).describe()
    assert described.schedule.policy.catchup_window == timedelta(hours=12)
    upcoming = described.info.next_action_times
    assert upcoming
    assert {f"{local(instant, ZONE):%H:%M}" for instant in upcoming} == {run.release}


async def test_a_release_that_an_outage_delayed_serves_the_day_it_was_meant_for_once(
    scheduled: tuple[Brand, Client, ReleaseRun],
) -> None:
    """Backfilling is what a Schedule does itself when it catches up: the scheduled instant counts."""
    brand, client, run = scheduled
    brand.now = now()
    await brand.assignment.start_cycle(PlanStep(plan_id="p1", cycle=1, at=now()))
    handle = client.get_schedule_handle(schedule_id(run))
    released = local(now(), ZONE).replace(hour=10, minute=0, second=0, microsecond=0)
    span = ScheduleBackfill(start_at=released - timedelta(minutes=1), end_at=released + timedelta(minutes=1))
    await handle.backfill(span)
    await until(lambda: published(brand), "the lists")
    day = released.date()
    dispatch = await client.get_workflow_handle(f"dispatch/{ZONE}/10:00/{day}").describe()
    await handle.backfill(span)

    async def twice() -> bool:
        return len((await handle.describe()).info.recent_actions) >= 2

    await until(twice, "the second release")
    await asyncio.gather(
        *(
            client.get_workflow_handle(action.action.workflow_id).result()  # type: ignore[union-attr]
            for action in (await handle.describe()).info.recent_actions
        )
    )
    again = await client.get_workflow_handle(f"dispatch/{ZONE}/10:00/{day}").describe()
    assert again.run_id == dispatch.run_id, "each date once"


async def test_a_schedule_nobody_needs_any_more_is_dropped(
    scheduled: tuple[Brand, Client, ReleaseRun],
) -> None:
    _, client, run = scheduled
    await ensure_schedules(client, [run, run.model_copy(update={"release": "11:00"})])

    async def dropped() -> bool:
        return await drop_schedules(client, [run]) == 1

    await until(dropped, "the listing to show it")
    with pytest.raises(RPCError):
        await client.get_schedule_handle("release/" + ZONE + "/11:00").describe()
    await client.get_schedule_handle(schedule_id(run)).describe()
