"""What every command has at hand: settings, wording, the consoles, the ledger."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import orjson
from pydantic import BaseModel
from rich.console import Console, RenderableType

from cli.errors import DATABASE_ERRORS, database_problem
from domain.errors import Refused
from infra.databases import DatabaseUrls, open_ledger
from infra.logs import configure_logs
from infra.processes import run_until_terminated
from infra.settings import DEFAULT_DATABASE, Settings, read_settings
from ledger.ledger import Ledger
from wording.catalogue import Catalogue

_T = TypeVar("_T")
_Command = TypeVar("_Command", bound=Callable[..., Any])
PLAIN_WIDTH = 100
"""Columns where no terminal says how many there are."""


@dataclass
class Session:
    """One run of the command line."""

    settings: Settings
    words: Catalogue
    as_json: bool = False

    @property
    def out(self) -> Console:
        """Standard output."""
        return _console(sys.stdout.isatty(), stderr=False)

    @property
    def err(self) -> Console:
        """Standard error: progress and problems, so that stdout holds the answer and nothing else."""
        return _console(sys.stderr.isatty(), stderr=True)

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run one coroutine from beginning to end."""
        return run_until_terminated(work)

    def show(self, machine: object, *screen: RenderableType) -> None:
        """Print the answer: JSON where it was asked for, else the screen."""
        if self.as_json:
            click.echo(to_json(machine))
            return
        console = self.out
        for part in screen:
            console.print(part)

    def say(self, text: str, *, style: str = "") -> None:
        """A plain sentence on the screen; nothing with --json."""
        if not self.as_json:
            self.out.print(text, style=style)

    @asynccontextmanager
    async def ledger(self, **options: Any) -> AsyncIterator[tuple[Ledger, DatabaseUrls]]:
        """The ledger of the settings; options as `open_ledger`.

        A database that was named is not made by looking into it: a typo would show an empty ledger that verifies.

        Raises:
            NotFound: there is no such database.
            Refused: DATABASE_URL does not lead to a database that can be used.
        """
        options.setdefault("create", self.settings.database == DEFAULT_DATABASE)
        async with AsyncExitStack() as stack:
            try:
                opened = await stack.enter_async_context(open_ledger(self.settings, **options))
            except DATABASE_ERRORS as error:
                problem = database_problem(error, self.settings)
                if problem is None:
                    raise
                raise Refused([problem]) from error
            yield opened

    def command(self, *arguments: str) -> str:
        """A command line that works as typed here: same program, home, database and language."""
        words = [program()]
        usual = read_settings({key: value for key, value in os.environ.items() if key.startswith("DAOGOU_")})
        if self.words.language != usual.language:
            words += ["--lang", self.words.language]
        if self.settings.home.resolve() != usual.home.resolve():
            words += ["--home", str(self.settings.home)]
        if self.settings.database != usual.database:
            words += ["--database", self.settings.database]
        return " ".join([*words, *arguments])


def program() -> str:
    """How this program is called from the present folder."""
    path = Path(sys.argv[0])
    if path.name != "daogou" or not path.exists():
        path = Path(sys.executable).parent / "daogou"
    found = shutil.which("daogou")
    if found is not None and Path(found).resolve() == path.resolve():
        return "daogou"
    absolute, here = path.absolute(), Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(absolute)


def json_option(command: _Command) -> _Command:
    """`--json`: the answer as one JSON object on stdout, and nothing else there."""

    def note(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
        context.ensure_object(Session).as_json = value

    option = click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=note,
        help="JSON 输出 / JSON on stdout.",
    )
    return option(command)


pass_session = click.make_pass_decorator(Session)


def to_json(value: object) -> str:
    """JSON of dataclasses, dates, ids, decimals and plain values."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()


def _plain(value: object) -> object:
    return value.model_dump(mode="json", by_alias=True) if isinstance(value, BaseModel) else str(value)


@contextmanager
def logs_to(path: Path) -> Iterator[None]:
    """Write the log to a file, as JSON, while the block runs: the screen is for people."""
    root = logging.getLogger()
    before = root.handlers[:]
    configure_logs(to=path)
    mine = root.handlers[:]
    try:
        yield
    finally:
        root.handlers = before
        for handler in mine:
            if isinstance(handler, logging.StreamHandler):
                handler.stream.close()


def _console(terminal: bool, *, stderr: bool) -> Console:
    width = None if terminal or os.environ.get("COLUMNS") else PLAIN_WIDTH
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


__all__ = ["DEFAULT_DATABASE", "Session", "json_option", "logs_to", "pass_session", "program", "to_json"]
