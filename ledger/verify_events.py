"""Every event against its own bytes and the chain: hashes here, columns and jsonb beside the bytes.

A window of positions comes as one binary COPY, in whatever order the server reads fastest: each row carries the hash of the
event before it, so none waits for another. COPY frames a text as a 4-byte length and its bytes, and so do the canonical
bytes; so five columns are compared with the bytes in one go, without being decoded. That the jsonb is what the
bytes say is asked of the server, which parses them as it did when they came.

Whatever is not as it should be is set aside and looked at again one by one, by decoding it (`_examine`): only that names
what differs, and only that may be slow. Nothing that a row holds, however malformed, ends a verification.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import asyncpg
import orjson

from ledger.canonical import FIELDS, NO_HASH, StoredEvent, chain, decode, payload_bytes
from ledger.door import Driver
from ledger.findings import Findings
from ledger.merkle import HASH_BYTES

WINDOW = 1 << 20
"""Positions read at once; some 130 MB of the server's memory and 32 of ours."""
SMALLEST_WINDOW = 4_096
"""A window that the server cannot read through is halved down to this; then its events are examined one by one."""
EXAMINED_AT_ONCE = 1_000

# Both instants have 16 digits from 2001-09-09 to 2286: where they have not, the payload is not found at once and the
# event is examined.
_PAYLOAD_SAME = """
CASE WHEN least(e.occurred_at, e.known_at) >= '2001-09-09 01:46:40+00' AND greatest(e.occurred_at, e.known_at) < '2286-01-01+00'
THEN record_image_eq(ROW(convert_from(substr(e.body, octet_length($tenant) + octet_length(e.stream)
    + octet_length(e.version::text) + octet_length(e.actor) + octet_length(e.performed_by) + octet_length(e.cause)
    + octet_length(e.type) + octet_length(e.schema_version::text) + 77), 'UTF8')::jsonb), ROW(e.payload))
ELSE false END"""
_ROWS = """
SELECT p.position, e.version, e.occurred_at, e.known_at, e.schema_version, {same},
       octet_length(e.stream), octet_length(e.actor) + octet_length(e.performed_by) + octet_length(e.cause)
       + octet_length(e.type) + 16, coalesce(b.hash, ''), e.hash, e.body, e.stream, e.actor, e.performed_by, e.cause, e.type
FROM daogou.event e
JOIN (daogou.event_position p LEFT JOIN daogou.event b
      ON b.tenant_id = {tenant} AND b.stream = p.stream AND b.version = p.version - 1)
    ON e.stream = p.stream AND e.version = p.version AND e.known_at = p.known_at
WHERE e.tenant_id = {tenant} AND p.tenant_id = {tenant} AND p.position > {after} AND p.position <= {up_to}
      AND e.known_at BETWEEN '{first}' AND '{last}'"""
# Number of fields; then each a length and a value: position, version, both instants, schema version, same, length of the
# stream and of the texts after it, and the length of the hash before.
_FIXED = struct.Struct(">h iq ii iq iq ih i? ii ii i")
_HEADER_BYTES = 19
"""Of a binary COPY: signature, flags and the length of an extension that there is not."""
_POSTGRES_EPOCH = 946_684_800_000_000
"""2000-01-01 UTC in microseconds since 1970: what binary instants count from."""

_EXAMINED = """
SELECT e.stream, e.version, e.occurred_at, e.known_at, e.actor, e.performed_by, e.cause, e.type, e.schema_version,
       e.body, e.hash, e.payload::text AS payload, b.version AS before_version, b.hash AS before_hash
FROM unnest($2::text[], $3::int[], $4::timestamptz[]) AS k(stream, version, known_at)
JOIN daogou.event e ON e.tenant_id = $1 AND e.stream = k.stream AND e.version = k.version AND e.known_at = k.known_at
LEFT JOIN LATERAL (SELECT o.version, o.hash FROM daogou.event o WHERE o.tenant_id = $1 AND o.stream = e.stream
    AND o.version < e.version ORDER BY o.version DESC LIMIT 1) b ON true
ORDER BY e.stream, e.version, e.known_at"""
_COLUMNS = tuple(name for name in FIELDS if name not in {"tenant_id", "payload"})

T = TypeVar("T")
Key = tuple[str, int, datetime]
"""An event's stream, version and time of knowing: what the table calls it by."""


@dataclass(slots=True)
class Window:
    """The events at the positions after `after` up to `up_to`."""

    after: int
    up_to: int
    entries: bytearray = field(init=False)
    """The events' hashes by position: the tree's entries. Zeros where there is none."""
    events: int = 0
    odd: list[int] = field(default_factory=list)
    """Positions of the events that are to be examined."""

    def __post_init__(self) -> None:
        self.entries = bytearray(HASH_BYTES * (self.up_to - self.after))


async def read_window(
    connection: Driver,
    tenant_id: int,
    findings: Findings,
    window: Window,
    *,
    whole: bool,
    on_read: Callable[[int], None],
) -> None:
    """Verify the events of a window and gather the tree's entries.

    Args:
        connection: in the verification's transaction.
        tenant_id: the brand.
        findings: where differences go.
        window: filled by this.
        whole: whether it is a good part of the ledger, so that whole tables are read rather than row after row.
        on_read: told how many events have been read since the last call.
    """
    # The server takes what matches in three columns at once to be a handful; left to itself it would put the bytes of
    # every event into the table of a hash join, and that on the disk.
    await connection.execute("SET LOCAL join_collapse_limit = 1")
    await connection.execute(f"SET LOCAL enable_nestloop = {'off' if whole else 'on'}")
    await _read(connection, tenant_id, window, (window.after, window.up_to), on_read)
    await connection.execute("SET LOCAL enable_nestloop = on")
    await connection.execute("SET LOCAL join_collapse_limit = 8")
    for part in _parts(window.odd):
        rows = await connection.fetch(
            "SELECT stream, version, known_at FROM daogou.event_position WHERE tenant_id = $1 AND position = ANY($2)",
            tenant_id,
            part,
        )
        await examine(connection, tenant_id, findings, [tuple(row) for row in rows])


async def _read(
    connection: Driver, tenant_id: int, window: Window, part: tuple[int, int], on_read: Callable[[int], None]
) -> None:
    """Read a part of the window; where the server cannot parse what is in it, in halves."""
    after, up_to = part
    try:
        await _copy(connection, tenant_id, window, part, _PAYLOAD_SAME, on_read)
    except asyncpg.DataError:  # some bytes are no text, no JSON, or more than jsonb holds
        if up_to - after <= SMALLEST_WINDOW:
            await _copy(connection, tenant_id, window, part, "false", on_read)
            return
        middle = (after + up_to) // 2
        await _read(connection, tenant_id, window, (after, middle), on_read)
        await _read(connection, tenant_id, window, (middle, up_to), on_read)


async def _copy(
    connection: Driver,
    tenant_id: int,
    window: Window,
    part: tuple[int, int],
    same: str,
    on_read: Callable[[int], None],
) -> None:
    after, up_to = part
    span = await connection.fetchrow(
        "SELECT min(known_at) AS first, max(known_at) AS last FROM daogou.event_position"
        " WHERE tenant_id = $1 AND position > $2 AND position <= $3",
        tenant_id,
        after,
        up_to,
    )
    if span["first"] is None:
        return
    tenant = str(tenant_id)
    query = _ROWS.format(
        same=same.replace("$tenant", f"'{tenant}'"),
        tenant=tenant,
        after=after,
        up_to=up_to,
        first=span["first"].isoformat(),
        last=span["last"].isoformat(),
    )
    rows = _Rows(tenant_id, window, on_read)
    async with connection.transaction():  # a savepoint: what cannot be parsed is read again
        await connection.copy_from_query(query, output=rows.take, format="binary")
    window.events += rows.events
    window.odd += rows.odd


class _Rows:
    """Takes the rows of a COPY as they come, and holds each against its bytes.

    Written out in one loop, without a call a row: a million rows are three seconds of it.
    """

    def __init__(self, tenant_id: int, window: Window, on_read: Callable[[int], None]) -> None:
        self.events = 0
        self.odd: list[int] = []
        self._tenant = _framed(str(tenant_id).encode())
        self._window = window
        self._on_read = on_read
        self._rest = b""
        self._begun = False

    async def take(self, data: bytes) -> None:
        """Rows, the last of them maybe in part; it is kept for the next call."""
        data = self._rest + data if self._rest else data
        at = 0
        if not self._begun:
            at, self._begun = _HEADER_BYTES, True
        events = self.events
        self._rest = data[self._rows(data, at) :]
        self._on_read(self.events - events)

    def _rows(self, data: bytes, at: int) -> int:
        """Hold the whole rows from `at` on against their bytes; where the first that is not whole begins."""
        sha256, unpack, number, fixed, end = (
            hashlib.sha256, _FIXED.unpack_from, int.from_bytes, _FIXED.size, len(data),
        )  # fmt: skip
        first, entries, tenant, odd = self._window.after + 1, self._window.entries, self._tenant, self.odd
        last_whole = end - fixed
        while at <= last_whole:
            (
                _, _, position, _, version, _, occurred, _, known, _, schema, _, same,
                _, of_stream, _, of_texts, of_before,
            ) = unpack(data, at)  # fmt: skip
            to = at + fixed
            before = data[to : to + of_before]
            to += of_before
            of_hash = number(data[to : to + 4], "big")
            to += 4
            hashed = data[to : to + of_hash]
            to += of_hash
            of_body = number(data[to : to + 4], "big")
            to += 4
            body = data[to : to + of_body]
            to += of_body
            texts = to + 4 + of_stream
            row_ends = texts + of_texts
            if row_ends > end:
                return at
            versioned = b"%d" % version
            told = b"%b%b\x00\x00\x00%c%b\x00\x00\x00\x10%d\x00\x00\x00\x10%d%b\x00\x00\x00%c%d" % (
                tenant, data[to:texts], len(versioned), versioned, occurred + _POSTGRES_EPOCH,
                known + _POSTGRES_EPOCH, data[texts:row_ends], len(b"%d" % schema), schema,
            )  # fmt: skip
            if not (
                same
                and body.startswith(told)
                and sha256(before + body).digest() == hashed
                and (version == 1) is (of_before == 0)
            ):
                odd.append(position)
            slot = (position - first) * HASH_BYTES
            entries[slot : slot + HASH_BYTES] = hashed if of_hash == HASH_BYTES else bytes(HASH_BYTES)
            self.events += 1
            at = row_ends
        return at


def _framed(field: bytes) -> bytes:
    return len(field).to_bytes(4, "big") + field


async def examine(connection: Driver, tenant_id: int, findings: Findings, keys: Sequence[Key]) -> None:
    """Look at events one by one and name what differs."""
    for part in _parts(keys):
        rows = await connection.fetch(
            _EXAMINED, tenant_id, *(list(column) for column in zip(*part, strict=True))
        )
        for row in rows:
            _examine(findings, tenant_id, row)


def _parts(whole: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(whole), EXAMINED_AT_ONCE):
        yield whole[start : start + EXAMINED_AT_ONCE]


def _examine(findings: Findings, tenant_id: int, row: asyncpg.Record) -> None:
    stream, version = row["stream"], row["version"]
    if version != (row["before_version"] or 0) + 1:
        findings.add(stream, version, "event missing or out of order")
    if chain(row["before_hash"] or NO_HASH, row["body"]) != row["hash"]:
        findings.add(stream, version, "hash does not follow from the event before and the bytes")
    try:
        told = decode(row["body"])
    except (ValueError, orjson.JSONDecodeError):
        findings.add(stream, version, "bytes are not readable")
        return
    found = findings.count
    for name in _COLUMNS:
        if getattr(told, name) != row[name]:
            findings.add(stream, version, f"column {name} differs from the bytes")
    if told.tenant_id != tenant_id:
        findings.add(stream, version, "tenant differs from the bytes")
    if findings.count == found and not _same_payload(told, row["payload"]):
        findings.add(stream, version, "payload differs from the bytes")


def _same_payload(told: StoredEvent, payload: str) -> bool:
    # As text: to Python 1, 1.0 and True are equal.
    return orjson.dumps(orjson.loads(payload), option=orjson.OPT_SORT_KEYS) == payload_bytes(told.payload)
