"""Whether Temporal answers: told to whoever asks how things are, and nothing here waits for it."""

from __future__ import annotations

import asyncio
from typing import Literal

from domain.errors import Unavailable
from infra.settings import Settings
from infra.temporal_client import connect

ANSWERS_WITHIN_S = 1.0

TemporalState = Literal["answers", "does_not_answer", "not_set"]


async def temporal_state(settings: Settings) -> TemporalState:
    """One look, within a second."""
    if settings.temporal_address is None:
        return "not_set"
    try:
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            await connect(settings)
    except (Unavailable, OSError, ValueError):
        return "does_not_answer"
    return "answers"
