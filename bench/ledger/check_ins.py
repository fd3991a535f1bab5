"""Check-ins over HTTP, beside the same statements sent bare and beside two engines that would make each durable their way.

Ours: two API processes on one port as `daogou up` runs them, every request signed on by a token, on connections of
`daogou_api` under row-level security, and a lean client in a process of its own. Bare: the very statements that the product
would send for as many other items of the same guides, sign-on, guards and projections included, made beforehand and sent by
asyncpg over as many connections from a process of its own, with the same login: what is measured against them is everything
that is neither PostgreSQL nor its driver. The others (`updates`, `durable`) record one row a check-in, without any of the
rules, guards and projections of ours.

All take their turn in each round, in changing order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from bench.ledger.durable import run_workflows
from bench.ledger.load import Ran, ask_all, in_own_process, replay_all
from bench.ledger.stand import Stand, api_settings, bare_statements
from bench.ledger.updates import run_updates

WARM = 500


@dataclass(frozen=True, slots=True)
class AtOnce:
    """How many are in flight: what served each side best (docs/performance.md)."""

    check_ins: int = 8
    updates: int = 40
    workflows: int = 16


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of each are sent a round."""

    check_ins: int
    others: int
    """Updates and workflows: they take longer."""


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
    updates: Ran
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
        statements = await bare_statements(stand, stand.take(counts.check_ins))
        runs: dict[str, Callable[[], Awaitable[Ran]]] = {
            "http": partial(in_own_process, ask_all, port, stand.take(counts.check_ins), at_once.check_ins),
            "bare": partial(
                in_own_process, replay_all, stand.urls.api, api_settings(), statements, at_once.check_ins
            ),
            "updates": partial(
                in_own_process, run_updates, beside.temporal, beside.database, counts.others, at_once.updates
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
