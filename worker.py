"""Entry point of the worker: `run`, `verify` (replay stored histories), `check` (settings)."""

from __future__ import annotations

import asyncio
import json
import signal

import click
import structlog
from pydantic import ValidationError

from domain.errors import DaogouError
from infra.databases import open_ledger, read_id_secret
from infra.fingerprints import changed
from infra.lifeline import lifeline_cut, tell_ready
from infra.logs import configure_logs, log_file
from infra.migration import migrate_ahead
from infra.processes import run_entry, terminate_as_exit
from infra.replay import replay_stored
from infra.server_errors import EmbeddedServerError
from infra.settings import Settings, read_settings
from infra.temporal_client import connect
from infra.temporal_mark import brand_mark, claim_namespace
from infra.worker_loops import anchor_keeper, worker_loops
from infra.workers import running_workers
from ledger.database import DATABASE_LOST

log = structlog.get_logger("worker")


@click.group()
def main() -> None:
    """The daogou worker."""


@main.command()
def run() -> None:
    """Poll every queue until SIGTERM or Ctrl-C, then drain. Refuses to start on code that breaks what runs."""
    configure_logs(to=log_file())
    settings = _settings()
    if not _verified():
        raise SystemExit(1)
    try:
        with terminate_as_exit():
            asyncio.run(_run(settings))
    except asyncio.CancelledError:
        log.info("worker_stopped", while_="starting")
    except (DaogouError, EmbeddedServerError, *DATABASE_LOST) as error:
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


@main.command()
def migrate() -> None:
    """Bring a PostgreSQL of yours to the newest schema, see that DATABASE_URL and DATABASE_API_URL can log in, and end."""
    configure_logs(level="WARNING")
    try:
        logins = asyncio.run(migrate_ahead(_settings()))
    except (DaogouError, *DATABASE_LOST) as error:
        click.echo(f"✗ database: {type(error).__name__}: {error}", err=True)
        raise SystemExit(1) from error
    told = (
        f"{one.name}: {'its password was set' if one.password_set else 'it can log in'}" for one in logins
    )
    click.echo(f"✓ the schema is the newest; {'; '.join(told)}")


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
    starting, me = True, asyncio.current_task()

    def stop() -> None:
        stopping.set()
        if starting and me is not None:  # nothing is under way yet, and a server may never answer
            me.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    lifeline = asyncio.create_task(lifeline_cut())
    lifeline.add_done_callback(lambda cut: None if cut.cancelled() else stop())
    async with open_ledger(settings) as (ledger, _):
        client = await connect(settings)
        await claim_namespace(client, brand_mark(await read_id_secret(ledger), ledger.tenant_id))
        async with running_workers(client, ledger, build_id=settings.build_id, keep=anchor_keeper(settings)):
            starting = False
            log.info("worker_started", temporal=settings.temporal_address)
            tell_ready()
            loops = {
                name: asyncio.create_task(loop)
                for name, loop in worker_loops(settings, client, ledger).items()
            }
            told = asyncio.create_task(stopping.wait())
            await asyncio.wait({*loops.values(), told}, return_when=asyncio.FIRST_COMPLETED)
            log.info("worker_draining")
            ended = [name for name, loop in loops.items() if loop.done()]
            for name in ended:
                log.error("loop_ended", loop=name, reason=repr(loops[name].exception()))
            for running in loops.values():
                running.cancel()  # they end what they have begun while the activities do the same
        told.cancel()
        await asyncio.wait(loops.values())
    lifeline.cancel()
    log.info("worker_stopped")
    if ended:
        raise SystemExit(1)


if __name__ == "__main__":
    run_entry(main)
