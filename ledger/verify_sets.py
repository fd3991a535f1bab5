"""Events beside what the door writes with them: heads, commands and positions, set by set.

First everything is counted in one read of the events. Where the counts add up, nothing can be missing or too many, for
each row of one side meets at most one of the other; where they do not, the sets are compared and what differs is named.
"""

from __future__ import annotations

from datetime import datetime

from ledger.door import Driver
from ledger.findings import Findings
from ledger.verify_events import examine

_COUNTS = """
SELECT count(*) AS events, count(*) FILTER (WHERE c.command_id IS NULL) AS uncommanded,
       count(*) FILTER (WHERE c.stream = e.stream AND c.version = e.version AND c.known_at = e.known_at) AS commands_met,
       count(*) FILTER (WHERE h.hash = e.hash) AS heads_met,
       (SELECT count(*) FROM daogou.command WHERE tenant_id = $1) AS commands,
       (SELECT count(*) FROM daogou.stream_head WHERE tenant_id = $1) AS heads,
       (SELECT coalesce(sum(version), 0) FROM daogou.stream_head WHERE tenant_id = $1) AS versions
FROM daogou.event e
LEFT JOIN daogou.command c ON c.tenant_id = $1 AND c.command_id = e.cause
LEFT JOIN daogou.stream_head h ON h.tenant_id = $1 AND h.stream = e.stream AND h.version = e.version
WHERE e.tenant_id = $1"""
_LAST_EVENTS = """
SELECT DISTINCT ON (stream) stream, version, hash FROM daogou.event WHERE tenant_id = $1
ORDER BY stream, version DESC, known_at DESC"""
_LAST_EVENTS_SINCE = """
SELECT s.stream, l.version, l.hash
FROM (SELECT DISTINCT stream FROM daogou.event_position WHERE tenant_id = $1 AND position > $2) s
CROSS JOIN LATERAL (SELECT e.version, e.hash FROM daogou.event e WHERE e.tenant_id = $1 AND e.stream = s.stream
    ORDER BY e.version DESC, e.known_at DESC LIMIT 1) l"""
_HEADS = """
SELECT coalesce(l.stream, h.stream) AS stream, coalesce(h.version, l.version) AS version, CASE
    WHEN l.stream IS NULL THEN 'the whole stream is missing'
    WHEN h.stream IS NULL THEN 'stream has no head'
    WHEN h.version <> l.version THEN 'tail cut or head moved: head and last event differ in version'
    ELSE 'head and last event differ in hash' END AS kind
FROM ({last}) l {join} JOIN (SELECT * FROM daogou.stream_head WHERE tenant_id = $1) h ON h.stream = l.stream
WHERE l.version IS DISTINCT FROM h.version OR l.hash IS DISTINCT FROM h.hash
ORDER BY 1, 2"""
_UNPLACED = """
SELECT e.stream, e.version, e.known_at,
       NOT EXISTS (SELECT FROM daogou.event_position o WHERE o.tenant_id = $1 AND o.stream = e.stream
                   AND o.version = e.version AND o.known_at = e.known_at)
       AND NOT EXISTS (SELECT FROM daogou.event_pending q WHERE q.tenant_id = $1 AND q.stream = e.stream
                       AND q.version = e.version AND q.known_at = e.known_at) AS lost
FROM daogou.event e
LEFT JOIN daogou.event_position p
    ON p.tenant_id = $1 AND p.stream = e.stream AND p.version = e.version AND p.known_at = e.known_at
WHERE e.tenant_id = $1 AND p.stream IS NULL ORDER BY e.stream, e.version"""
# The key holds the time of knowing, so a second event of a version is kept out by the heads alone.
_TWINS = """
SELECT stream, version, 'several events of one version' AS kind FROM daogou.event WHERE tenant_id = $1
GROUP BY 1, 2 HAVING count(*) > 1 ORDER BY 1, 2"""
_TWINS_SINCE = """
SELECT e.stream, e.version, 'several events of one version' AS kind
FROM daogou.event_position p JOIN daogou.event e ON e.tenant_id = $1 AND e.stream = p.stream
WHERE p.tenant_id = $1 AND p.position > $2
GROUP BY 1, 2 HAVING count(DISTINCT e.known_at) > 1 ORDER BY 1, 2"""
_WITHOUT_EVENT = """
SELECT p.stream, p.version, 'position without its event' AS kind FROM daogou.event_position p
LEFT JOIN daogou.event e
    ON e.tenant_id = $1 AND e.stream = p.stream AND e.version = p.version AND e.known_at = p.known_at
WHERE p.tenant_id = $1 AND p.position > $2 AND e.stream IS NULL ORDER BY 1, 2"""
_AGAINST_VERSIONS = """
SELECT p.stream, p.version, 'positions run against the versions of the stream' AS kind
FROM daogou.event_position p
JOIN daogou.event_position b ON b.tenant_id = $1 AND b.stream = p.stream AND b.version = p.version - 1
WHERE p.tenant_id = $1 AND p.position > $2 AND b.position >= p.position ORDER BY 1, 2"""
_COMMANDS = """
SELECT e.stream, e.version, 'command of the event is not recorded' AS kind FROM daogou.event e
LEFT JOIN daogou.command c ON c.tenant_id = $1 AND c.command_id = e.cause
WHERE e.tenant_id = $1 AND c.command_id IS NULL
UNION ALL
SELECT c.stream, c.version, 'command without its event' FROM daogou.command c
LEFT JOIN daogou.event e ON e.tenant_id = $1 AND e.stream = c.stream AND e.version = c.version
     AND e.known_at = c.known_at AND e.cause = c.command_id
WHERE c.tenant_id = $1 AND e.stream IS NULL ORDER BY 1, 2"""
_COMMANDS_SINCE = """
SELECT e.stream, e.version, 'command of the event is not recorded' AS kind
FROM daogou.event_position p
JOIN daogou.event e ON e.tenant_id = $1 AND e.stream = p.stream AND e.version = p.version AND e.known_at = p.known_at
LEFT JOIN daogou.command c ON c.tenant_id = $1 AND c.command_id = e.cause
WHERE p.tenant_id = $1 AND p.position > $2 AND c.command_id IS NULL ORDER BY 1, 2"""
_GAP = """
SELECT count(*)::int8 AS count, coalesce(min(position), $2 + 1) AS lowest, coalesce(max(position), $2) AS highest
FROM daogou.event_position WHERE tenant_id = $1 AND position > $2"""


async def compare_all(
    connection: Driver, tenant_id: int, findings: Findings, *, read: int, positions: int
) -> tuple[int, int]:
    """Hold all events against heads, commands and positions; gives the numbers of streams and of events.

    Events without a position have not been read with their window and are verified here.

    Args:
        connection: in the verification's transaction.
        tenant_id: the brand.
        findings: where differences go.
        read: how many events have been verified by their positions.
        positions: how many positions there are.
    """
    counts = await connection.fetchrow(_COUNTS, tenant_id)
    streams = counts["heads"]
    waiting = await connection.fetchval(
        "SELECT count(*) FROM daogou.event_pending WHERE tenant_id = $1", tenant_id
    )
    if counts["events"] != positions + waiting:
        await _name(connection, findings, _TWINS, tenant_id)
    if read != counts["events"] or waiting or counts["events"] != positions + waiting:
        await _verify_unplaced(connection, tenant_id, findings)
    if read != positions:
        await _name(connection, findings, _WITHOUT_EVENT, tenant_id, 0)
    if counts["uncommanded"] or counts["commands_met"] != counts["commands"]:
        await _name(connection, findings, _COMMANDS, tenant_id)
    if counts["heads_met"] != counts["heads"] or counts["versions"] != counts["events"]:
        await _name(connection, findings, _HEADS.format(last=_LAST_EVENTS, join="FULL"), tenant_id)
        streams = await connection.fetchval(
            "SELECT count(DISTINCT stream) FROM daogou.event WHERE tenant_id = $1", tenant_id
        )
    return int(streams), int(counts["events"])


async def compare_since(
    connection: Driver, tenant_id: int, findings: Findings, *, after: int, read: int, positions: int
) -> int:
    """Hold the events after a position against heads, commands and positions; gives the number of their streams."""
    if read != positions:
        await _name(connection, findings, _WITHOUT_EVENT, tenant_id, after)
    await _name(connection, findings, _TWINS_SINCE, tenant_id, after)
    await _name(connection, findings, _COMMANDS_SINCE, tenant_id, after)
    await _name(connection, findings, _HEADS.format(last=_LAST_EVENTS_SINCE, join="LEFT"), tenant_id, after)
    return int(
        await connection.fetchval(
            "SELECT count(DISTINCT stream) FROM daogou.event_position WHERE tenant_id = $1 AND position > $2",
            tenant_id,
            after,
        )
    )


async def compare_positions(connection: Driver, tenant_id: int, findings: Findings, *, after: int) -> int:
    """Whether the positions after one run without a gap and with the versions; gives their number."""
    gap = await connection.fetchrow(_GAP, tenant_id, after)
    if gap["lowest"] != after + 1 or gap["highest"] != after + gap["count"]:
        findings.add("event_position", int(gap["highest"]), "positions have a gap")
    await _name(connection, findings, _AGAINST_VERSIONS, tenant_id, after)
    return int(gap["count"])


async def _verify_unplaced(connection: Driver, tenant_id: int, findings: Findings) -> None:
    """Events without a position: those that wait for one, and those nobody put there through the door."""
    rows = await connection.fetch(_UNPLACED, tenant_id)
    keys: list[tuple[str, int, datetime]] = []
    for row in rows:
        keys.append((row["stream"], row["version"], row["known_at"]))
        if row["lost"]:
            findings.add(
                row["stream"], row["version"], "event has neither a position nor a place in the queue"
            )
    await examine(connection, tenant_id, findings, keys)


async def _name(connection: Driver, findings: Findings, query: str, *arguments: object) -> None:
    for row in await connection.fetch(query, *arguments):
        findings.add(row["stream"], row["version"], row["kind"])
