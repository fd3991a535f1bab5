"""The history of a plan, member, guide, item or stream, in the order it became known."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from domain.errors import NotFound, Problem
from ledger.door import Driver

Subject = Literal["plan", "task", "guide", "member", "stream"]

_STREAMS: dict[Subject, str] = {
    "plan": "SELECT 'plan/' || $2::text AS stream",
    "task": "SELECT 'task/' || $2::text AS stream",
    "stream": "SELECT $2::text AS stream",
    "guide": """
        SELECT ('guide/' || g.guide_id) COLLATE "C" AS stream FROM guide g WHERE g.tenant_id = $1 AND g.code = $2
        UNION ALL
        SELECT h.stream FROM guide g JOIN stream_head h ON h.tenant_id = $1
          AND h.stream >= 'guide-day/' || g.guide_id || '/' AND h.stream < 'guide-day/' || g.guide_id || '0'
        WHERE g.tenant_id = $1 AND g.code = $2""",
    "member": """
        SELECT unnest(ARRAY['member/' || m.member_id::text]
                   || ARRAY(SELECT 'plan-member/' || pm.plan_id || '/' || pm.cycle || '/' || pm.member_id
                            FROM plan_member pm WHERE pm.tenant_id = $1 AND pm.member_id = m.member_id)
                   || ARRAY(SELECT 'task/' || t.task_id FROM task t
                            WHERE t.tenant_id = $1 AND t.member_id = m.member_id)) COLLATE "C" AS stream
        FROM member m WHERE m.tenant_id = $1 AND m.member_id = (SELECT member_id_of($2))""",
}


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One event: where, what, when it occurred and became known, by whom, for whom, and its payload."""

    stream: str
    version: int
    type: str
    occurred_at: datetime
    known_at: datetime
    actor: str
    performed_by: str
    cause: str
    payload: dict[str, Any]
    hash: str


Place = tuple[datetime, str, int]
"""Where a page ended: known_at, stream and version of its last event."""


async def timeline(
    connection: Driver,
    tenant_id: int,
    subject: Subject,
    name: str,
    *,
    limit: int = 500,
    after: Place | None = None,
) -> list[TimelineEntry]:
    """The events of a subject, oldest first, those after a place; guides and members are named by their code.

    Raises:
        NotFound: nothing was ever recorded of it. Nothing after `after` is an empty page.
    """
    rows = await connection.fetch(
        f"""
        SELECT e.stream, e.version, e.type, e.occurred_at, e.known_at, e.actor, e.performed_by, e.cause,
               e.payload::text AS payload, e.hash
        FROM event e JOIN ({_STREAMS[subject]}) s ON s.stream = e.stream
        WHERE e.tenant_id = $1
          AND ($4::timestamptz IS NULL OR (e.known_at, e.stream, e.version) > ($4, $5::text COLLATE "C", $6::int))
        ORDER BY e.known_at, e.stream, e.version LIMIT $3""",
        tenant_id,
        name,
        limit,
        *(after or (None, None, None)),
    )
    if not rows and after is None:
        raise NotFound(Problem(subject, name, "nothing_recorded"))
    return [
        TimelineEntry(
            stream=row["stream"],
            version=row["version"],
            type=row["type"],
            occurred_at=row["occurred_at"],
            known_at=row["known_at"],
            actor=row["actor"],
            performed_by=row["performed_by"],
            cause=row["cause"],
            payload=json.loads(row["payload"]),
            hash=row["hash"].hex(),
        )
        for row in rows
    ]
