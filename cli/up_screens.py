"""The screens of `up`, `status`, `down` and `restart`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from rich.console import RenderableType
from rich.text import Text

from cli.layout import NOTHING, heading, labelled, number, table
from cli.session import Session
from infra.backup_standing import BackupStanding
from infra.up_health import Health
from infra.up_state import UpState


def state_json(state: UpState | None, health: Mapping[str, Health]) -> dict[str, Any]:
    """`running`, the addresses (None: not run, or not yet), `health` of the four parts, and the processes."""
    if state is None:
        return {
            "running": False,
            "api": None,
            "api_public": None,
            "temporal": None,
            "temporal_ui": None,
            "database": None,
            "health": {},
        }
    return {
        "running": True,
        "status": state.status,
        "pid": state.process.pid,
        "since": state.since,
        "api": state.api,
        "api_public": state.api_public,
        "temporal": state.temporal,
        "temporal_ui": state.temporal_ui,
        "database": state.database,
        "health": {name: {"ok": part.ok, "detail": part.detail} for name, part in health.items()},
        "parts": [
            {
                "name": part.name,
                "pid": part.process and part.process.pid,
                "since": part.since,
                "restarts": part.restarts,
                "ready": part.ready,
            }
            for part in state.parts
        ],
    }


def addresses(session: Session, state: UpState, *, wished: int) -> list[RenderableType]:
    """Where everything is, once it runs; and that the API is not where it was to be."""
    words = session.words
    rows = [("api", state.api and f"{state.api}/openapi.json"), ("api_public", state.api_public)]
    rows.append(("temporal", state.temporal))
    rows += [("temporal_ui", state.temporal_ui), ("database", state.database)]
    rows.append(("logs", str(session.settings.home / "logs")))
    port = urlsplit(state.api or "").port
    moved = [] if port in (None, wished) else [words("up.other_port", usual=wished, port=port)]
    return [
        heading(words("up.running", pid=state.process.pid)),
        labelled(*((words(f"up.{name}"), value) for name, value in rows if value)),
        *moved,
    ]


def status_screen(
    session: Session, state: UpState, health: Mapping[str, Health], at: datetime
) -> list[RenderableType]:
    """Health of the four parts, then each process."""
    words = session.words
    parts = labelled(*((words(f"up.{name}"), _health(state, name, one)) for name, one in health.items()))
    processes = table(
        words("up.process"), words("up.pid"), words("up.since"), words("up.lived"), words("up.restarts"), right=(1, 3, 4)
    )  # fmt: skip
    for part in state.parts:
        processes.add_row(
            Text(part.name, style="" if part.ready else "bold red"),
            NOTHING if part.process is None else str(part.process.pid),
            NOTHING if part.since is None else local(part.since),
            NOTHING if part.since is None else lived((at - part.since).total_seconds()),
            number(part.restarts),
        )
    title = words("up.title", status=words(f"up.statuses.{state.status}"), pid=state.process.pid)
    return [heading(title), parts, Text(""), processes]


def backup_json(standing: BackupStanding | None, at: datetime) -> dict[str, Any] | None:
    """The newest backup's end and the kept WAL's bytes; None: no embedded database."""
    if standing is None:
        return None
    return {
        "newest_at": standing.newest_at,
        "archive_bytes": standing.archive_bytes,
        "wanting": standing.wanting(at),
    }


def backup_screen(
    session: Session, standing: BackupStanding | None, at: datetime
) -> Iterator[RenderableType]:
    """The newest backup and the kept WAL, and a warning where a backup is due."""
    if standing is None:
        return
    words, newest = session.words, standing.newest_at
    told = words(
        "up.backup_text",
        newest=NOTHING if newest is None else local(newest),
        size=f"{standing.archive_bytes / _MEGABYTE:,.1f} MB",
    )
    yield Text("")
    yield labelled((words("up.backup"), told))
    if standing.wanting(at):
        key = "up.backup_none" if newest is None else "up.backup_old"
        yield Text(words(key, command=session.command("backup")), style="yellow")


def event_line(session: Session, at: datetime, event: str, gaps: Mapping[str, str | int]) -> Text:
    """One line for something that happened to a running `up`."""
    line = Text(f"{local(at)[-8:]} ", style="dim")
    line.append(session.words(f"up.events.{event}", **gaps), style=_STYLES.get(event, ""))
    return line


def local(instant: datetime) -> str:
    """2026-11-22 17:40:23, by this machine's clock."""
    return f"{instant.astimezone():%Y-%m-%d %H:%M:%S}"


def lived(seconds: float) -> str:
    """2d 03:04:05."""
    days, rest = divmod(max(0, int(seconds)), 86_400)
    time = f"{rest // 3_600:02}:{rest % 3_600 // 60:02}:{rest % 60:02}"
    return f"{days}d {time}" if days else time


_MEGABYTE = 1_000_000
_STYLES = {
    "part_ended": "yellow",
    "part_not_ready": "yellow",
    "part_not_started": "bold red",
    "part_not_replaced": "bold red",
    "part_killed": "bold red",
    "roll_given_up": "bold red",
}


def _health(state: UpState, name: str, health: Health) -> Text:
    address = {"api": state.api, "temporal": state.temporal, "database": state.database}.get(name)
    line = Text("✓ " if health.ok else "✗ ", style="green" if health.ok else "bold red")
    told = [part for part in (address, health.detail) if part]
    if name == "api" and state.api_public:
        told.insert(1, state.api_public)
    if name == "temporal" and state.temporal_ui:
        told.insert(1, f"UI {state.temporal_ui}")
    line.append(" · ".join(told), style="" if health.ok else "red")
    return line
