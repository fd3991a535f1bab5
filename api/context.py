"""What every route has at hand; built once in `create_app` and carried by the application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Request

from activities.asked import Asked
from api import signing
from api.figures import Figures
from api.guide_codes import GuideCodes
from api.remembered import Remembered
from api.telling import Telling
from api.temporal_state import TemporalState
from domain.errors import NotFound, Problem
from infra.settings import Settings
from ledger.asking import Asker
from ledger.guides import unknown_guide
from ledger.ledger import Ledger

KEY = r"^[\x21-\x7e]{1,128}$"
"""An Idempotency-Key: visible ASCII."""


@dataclass(frozen=True, slots=True)
class Here:
    """One brand's ledger and what goes with it."""

    settings: Settings
    ledger: Ledger
    clock: Callable[[], datetime]
    telling: Telling
    guides: GuideCodes
    temporal: Remembered[TemporalState]
    figures: Remembered[Figures]
    enforcing: bool = True
    """False only in the tests that show that the database's own row-level security holds without the API's checks."""
    asker: Asker | None = None
    """Who asks; None where anybody may."""

    @property
    def who(self) -> Asker:
        """Who asks, on a route that is not open to anybody."""
        if self.asker is None:
            raise LookupError("a route that is open to anybody asked who asks")
        return self.asker

    @property
    def actor(self) -> str:
        """How events name who asks."""
        return self.who.actor

    async def guide_in_reach(self, code: str) -> UUID:
        """The id of a guide whose days and items the asker sees.

        Raises:
            NotFound: no guide has this code, or not one in reach; nobody can tell which.
        """
        return self._reached(code, await self.guides.id_of(self.ledger, code), self.who.sees_guide)

    async def guide_to_act_for(self, code: str) -> UUID:
        """The id of a guide whose work the asker may record.

        Raises:
            NotFound: no guide has this code, or not one in reach; nobody can tell which.
        """
        return self._reached(code, await self.guides.id_of(self.ledger, code), self.who.may_act_for)

    def plan_to_steer(self, plan: str) -> str:
        """The plan, which the asker may change.

        Raises:
            NotFound: it is not in reach.
        """
        if self.enforcing and not self.who.may_steer(plan):
            raise NotFound(Problem("plan", plan, "unknown_plan"))
        return plan

    def _reached(self, code: str, guide: UUID, allows: Callable[[UUID], bool]) -> UUID:
        if self.enforcing and not allows(guide):
            raise unknown_guide(code)
        return guide


def context_of(request: Request) -> Here:
    """The context the application was built with."""
    here: Here = request.app.state.here
    return here


async def at_hand(request: Request) -> AsyncIterator[Here]:
    """The context of a request: who asks is known and allowed to, and the ledger reaches as far as they do."""
    here = context_of(request)
    async with signing.signed_on(request, here.ledger, here.clock(), enforcing=here.enforcing) as (
        asker,
        ledger,
    ):
        yield replace(here, ledger=ledger, asker=asker)


AtHand = Annotated[Here, Depends(at_hand)]


OptionalKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=KEY,
        description="Your own name for this request: sent again with it, the request changes nothing more.",
    ),
]


def asked_by(here: Here, key: str | None) -> Asked:
    """Whoever asks, now; a key is its account's own, so that nobody runs into another's."""
    return Asked(None if key is None else f"{here.who.account_id}/{key}", here.clock(), here.actor)
