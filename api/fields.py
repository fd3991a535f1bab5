"""Kinds of fields: what their text may be, so that nothing reaches the database that it cannot hold."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StrictInt

from playbooks.reading import storable

MOST_ON_A_PAGE = 200
EARLIEST, LATEST = date(2000, 1, 1), date(2199, 12, 31)
"""Dates beyond are slips of the keyboard, and at the ends of the calendar no zone can be added."""


class Body(BaseModel):
    """A request's body: what it does not name is refused, and it is not changed once read."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _storable(value: object) -> object:
    if isinstance(value, str) and not storable(value):
        raise ValueError("unstorable_text")
    return value


def _instant(value: object) -> object:
    """Numbers are not taken for seconds since 1970."""
    if not isinstance(value, str):
        raise ValueError("not_an_instant")  # noqa: TRY004 - pydantic asks for ValueError
    return value


def _day(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("not_a_date")  # noqa: TRY004 - pydantic asks for ValueError
    return value


STORABLE = BeforeValidator(_storable)
"""Put it after the lengths of a text, so that pydantic counts the characters itself."""

Code = Annotated[str, Field(min_length=1, max_length=200), STORABLE]
"""A brand's own code of a guide, store or member."""
PlanId = Annotated[str, Field(min_length=1, max_length=200), STORABLE]
Reason = Annotated[
    str,
    Field(max_length=2000, description="Why; it stays on the record. No names of members or guides."),
    STORABLE,
]
Instant = Annotated[
    AwareDatetime,
    Field(
        ge=datetime(EARLIEST.year, 1, 1, tzinfo=UTC),
        lt=datetime(LATEST.year, 12, 31, tzinfo=UTC),
        description="With its offset, e.g. 2026-03-02T10:00:00+08:00.",
    ),
    BeforeValidator(_instant, json_schema_input_type=AwareDatetime),
]
Day = Annotated[date, Field(ge=EARLIEST, le=LATEST), BeforeValidator(_day, json_schema_input_type=date)]
Number = Annotated[Decimal, Field(allow_inf_nan=False, max_digits=18)]
Whole = StrictInt
