"""`daogou up`, `status`, `down` and `restart`: the engine on this machine."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import click
import psutil

from cli.introduction import Introduction, Told
from cli.session import Session, json_option, logs_to, pass_session
from cli.up_screens import addresses, backup_json, backup_screen, event_line, state_json, status_screen
from domain.errors import Problem, Refused
from infra.api_socket import PORT, refuse_taken
from infra.backup_standing import backup_standing
from infra.clock import now
from infra.edge_settings import HOST_SETTING, refuse_unsafe
from infra.processes import send, wait_ended
from infra.settings import Settings, read_settings
from infra.sign_in_settings import refuse_unusable
from infra.supervised_process import own_modules, python
from infra.supervised_slot import PartFailed
from infra.supervisor import Supervisor, UpOptions
from infra.up_health import Health, healths
from infra.up_state import UpState, read_left, read_running, up_runs_already

NOT_HEALTHY, NOT_RUNNING = 1, 3
DOWN_S = 60.0
START_S = 600.0
"""Recovery after a crash takes what it takes."""
HEALTHY_S = 60.0
ROLL_S = 600.0
LOOK_S = 0.1
QUIET = frozenset({"up_ready", "part_ready"})
"""Events of every start, told by the table of addresses."""


@click.command("up")
@click.option("--workers", type=click.IntRange(0, 64), default=1, help="工作进程数 / worker processes (1).")
@click.option("--apis", type=click.IntRange(0, 64), default=1, help="接口进程数 / API processes (1).")
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    help="接口端口（默认 8400，被占用则另选）/ the API's port (8400).",
)
@click.option("--host", help="接口绑定的地址（127.0.0.1）/ the API's address (127.0.0.1, DAOGOU_API_HOST).")
@click.option("--detach", is_flag=True, help="后台运行，全部就绪后返回 / run in the background.")
@click.option("--background", is_flag=True, hidden=True)
@click.option("--first-account-to", type=int, hidden=True)
@json_option
@pass_session
def up(
    session: Session,
    workers: int,
    apis: int,
    port: int | None,
    host: str | None,
    detach: bool,
    background: bool,
    first_account_to: int | None,
) -> None:
    """启动全部：PostgreSQL、Temporal、工作进程、接口 / Run everything until Ctrl-C or SIGTERM."""
    # A Temporal found through a running `up` is not one of yours.
    session.settings = session.settings.model_copy(
        update={"temporal_address": read_settings().temporal_address}
    )
    options = UpOptions(workers, apis, port, host)
    edge = session.settings.edge
    if apis:
        refuse_unsafe(edge, host or edge.host, field="--host" if host else HOST_SETTING)
        refuse_unusable(session.settings.oidc, session.settings.wecom, edge.public_url)
    if (running := read_running(session.settings.home)) is not None:
        raise Refused([up_runs_already(running)])
    # After a killed `up` its API may hold the port for seconds yet; the new one waits for it and asks then.
    if apis and read_left(session.settings.home) is None:
        refuse_taken(port, host or edge.host)
    if detach:
        _detach(session, options)
        return
    with logs_to(session.settings.home / "logs" / "up.log"):
        introduction = Introduction(session, first_account_to)
        session.run(_up(session, options, introduction, quiet=background))


async def _up(session: Session, options: UpOptions, introduction: Introduction, *, quiet: bool) -> None:
    if session.settings.database_url is not None:
        async with session.ledger():  # says what is wrong with it, and migrates it
            pass
    seen_ready = False

    def tell(event: str, **gaps: str | int) -> None:
        nonlocal seen_ready
        with suppress(OSError):  # the terminal may be gone; the work goes on
            if event == "up_ready" and not quiet:
                seen_ready = True
                answer = state_json(supervisor.state, {}) | introduction.json
                session.show(answer, *addresses(session, supervisor.state, wished=options.port or PORT))
                session.say(session.words("up.how_to_stop", command=session.command("down")), style="dim")
            elif not quiet and not session.as_json and (seen_ready or event not in QUIET):
                session.out.print(event_line(session, now(), event, gaps))

    supervisor = Supervisor(session.settings, options, tell, introduction.make)
    session.say(session.words("up.starting"), style="dim")
    try:
        await supervisor.run()
    except PartFailed as failed:
        log = session.settings.home / "logs" / f"{failed.part}.log"
        why = failed.said.splitlines()[-1] if failed.said else failed.how
        raise Refused(
            [Problem(failed.part, failed.how, "part_failed", {"why": why, "log": str(log)})]
        ) from failed


def _detach(session: Session, options: UpOptions) -> None:
    """Start another process that is `up`, wait until all is healthy, and say where everything is."""
    settings = session.settings
    words = ["--lang", settings.language, "--home", str(settings.home), "--database", settings.database, "up"]
    words += ["--background", "--workers", str(options.workers), "--apis", str(options.apis)]
    words += [] if options.port is None else ["--port", str(options.port)]
    words += [] if options.host is None else ["--host", options.host]
    words += ["--json"] if session.as_json else []
    console = settings.home / "logs" / "up.console.log"
    told = Told()
    with console.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - ourselves
            python("cli.main", *words, "--first-account-to", str(told.writing)),
            pass_fds=[told.writing],
            env={**os.environ, "PYTHONPATH": own_modules(os.environ)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    started = session.run(_until_started(session, process))
    introduction = Introduction(session, None)
    if (first := told.read()) is not None:
        introduction.make(first)
    if started is None:
        click.echo(console.read_text(encoding="utf-8", errors="replace").strip(), err=not session.as_json)
        raise click.exceptions.Exit(process.returncode or NOT_HEALTHY)
    state, health = started
    session.show(
        state_json(state, health) | introduction.json, *addresses(session, state, wished=options.port or PORT)
    )
    session.say(session.words("up.detached", command=session.command("down")), style="dim")
    _exit_unless_healthy(health)


async def _until_started(
    session: Session, process: subprocess.Popen[bytes]
) -> tuple[UpState, dict[str, Health]] | None:
    """The state and health of the new `up`; None if it ended."""
    deadline, health = time.monotonic() + START_S, {}
    healthy_by = None
    while time.monotonic() < (healthy_by or deadline):
        if process.poll() is not None:
            return None
        state = read_running(session.settings.home)
        if state is not None and state.process.pid == process.pid and state.status == "running":
            healthy_by = healthy_by or time.monotonic() + HEALTHY_S
            health = await healths(_settings_of(session, state), state)
            if all(part.ok for part in health.values()):
                return state, health
        await asyncio.sleep(LOOK_S)
    state = read_running(session.settings.home)
    return None if state is None else (state, health)


@click.command("status")
@json_option
@pass_session
def status(session: Session) -> None:
    """引擎在运行吗、健康吗（退出码 0 健康，1 不健康，3 未运行）/ Is it up, and healthy (exit 0, 1, 3)."""
    state = read_running(session.settings.home)
    standing = backup_standing(session.settings)
    backup = {"backup": backup_json(standing, now())}
    if state is None:
        _say_not_running(session, state_json(None, {}) | backup)
        raise click.exceptions.Exit(NOT_RUNNING)
    health = session.run(healths(_settings_of(session, state), state))
    state = read_running(session.settings.home) or state
    screen = [*status_screen(session, state, health, now()), *backup_screen(session, standing, now())]
    session.show(state_json(state, health) | backup, *screen)
    _exit_unless_healthy(health)


@click.command("down")
@json_option
@pass_session
def down(session: Session) -> None:
    """停止引擎：先收尾，再停服务 / Stop what `daogou up` runs; not running is no error."""
    process, state = _running(session)
    if process is None or state is None:
        _say_not_running(session, {"was_running": False, "stopped": True})
        return
    began = time.monotonic()
    send(process, signal.SIGTERM)
    session.say(session.words("up.stopping", pid=state.process.pid), style="dim")
    stopped = not wait_ended([process], DOWN_S)
    seconds = f"{time.monotonic() - began:.1f}"
    session.show(
        {"was_running": True, "stopped": stopped, "pid": state.process.pid, "seconds": float(seconds)},
        session.words("up.stopped" if stopped else "up.not_stopped", seconds=seconds, log=_log(session)),
    )
    if not stopped:
        raise click.exceptions.Exit(NOT_HEALTHY)


@click.command("restart")
@json_option
@pass_session
def restart(session: Session) -> None:
    """逐个换新工作进程和接口，不中断服务 / Replace workers and API one by one; nobody notices."""
    process, before = _running(session)
    if process is None or before is None:
        _say_not_running(session, {"was_running": False, "replaced": False})
        raise click.exceptions.Exit(NOT_RUNNING)
    began, state = time.monotonic(), before
    send(process, signal.SIGHUP)
    while state.rolled == before.rolled and time.monotonic() - began < ROLL_S:
        time.sleep(LOOK_S)
        found = read_running(session.settings.home)
        if found is None:
            break
        state = found
    replaced = state.rolled > before.rolled and state.rolled_ok
    seconds = f"{time.monotonic() - began:.1f}"
    session.show(
        {"was_running": True, "replaced": replaced, "seconds": float(seconds)},
        session.words("up.replaced" if replaced else "up.not_replaced", seconds=seconds, log=_log(session)),
    )
    if not replaced:
        raise click.exceptions.Exit(NOT_HEALTHY)


def _running(session: Session) -> tuple[psutil.Process | None, UpState | None]:
    state = read_running(session.settings.home)
    return (None if state is None else state.process.process()), state


def _settings_of(session: Session, state: UpState) -> Settings:
    return session.settings.model_copy(update={"temporal_address": state.temporal})


def _say_not_running(session: Session, machine: object) -> None:
    session.show(machine, session.words("up.not_running", command=session.command("up")))


def _exit_unless_healthy(health: dict[str, Health]) -> None:
    if not all(part.ok for part in health.values()):
        raise click.exceptions.Exit(NOT_HEALTHY)


def _log(session: Session) -> Path:
    return session.settings.home / "logs" / "up.log"
