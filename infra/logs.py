"""Logging: constant event names with keys; JSON where no person is watching. No personal data."""

from __future__ import annotations

import logging
import os
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

import structlog

LOG_FILE = "DAOGOU_LOG_FILE"
"""Names the file a supervised process writes its log to."""
ROTATE_BYTES = 10_000_000
ROTATED_KEPT = 5


class RotatingLog(RotatingFileHandler):
    """A log file of at most 10 MB, with the five before it beside it as `.1` … `.5`.

    Several processes may write the same one (commands, or the old and the new process of a rolling restart):
    who finds that another one has moved the file away goes on in the new one.
    """

    def __init__(self, path: Path, *, max_bytes: int = ROTATE_BYTES) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, maxBytes=max_bytes, backupCount=ROTATED_KEPT, encoding="utf-8")

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802 - the base class's name
        """Whether the file is full, after making sure that it is still the file of this name."""
        stream = self.stream
        if stream is not None and not _is_at(stream, Path(self.baseFilename)):
            stream.close()
            self.stream = self._open()
        return bool(super().shouldRollover(record))


def _is_at(stream: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def log_file() -> Path | None:
    """The file the environment names for this process's log; None: stderr."""
    name = os.environ.get(LOG_FILE)
    return Path(name) if name else None


def configure_logs(*, level: str = "INFO", to: Path | None = None) -> None:
    """Set up structlog and the standard library's loggers (Temporal's among them).

    Args:
        level: least level that is written.
        to: a file, always JSON, rotated; None: stderr, JSON unless it is a terminal.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer()
        if to is None and sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(sys.stderr) if to is None else RotatingLog(to)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells whole URLs, and some hold a secret
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
