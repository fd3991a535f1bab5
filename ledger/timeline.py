"""The history of a plan, member, guide, item, account or stream, in the order it became known."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from domain.errors import NotFound, Problem
from domain.logins import login_of
from ledger.door import Driver

Subject = Literal["plan", "task", "guide", "member", "account", "stream"]
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_STREAMS: dict[Subject, str] = {
    "plan": "SELECT 'plan/' || $2::text AS stream",
    "task": """
        SELECT ('task/' || $2::text) COLLATE "C" AS stream
        UNION ALL
        SELECT ('case/' || c.case_id) COLLATE "C" FROM complaint_case c
        WHERE c.tenant_id = $1 AND c.task_id = $2::text::uuid""",
    "stream": "SELECT $2::text AS stream",
    "account": """
        SELECT ('account/' || a.account_id) COLLATE "C" AS stream FROM account a
        WHERE a.tenant_id = $1 AND (a.login = $2 OR a.account_id::text = $2)""",
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
                            WHERE t.tenant_id = $1 AND t.member_id = m.member_id)
                   || ARRAY(SELECT 'case/' || c.case_id FROM complaint_case c
                            WHERE c.tenant_id = $1 AND c.member_id = m.member_id)) COLLATE "C" AS stream
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
    codes: dict[str, str] = field(default_factory=dict)
    """Codes of the guides and stores it names by their ids (`with_codes`)."""


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
    """The events of a subject, oldest first, those after a place.

    Guides and members are named by their code, accounts by login or id.

    Raises:
        NotFound: nothing was ever recorded of it. Nothing after `after` is an empty page.
    """
    asked, named = subject, name
    if subject == "task" and not _ID.fullmatch(name):
        subject, name = "stream", f"task/{name}"  # no item has such an id
    rows = await connection.fetch(
        f"""
        SELECT e.stream, e.version, e.type, e.occurred_at, e.known_at, e.actor, e.performed_by, e.cause,
               e.payload::text AS payload, e.hash
        FROM event e JOIN ({_STREAMS[subject]}) s ON s.stream = e.stream
        WHERE e.tenant_id = $1
          AND ($4::timestamptz IS NULL OR (e.known_at, e.stream, e.version) > ($4, $5::text COLLATE "C", $6::int))
        ORDER BY e.known_at, e.stream, e.version LIMIT $3""",
        tenant_id,
        login_of(name) if subject == "account" else name,
        limit,
        *(after or (None, None, None)),
    )
    if not rows and after is None:
        raise NotFound(Problem(asked, named, "nothing_recorded"))
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


async def with_codes(
    connection: Driver, tenant_id: int, entries: Sequence[TimelineEntry]
) -> list[TimelineEntry]:
    """The entries with the codes of the guides and stores they name, as far as whoever asks knows them.

    One round trip, whatever the number of entries. Members stay ids: their codes are personal.
    """
    named = [{*_ID.findall(f"{entry.stream} {json.dumps(entry.payload)}")} for entry in entries]
    rows = await connection.fetch(
        "SELECT guide_id::text AS id, code FROM guide WHERE tenant_id = $1 AND guide_id = ANY ($2)"
        " UNION ALL SELECT store_id::text, code FROM store WHERE tenant_id = $1 AND store_id = ANY ($2)",
        tenant_id,
        sorted(map(UUID, set().union(*named))),
    )
    code_of = {row["id"]: row["code"] for row in rows}
    return [
        replace(entry, codes={key: code_of[key] for key in sorted(ids & code_of.keys())})
        for entry, ids in zip(entries, named, strict=True)
    ]


def told_with_codes(entry: TimelineEntry, text: str) -> str:
    """The text with the codes of guides and stores instead of their ids."""
    return _ID.sub(lambda found: entry.codes.get(found[0], found[0]), text)
