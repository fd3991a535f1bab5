"""What a system of record sends: records by kind, returns, and how far it has told everything."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, ValidationError, model_validator

from activities.feed_messages import FeedMessage, ToldRecord
from api.fields import STORABLE, Body, Code, Instant
from api.problems import Declined, invalid_body
from domain.errors import Problem
from ledger.returns import ToldReturn
from ledger.system_records import SystemRecord

MOST_RECORDS = 1_000
_NOBODY = UUID(int=0)

Key = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$"), STORABLE]
Whole = Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)]
Minor = Annotated[int, Field(strict=True, ge=0, le=10**15)]
Phone = Annotated[str, Field(min_length=5, max_length=24, pattern=r"^\+?[\d\s()-]+$")]


class Told(Body):
    """What every record says: its own name, and which of several things said under it this is."""

    key: Key = Field(description="The system's own name of it; no part of a phone number.")
    revision: Annotated[int, Field(strict=True, ge=0, le=2**62)] = Field(
        default=0, description="The highest of a key holds, in whatever order they come."
    )
    occurred_at: Instant
    member: Code | None = None
    phone: Phone | None = Field(default=None, description="Looked up and forgotten; it is not kept.")
    voided: bool = Field(default=False, description="The system takes the record back.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Told:
        if (self.member is None) == (self.phone is None):
            raise ValueError("member_or_phone")
        return self


class Call(Told):
    """A call a guide made."""

    kind: Literal["calls"]
    guide: Code
    seconds: Whole = Field(description="Spoken; 0 where nobody answered.")
    answered: bool


class Friend(Told):
    """A member who added a guide; `removed_at` where that is over."""

    kind: Literal["friends"]
    guide: Code
    removed_at: Instant | None = None


class Redemption(Told):
    """A voucher or coupon that was redeemed in a store."""

    kind: Literal["redemptions"]
    store: Code
    guide: Code | None = None
    code: Annotated[str, Field(min_length=1, max_length=200), STORABLE] | None = Field(
        default=None, description="Of the voucher; only a keyed digest is kept."
    )
    value_minor: Minor | None = None


class Visit(Told):
    """A member who came to a store."""

    kind: Literal["visits"]
    store: Code
    guide: Code | None = None


class Return(Body):
    """A product that was given back. Who, where and which category, the purchase says."""

    kind: Literal["returns"]
    key: Key = Field(description="Number of the return; of the purchase where it has none of its own.")
    return_of: Code = Field(description="Basket of the purchase.")
    product: Code
    quantity: Annotated[Decimal, Field(gt=0, max_digits=12, decimal_places=3, allow_inf_nan=False)]
    value_minor: Minor = Field(description="Paid back, in minor units.")
    occurred_at: Instant


class Watermarks(Body):
    """By kind, up to when the source has told everything."""

    calls: Instant | None = None
    friends: Instant | None = None
    redemptions: Instant | None = None
    visits: Instant | None = None
    purchases: Instant | None = None
    returns: Instant | None = None


class MessageBody(Body):
    """A message of a feed; all of it is taken, or nothing."""

    records: Annotated[
        tuple[Annotated[Call | Friend | Redemption | Visit | Return, Field(discriminator="kind")], ...],
        Field(max_length=MOST_RECORDS),
    ] = ()
    complete_until: Watermarks = Watermarks()


_SCHEMA = {"schema": {"$ref": "#/components/schemas/MessageBody"}}
DESCRIBED: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": _SCHEMA}},
    "parameters": [
        {"in": "header", "name": name, "required": True, "schema": {"type": "string"}, "description": why}
        for name, why in (
            ("webhook-id", "Names the message; the same whenever it is sent again."),
            ("webhook-timestamp", "When it was signed, in seconds since 1970."),
            ("webhook-signature", "v1, and in base64 HMAC-SHA-256 over id.timestamp.body."),
        )
    ],
}
"""What OpenAPI is told of it: FastAPI cannot know, for the body is read after its signature."""


def feed_schemas() -> dict[str, Any]:
    """The components that `DESCRIBED` refers to."""
    schema = MessageBody.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), "MessageBody": schema}


def read_message(raw: bytes, *, source: str, message_id: str, digest: str) -> FeedMessage:
    """The message in a body whose signature is right.

    Raises:
        Declined: 400, it is no JSON; RequestValidationError: it is not a message.
    """
    try:
        body = MessageBody.model_validate_json(raw)
    except ValidationError as error:
        details = error.errors()
        if any(detail["type"] == "json_invalid" for detail in details):
            raise Declined(400, Problem("body", "", "broken_json")) from error
        raise invalid_body(details) from error
    records = [(at, one) for at, one in enumerate(body.records) if not isinstance(one, Return)]
    returns = [(at, one) for at, one in enumerate(body.records) if isinstance(one, Return)]
    marks = {kind: until for kind, until in body.complete_until if isinstance(until, datetime)}
    return FeedMessage(
        source=source,
        message_id=message_id,
        body=digest,
        records=tuple(_record(one) for _, one in records),
        returns=tuple(
            ToldReturn(one.key, one.return_of, one.product, one.quantity, one.value_minor, one.occurred_at)
            for _, one in returns
        ),
        places=tuple(f"records.{at}" for at, _ in (*records, *returns)),
        complete_until=marks,
    )


def _record(one: Call | Friend | Redemption | Visit) -> ToldRecord:
    record = SystemRecord(
        kind=one.kind,
        key=one.key,
        revision=one.revision,
        member_id=_NOBODY,
        occurred_at=one.occurred_at,
        voided=one.voided,
        ended_at=one.removed_at if isinstance(one, Friend) else None,
        seconds=one.seconds if isinstance(one, Call) else None,
        answered=one.answered if isinstance(one, Call) else None,
        value_minor=one.value_minor if isinstance(one, Redemption) else None,
    )
    return ToldRecord(
        record,
        guide=one.guide,
        member=one.member,
        phone=one.phone,
        store=one.store if isinstance(one, Redemption | Visit) else None,
        voucher=one.code if isinstance(one, Redemption) else None,
    )
