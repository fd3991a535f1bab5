"""Whether this process lives, and whether it can do its work."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from api.answers import Answer
from api.context import AtHand
from api.problems import Declined, responses
from api.temporal_state import TemporalState
from domain.errors import Problem
from ledger.migrate import serves, stands_at

router = APIRouter(prefix="/health", tags=["health"])


class Live(Answer):
    """The process answers."""

    live: Literal[True] = True


class Ready(Answer):
    """The database answers and has the newest schema. Temporal may be away: what it does is done later."""

    ready: Literal[True] = True
    database: Literal["answers"] = "answers"
    temporal: TemporalState


@router.get("/live", operation_id="live", responses=responses())
async def live() -> Live:
    """Whether the process answers; asks nobody else."""
    return Live()


@router.get("/ready", operation_id="ready", responses=responses())
async def ready(here: AtHand) -> Ready:
    """Whether requests can be served: the database answers and is migrated. 503 where not."""
    async with here.ledger.connection() as connection:
        stands = await stands_at(connection)
    if not serves(stands):
        raise Declined(503, Problem("database", ", ".join(sorted(stands)), "database_not_migrated"))
    return Ready(temporal=await here.temporal.get())
