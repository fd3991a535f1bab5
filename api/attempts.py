"""Attempts to sign in or to bind a phone: counted by the client's address, or a bound phone, before anything else."""

from __future__ import annotations

import math

from fastapi import Request

from activities.signing_in import wait_for_attempt
from api.context import Here
from api.problems import Declined
from domain.errors import Problem


async def count_attempt_of(here: Here, request: Request, way: str, *, phone: str | None = None) -> None:
    """Count an attempt at a secret, before it is looked at, by the secret of the phone it is made on where that is bound.

    Raises:
        Declined: 429, there were too many from this address or phone within a minute.
    """
    address = "" if request.client is None else request.client.host
    waited = await wait_for_attempt(here.ledger.for_upkeep(), address, here.clock(), way=way, phone=phone)
    wait = math.ceil(waited.total_seconds())
    if wait:
        problem = Problem("address", "", "too_many_attempts", {"seconds": wait})
        raise Declined(429, problem, {"retry-after": str(wait)})
