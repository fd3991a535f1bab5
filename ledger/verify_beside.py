"""What stands beside the events and is proven by them: members' notes, and the items a guide's day was closed with."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from ledger.closing import day_head
from ledger.door import Driver
from ledger.findings import Findings
from ledger.member_keys import MemberKeys
from ledger.people import note_place, salt_place
from ledger.sealing import unseal

PICTURES_AT_ONCE = 32
"""Pictures read at once: some 20 MB."""
AT_ONCE = 2_000
"""Notes or days read at once."""

_NOTES = """
SELECT e.stream, e.version, w.digest, w.note_id, n.member_id, n.note, n.salt,
       n.note_sealed, n.salt_sealed, e.payload->>'member' AS of_member,
       EXISTS (SELECT FROM daogou.erasure r WHERE r.tenant_id = $1 AND r.member_id::text = e.payload->>'member') AS erased
FROM {events}
CROSS JOIN LATERAL (VALUES (e.payload->>'note', e.payload->>'note_hmac'), (e.payload->>'why', e.payload->>'why_hmac'))
    AS w(note_id, digest)
LEFT JOIN daogou.member_note n ON n.tenant_id = $1 AND n.note_id::text = w.note_id
WHERE e.tenant_id = $1 AND e.stream >= '{kind}/' AND e.stream < '{kind}0'
      AND e.type IN ('checked_in', 'check_in_corrected', 'check_in_voided', 'case_answered', 'case_closed')
      AND w.digest IS NOT NULL
ORDER BY e.stream, e.version, w.note_id"""
_PICTURES = """
SELECT e.stream, e.version, e.payload->>'picture' AS picture_id, e.payload->>'sha256' AS sha256,
       coalesce(e.payload->>'member', e.payload->>'picture') AS owner, c.sealed,
       EXISTS (SELECT FROM daogou.event g WHERE g.tenant_id = $1 AND g.stream = e.stream AND g.known_at >= e.known_at
           AND g.type = 'picture_erased') AS erased
FROM {events}
LEFT JOIN daogou.picture_content c ON c.tenant_id = $1 AND c.picture_id::text = e.payload->>'picture'
WHERE e.tenant_id = $1 AND e.stream >= 'picture/' AND e.stream < 'picture0' AND e.type = 'picture_kept'
ORDER BY e.stream, e.version"""
_DAYS = """
SELECT e.stream, e.version, e.payload->>'head' AS head, e.payload->'items' AS items,
       array_agg(i.item ORDER BY i.number) AS named, array_agg(t.hash ORDER BY i.number) AS hashes
FROM {events}
CROSS JOIN LATERAL jsonb_array_elements_text(CASE jsonb_typeof(e.payload->'items') WHEN 'array' THEN e.payload->'items'
    ELSE '[]' END) WITH ORDINALITY AS i(item, number)
LEFT JOIN daogou.event t ON t.tenant_id = $1 AND t.stream = 'task/' || split_part(i.item, '#', 1)
     AND t.version::text = split_part(i.item, '#', 2)
WHERE e.tenant_id = $1 AND e.stream >= 'guide-day/' AND e.stream < 'guide-day0' AND e.type = 'day_closed'
GROUP BY e.stream, e.version, e.known_at, e.payload ORDER BY e.stream, e.version"""

_EVENTS = "daogou.event e CROSS JOIN (SELECT $2::bigint) AS all_of_them"
_EVENTS_SINCE = """daogou.event_position p
JOIN daogou.event e ON e.tenant_id = $1 AND e.stream = p.stream AND e.version = p.version AND e.known_at = p.known_at
     AND p.tenant_id = $1 AND p.position > $2"""


@dataclass(frozen=True, slots=True)
class Beside:
    """How much of it was compared. `unread` notes: no keys were given, or no key is there; `erased`: they are gone by right."""

    notes: int = 0
    erased: int = 0
    unread: int = 0
    days: int = 0
    pictures: int = 0

    def __add__(self, other: Beside) -> Beside:
        """Both together."""
        return Beside(
            self.notes + other.notes,
            self.erased + other.erased,
            self.unread + other.unread,
            self.days + other.days,
            self.pictures + other.pictures,
        )


async def compare_notes(
    connection: Driver, tenant_id: int, findings: Findings, keys: MemberKeys | None, *, after: int
) -> Beside:
    """Open every note under its member's key and hold it against the digest in its event; nothing without keys.

    Notes of erased members are gone by right, and those whose key is not there cannot be read: both are counted.
    """
    counted = Beside()
    if keys is None:
        return counted
    for kind in ("task", "case"):
        cursor = await connection.cursor(_query(_NOTES, after).replace("{kind}", kind), tenant_id, after)
        while rows := await cursor.fetch(AT_ONCE):
            known = await keys.get_many({row["member_id"] for row in rows if row["member_id"] is not None})
            for row in rows:
                counted += _compare_note(findings, tenant_id, known, row)
    return counted


def _query(query: str, after: int) -> str:
    """Of the events after a position, or of all, also of those that wait for one."""
    return query.replace("{events}", _EVENTS_SINCE if after else _EVENTS)


def _compare_note(
    findings: Findings, tenant_id: int, known: dict[UUID, bytes], row: asyncpg.Record
) -> Beside:
    stream, version, member = row["stream"], row["version"], row["member_id"]
    if row["erased"]:
        return Beside(erased=1)
    if member is None:
        findings.add(stream, version, "note of the event is missing")
        return Beside(notes=1)
    note, salt = row["note"] and row["note"].encode(), row["salt"]
    if note is None:
        key, note_id = known.get(member), UUID(row["note_id"])
        if key is None:
            return Beside(unread=1)
        note = unseal(key, tenant_id, member, note_place(note_id), row["note_sealed"])
        salt = unseal(key, tenant_id, member, salt_place(note_id), row["salt_sealed"])
    same = note is not None and salt is not None and str(member) == row["of_member"]
    if not same or hmac.digest(salt, note, hashlib.sha256).hex() != row["digest"]:
        findings.add(stream, version, "note exchanged")
    return Beside(notes=1)


async def compare_pictures(
    connection: Driver, tenant_id: int, findings: Findings, keys: MemberKeys | None, *, after: int
) -> Beside:
    """Open every picture and hold its SHA-256 against the one in its event; nothing without keys.

    Those that an erasure took away are gone by right; those whose key is not there cannot be read: both are counted.
    """
    counted = Beside()
    if keys is None:
        return counted
    cursor = await connection.cursor(_query(_PICTURES, after), tenant_id, after)
    while rows := await cursor.fetch(PICTURES_AT_ONCE):
        known = await keys.get_many({UUID(row["owner"]) for row in rows})
        for row in rows:
            counted += _compare_picture(findings, tenant_id, known.get(UUID(row["owner"])), row)
    return counted


def _compare_picture(findings: Findings, tenant_id: int, key: bytes | None, row: asyncpg.Record) -> Beside:
    if row["erased"]:
        return Beside(erased=1)
    if row["sealed"] is None:
        findings.add(row["stream"], row["version"], "picture of the event is missing")
        return Beside(pictures=1)
    if key is None:
        return Beside(unread=1)
    place = f"picture/{row['picture_id']}"
    content = unseal(key, tenant_id, UUID(row["owner"]), place, row["sealed"])
    if content is None or hashlib.sha256(content).hexdigest() != row["sha256"]:
        findings.add(row["stream"], row["version"], "picture exchanged")
    return Beside(pictures=1)


async def compare_days(connection: Driver, tenant_id: int, findings: Findings, *, after: int) -> Beside:
    """Hold every day's head against the items it names, as they stood when it was closed."""
    days = 0
    cursor = await connection.cursor(_query(_DAYS, after), tenant_id, after)
    while rows := await cursor.fetch(AT_ONCE):
        for row in rows:
            if not row["head"]:
                continue  # closed by a version that kept none
            days += 1
            if None in row["hashes"]:
                findings.add(row["stream"], row["version"], "an item the day was closed with is missing")
            elif day_head(zip(row["named"], row["hashes"], strict=True)) != row["head"]:
                findings.add(row["stream"], row["version"], "the day's head differs from its items")
    return Beside(days=days)
