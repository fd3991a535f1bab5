"""Entry point of the worker: `run`, `verify` (replay stored histories), `check` (settings)."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import suppress

import asyncpg
import click
import structlog
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from domain.errors import DaogouError
from infra.databases import open_ledger
from infra.fingerprints import changed
from infra.logs import configure_logs
from infra.processes import terminate_as_exit
from infra.replay import replay_stored
from infra.server_errors import EmbeddedServerError
from infra.settings import Settings, read_settings
from infra.temporal_client import connect
from infra.workers import running_workers
from ledger.ledger import Ledger
from ledger.sequencer import sequence

SEQUENCE_EVERY = 0.2
"""Seconds between two looks at what waits for a position."""
SEQUENCE_AT_LEAST_EVERY = 5.0
"""The same while the database does not answer."""
DATABASE_LOST = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    DBAPIError,
    PoolTimeoutError,
)
"""What a restart of PostgreSQL can look like from here."""

log = structlog.get_logger("worker")


@click.group()
def main() -> None:
    """The daogou worker."""


@main.command()
def run() -> None:
    """Poll every queue until SIGTERM or Ctrl-C, then drain. Refuses to start on code that breaks what runs."""
    configure_logs()
    settings = _settings()
    if not _verified():
        raise SystemExit(1)
    try:
        with terminate_as_exit():
            asyncio.run(_run(settings))
    except (DaogouError, EmbeddedServerError, OSError) as error:
        log.error("worker_not_started", reason=str(error))  # noqa: TRY400 - the reason is for the operator
        raise SystemExit(1) from error


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def verify(as_json: bool) -> None:
    """Replay the stored histories and compare the fingerprints; exit 1 if running workflows would break."""
    raise SystemExit(0 if _verified(as_json=as_json, say=True) else 1)


@main.command()
def check() -> None:
    """Say what is set, and what is wrong with it: database and Temporal must answer."""
    configure_logs(level="WARNING")
    settings = _settings()
    problems = asyncio.run(_check(settings))
    for name, value in (
        ("home", settings.home),
        ("DATABASE_URL", "set" if settings.database_url else "not set: embedded PostgreSQL"),
        ("TEMPORAL_ADDRESS", settings.temporal_address or "not set: needed by `run`"),
        ("tenant", settings.tenant_id),
    ):
        click.echo(f"{name}: {value}")
    for problem in problems:
        click.echo(f"✗ {problem}", err=True)
    raise SystemExit(1 if problems else 0)


def _settings() -> Settings:
    try:
        return read_settings()
    except (ValidationError, ValueError) as error:
        click.echo(f"✗ settings: {error}", err=True)
        raise SystemExit(1) from error


def _verified(*, as_json: bool = False, say: bool = False) -> bool:
    replayed = asyncio.run(replay_stored())
    prints = changed()
    if as_json:
        click.echo(
            json.dumps(
                {
                    "histories": replayed.histories,
                    "failures": replayed.failures,
                    "missing": replayed.missing,
                    "changed": prints,
                    "ok": replayed.ok and not prints,
                }
            )
        )
    else:
        for name, failure in replayed.failures:
            click.echo(f"✗ {name} does not replay: {failure}", err=True)
        for name in replayed.missing:
            click.echo(f"✗ {name} has no stored history: python -m tests.replay.record", err=True)
        for message in prints:
            click.echo(f"✗ {message}", err=True)
        if say and replayed.ok and not prints:
            click.echo(f"✓ {len(replayed.histories)} histories replay, fingerprints hold")
    return replayed.ok and not prints


async def _check(settings: Settings) -> list[str]:
    problems = []
    try:
        async with open_ledger(settings):
            pass
    except Exception as error:  # noqa: BLE001 - whatever is wrong is what was asked for
        problems.append(f"database: {type(error).__name__}: {error}")
    if settings.temporal_address is not None:
        try:
            await connect(settings)
        except DaogouError as error:
            problems.append(str(error))
    return problems


async def _run(settings: Settings) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    async with open_ledger(settings) as (ledger, _):
        client = await connect(settings)
        async with running_workers(client, ledger):
            log.info("worker_started", temporal=settings.temporal_address)
            sequencer = asyncio.create_task(_sequence(ledger))
            told = asyncio.create_task(stopping.wait())
            await asyncio.wait({sequencer, told}, return_when=asyncio.FIRST_COMPLETED)
            log.info("worker_draining")
        told.cancel()
        if ended := sequencer.done():
            log.error("sequencer_ended", reason=repr(sequencer.exception()))
        sequencer.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await sequencer
    log.info("worker_stopped")
    if ended:
        raise SystemExit(1)


async def _sequence(ledger: Ledger) -> None:
    pause = SEQUENCE_EVERY
    while True:
        try:
            async with ledger.connection() as connection:
                await sequence(connection, ledger.tenant_id)
        except DATABASE_LOST as error:
            pause = min(2 * pause, SEQUENCE_AT_LEAST_EVERY)
            log.warning("sequencer_waits", reason=type(error).__name__, seconds=pause)
        else:
            pause = SEQUENCE_EVERY
        await asyncio.sleep(pause)


if __name__ == "__main__":
    sys.exit(main())
