"""What every route has at hand; built once in `create_app` and carried by the application."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Header, Request

from activities.acting import Asked
from api.figures import Figures
from api.guide_codes import GuideCodes
from api.remembered import Remembered
from api.telling import Telling
from api.temporal_state import TemporalState
from infra.settings import Settings
from ledger.ledger import Ledger
from wording.catalogue import LANGUAGES, Catalogue, Language, catalogue

MANAGER = "hq"
"""Who acts on plans and messages until there is sign-in."""
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


def here_of(request: Request) -> Here:
    """The context the application was built with."""
    here: Here = request.app.state.here
    return here


AtHand = Annotated[Here, Depends(here_of)]


def language_of(accepted: str | None, otherwise: Language) -> Language:
    """The first language of an Accept-Language header that there is wording in, by its weights."""
    best: tuple[float, Language] = (0.0, otherwise)
    for part in (accepted or "")[:500].split(","):
        tag, _, parameter = part.strip().partition(";")
        name = tag.strip().lower().partition("-")[0]
        weight = parameter.strip().removeprefix("q=").strip() if parameter else "1"
        try:
            weighs = float(weight)
        except ValueError:
            continue
        for language in LANGUAGES:
            if name == language and weighs > best[0]:
                best = (weighs, language)
    return best[1]


def words_for(request: Request) -> Catalogue:
    """The catalogue of the language the asker reads."""
    here = here_of(request)
    return catalogue(language_of(request.headers.get("accept-language"), here.settings.language))


OptionalKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=KEY,
        description="Your own name for this request: sent again with it, the request changes nothing more.",
    ),
]


def asked_by(here: Here, key: str | None) -> Asked:
    """A manager asks now."""
    return Asked(key, here.clock(), MANAGER)
