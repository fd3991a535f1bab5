"""The hot path: one check-in that is the latest of all. What is not goes to `ledger.late_reports`.

Cost: two round trips (read everything the decision needs; append and project in one statement that
undoes itself when a guard fails), 7 rows written: command, event, head, pending, check-in, task,
plan member. Independent of how many members, items and years there are.
"""

from __future__ import annotations

import hashlib
import hmac
from uuid import UUID

import asyncpg
import structlog

from domain.calendar import local_instant
from domain.check_in import CheckIn, TaskBefore, decide_check_in, in_order
from domain.errors import Conflict, Problem, Refused
from domain.events import CheckedIn
from domain.identifiers import derived_id
from ledger.calendars import LAYERS_OF_STORE, working_days
from ledger.consents import LATEST
from ledger.door import (
    GUARD_SELECT,
    Driver,
    DuplicateCommand,
    Head,
    append_arguments,
    append_ctes,
    fetchval_with_partition,
    refusal,
)
from ledger.late_reports import report_late
from ledger.ledger import Command, Ledger, stream_batch, task_stream
from ledger.people import note_place, salt_place, seal_text
from ledger.plans import parse_spec
from ledger.pool import CONNECTION_LOST
from ledger.recorded import Recorded
from ledger.sealing import seal

# Each row is looked up by its key, from the item on. OFFSET 0 keeps the planner from weighing every other order of ten
# tables with their row-level security: a new connection plans this five times, for 3 ms instead of 20 to 50 each.
_READ = f"""
SELECT t.plan_id, t.cycle, t.member_id, t.guide_id, t.state, t.due_on, t.attempts, t.last_attempt_on,
       c.ends_on, pm.grade, pm.dial_days, pm.last_dial_on, pm.last_reached_at, t.known_at AS made_at, s.on_day, s.time_zone,
       w.store, w.store_zone, w.region, w.said,
       p.spec::text AS spec, p.cycle > t.cycle AS later_cycle, $4 <@ p.paused AS while_paused, p.status AS plan_status, p.ended_at,
       coalesce(m.opted_out_at <= $4, false) AS opted_out,
       {LATEST.format(member="t.member_id", purpose="phone", at="$4")} AS phone_agreed,
       d.closes_at, coalesce(d.state = 'closed', false) AS day_closed, h.version, h.hash,
       k.stream AS done_stream, k.version AS done_version,
       EXISTS (SELECT FROM check_in o WHERE o.tenant_id = $1 AND o.task_id = t.task_id
               AND o.business_date = s.on_day) AS attempted_that_day,
       EXISTS (SELECT FROM check_in o WHERE o.tenant_id = $1 AND o.plan_id = t.plan_id AND o.cycle = t.cycle
               AND o.member_id = t.member_id AND NOT o.reached
               AND o.business_date = s.on_day) AS dialled_that_day,
       ARRAY(SELECT y.name FROM category y WHERE y.tenant_id = $1 AND y.name = ANY($6::text[])) AS categories
FROM task t
CROSS JOIN LATERAL (SELECT * FROM plan p WHERE p.tenant_id = $1 AND p.plan_id = t.plan_id OFFSET 0) p
CROSS JOIN LATERAL (SELECT c.ends_on FROM plan_cycle c
    WHERE c.tenant_id = $1 AND c.plan_id = t.plan_id AND c.cycle = t.cycle OFFSET 0) c
CROSS JOIN LATERAL (SELECT * FROM plan_member pm WHERE pm.tenant_id = $1 AND pm.plan_id = t.plan_id
    AND pm.cycle = t.cycle AND pm.member_id = t.member_id OFFSET 0) pm
CROSS JOIN LATERAL (SELECT m.opted_out_at FROM member m
    WHERE m.tenant_id = $1 AND m.member_id = t.member_id OFFSET 0) m
CROSS JOIN LATERAL (SELECT a.on_day, a.time_zone FROM day_at(t.guide_id, $4) a WHERE a.on_day IS NOT NULL OFFSET 0) s
CROSS JOIN LATERAL (SELECT s.time_zone AS store_zone, s.code AS store, s.region, {LAYERS_OF_STORE} AS said FROM guide g
    JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id
    WHERE g.tenant_id = $1 AND g.guide_id = t.guide_id OFFSET 0) w
CROSS JOIN (SELECT h.version, h.hash FROM stream_head h WHERE h.tenant_id = $1 AND h.stream = $5 OFFSET 0) h
LEFT JOIN LATERAL (SELECT d.closes_at, d.state FROM guide_day d WHERE d.tenant_id = $1 AND d.guide_id = t.guide_id
    AND d.business_date = s.on_day OFFSET 0) d ON true
LEFT JOIN (SELECT k.stream, k.version FROM command k WHERE k.tenant_id = $1 AND k.command_id = $3 OFFSET 0) k ON true
WHERE t.tenant_id = $1 AND t.task_id = $2"""

# $19 task, $20 date, $21 guide, $22 note id, $23 salt and $24 note, both sealed under the member's key
# $25 grade, $26 dial days, $27 last dial, $28 last reached: the member as read. $29 whether the day was closed, $30 plan,
# $31 cycle, $32 member, $33 guide of the day.
#
# Rows are found by parameters, never by what is read out of a payload: row-level security lets no cast near an index, so
# the plan's members would be read one and all.
#
# The rows the decision rests on are locked and compared before anything is appended: the guide's day (it may just
# have been closed) and the member (another item of the same member may just have been reported, with a D).
_LOCKS = """
the_day AS MATERIALIZED (
    SELECT state = 'closed' AS closed FROM guide_day
    WHERE tenant_id = $1 AND guide_id = $33 AND business_date = $20 FOR SHARE
), the_member AS MATERIALIZED (
    SELECT grade IS NOT DISTINCT FROM $25 AND dial_days = $26 AND last_dial_on IS NOT DISTINCT FROM $27
           AND last_reached_at IS NOT DISTINCT FROM $28 AS unchanged
    FROM plan_member WHERE tenant_id = $1 AND plan_id = $30 AND cycle = $31 AND member_id = $32
    FOR NO KEY UPDATE
),"""
_UNCHANGED = """(SELECT unchanged FROM the_member)
    AND coalesce((SELECT closed FROM the_day), false) = $29"""

_WRITE = f"""
WITH {append_ctes(before=_LOCKS, guard=_UNCHANGED)}, projected_check_in AS (
    INSERT INTO check_in (tenant_id, task_id, version, plan_id, cycle, member_id, guide_id, actor, occurred_at,
                          known_at, business_date, channel, outcome, reached, grade, products, next_on, note_id,
                          conflict, device_id, evidence, skew_s)
    SELECT $1, $19, a.version, a.payload->>'plan', (a.payload->>'cycle')::int, (a.payload->>'member')::uuid,
           $21, a.actor, a.occurred_at, a.known_at, $20, a.payload->>'channel', a.payload->>'outcome',
           (a.payload->>'reached')::boolean, a.payload->>'grade',
           ARRAY(SELECT jsonb_array_elements_text(a.payload->'products')), (a.payload->>'next_on')::date, $22,
           nullif(a.payload->>'conflict', ''), (a.payload->>'device')::uuid, nullif(a.payload->>'evidence', ''),
           coalesce((a.payload->>'skew_s')::int, 0)
    FROM appended a
), projected_task AS (
    UPDATE task SET state = a.payload->>'state', due_on = (a.payload->>'due_on')::date,
           attempts = (a.payload->>'attempt')::int, last_attempt_on = greatest(task.last_attempt_on, $20),
           reason = CASE a.payload->>'state' WHEN 'unreached' THEN 'not_reached' END
    FROM appended a WHERE task.tenant_id = $1 AND task.task_id = $19
), projected_member AS (
    UPDATE plan_member pm SET grade = a.payload->>'grade', dial_days = (a.payload->>'dial_days')::int,
           last_dial_on = CASE WHEN (a.payload->>'reached')::boolean THEN pm.last_dial_on
               ELSE greatest(pm.last_dial_on, $20) END,
           last_reached_at = CASE WHEN (a.payload->>'reached')::boolean
               THEN greatest(pm.last_reached_at, a.occurred_at) ELSE pm.last_reached_at END
    FROM appended a
    WHERE pm.tenant_id = $1 AND pm.plan_id = $30 AND pm.cycle = $31 AND pm.member_id = $32
), kept_note AS (
    INSERT INTO member_note (tenant_id, note_id, member_id, salt_sealed, note_sealed)
    SELECT $1, $22, (a.payload->>'member')::uuid, $23, $24 FROM appended a WHERE $24::bytea IS NOT NULL
)
{GUARD_SELECT}"""


log = structlog.get_logger(__name__)

TRIES = 5
"""How often a check-in is decided anew when what it rests on changes under it."""


async def check_in(ledger: Ledger, command: CheckIn, *, salt: bytes = b"") -> Recorded:
    """Record one check-in; sent twice with the same command id it counts once.

    Args:
        ledger: the tenant's ledger.
        command: the report.
        salt: 16 random bytes, needed when the report has a note: the event holds HMAC(salt, note) only.

    Raises:
        NotFound: no such item.
        Refused: a rule stands against it; see `domain.check_in.objection`.
        Conflict: the item changed meanwhile; read again and retry.
    """
    if command.note is not None and len(salt) < 16:
        raise ValueError("salt: a note needs 16 random bytes")
    try:
        async with ledger.connection() as connection:
            recorded = await _check_in(connection, ledger, command, salt)
    except CONNECTION_LOST as error:
        # Whether it was written nobody knows: on another connection the command id tells.
        log.warning("check_in_again", reason=type(error).__name__)
        async with ledger.connection() as connection:
            recorded = await _check_in(connection, ledger, command, salt)
    return recorded or await report_late(ledger, command, salt=salt)


async def _check_in(
    connection: Driver, ledger: Ledger, command: CheckIn, salt: bytes, *, tries: int = TRIES
) -> Recorded | None:
    """Take a check-in that is in order; None: it is not, or its item is out of sight."""
    tenant_id = ledger.tenant_id
    stream = task_stream(command.task_id)
    row = await connection.fetchrow(
        _READ,
        tenant_id,
        command.task_id,
        command.command_id,
        command.occurred_at,
        stream,
        list(command.products),
    )
    if row is None:
        return None
    if row["done_version"] is not None:
        if row["done_stream"] != stream:
            raise Refused([Problem("command_id", command.command_id, "command_used_elsewhere")])
        return Recorded(command.task_id, row["done_version"], row["state"], row["due_on"], duplicate=True)
    on = row["on_day"]
    plan = parse_spec(row["spec"])
    closes_at = row["closes_at"] or local_instant(on, plan.day.close, row["time_zone"])
    before = TaskBefore(
        task_id=command.task_id,
        plan_id=row["plan_id"],
        cycle=row["cycle"],
        member_id=row["member_id"],
        guide_id=row["guide_id"],
        state=row["state"],
        due_on=row["due_on"],
        attempts=row["attempts"],
        last_attempt_on=row["last_attempt_on"],
        cycle_ends_on=row["ends_on"],
        grade=row["grade"],
        dial_days=row["dial_days"],
        attempted_that_day=row["attempted_that_day"],
        dialled_that_day=row["dialled_that_day"],
        opted_out=row["opted_out"],
        phone_withdrawn=row["phone_agreed"] is False,
        made_at=row["made_at"],
        last_reached_at=row["last_reached_at"],
        day_closes_at=closes_at,
        day_closed=row["day_closed"] or command.known_at > closes_at,
        while_paused=row["while_paused"],
        recalled_at=row["ended_at"] if row["plan_status"] == "recalled" else None,
        categories=tuple(row["categories"]),
        last_dial_on=row["last_dial_on"],
        later_cycle=row["later_cycle"],
    )
    if not in_order(before, command, on):
        return None
    days = working_days(
        plan.working_calendar,
        code=row["store"],
        zone=row["store_zone"],
        region=row["region"],
        said=row["said"],
    )
    event = decide_check_in(before, command, on=on, next_working_day=days.next_working(on))
    event, note_id = _with_note(event, command, salt)
    kept = await _sealed_note(ledger, before.member_id, note_id, salt, command.note)
    written = Command(command.command_id, command.occurred_at, command.known_at, command.actor)
    batch = stream_batch(written, stream, Head(row["version"], row["hash"]), event)
    arguments = append_arguments(
        tenant_id=tenant_id,
        command_id=command.command_id,
        known_at=command.known_at,
        batches=[batch],
        performed_by=str(command.performed_by),
    )
    try:
        await fetchval_with_partition(
            connection,
            command.known_at,
            _WRITE,
            *arguments,
            command.task_id,
            on,
            command.performed_by,
            note_id,
            *kept,
            row["grade"],
            row["dial_days"],
            row["last_dial_on"],
            row["last_reached_at"],
            row["day_closed"],
            row["plan_id"],
            row["cycle"],
            row["member_id"],
            row["guide_id"],
        )
    except asyncpg.PostgresError as error:
        refused = refusal(error)
        if refused is None:
            raise
        if isinstance(refused, DuplicateCommand) and tries > 1:
            # The same command came twice at once, or day or member changed since they were read: read again.
            return await _check_in(connection, ledger, command, salt, tries=tries - 1)
        raise Conflict("the item keeps changing: read it again and retry") from error
    return Recorded(command.task_id, row["version"] + 1, event.state, event.due_on, duplicate=False)


def _with_note(event: CheckedIn, command: CheckIn, salt: bytes) -> tuple[CheckedIn, UUID | None]:
    if command.note is None:
        return event, None
    note_id = derived_id("note", command.command_id)
    digest = hmac.new(salt, command.note.encode(), hashlib.sha256).hexdigest()
    return event.model_copy(update={"note": note_id, "note_hmac": digest}), note_id


async def _sealed_note(
    ledger: Ledger, member: UUID, note_id: UUID | None, salt: bytes, note: str | None
) -> tuple[bytes | None, bytes | None]:
    """Salt and note under the member's key; nothing where there is no note. Of an erased member nothing is kept."""
    if note_id is None or note is None:
        return None, None
    key = (await ledger.keys.make_many([member])).get(member)
    if key is None:
        return None, None
    return (
        seal(key, ledger.tenant_id, member, salt_place(note_id), salt),
        seal_text(key, ledger.tenant_id, member, note_place(note_id), note),
    )
