"""A layer that commits and then reports a timeout, between our code and its database, in processes of a campaign.

It wraps the two functions of `ledger.database` that lend a connection, and the two methods of a `Ledger`, so it knows no
write path by name: each caller is one. A block that ended well has committed; then its caller hears that it timed out. The first use of a path
that wrote, in the whole campaign, always fails, later ones by the seed. Nothing of the product knows of it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from ledger import database

FOLDER, SEED, RATE = "CHAOS_FAULTS", "CHAOS_SEED", "CHAOS_RATE"
"""Variables that turn the layer on: where it writes down what it did, the seed, the chance of a write to fail."""
READS_FAIL = 0.2
"""A block that only read fails so much more rarely than one that wrote."""
STARTING = "infra.databases:"
"""What a process writes while it starts fails once a campaign only: `up` rightly gives up a part that fails to start
three times running before it ever served."""
LOG = "faults.log"
_KINDS = {"worker": "worker", "api": "api"}
_WRITES = re.compile(
    r"\b(INSERT\s+INTO|UPDATE\s+[a-z_]|DELETE\s+FROM|ensure_event_partitions|append_events|record_check_ins?)",
    re.IGNORECASE,
)
_LOCKS = re.compile(r"\bFOR\s+(NO\s+KEY\s+)?UPDATE\b", re.IGNORECASE)
_LENDING = ("ledger.database", "ledger.ledger", "ledger.asking")

Lend = Callable[[Any], AbstractAsyncContextManager[Any]]


class Watched:
    """The driver's connection; remembers whether anything was written through it."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self.wrote = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._driver, name)
        if not callable(found):
            return found
        if name.startswith("copy_"):
            self.wrote = True
        if name not in {"execute", "executemany", "fetch", "fetchrow", "fetchval"}:
            return found

        def run(query: str, *arguments: Any, **options: Any) -> Any:
            self.wrote = self.wrote or writes(query)
            return found(query, *arguments, **options)

        return run


def writes(query: str) -> bool:
    """Whether a statement writes; one that only locks rows does not."""
    return _WRITES.search(_LOCKS.sub("", query)) is not None


@dataclass
class Faults:
    """What fails in this process: drawn by the seed, the kind of process and its number among its kind."""

    folder: Path
    who: str
    rate: float
    draws: Random

    def after(self, path: str, *, wrote: bool) -> None:
        """Report a timeout of what has just been committed, or not.

        Raises:
            TimeoutError: it is this path's turn.
        """
        drawn = self.draws.random()
        if wrote and self._first(path):
            drawn = 0.0
        elif path.startswith(STARTING):
            return
        if drawn >= self.rate * (1.0 if wrote else READS_FAIL):
            return
        line = f"{'write' if wrote else 'read'}\t{path}\t{self.who}\n"
        with (self.folder / LOG).open("ab", buffering=0) as log:
            log.write(line.encode())
        raise TimeoutError(f"chaos: {path} timed out")

    def _first(self, path: str) -> bool:
        try:
            (self.folder / f"first {path.replace('/', ' ')}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def install() -> None:
    """Wrap what lends connections, where the campaign asks for it and this process is one of its targets."""
    kind = _kind(sys.orig_argv)
    folder = os.environ.get(FOLDER)
    if not folder or kind is None:
        return
    who = _number(Path(folder), kind)
    faults = Faults(
        Path(folder),
        who,
        float(os.environ[RATE]),
        Random(f"{os.environ[SEED]}/{who}"),  # noqa: S311 - a campaign replays
    )
    plain = database.driver_connection

    @asynccontextmanager
    async def connection(engine: Any, path: str | None) -> AsyncIterator[Any]:
        async with plain(engine) as driver:
            watched = Watched(driver)
            yield watched if path else driver
        if path:
            faults.after(path, wrote=watched.wrote)

    @asynccontextmanager
    async def transaction(engine: Any, path: str | None) -> AsyncIterator[Any]:
        async with plain(engine) as driver, driver.transaction():
            watched = Watched(driver)
            yield watched if path else driver
        if path:
            faults.after(path, wrote=watched.wrote)

    def named(lend: Callable[[Any, str | None], AbstractAsyncContextManager[Any]]) -> Lend:
        return lambda engine: lend(engine, _path(sys._getframe(1)))  # noqa: SLF001 - who calls is the path

    # The functions are imported by name elsewhere, so they are replaced before anybody has imported them.
    vars(database).update(driver_connection=named(connection), driver_transaction=named(transaction))
    _watch_ledgers(faults)


def _watch_ledgers(faults: Faults) -> None:
    """A request of the API holds one connection and lends it to the ledger it hands on, once or several times."""
    from ledger.ledger import Ledger  # noqa: PLC0415 - not before what it imports by name has been replaced

    def watching(lend: Callable[[Ledger], AbstractAsyncContextManager[Any]]) -> Callable[[Ledger], Any]:
        @asynccontextmanager
        async def watched(ledger: Ledger, path: str) -> AsyncIterator[Any]:
            async with lend(ledger) as driver:
                seen = Watched(driver)
                yield seen
            faults.after(path, wrote=seen.wrote)

        return lambda ledger: watched(ledger, _path(sys._getframe(1)) or "?")  # noqa: SLF001 - the same

    for name in ("connection", "transaction"):
        setattr(Ledger, name, watching(getattr(Ledger, name)))


def _path(frame: FrameType | None) -> str | None:
    """Module and function that asked for the connection; with the new status where that makes it another path.

    None: a ledger asked, which is watched itself.
    """
    if frame is not None and frame.f_globals.get("__name__") in _LENDING:
        return None
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    if frame is None:
        return "?"
    status = frame.f_locals.get("status") if frame.f_code.co_name == "change_plan_status" else None
    name = f"{frame.f_globals.get('__name__')}:{frame.f_code.co_qualname}"
    return name if status is None else f"{name} {status}"


def _kind(words: list[str]) -> str | None:
    """Workers, API processes and imports by command line; what starts them all is killed, but not lied to."""
    if "-m" not in words:
        return None
    module = words[words.index("-m") + 1] if len(words) > words.index("-m") + 1 else ""
    if module == "cli.main" and "import" in words:
        return "import"
    return _KINDS.get(module)


def _number(folder: Path, kind: str) -> str:
    """`worker-17`: the seventeenth worker process of the campaign."""
    number = 1
    while True:
        name = f"{kind}-{number}"
        with suppress(FileExistsError):
            (folder / f"process {name}").touch(exist_ok=False)
            return name
        number += 1


__all__ = ["FOLDER", "LOG", "RATE", "SEED", "Faults", "install", "writes"]
