"""Check-ins that wait at the same moment, taken together: each by its own asker, in two round trips and one transaction for all.

A check-in that comes while none is under way goes at once, alone. While a turn is under way others wait, and go together in
the next: what a statement, a round trip and a flush to the disk cost is shared, the more so the more of them come.

Each is decided by itself, and in the database each is held against the reach of its own asker, who is signed on for it
alone, for reading and again for writing (`items_to_report`, `record_check_ins`). Only the ordinary goes this way: whatever
stands out (nobody signed on, out of reach, refused, used before, late, locked, changed meanwhile, a lost connection) is
undone for itself and left to `ledger.check_ins.check_in`, which asks again, alone, and knows what to say. Its command id
tells whether it was written.

Nobody waits long here: a turn that takes too long, or finds no database, lets its own and whoever waits go alone at once, and
for a while nobody is gathered. So much may wait and no more, and who does not wait any longer is left out of the next turn.

Cost: two round trips a turn; per check-in as in `ledger.check_ins`, and one sign-on more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import structlog

from domain.check_in import CheckIn
from domain.errors import DaogouError
from ledger.asking import CHANGING_RIGHTS, Asker, asker_of
from ledger.check_ins import Decided, array_text, decide
from ledger.database import begun_connection
from ledger.door import Driver
from ledger.ledger import Ledger
from ledger.recorded import Recorded

MOST = 32
"""Check-ins of one turn: each is a subtransaction, of which PostgreSQL keeps 64 at hand."""
TURNS = 2
"""Turns under way at once: while one is decided here, the other is in the database."""
MOST_WAITING = 8 * MOST
"""Check-ins that may wait; who comes beyond goes alone."""
TURN_S = 2.0
"""How long a turn may take; it takes some 20 ms."""
APART_S = 2.0
"""How long nobody is gathered after a turn that took too long or found no database."""

_READ = "SELECT * FROM items_to_report($1, $2, $3, $4, $5, $6, $7)"
_WRITE = f"SELECT record_check_ins({', '.join(f'${n}' for n in range(1, 27))})"

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """A report whose asker is not known yet."""

    shown: bytes
    """SHA-256 of the session's or token's secret."""
    key: str
    """The asker's own name for it."""
    task_id: UUID
    at: datetime
    occurred_at: datetime
    products: tuple[str, ...]
    admitted: Callable[[Asker], CheckIn | None]
    """The check-in, once who asks is known; None: it is not theirs to report, or not in this way."""
    salt: bytes = b""


@dataclass(frozen=True, slots=True)
class _Waiting:
    told: Told
    became: asyncio.Future[Recorded | None]


class Gathering:
    """One process's check-ins."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: list[_Waiting] = []
        self._under_way = 0
        self._apart_until = 0.0
        self._tasks: set[asyncio.Task[Any]] = set()

    async def take(self, told: Told) -> Recorded | None:
        """Record a check-in that is in order and its asker's; None: nothing was told of it, it has to be taken alone.

        Whoever stops waiting (is cancelled) before its turn is left out of it.
        """
        loop = asyncio.get_running_loop()
        if loop.time() < self._apart_until or len(self._waiting) >= MOST_WAITING:
            return None
        one = _Waiting(told, loop.create_future())
        self._waiting.append(one)
        if self._under_way < TURNS:
            self._under_way += (
                1  # here and at its end at once, so that nobody waits for one that has seen nobody wait
            )
            self._begin(self._go())
        return await one.became

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _go(self) -> None:
        """Turn after turn until nobody waits."""
        try:
            while self._waiting:
                coming, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                together = [one for one in coming if not one.became.done()]
                if not together:
                    continue
                became: dict[int, Recorded] = {}
                try:
                    became = await self._in_time([one.told for one in together])
                except Exception as error:  # noqa: BLE001 - whatever it is, each is taken alone, and meets it again there
                    log.warning("check_ins_apart", reason=type(error).__name__)
                    if _finds_no_database(error):
                        self._part()
                finally:
                    _tell(together, became)
        finally:
            self._under_way -= 1

    def _part(self) -> None:
        """Let everybody who waits go alone, and who comes within a while."""
        self._apart_until = asyncio.get_running_loop().time() + APART_S
        waiting, self._waiting = self._waiting, []
        _tell(waiting, {})

    async def _in_time(self, together: list[Told]) -> dict[int, Recorded]:
        """What a turn gives; one that hangs is not waited for, however long it takes to be given up."""
        turn = self._begin(self._turn(together))
        await asyncio.wait({turn}, timeout=TURN_S)
        if not turn.done():
            turn.cancel()
            turn.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            raise TimeoutError
        return turn.result()

    async def _turn(self, together: list[Told]) -> dict[int, Recorded]:
        async with begun_connection(self._ledger.engine, partial(look_together, told=together)) as (
            driver,
            rows,
        ):
            return await take_together(driver, self._ledger, together, rows)


def _tell(waiting: Sequence[_Waiting], became: Mapping[int, Recorded]) -> None:
    for place, one in enumerate(waiting):
        if not one.became.done():
            one.became.set_result(became.get(place))


def _finds_no_database(error: Exception) -> bool:
    """Whether the next turn would meet the same: it is not about one of those who went."""
    return not isinstance(error, asyncpg.PostgresError) or isinstance(error, asyncpg.PostgresConnectionError)


async def look_together(driver: Driver, told: Sequence[Told]) -> list[asyncpg.Record]:
    """What each needs to know, where somebody is signed on and the item in sight; may be asked twice. One round trip."""
    rows: list[asyncpg.Record] = await driver.fetch(
        _READ,
        [one.shown for one in told],
        [one.at for one in told],
        CHANGING_RIGHTS,
        [one.task_id for one in told],
        [one.key for one in told],
        [one.occurred_at for one in told],
        [array_text(one.products) for one in told],
    )
    return rows


async def take_together(
    driver: Driver, ledger: Ledger, told: Sequence[Told], rows: Sequence[Mapping[str, Any]]
) -> dict[int, Recorded]:
    """Decide each on what `look_together` gave and record what is in order; what was, by its place. One round trip."""
    decided: list[tuple[int, Decided]] = []
    for row in rows:
        place = row["place"] - 1
        one = await _decided(ledger, told[place], row)
        if one is not None:
            decided.append((place, one))
    if not decided:
        return {}
    # In the order of their streams, as everybody locks who locks several.
    decided.sort(key=lambda one: one[1].recorded.task_id.bytes)
    columns = zip(*(one.arguments for _, one in decided), strict=True)
    shown = [told[place].shown for place, _ in decided]
    codes = await driver.fetchval(_WRITE, shown, CHANGING_RIGHTS, *map(list, columns))
    return {place: one.recorded for (place, one), code in zip(decided, codes, strict=True) if not code}


async def _decided(ledger: Ledger, told: Told, row: Mapping[str, Any]) -> Decided | None:
    if row["done_version"] is not None:
        return None
    command = told.admitted(asker_of(row, guide="asker_guide", device="asker_device"))
    if command is None:
        return None
    try:
        return await decide(ledger, row, command, told.salt)
    except (DaogouError, OSError, LookupError):
        return None  # a rule stands against it, or its note cannot be sealed: it is told so when it is taken alone
