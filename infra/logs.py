"""Logging: constant event names with keys; JSON where no person is watching. No personal data."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TextIO

import structlog
from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter


def forward_core_logs(level: str = "WARN") -> None:
    """Send what Temporal's core says through Python's logging, once; by itself it writes on the terminal."""
    forwarding = LogForwardingConfig(logger=logging.getLogger("temporalio.core"))
    log_filter = TelemetryFilter(core_level=level, other_level="ERROR")
    telemetry = TelemetryConfig(logging=LoggingConfig(filter=log_filter, forwarding=forwarding))
    Runtime.set_default(Runtime(telemetry=telemetry), error_if_already_set=False)


def configure_logs(*, level: str = "INFO", to: Path | None = None) -> None:
    """Set up structlog and the standard library's loggers (Temporal's among them).

    Args:
        level: least level that is written.
        to: a file, always JSON; None: stderr, JSON unless it is a terminal.
    """
    stream: TextIO = sys.stderr
    if to is not None:
        to.parent.mkdir(parents=True, exist_ok=True)
        stream = to.open("a", encoding="utf-8")
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer()
        if to is None and stream.isatty()
        else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    forward_core_logs()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
