"""What Temporal's core says goes through Python's logging; by itself it writes on the terminal.

Apart from infra/logs.py, so that a command that never speaks to Temporal does without its SDK.
"""

from __future__ import annotations

import logging
from functools import cache

from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter


@cache
def forward_core_logs(level: str = "WARN") -> None:
    """Forward them, once a process, before the first client connects."""
    forwarding = LogForwardingConfig(logger=logging.getLogger("temporalio.core"))
    log_filter = TelemetryFilter(core_level=level, other_level="ERROR")
    telemetry = TelemetryConfig(logging=LoggingConfig(filter=log_filter, forwarding=forwarding))
    Runtime.set_default(Runtime(telemetry=telemetry), error_if_already_set=False)
