"""Recomputes every chain from the canonical bytes and compares all that was derived from them.

It detects a changed payload, actor or time (bytes, columns and jsonb must agree), an event removed,
inserted or reordered (versions and hashes), a cut tail (heads), a gap or a double in the positions,
an event whose command is not recorded, a command whose event is gone, and whatever people read instead of
the events where it says something else (`ledger.folding`). A chain rewritten from end
to end with correct hashes needs an anchor outside the database to show; seals bring that later.

The purchase facts are not read here: a batch's root commits to them, and `imports.facts.recompute_root`
compares it with the table (the ledger knows no imports).

Cost: one ordered read of the events, one SHA-256 and one decode each; memory is one event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson

from ledger.canonical import FIELDS, NO_HASH, StoredEvent, chain, decode, payload_bytes
from ledger.door import Driver
from ledger.folding.comparing import differences

MOST_LISTED = 100
_COLUMNS = tuple(name for name in FIELDS if name not in {"tenant_id", "payload"})


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was written: which stream and version, and what kind."""

    stream: str
    version: int
    kind: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What was verified. `differences` lists the first `MOST_LISTED`; `found` counts all."""

    streams: int
    events: int
    positions: int
    found: int
    differences: tuple[Difference, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return self.found == 0


class _Findings:
    def __init__(self) -> None:
        self.count = 0
        self.listed: list[Difference] = []

    def add(self, stream: str, version: int, kind: str) -> None:
        self.count += 1
        if len(self.listed) < MOST_LISTED:
            self.listed.append(Difference(stream, version, kind))


async def verify(
    connection: Driver, tenant_id: int, *, on_progress: Callable[[int], None] | None = None
) -> Verification:
    """Verify the whole ledger of a tenant in one snapshot."""
    findings = _Findings()
    streams = events = 0
    async with connection.transaction(isolation="repeatable_read"):
        await connection.execute("SET LOCAL statement_timeout = 0")
        heads = {
            row["stream"]: (row["version"], row["hash"])
            for row in await connection.fetch(
                "SELECT stream, version, hash FROM stream_head WHERE tenant_id = $1", tenant_id
            )
        }
        stream, version, digest = "", 0, NO_HASH
        async for row in connection.cursor(
            "SELECT stream, version, occurred_at, known_at, actor, performed_by, cause, type, schema_version,"
            " body, hash, payload::text AS payload FROM event WHERE tenant_id = $1 ORDER BY stream, version",
            tenant_id,
            prefetch=2_000,
        ):
            if row["stream"] != stream:
                _compare_head(findings, heads, stream, version, digest)
                stream, version, digest = row["stream"], 0, NO_HASH
                streams += 1
            if row["version"] != version + 1:
                findings.add(stream, version + 1, "event missing or out of order")
            version = row["version"]
            expected = chain(digest, row["body"])
            if expected != row["hash"]:
                findings.add(stream, version, "hash does not follow from the event before and the bytes")
            digest = row["hash"]
            _compare_columns(findings, tenant_id, row)
            events += 1
            if on_progress and events % 2_000 == 0:
                on_progress(events)
        _compare_head(findings, heads, stream, version, digest)
        for missing in sorted(heads):
            findings.add(missing, heads[missing][0], "the whole stream is missing")
        positions = await _verify_positions(connection, tenant_id, findings)
        await _verify_commands(connection, tenant_id, findings)
        async for one in differences(connection, tenant_id):
            findings.add(one.stream, one.version, one.kind)
    if on_progress:
        on_progress(events)
    return Verification(streams, events, positions, findings.count, tuple(findings.listed))


def _compare_head(
    findings: _Findings, heads: dict[str, tuple[int, bytes]], stream: str, version: int, digest: bytes
) -> None:
    if not stream:
        return
    head = heads.pop(stream, None)
    if head is None:
        findings.add(stream, version, "stream has no head")
    elif head[0] != version:
        findings.add(stream, head[0], "tail cut or head moved: head and last event differ in version")
    elif head[1] != digest:
        findings.add(stream, version, "head and last event differ in hash")


def _compare_columns(findings: _Findings, tenant_id: int, row: dict[str, object]) -> None:
    stream, version = str(row["stream"]), int(str(row["version"]))
    body, payload = row["body"], row["payload"]
    if not isinstance(body, bytes) or not isinstance(payload, str):
        findings.add(stream, version, "bytes are not readable")
        return
    try:
        told = decode(body)
    except (ValueError, orjson.JSONDecodeError):
        findings.add(stream, version, "bytes are not readable")
        return
    findings_before = findings.count
    for name in _COLUMNS:
        if getattr(told, name) != row[name]:
            findings.add(stream, version, f"column {name} differs from the bytes")
    if told.tenant_id != tenant_id:
        findings.add(stream, version, "tenant differs from the bytes")
    if findings.count == findings_before and not _same_payload(told, payload):
        findings.add(stream, version, "payload differs from the bytes")


def _same_payload(told: StoredEvent, payload: str) -> bool:
    # As text: to Python 1, 1.0 and True are equal.
    return orjson.dumps(orjson.loads(payload), option=orjson.OPT_SORT_KEYS) == payload_bytes(told.payload)


async def _verify_positions(connection: Driver, tenant_id: int, findings: _Findings) -> int:
    count, lowest, highest = await connection.fetchrow(
        "SELECT count(*), coalesce(min(position), 1), coalesce(max(position), 0)"
        " FROM event_position WHERE tenant_id = $1",
        tenant_id,
    )
    if lowest != 1 or highest != count:
        findings.add("event_position", int(highest), "positions have a gap")
    for row in await connection.fetch(
        """
        SELECT e.stream, e.version, 'event has neither a position nor a place in the queue' AS kind
        FROM event e
        LEFT JOIN event_position p ON p.tenant_id = $1 AND p.stream = e.stream AND p.version = e.version
        LEFT JOIN event_pending q ON q.tenant_id = $1 AND q.stream = e.stream AND q.version = e.version
        WHERE e.tenant_id = $1 AND p.stream IS NULL AND q.stream IS NULL
        UNION ALL
        SELECT p.stream, p.version, 'position without its event'
        FROM event_position p
        LEFT JOIN event e ON e.tenant_id = $1 AND e.stream = p.stream AND e.version = p.version
             AND e.known_at = p.known_at
        WHERE p.tenant_id = $1 AND e.stream IS NULL
        UNION ALL
        SELECT stream, version, 'positions run against the versions of the stream' FROM (
            SELECT stream, version, lag(version) OVER (PARTITION BY stream ORDER BY position) AS before
            FROM event_position WHERE tenant_id = $1
        ) o WHERE before >= version
        ORDER BY 1, 2""",
        tenant_id,
    ):
        findings.add(row["stream"], row["version"], row["kind"])
    return int(count)


async def _verify_commands(connection: Driver, tenant_id: int, findings: _Findings) -> None:
    for row in await connection.fetch(
        """
        SELECT e.stream, e.version, 'command of the event is not recorded' AS kind FROM event e
        LEFT JOIN command c ON c.tenant_id = $1 AND c.command_id = e.cause
        WHERE e.tenant_id = $1 AND c.command_id IS NULL
        UNION ALL
        SELECT c.stream, c.version, 'command without its event' FROM command c
        LEFT JOIN event e ON e.tenant_id = $1 AND e.stream = c.stream AND e.version = c.version
             AND e.known_at = c.known_at AND e.cause = c.command_id
        WHERE c.tenant_id = $1 AND e.stream IS NULL ORDER BY 1, 2""",
        tenant_id,
    ):
        findings.add(row["stream"], row["version"], row["kind"])
