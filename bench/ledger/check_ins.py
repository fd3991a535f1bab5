"""Check-ins over HTTP, beside the same statements sent bare.

Ours: two API processes on one port as `daogou up` runs them, every request signed on by a token, on connections of
`daogou_api` under row-level security, and a lean client in a process of its own. Bare: the very statements that the product
would send for as many other items of the same guides, sign-on, guards and projections included, made beforehand and sent by
asyncpg over as many connections from a process of its own, with the same login. So what is measured is everything that is
neither PostgreSQL nor its driver: HTTP, the framework, rules, canonical bytes, the pool.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.ledger.load import Ran, ask_all, in_own_process, replay_all
from bench.ledger.stand import Stand, api_settings, bare_statements

CLIENTS = 8
WARM = 500


@dataclass(frozen=True, slots=True)
class CheckInPair:
    """One run of each side."""

    http: Ran
    bare: Ran

    @property
    def ratio(self) -> float:
        """Our speed as a share of the bare statements'."""
        return self.http.per_second / self.bare.per_second


async def warm(stand: Stand, port: int) -> None:
    """Open the API's connections and have its statements prepared."""
    await in_own_process(ask_all, port, stand.take(WARM), CLIENTS)


async def measure_check_ins(stand: Stand, port: int, *, pairs: int, each: int) -> list[CheckInPair]:
    """Pairs of both, whoever goes first by turns."""
    found = []
    for number in range(pairs):
        ours, theirs = stand.take(each), await bare_statements(stand, stand.take(each))
        if number % 2 == 0:
            http = await in_own_process(ask_all, port, ours, CLIENTS)
            bare = await in_own_process(replay_all, stand.urls.api, api_settings(), theirs, CLIENTS)
        else:
            bare = await in_own_process(replay_all, stand.urls.api, api_settings(), theirs, CLIENTS)
            http = await in_own_process(ask_all, port, ours, CLIENTS)
        found.append(CheckInPair(http, bare))
    return found


def percentile(ran: Ran, share: float) -> float:
    """Milliseconds within which so large a share of the requests was answered."""
    return sorted(ran.each)[min(len(ran.each) - 1, int(share * len(ran.each)))] * 1e3
