"""Check-ins over HTTP, beside the same statements sent bare and beside two engines that would make each durable their way.

Ours: two API processes on one port as `daogou up` runs them, every request signed on by a token, each held against its own
asker's reach, and a lean client in a process of its own. Bare: the very statements that the product would send for as many
other items of the same guides, sign-on, guards and projections included, made beforehand and sent by asyncpg from a process
of its own, with the same login: what is measured against them is everything that is neither PostgreSQL nor its driver. Each
check-in is sent by itself, as the product does when no other waits; `gathered` sends them together as the product does with
so many in flight, over as many connections as it has turns under way. The others (`updates`, `durable`) record one row a
check-in, without any of the rules, guards and projections of ours; `regular` is the update that records by an activity which
is not local.

All take their turn in each round, in changing order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from bench.ledger.apis import PROCESSES
from bench.ledger.durable import run_workflows
from bench.ledger.load import Ran, ask_all, in_own_process, replay_all
from bench.ledger.stand import Stand, api_settings, bare_statements
from bench.ledger.updates import run_updates
from ledger.gathering import TURNS

WARM = 500


@dataclass(frozen=True, slots=True)
class AtOnce:
    """How many are in flight: what served each side best (docs/performance.md)."""

    check_ins: int = 64
    bare: int = 8
    updates: int = 40
    workflows: int = 16

    @property
    def turns(self) -> int:
        """Of the product, in all its processes."""
        return PROCESSES * TURNS

    @property
    def together(self) -> int:
        """Check-ins the product takes in a turn where so many are in flight."""
        return self.check_ins // self.turns


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of each are sent a round."""

    check_ins: int
    others: int
    """Updates and workflows, and check-ins sent bare, each by itself: they take longer."""

    def items(self, rounds: int) -> int:
        """Items the rounds use up, but for those that warm up."""
        at_once = AtOnce()
        gathered = 2 * self.check_ins + at_once.together * at_once.turns
        return rounds * (gathered + self.others + at_once.bare)


@dataclass(frozen=True, slots=True)
class Beside:
    """Where the others work."""

    temporal: str
    """Address of a server."""
    database: str
    """A database of their own in the same PostgreSQL, by a superuser's login."""


@dataclass(frozen=True, slots=True)
class Round:
    """One run of each."""

    http: Ran
    bare: Ran
    gathered: Ran
    updates: Ran
    regular: Ran
    workflows: Ran


async def warm(stand: Stand, port: int, most: int = WARM) -> None:
    """Open the API's connections and have its statements prepared."""
    await in_own_process(ask_all, port, stand.take(most), AtOnce().check_ins)


async def measure_rounds(
    stand: Stand, port: int, beside: Beside, *, rounds: int, counts: Counts
) -> list[Round]:
    """So many rounds; in each all take their turn."""
    at_once = AtOnce()
    found = []
    for number in range(rounds):
        together, turns = at_once.together, at_once.turns
        gathered = await bare_statements(stand, stand.take(counts.check_ins + together * turns), together)
        bare = await bare_statements(stand, stand.take(counts.others + at_once.bare), 1)
        runs: dict[str, Callable[[], Awaitable[Ran]]] = {
            "http": partial(in_own_process, ask_all, port, stand.take(counts.check_ins), at_once.check_ins),
            "gathered": partial(in_own_process, replay_all, stand.urls.api, api_settings(), gathered, turns),
            "bare": partial(in_own_process, replay_all, stand.urls.api, api_settings(), bare, at_once.bare),
            "updates": partial(
                in_own_process,
                run_updates,
                beside.temporal,
                beside.database,
                counts.others,
                at_once.updates,
                "local",
            ),
            "regular": partial(
                in_own_process,
                run_updates,
                beside.temporal,
                beside.database,
                counts.others,
                at_once.updates,
                "regular",
            ),
            "workflows": partial(
                in_own_process, run_workflows, beside.database, counts.others, at_once.workflows
            ),
        }
        names = list(runs)
        turn = number % len(names)
        ran = {name: await runs[name]() for name in (*names[turn:], *names[:turn])}
        found.append(Round(**ran))
    return found


def percentile(ran: Ran, share: float) -> float:
    """Milliseconds within which so large a share of the requests was answered."""
    return sorted(ran.each)[min(len(ran.each) - 1, int(share * len(ran.each)))] * 1e3
