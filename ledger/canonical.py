"""The canonical bytes of an event: what the chain hashes, and what never changes again.

Fields stand one after another, each as a 4-byte big-endian length and that many bytes, in the
order of `FIELDS`. Instants are microseconds since 1970-01-01 UTC in decimal digits. The payload
is JSON with sorted keys and without floats, so that the same fact always gives the same bytes.
jsonb cannot do this: it reorders keys and rewrites numbers.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

FIELDS = (
    "tenant_id",
    "stream",
    "version",
    "occurred_at",
    "known_at",
    "actor",
    "performed_by",
    "cause",
    "type",
    "schema_version",
    "payload",
)
NO_HASH = b""
"""What the first event of a stream is chained to."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it stands in the ledger.

    `payload` holds JSON values only: strings, integers, booleans, None, lists and objects.
    """

    tenant_id: int
    stream: str
    version: int
    occurred_at: datetime
    known_at: datetime
    actor: str
    performed_by: str
    cause: str
    type: str
    schema_version: int
    payload: dict[str, Any]


def microseconds(instant: datetime) -> int:
    """Exact microseconds since the epoch; a naive instant is refused (TypeError by subtraction)."""
    return (instant - _EPOCH) // _MICROSECOND


def payload_bytes(payload: dict[str, Any]) -> bytes:
    """Canonical JSON of a payload.

    Raises:
        TypeError: a float is in it (two machines may print it differently), or a value that is not JSON.
    """
    _refuse_floats(payload, "payload")
    return orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)


def encode(event: StoredEvent, payload: bytes | None = None) -> bytes:
    """The canonical bytes of `event`; `payload` is what `payload_bytes` gave of its own, where that is there already."""
    fields = (
        str(event.tenant_id).encode(),
        event.stream.encode(),
        str(event.version).encode(),
        str(microseconds(event.occurred_at)).encode(),
        str(microseconds(event.known_at)).encode(),
        event.actor.encode(),
        event.performed_by.encode(),
        event.cause.encode(),
        event.type.encode(),
        str(event.schema_version).encode(),
        payload_bytes(event.payload) if payload is None else payload,
    )
    return b"".join(part for field in fields for part in (_LENGTH.pack(len(field)), field))


@dataclass(frozen=True, slots=True)
class Places:
    """Where the stream's name and the payload begin in canonical bytes, counted from 1 as SQL does."""

    stream: int
    stream_length: int
    payload: int


class LikeEvents:
    """Composes what `encode` gives for many events that differ in stream and payload only, the names equally long."""

    def __init__(self, like: StoredEvent) -> None:
        """Take from one of them what they share."""
        stream_length = len(like.stream.encode())
        self._before = _field(str(like.tenant_id).encode()) + _LENGTH.pack(stream_length)
        self._between = b"".join(
            _field(one.encode())
            for one in (
                str(like.version),
                str(microseconds(like.occurred_at)),
                str(microseconds(like.known_at)),
                like.actor,
                like.performed_by,
                like.cause,
                like.type,
                str(like.schema_version),
            )
        )
        stream = len(self._before) + 1
        payload = stream + stream_length + len(self._between) + _LENGTH.size
        self.places = Places(stream, stream_length, payload)

    def body(self, stream: str, payload: dict[str, Any]) -> bytes:
        """The canonical bytes.

        Raises:
            ValueError: the name is not as long as the others.
        """
        name, told = stream.encode(), payload_bytes(payload)
        if len(name) != self.places.stream_length:
            raise ValueError(f"stream {stream!r} is not {self.places.stream_length} bytes long")
        return b"".join((self._before, name, self._between, _LENGTH.pack(len(told)), told))


def _field(value: bytes) -> bytes:
    return _LENGTH.pack(len(value)) + value


def decode(body: bytes) -> StoredEvent:
    """Read canonical bytes back.

    Raises:
        ValueError: the bytes are not of this form.
    """
    fields: list[bytes] = []
    at = 0
    while at < len(body):
        if at + _LENGTH.size > len(body):
            raise ValueError("canonical bytes end inside a length")
        (length,) = _LENGTH.unpack_from(body, at)
        at += _LENGTH.size
        if at + length > len(body):
            raise ValueError("canonical bytes end inside a field")
        fields.append(body[at : at + length])
        at += length
    if len(fields) != len(FIELDS):
        raise ValueError(f"canonical bytes hold {len(fields)} fields, not {len(FIELDS)}")
    try:
        occurred_at, known_at = (_EPOCH + int(digits) * _MICROSECOND for digits in fields[3:5])
    except OverflowError as error:
        raise ValueError("canonical bytes hold an instant outside the calendar") from error
    return StoredEvent(
        tenant_id=int(fields[0]),
        stream=fields[1].decode(),
        version=int(fields[2]),
        occurred_at=occurred_at,
        known_at=known_at,
        actor=fields[5].decode(),
        performed_by=fields[6].decode(),
        cause=fields[7].decode(),
        type=fields[8].decode(),
        schema_version=int(fields[9]),
        payload=orjson.loads(fields[10]),
    )


def chain(previous: bytes, body: bytes) -> bytes:
    """The hash of an event: SHA-256 over the hash before it and its canonical bytes."""
    return hashlib.sha256(previous + body).digest()


_PLAIN = frozenset({str, int, bool, type(None)})


def _refuse_floats(value: object, path: str) -> None:
    if type(value) in _PLAIN:
        return
    if isinstance(value, float):
        raise TypeError(f"{path} is a float ({value!r}): store integers of the smallest unit or a string")
    if isinstance(value, dict):
        for key, inner in value.items():
            if type(inner) not in _PLAIN:
                _refuse_floats(inner, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            if type(inner) not in _PLAIN:
                _refuse_floats(inner, f"{path}[{index}]")
