"""Commands whose modules are imported when they are asked for: one command needs few of them, and a start counts.

Click's documentation shows the pattern (Complex Applications, lazily loading subcommands).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click


@dataclass(frozen=True)
class LazyCommand:
    """Where a command is, as "module:name", and the functions that add its subcommands from modules beside it."""

    at: str
    added_by: tuple[str, ...] = ()


class LazyGroup(click.Group):
    """A group that knows the names of its commands and imports each once, when it is asked for."""

    def __init__(self, *args: Any, lazy: Mapping[str, LazyCommand] | None = None, **more: Any) -> None:
        super().__init__(*args, **more)
        self.lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in order; nothing is imported."""
        return sorted({*super().list_commands(ctx), *self.lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported the first time; None where there is no such name."""
        if cmd_name not in self.commands and (lazy := self.lazy.get(cmd_name)):
            command: click.Command = _named(lazy.at)
            for add in lazy.added_by:
                _named(add)(command)
            self.add_command(command, cmd_name)
        return super().get_command(ctx, cmd_name)


def _named(at: str) -> Any:
    module, _, name = at.partition(":")
    return getattr(import_module(module), name)
