"""Everything there is about a member, for the member (PIPL, article 45): readable, whole, and nobody else's data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from ledger.consents import read_consents
from ledger.door import Driver
from ledger.member_keys import MemberKeys
from ledger.people import NOBODY, note_place, open_text, read_people

_MEMBER = """
SELECT s.code AS home_store, s.name AS home_store_name, m.latitude, m.longitude, m.tags, m.opted_out_at
FROM member m LEFT JOIN store s ON s.tenant_id = $1 AND s.store_id = m.home_store_id
WHERE m.tenant_id = $1 AND m.member_id = $2"""

_PARTS: Mapping[str, str] = {
    "purchases": """
        SELECT p.occurred_at, s.code AS store, p.basket, p.product, c.name AS category, p.quantity::text AS quantity,
               p.value_minor, p.is_return, g.code AS guide
        FROM purchase p
        LEFT JOIN store s ON s.tenant_id = $1 AND s.store_id = p.store_id
        LEFT JOIN category c ON c.tenant_id = $1 AND c.category_id = p.category_id
        LEFT JOIN guide g ON g.tenant_id = $1 AND g.guide_id = p.guide_id
        WHERE p.tenant_id = $1 AND p.member_id = $2 ORDER BY p.occurred_at, p.basket, p.product, p.is_return""",
    "assignments": """
        SELECT m.plan_id AS plan, m.cycle, g.code AS guide, m.strategy, m.why, m.score, r.code AS runner_up,
               m.tried::text AS tried, m.value_minor, m.quadrant, m.grade, m.last_reached_at
        FROM plan_member m
        LEFT JOIN guide g ON g.tenant_id = $1 AND g.guide_id = m.guide_id
        LEFT JOIN guide r ON r.tenant_id = $1 AND r.guide_id = m.runner_up
        WHERE m.tenant_id = $1 AND m.member_id = $2 ORDER BY m.plan_id, m.cycle""",
    "items": """
        SELECT t.task_id, t.plan_id AS plan, t.cycle, c.name AS category, g.code AS guide, t.run_out_on, t.due_on,
               t.state, t.reason, t.attempts
        FROM task t
        LEFT JOIN category c ON c.tenant_id = $1 AND c.category_id = t.category_id
        LEFT JOIN guide g ON g.tenant_id = $1 AND g.guide_id = t.guide_id
        WHERE t.tenant_id = $1 AND t.member_id = $2 ORDER BY t.known_at, t.task_id""",
    "check_ins": """
        SELECT k.task_id, k.occurred_at, k.known_at, g.code AS guide, k.channel, k.outcome, k.reached, k.grade,
               k.products, k.next_on, k.conflict, nullif(k.superseded_at, 'infinity') AS superseded_at, n.note_id,
               n.note_sealed
        FROM check_in_ever k
        LEFT JOIN guide g ON g.tenant_id = $1 AND g.guide_id = k.guide_id
        LEFT JOIN member_note n ON n.tenant_id = $1 AND n.note_id = k.note_id
        WHERE k.tenant_id = $1 AND k.member_id = $2 ORDER BY k.known_at, k.task_id, k.version""",
    "complaints": """
        SELECT c.opened_at, c.deadline_at, c.state, c.answered_at, c.ended_at, c.resolution, g.code AS guide,
               ARRAY(SELECT e.payload->>'note' FROM event e WHERE e.tenant_id = $1 AND e.stream = 'case/' || c.case_id
                     AND e.known_at >= c.opened_at AND e.payload->>'note' IS NOT NULL ORDER BY e.version) AS notes
        FROM complaint_case c LEFT JOIN guide g ON g.tenant_id = $1 AND g.guide_id = c.guide_id
        WHERE c.tenant_id = $1 AND c.member_id = $2 ORDER BY c.opened_at, c.case_id""",
    "records": """
        SELECT r.kind, r.source, r.key, r.revision, r.voided, g.code AS guide, s.code AS store, r.occurred_at, r.ended_at,
               r.seconds, r.answered, r.value_minor, r.known_at
        FROM (
            SELECT r.* FROM system_record r WHERE r.tenant_id = $1 AND r.member_id = $2
            UNION
            SELECT r.* FROM system_record_also a
            JOIN system_record r USING (tenant_id, source, kind, key, revision)
            WHERE a.tenant_id = $1 AND a.member_id = $2
        ) r
        LEFT JOIN guide g ON g.tenant_id = $1 AND g.guide_id = r.guide_id
        LEFT JOIN store s ON s.tenant_id = $1 AND s.store_id = r.store_id
        ORDER BY r.occurred_at, r.kind, r.source, r.key, r.revision""",
    "events": """
        SELECT e.stream, e.version, e.type, e.occurred_at, e.known_at, e.payload::text AS payload
        FROM event e WHERE e.tenant_id = $1 AND e.stream IN (
            SELECT 'member/' || $2::uuid
            UNION ALL SELECT 'plan-member/' || plan_id || '/' || cycle || '/' || member_id FROM plan_member
                WHERE tenant_id = $1 AND member_id = $2
            UNION ALL SELECT 'task/' || task_id FROM task WHERE tenant_id = $1 AND member_id = $2
            UNION ALL SELECT 'case/' || case_id FROM complaint_case WHERE tenant_id = $1 AND member_id = $2)
        ORDER BY e.known_at, e.stream, e.version""",
}


_NOTES = """
SELECT n.note_id, n.note_sealed FROM unnest($2::text[]) WITH ORDINALITY AS w(note_id, place)
JOIN member_note n ON n.tenant_id = $1 AND n.note_id = w.note_id::uuid ORDER BY w.place"""


async def read_export(connection: Driver, tenant_id: int, keys: MemberKeys, member: UUID) -> dict[str, Any]:
    """One document of plain values: member, consents, purchases, assignments, items, check-ins, complaints, events, messages.

    Guides are named by their code, for their names are theirs. daogou sends members no messages; whatever it ever will
    is listed under `messages`.

    Args:
        connection: sees the member.
        tenant_id: the brand.
        keys: without the member's own, what is personal is null.
        member: who.
    """
    person = (await read_people(connection, tenant_id, keys, [member])).get(member, NOBODY)
    key = (await keys.get_many([member])).get(member)
    row = await connection.fetchrow(_MEMBER, tenant_id, member)
    parts: dict[str, Sequence[dict[str, Any]]] = {}
    for name, query in _PARTS.items():
        parts[name] = [dict(one) for one in await connection.fetch(query, tenant_id, member)]
    for check_in in parts["check_ins"]:
        note_id, sealed = check_in.pop("note_id"), check_in.pop("note_sealed")
        check_in["note"] = note_id and open_text(key, tenant_id, member, note_place(note_id), sealed)
    for complaint in parts["complaints"]:
        rows = await connection.fetch(_NOTES, tenant_id, complaint["notes"])
        complaint["notes"] = [
            open_text(key, tenant_id, member, note_place(one["note_id"]), one["note_sealed"]) for one in rows
        ]
    consents = await read_consents(connection, tenant_id, member, keys=keys)
    return {
        "member": {
            "id": member,
            "code": person.code,
            "name": person.name,
            "phone": person.phone,
            **dict(row),
        },
        "consents": [
            {
                "purpose": one.purpose.value,
                "given": one.given,
                "source": one.source.value,
                "reason": one.reason,
                "occurred_at": one.occurred_at,
                "known_at": one.known_at,
            }
            for one in consents
        ],
        **parts,
        "messages": [],
    }


_WORDED = {
    "purpose": "member.purposes",
    "source": "member.sources",
    "outcome": "outcomes",
    "channel": "channels",
    "strategy": "strategies",
    "why": "why",
    "quadrant": "quadrants",
    "state": "statuses",
    "type": "events",
}
"""Keys whose values are codes of ours, and the group of their words."""


def with_headings(
    document: Any, headings: Mapping[str, str], word: Callable[[str, str], str], key: str = ""
) -> Any:
    """The document with its keys, and the codes under them, in words; what nobody worded stays as it is.

    Args:
        document: of `read_export`, or a part of it.
        headings: words for keys.
        word: the word of a code in a group.
        key: under which the part stands.
    """
    if isinstance(document, Mapping):
        return {
            headings.get(name, name): with_headings(value, headings, word, name)
            for name, value in document.items()
        }
    if isinstance(document, list | tuple):
        return [with_headings(one, headings, word, key) for one in document]
    return word(_WORDED[key], document) if key in _WORDED and isinstance(document, str) else document
