"""What became of one attempt to send a message, and what happens to the message next.

At most once: an attempt that may have arrived is never made again by itself. Only what is known not to have left
waits and is tried again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

MOST_ATTEMPTS = 10
"""Then the message is dead; with the pauses below that is after about twenty minutes."""
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=5)
RATE_PAUSE = timedelta(seconds=60)
"""How long an endpoint rests that answered that it gets too much."""


class End(StrEnum):
    """How an attempt ended."""

    SENT = "sent"
    UNKNOWN = "unknown"
    """The request left; whether it arrived nobody knows."""
    REFUSED = "refused"
    """The other side said no and would say so again."""
    NOT_SENT = "not_sent"
    """Known not to have been taken: no connection, or an answer that says so."""
    RATE_LIMITED = "rate_limited"
    """The other side took it not, because it gets too much at present."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt: its end and a code that says why (`http_403`, `errcode_93000`, `connection_refused`)."""

    end: End
    why: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a message stands after an attempt; `pause` where it waits to be tried again."""

    state: str
    why: str | None
    pause: timedelta | None = None


def standing_after(delivery: Delivery, attempts: int) -> Standing:
    """Where a message stands after its attempt number `attempts` (1, 2, …)."""
    match delivery.end:
        case End.SENT:
            return Standing("sent", None)
        case End.UNKNOWN:
            return Standing("unknown", delivery.why)
        case End.REFUSED:
            return Standing("dead", delivery.why)
        case _ if attempts >= MOST_ATTEMPTS:
            return Standing("dead", delivery.why)
        case End.RATE_LIMITED:
            return Standing("waiting", RATE_LIMITED, RATE_PAUSE)
        case End.NOT_SENT:
            return Standing("waiting", delivery.why, min(FIRST_PAUSE * 2 ** (attempts - 1), LONGEST_PAUSE))


RATE_LIMITED = "rate_limited"
"""Why a message waits whose endpoint answered that it gets too much; the whole endpoint rests until then."""
