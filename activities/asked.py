"""Who asks for a change: every command of a person begins with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, when; `key` is the asker's own name for the request, the same when it is sent again."""

    key: str | None
    at: datetime
    actor: str
