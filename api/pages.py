"""Keyset pagination: a page ends at a row, and the next begins after it, whatever was written in between.

A cursor is opaque to whoever holds it: the values of the sort key, as JSON, in URL-safe base64.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from api.fields import MOST_ON_A_PAGE
from domain.errors import Problem, Refused
from playbooks.reading import storable

T = TypeVar("T")

After = Annotated[
    str | None, Query(max_length=1000, description="`next` of the page before; nothing: the first page.")
]
Limit = Annotated[int, Query(ge=1, le=MOST_ON_A_PAGE, description="Most items on the page.")]


class Page(BaseModel, Generic[T]):
    """Some of the items, and where the next page begins."""

    model_config = ConfigDict(frozen=True)

    items: list[T]
    next: str | None = Field(description="Pass it as `after`; null: there is nothing more.")


def page_of(
    rows: Sequence[Any], limit: int, item: Callable[[Any], T], key: Callable[[Any], Sequence[object]]
) -> Page[T]:
    """The page of `limit` rows that were asked for with one more, which tells whether there is another page."""
    shown = rows[:limit]
    return Page(
        items=[item(row) for row in shown],
        next=write_cursor(key(shown[-1])) if len(rows) > limit else None,
    )


def write_cursor(values: Sequence[object]) -> str:
    """The cursor of a row's sort key: text, whole numbers and instants."""
    told = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    return base64.urlsafe_b64encode(json.dumps(told, separators=(",", ":")).encode()).rstrip(b"=").decode()


def read_cursor(cursor: str | None, *kinds: type) -> tuple[Any, ...] | None:
    """The sort key in a cursor; None where there is none.

    Raises:
        Refused: it is not a cursor of this list.
    """
    if cursor is None:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if not isinstance(values, list) or len(values) != len(kinds):
            raise _no_cursor(cursor)
        return tuple(_value(value, kind) for value, kind in zip(values, kinds, strict=True))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise _no_cursor(cursor) from error


def _value(value: object, kind: type) -> object:
    if kind is datetime and isinstance(value, str):
        instant = datetime.fromisoformat(value)
        if instant.tzinfo is not None and 1900 < instant.year < 3000:
            return instant
    elif (kind is str and isinstance(value, str) and storable(value)) or (
        kind is int and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31
    ):
        return value
    raise ValueError("not_a_cursor")


def _no_cursor(cursor: str) -> Refused:
    return Refused([Problem("after", cursor[:80], "not_a_cursor")])
