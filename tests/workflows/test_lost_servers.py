"""A rehearsal whose servers die says so within seconds; it does not retry for ever."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from imports.report import Tenant
from infra.databases import open_ledger
from infra.demo import import_all, launch_for_rehearsal
from infra.rehearsals import Progress, rehearse
from infra.server_errors import EmbeddedServerError
from infra.settings import Settings
from tests.rehearsed import small_plan, some_purchases


def kill_own(name: str) -> None:
    """Kill -9 the servers of that name that this process has started, its children and theirs."""
    for child in psutil.Process().children(recursive=True):
        if name in child.name():
            os.kill(child.pid, signal.SIGKILL)


def kill_postgres(home: Path) -> Callable[[], None]:
    def kill() -> None:
        location = home / "postgres.location"
        data = Path(location.read_text(encoding="utf-8").strip()) if location.exists() else home / "postgres"
        pid = next(data.rglob("postmaster.pid")).read_text(encoding="utf-8").splitlines()[0]
        os.kill(int(pid), signal.SIGKILL)

    return kill


@pytest.mark.parametrize(("server", "named"), [("postgres", "PostgreSQL"), ("temporal", "Temporal")])
async def test_a_rehearsal_says_which_server_stopped(tmp_path: Path, server: str, named: str) -> None:
    kill = kill_postgres(tmp_path) if server == "postgres" else lambda: kill_own("temporal-test")
    plan, done = small_plan(), False

    def kill_once(progress: Progress) -> None:
        nonlocal done
        if progress.days >= 1 and not done:
            done = True
            kill()

    async def run() -> None:
        async with (
            asyncio.timeout(90),
            open_ledger(Settings(home=tmp_path), id_secret=b"lost") as (ledger, _),
        ):
            await import_all(
                ledger, Tenant(1, b"lost", ledger.keys), plan, some_purchases(plan), seed=7, guides=5
            )
            await launch_for_rehearsal(ledger, plan)
            await rehearse(ledger, plan, seed=7, home=tmp_path, on_progress=kill_once)

    with pytest.raises(EmbeddedServerError, match=named):
        await run()
    assert done
    async with (
        open_ledger(Settings(home=tmp_path), id_secret=b"lost") as (ledger, _),
        ledger.connection() as connection,
    ):
        assert await connection.fetchval("SELECT count(*) FROM event") > 0, "the next start mends it"
