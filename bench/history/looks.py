"""What is measured: three things people look at, as the API serves them, signed on and under row-level security."""

from __future__ import annotations

import gc
import math
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from time import perf_counter

from activities.sessions import digest
from bench.history.brand import TODAY, Shape, at, running_plan
from ledger.asking import standing
from ledger.database import API, open_database
from ledger.guide_month import read_guide_month
from ledger.ledger import Ledger
from ledger.member_keys import MemberKeys
from ledger.plan_board import read_plan_board
from ledger.today import read_todays_list

NOW = at(15)
LOOKS = ("todays_list", "guide_month", "plan_board")
FEW, MANY = "few", "many"

Times = dict[tuple[str, str, bool], list[float]]
"""Seconds by look, database, and whether cold."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What is shown: by code of the guide, and HQ's."""

    guides: Mapping[str, str]
    hq: str


@dataclass(frozen=True, slots=True)
class Brand:
    """A brand with few or many cycles behind it, as the API opens it."""

    name: str
    ledger: Ledger
    tokens: Tokens

    async def look(self, what: str, of: str) -> None:
        """One request's work: sign on, read.

        Raises:
            SystemExit: there is nothing to see: nothing would be measured.
        """
        shown = self.tokens.hq if what == "plan_board" else self.tokens.guides[of]
        async with standing(self.ledger, digest(shown), NOW) as asker:
            if asker is None or not await _LOOKS[what](asker.bound(), of):
                raise SystemExit(f"{what} of {of} is empty: nothing would be measured")


async def _list(ledger: Ledger, guide: str) -> bool:
    async with ledger.connection() as connection:
        listed = await read_todays_list(connection, 1, guide, TODAY, keys=ledger.keys)
    return bool(listed.items)


async def _month(ledger: Ledger, guide: str) -> bool:
    async with ledger.connection() as connection:
        month = await read_guide_month(connection, 1, guide, None, at=NOW)
    return month.total.attempted > 0


async def _board(ledger: Ledger, plan: str) -> bool:
    board = await read_plan_board(ledger, plan, at=NOW, in_reach=True)
    return board.whole and board.total.followed_up > 0 and board.total.provisional_succeeded > 0


_LOOKS: Mapping[str, Callable[[Ledger, str], Awaitable[bool]]] = dict(
    zip(LOOKS, (_list, _month, _board), strict=True)
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """How often is looked: warm in `passes` over all guides and plans, cold after each of so many `restarts`."""

    passes: int
    board_passes: int
    restarts: int
    guides_a_restart: int
    boards_a_restart: int


@dataclass(slots=True)
class Looking:
    """The two databases side by side, and what looking at them took."""

    urls: Mapping[str, str]
    shape: Shape
    tokens: Tokens
    keys: MemberKeys
    drawn: random.Random
    times: Times = field(default_factory=dict)

    async def warm(self, wanted: Wanted) -> None:
        """Everybody once unmeasured, then all in turns; which database goes first changes with every look."""
        async with AsyncExitStack() as stack:
            brands = [await self._open(stack, name) for name in (FEW, MANY)]
            for number in range(wanted.passes + 1):
                for what in LOOKS:
                    measured = number > 0 and (what != "plan_board" or number <= wanted.board_passes)
                    if number == 0 or measured:
                        await self._in_turns(
                            brands, [what], self._everybody(what), cold=False, keep=number > 0
                        )

    async def cold(self, wanted: Wanted, restart: Callable[[], None]) -> None:
        """After each restart a few guides and plans, each for the first time."""
        for number in range(wanted.restarts):
            restart()
            async with AsyncExitStack() as stack:
                brands = [await self._open(stack, name) for name in (FEW, MANY)]
                looks = list(LOOKS)
                self.drawn.shuffle(looks)
                for what in looks:
                    several = wanted.boards_a_restart if what == "plan_board" else wanted.guides_a_restart
                    some = self.drawn.sample(self._everybody(what), several)
                    await self._in_turns(brands, [what], some, cold=True, keep=True, first=number)

    def _everybody(self, what: str) -> list[str]:
        of = (
            [running_plan(number) for number in range(self.shape.plans)]
            if what == "plan_board"
            else self.shape.guide_codes
        )
        self.drawn.shuffle(of)
        return of

    async def _in_turns(
        self, brands: Sequence[Brand], looks: Sequence[str], of: Sequence[str], *, cold: bool, keep: bool, first: int = 0
    ) -> None:  # fmt: skip
        gc.collect()
        gc.disable()
        try:
            for turn, one in enumerate(of, first):
                for what in looks:
                    for brand in brands if turn % 2 == 0 else reversed(brands):
                        began = perf_counter()
                        await brand.look(what, one)
                        if keep:
                            spent = perf_counter() - began
                            self.times.setdefault((what, brand.name, cold), []).append(spent)
        finally:
            gc.enable()

    async def _open(self, stack: AsyncExitStack, name: str) -> Brand:
        pool = open_database(self.urls[name], tenant_id=1, pool_size=2, role=API)
        stack.push_async_callback(pool.dispose)
        return Brand(name, Ledger(pool, 1, keys=self.keys), self.tokens)


def p95(times: Sequence[float]) -> float:
    """The smallest that 95 of 100 do not exceed."""
    return sorted(times)[math.ceil(0.95 * len(times)) - 1]
