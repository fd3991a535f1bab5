"""How often a guide may be urged (催办), and to whom what stays open is told next (domain.md, *The day*)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

MOST_URGES = 3
URGE_WINDOW = timedelta(hours=24)
"""A guide is urged no more than so often within so long, whoever urges."""


class Level(StrEnum):
    """Whom what is still open is told to, one after the other."""

    STORE = "store"
    REGION = "region"
    HQ = "hq"


def urge_again_at(urged: Sequence[datetime], at: datetime) -> datetime | None:
    """When a guide who was urged at these instants may be urged next; None: now.

    Requests come in another order than their instants: those later than this one count as those before it.
    """
    near = sorted(one for one in urged if abs(one - at) < URGE_WINDOW)
    return near[-MOST_URGES] + URGE_WINDOW if len(near) >= MOST_URGES else None
