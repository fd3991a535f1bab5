"""Attempts to sign in or to bind a phone: counted by the client's address before anything is looked at."""

from __future__ import annotations

import math

from fastapi import Request

from activities.signing_in import wait_for_attempt
from api.context import Here
from api.problems import Declined
from domain.errors import Problem


async def count_attempt_of(here: Here, request: Request) -> None:
    """Count an attempt.

    Raises:
        Declined: 429, there were too many from this address within a minute.
    """
    address = "" if request.client is None else request.client.host
    wait = math.ceil((await wait_for_attempt(here.ledger, address, here.clock())).total_seconds())
    if wait:
        problem = Problem("address", "", "too_many_attempts", {"seconds": wait})
        raise Declined(429, problem, {"retry-after": str(wait)})
