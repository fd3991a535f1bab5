"""Instants as people type them."""

from __future__ import annotations

from datetime import datetime

from domain.errors import Problem, Refused


def read_instant(option: str, told: str) -> datetime:
    """An instant with its offset.

    Raises:
        Refused: it is none, or names no offset.
    """
    try:
        instant = datetime.fromisoformat(told)
    except ValueError as error:
        raise Refused([Problem(option, told[:80], "not_an_instant")]) from error
    if instant.tzinfo is None:
        raise Refused([Problem(option, told[:80], "not_an_instant")])
    return instant
