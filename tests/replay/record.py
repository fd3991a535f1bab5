"""Stores one history of each workflow: `python -m tests.replay.record ERA`, before a change of commands."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from imports.report import Tenant
from infra.databases import open_ledger
from infra.demo import import_all, launch_for_rehearsal
from infra.rehearsals import rehearse
from infra.replay import HISTORIES
from infra.settings import Settings
from tests.rehearsed import small_plan, some_purchases


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
            tenant = Tenant(ledger.tenant_id, b"replay")
            await import_all(ledger, tenant, plan, some_purchases(plan), seed=7, guides=5)
            await launch_for_rehearsal(ledger, plan)
            await rehearse(ledger, plan, seed=7, home=Path(home), keep_histories=keep)
    for workflow, histories in sorted(count.items()):
        sys.stdout.write(f"{workflow}: {histories}\n")


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1]))
