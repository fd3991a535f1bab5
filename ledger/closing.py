"""A guide's day is closed: recounted, and what was left open carries over or expires."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date, timedelta
from uuid import UUID

from domain.events import DayClosed
from ledger.door import Driver
from ledger.due_items import PUT_OFF
from ledger.ledger import Command, guide_day_stream, record
from ledger.tasks import Leaving, change_tasks

ABSENT = "absent"
"""Why a day is closed whose guide is not there: what is open on her list is kept."""
BY_MANAGER = "by_manager"
"""Why a day is closed before its time by the manager of the store; who that is, the event says."""
WORD_EXPIRES_AFTER = timedelta(hours=12)
"""Word to the store that its day is closed is not sent any more when it could not be until the next morning."""


def day_head(items: Iterable[tuple[str, bytes]]) -> str:
    """The head of a day: SHA-256 over its items as `task#version`, each with that event's hash, in the list's order."""
    digest = hashlib.sha256()
    for name, event_hash in items:
        digest.update(len(name).to_bytes(4, "big") + name.encode() + event_hash)
    return digest.hexdigest()


async def close(
    connection: Driver,
    tenant_id: int,
    command: Command,
    *,
    guide_id: UUID,
    day: date,
    reason: str = "",
    keep: bool = False,
) -> bool:
    """Close a guide's day: lock it, recount it, let open items carry over or expire by their plan's rule.

    Items of a paused plan carry over whatever its rule: nobody was asked to do them; so do those that were put off beyond
    the day and, with `keep`, all: she was not there. With a `reason` the day is closed before its time, and what is reported
    afterwards comes after the close. Where it was the last open list of the store's day, the store is told; who was not
    there tells nothing.

    False if it was closed before. Call it last in a transaction. Eight statements, rows grow with one list.
    """
    before = await connection.fetchrow(
        "SELECT state, time_zone, opens_at, closes_at, target_calls, target_invitations FROM guide_day"
        " WHERE tenant_id = $1 AND guide_id = $2 AND business_date = $3 FOR UPDATE",
        tenant_id,
        guide_id,
        day,
    )
    if before is None or before["state"] == "closed":
        return False
    rows = await connection.fetch(
        f"""
        SELECT t.task_id, t.attempts,
               t.state = 'open' AND t.guide_id = $2 AND t.last_attempt_on IS DISTINCT FROM $3 AS untouched,
               p.spec->'day'->>'open_items' = 'expire' AND p.status <> 'paused' AND NOT $4
                   AND NOT {PUT_OFF.format(at="$5")} AS expire,
               p.status = 'recalled' AS recalled, c.reached, h.version, h.hash
        FROM list_item i
        JOIN task t ON t.tenant_id = $1 AND t.task_id = i.task_id
        JOIN plan p ON p.tenant_id = $1 AND p.plan_id = t.plan_id
        JOIN stream_head h ON h.tenant_id = $1 AND h.stream = 'task/' || t.task_id
        LEFT JOIN LATERAL (
            SELECT bool_or(k.reached) AS reached FROM check_in k
            WHERE k.tenant_id = $1 AND k.task_id = t.task_id AND k.business_date = $3 AND k.guide_id = $2
        ) c ON true
        WHERE i.tenant_id = $1 AND i.guide_id = $2 AND i.business_date = $3 ORDER BY i.rank""",
        tenant_id,
        guide_id,
        day,
        keep,
        max(command.occurred_at, before["closes_at"]),
    )
    expiring = [
        Leaving(row["task_id"], row["attempts"], "expired", "day_closed")
        for row in rows
        if row["untouched"] and row["expire"] and not row["recalled"]
    ]
    withdrawn = [
        # A recall that has not got to them yet, or was killed on its way.
        Leaving(row["task_id"], row["attempts"], "withdrawn", "recalled")
        for row in rows
        if row["untouched"] and row["recalled"]
    ]
    # What was reported until now, by its item's version; what comes later, late facts too, is of the next seal.
    items = [(f"{row['task_id']}#{row['version']}", row["hash"]) for row in rows]
    closed = DayClosed(
        listed=len(rows),
        done=sum(row["reached"] is not None for row in rows),
        reached=sum(bool(row["reached"]) for row in rows),
        carried=sum(row["untouched"] for row in rows) - len(expiring) - len(withdrawn),
        expired=len(expiring),
        reason=reason,
        items=tuple(name for name, _ in items),
        head=day_head(items),
    )
    if before["state"] == "cut":  # no event has said yet what was on it
        closed = closed.model_copy(
            update={
                "tasks": tuple(row["task_id"] for row in rows),
                "time_zone": before["time_zone"],
                "opens_at": before["opens_at"],
                "closes_at": before["closes_at"],
                "target_calls": before["target_calls"],
                "target_invitations": before["target_invitations"],
            }
        )
    await record(connection, tenant_id, command, [(guide_day_stream(guide_id, day), closed)])
    expire = Command(f"{command.command_id}/expire", command.occurred_at, command.known_at, command.actor)
    await change_tasks(connection, tenant_id, expire, leaving=[*expiring, *withdrawn])
    await connection.execute(
        """
        UPDATE guide_day SET state = 'closed', done = $4, reached = $5, carried = $6, closed_at = $7,
               closes_at = least(closes_at, $7), clocked_in_at = coalesce(clocked_in_at, (
            SELECT occurred_at FROM event e WHERE guide_day.state = 'cut' AND e.tenant_id = $1 AND e.stream = $8
              AND e.type = 'clocked_in'))
        WHERE tenant_id = $1 AND guide_id = $2 AND business_date = $3""",
        tenant_id,
        guide_id,
        day,
        closed.done,
        closed.reached,
        closed.carried,
        command.occurred_at,
        guide_day_stream(guide_id, day),  # who came before there was a list
    )
    if not keep:
        await connection.execute(
            "SELECT tell_store_day($1, $2, $3, $4)",
            guide_id,
            day,
            command.occurred_at,
            command.known_at + WORD_EXPIRES_AFTER,
        )
    return True
