"""The SealWorkflow and its stand-in: sealing goes on, and what was sealed is kept outside the database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from domain.messages import SealRun
from infra.anchor_file import anchor_path, append_anchor, read_anchor_file, set_anchors_aside
from infra.clock import now
from infra.embedded_temporal import time_skipping_server
from infra.seal_workflow import SEAL_ID, start_seal_workflow
from infra.settings import Settings
from infra.worker_loops import anchor_keeper, seal_overdue
from infra.workers import running_workers
from ledger.anchors import Anchor
from ledger.seals import Seal, last_seal
from ledger.verify import verify
from tests.conftest import LedgerDatabase
from tests.ledger.test_seals import note
from tests.live import until
from workflows.seal import EVERY, SealWorkflow


@asynccontextmanager
async def sealing(database: LedgerDatabase, settings: Settings) -> AsyncIterator[WorkflowEnvironment]:
    """Workers that keep every seal in the home's file."""
    async with (
        time_skipping_server(settings.home, data_converter=pydantic_data_converter) as server,
        running_workers(server.client, database.ledger, keep=anchor_keeper(settings)),
    ):
        assert await start_seal_workflow(server.client)
        yield server


async def remembered(server: WorkflowEnvironment) -> SealRun:
    return await server.client.get_workflow_handle(SEAL_ID).query(SealWorkflow.remembered)


async def newest(database: LedgerDatabase) -> Seal | None:
    async with database.ledger.connection() as connection:
        return await last_seal(connection, 1)


async def test_what_is_new_is_sealed_every_few_minutes_remembered_by_temporal_and_kept_in_a_file(
    ledger_database: LedgerDatabase, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path)
    await note(ledger_database.ledger, "a", times=3)
    async with sealing(ledger_database, settings) as server:

        async def at_position(position: int) -> bool:
            last = (await remembered(server)).last
            return last is not None and last.position == position

        await until(lambda: at_position(3), "the first seal")
        assert not await start_seal_workflow(server.client), "one is enough"
        await note(ledger_database.ledger, "b", times=2)
        await server.sleep(EVERY)
        await until(lambda: at_position(5), "the second seal")
        kept = await read_anchor_file(anchor_path(settings), 1)
        assert [anchor.position for anchor in kept] == [3, 5]
        async with ledger_database.ledger.connection() as connection:
            result = await verify(connection, 1, anchors=kept)
        assert (result.ok, result.standing.anchored_position, result.standing.unanchored) == (True, 5, 0)

        # Somebody takes the last seal out of the database: Temporal still has it, and says so.
        forger = await asyncpg.connect(
            ledger_database.admin_url,
            server_settings={"search_path": "daogou", "session_replication_role": "replica"},
        )
        await forger.execute("DELETE FROM seal WHERE position = 5")
        await forger.close()
        before = (await remembered(server)).last
        await server.sleep(EVERY)

        async def contradicted() -> bool:
            return (await remembered(server)).contradicted == before

        await until(contradicted, "the contradiction")


async def test_while_temporal_is_away_a_worker_seals_before_five_minutes_are_over(
    ledger_database: LedgerDatabase, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path)
    keep = anchor_keeper(settings)
    ledger, start = ledger_database.ledger, now()
    assert await seal_overdue(ledger, start, keep) is None
    await note(ledger, "a")
    await seal_overdue(ledger, start, keep)
    await note(ledger, "a")
    looks = [start + number * timedelta(seconds=15) for number in range(1, 21)]
    sealed_at = [
        seal.sealed_at for look in looks if (seal := await seal_overdue(ledger, look, keep)) is not None
    ]
    assert sealed_at[-1] - start <= timedelta(minutes=5)
    assert sealed_at.count(start) == 17, "not more often than is needed"
    assert [anchor.position for anchor in await read_anchor_file(anchor_path(settings), 1)] == [1, 2]


async def test_a_seal_whose_file_was_away_is_kept_at_the_next_look(
    ledger_database: LedgerDatabase, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, anchors=tmp_path / "mount" / "anchors.jsonl")
    (tmp_path / "mount").write_text("not a folder: nothing is mounted")
    await note(ledger_database.ledger, "a")
    seal = await seal_overdue(ledger_database.ledger, now(), anchor_keeper(settings))
    assert seal == await newest(ledger_database)
    assert seal is not None
    (tmp_path / "mount").unlink()
    await seal_overdue(ledger_database.ledger, now(), anchor_keeper(settings))
    path = anchor_path(settings)
    assert await read_anchor_file(path, 1) == [Anchor.of(seal, str(path))]


@pytest.mark.parametrize("cut", [1, 40, 200])
async def test_a_line_that_a_killed_writer_left_half_is_passed_over(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "anchors.jsonl"
    first, second = (Seal(position, bytes(32), bytes([position]) * 32, now()) for position in (1, 2))
    await append_anchor(path, first, 1)
    whole = path.read_text()
    path.write_text(whole + whole[:cut])
    assert await append_anchor(path, second, 1)
    assert not await append_anchor(path, second, 1)
    assert [anchor.position for anchor in await read_anchor_file(path, 1)] == [1, 2]


async def test_a_restore_sets_the_copies_aside_and_loses_none(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert set_anchors_aside(tmp_path, now()) is None
    await append_anchor(anchor_path(settings), Seal(1, bytes(32), bytes(32), now()), 1)
    aside = set_anchors_aside(tmp_path, now())
    assert aside is not None
    assert await read_anchor_file(anchor_path(settings), 1) == []
    assert len(await read_anchor_file(aside / anchor_path(settings).name, 1)) == 1
