"""Stores one history of each workflow: `python -m tests.replay.record ERA`, before a change of commands."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from temporalio.contrib.pydantic import pydantic_data_converter

from domain.messages import ReleaseRun
from imports.report import Tenant
from infra.clock import now
from infra.databases import open_ledger
from infra.demo import import_all, launch_for_rehearsal
from infra.embedded_temporal import dev_server, time_skipping_server
from infra.rehearsals import rehearse
from infra.replay import HISTORIES
from infra.schedules import ensure_schedules, schedule_id
from infra.seal_workflow import SEAL_ID, start_seal_workflow
from infra.settings import Settings
from infra.workers import running_workers
from ledger.ledger import Ledger
from tests.brand import Brand
from tests.live import brand_today, late_morning, until
from tests.rehearsed import small_plan, some_purchases
from workflows.seal import EVERY

ROUND = "activity_task_completed_event_attributes"


async def record(era: str) -> None:
    plan = small_plan()
    count: dict[str, int] = {}

    def keep(workflow: str, history: str) -> None:
        count[workflow] = count.get(workflow, 0) + 1
        path = HISTORIES / workflow / f"{era}-{count[workflow]}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            re.sub(r'"identity": "[^"]*"', '"identity": "worker"', history) + "\n", encoding="utf-8"
        )

    with TemporaryDirectory() as home:
        async with open_ledger(Settings(home=Path(home)), id_secret=b"replay") as (ledger, _):
            tenant = Tenant(ledger.tenant_id, b"replay", ledger.keys)
            await import_all(ledger, tenant, plan, some_purchases(plan), seed=7, guides=5)
            await launch_for_rehearsal(ledger, plan)
            await rehearse(ledger, plan, seed=7, home=Path(home), keep_histories=keep)
    with TemporaryDirectory() as home:
        async with open_ledger(Settings(home=Path(home)), id_secret=b"replay") as (ledger, _):
            keep("ReleaseWorkflow", await released(Brand(ledger), Path(home)))
            keep("SealWorkflow", await sealed(ledger, Path(home)))
    for workflow, histories in sorted(count.items()):
        sys.stdout.write(f"{workflow}: {histories}\n")


async def released(brand: Brand, home: Path) -> str:
    """The history of what a Schedule starts; no rehearsal has one, for its server knows no Schedules."""
    zone = late_morning(now())
    await brand_today(brand, zone)
    async with (
        dev_server(home, data_converter=pydantic_data_converter) as server,
        running_workers(server.client, brand.ledger),
    ):
        run = ReleaseRun(time_zone=zone, release="10:00")
        await ensure_schedules(server.client, [run])
        handle = server.client.get_schedule_handle(schedule_id(run))
        await handle.trigger()

        async def started() -> str:
            actions = (await handle.describe()).info.recent_actions
            return actions[0].action.workflow_id if actions else ""  # type: ignore[union-attr]

        workflow = server.client.get_workflow_handle(await until(started, "the Schedule to fire"))
        await workflow.result()
        return (await workflow.fetch_history()).to_json()


async def sealed(ledger: Ledger, home: Path) -> str:
    """The history of two rounds of sealing; no rehearsal has one, for what is rehearsed is not sealed."""
    async with (
        time_skipping_server(home, data_converter=pydantic_data_converter) as server,
        running_workers(server.client, ledger),
    ):
        await start_seal_workflow(server.client)
        handle = server.client.get_workflow_handle(SEAL_ID)

        async def rounds() -> int:
            return sum([1 async for event in handle.fetch_history_events() if event.HasField(ROUND)])

        await until(rounds, "the first seal")
        await server.sleep(EVERY)

        async def twice() -> bool:
            return await rounds() == 2

        await until(twice, "the second round")
        return (await handle.fetch_history()).to_json()


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1]))
