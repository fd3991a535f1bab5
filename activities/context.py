"""What every activity is built with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ledger.ledger import Command, Ledger

ENGINE = "daogou"
"""The actor of what no person did."""


@dataclass(frozen=True, slots=True)
class Context:
    """The ledger and the clock; built once in infra/bootstrap.py."""

    ledger: Ledger
    now: Callable[[], datetime]

    def command(self, command_id: str, at: datetime, *, rehearsal: bool, actor: str = ENGINE) -> Command:
        """A command that occurred at `at`; in a rehearsal it is known at once, else now."""
        return Command(command_id, at, at if rehearsal else max(at, self.now()), actor)
