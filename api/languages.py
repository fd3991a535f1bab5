"""In which language a request is answered."""

from __future__ import annotations

from starlette.requests import Request

from infra.settings import Settings
from wording.catalogue import LANGUAGES, Catalogue, Language, catalogue


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
    settings: Settings = request.app.state.here.settings
    return catalogue(language_of(request.headers.get("accept-language"), settings.language))
