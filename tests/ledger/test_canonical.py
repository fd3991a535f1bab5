"""The bytes of an event: the same fact gives the same bytes, for good."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.canonical import FIELDS, NO_HASH, StoredEvent, chain, decode, encode, microseconds

WORDS = st.text(st.characters(codec="utf-8"), max_size=20)
INSTANTS = st.datetimes(timezones=st.just(UTC))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=10,
)
EVENTS = st.builds(
    StoredEvent,
    tenant_id=st.integers(0, 2**31),
    stream=WORDS,
    version=st.integers(1, 2**31),
    occurred_at=INSTANTS,
    known_at=INSTANTS,
    actor=WORDS,
    performed_by=WORDS,
    cause=WORDS,
    type=WORDS,
    schema_version=st.integers(1, 100),
    payload=st.dictionaries(WORDS, VALUES, max_size=4),
)

GOLDEN = StoredEvent(
    tenant_id=1,
    stream="task/00000000-0000-8000-8000-000000000001",
    version=2,
    occurred_at=datetime(2026, 3, 2, 9, 30, 0, 1, tzinfo=timezone(timedelta(hours=8))),
    known_at=datetime(2026, 3, 2, 1, 31, tzinfo=UTC),
    actor="manager:7",
    performed_by="guide:3",
    cause="check-in/42",
    type="checked_in",
    schema_version=1,
    payload={"outcome": "booked_visit", "grade": "A", "products": ["奶粉", "TIN"], "next_on": None, "n": -3},
)
GOLDEN_BYTES = (
    "0000000131000000297461736b2f30303030303030302d303030302d383030302d383030302d30303030303030"
    "303030303100000001320000001031373732343135303030303030303031000000103137373234313530363030"
    "3030303030000000096d616e616765723a370000000767756964653a330000000b636865636b2d696e2f343200"
    "00000a636865636b65645f696e0000000131000000587b226772616465223a2241222c226e223a2d332c226e65"
    "78745f6f6e223a6e756c6c2c226f7574636f6d65223a22626f6f6b65645f7669736974222c2270726f64756374"
    "73223a5b22e5a5b6e7b289222c2254494e225d7d"
)
GOLDEN_HASH = "7d5e2350e81db2cfb88aa60737fb6676ab81e573028a5115b0e02e6c6ce942ea"


def test_the_bytes_of_an_event_never_change() -> None:
    body = encode(GOLDEN)
    assert body.hex() == GOLDEN_BYTES
    assert chain(NO_HASH, body).hex() == GOLDEN_HASH
    assert decode(bytes.fromhex(GOLDEN_BYTES)) == GOLDEN


def test_the_hash_covers_the_hash_before_it() -> None:
    body = encode(GOLDEN)
    assert chain(b"before", body) != chain(NO_HASH, body)


@settings(max_examples=200, deadline=None)
@given(EVENTS)
def test_what_is_written_is_read_back(event: StoredEvent) -> None:
    assert decode(encode(event)) == event
    assert encode(decode(encode(event))) == encode(event)


@settings(max_examples=100, deadline=None)
@given(EVENTS, EVENTS)
def test_different_events_have_different_bytes(one: StoredEvent, other: StoredEvent) -> None:
    assert (encode(one) == encode(other)) == (told(one) == told(other))


def told(event: StoredEvent) -> tuple[object, ...]:
    """What an event says; as text, because to Python 1 and True are equal."""
    fields = [getattr(event, name) for name in FIELDS if name != "payload"]
    return (*fields, json.dumps(event.payload, sort_keys=True))


@settings(max_examples=100, deadline=None)
@given(EVENTS, st.data())
def test_bytes_cut_short_anywhere_are_refused_with_a_value_error(
    event: StoredEvent, data: st.DataObject
) -> None:
    body = encode(event)
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(ValueError, match="canonical bytes"):
        decode(body[:cut])


def test_an_instant_outside_the_calendar_is_refused_with_a_value_error() -> None:
    digits = str(microseconds(GOLDEN.known_at)).encode()
    body = encode(GOLDEN).replace(bytes((len(digits),)) + digits, bytes((30,)) + b"9" * 30)
    with pytest.raises(ValueError, match="outside the calendar"):
        decode(body)


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(TypeError):
        microseconds(datetime(2026, 3, 2))  # noqa: DTZ001 - that is what is refused


def test_the_order_in_which_a_payload_was_written_does_not_matter() -> None:
    turned = StoredEvent(
        **{name: getattr(GOLDEN, name) for name in GOLDEN.__slots__ if name != "payload"},
        payload=dict(reversed(GOLDEN.payload.items())),
    )
    assert encode(turned) == encode(GOLDEN)
