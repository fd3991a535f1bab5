"""The events of a scope, read once, their fields laid out in typed temporary tables.

`told_item` holds what was said of items, `told_member` who looks after whom, `told_other` the rest, its payload as it
is; `told_report` is the newest report of each item. Statistics are taken, so that what is built on them is planned well.

Cost: three reads of the events in scope, two of them in parallel workers; nothing goes through Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ledger.door import Driver
from ledger.folding.upcasting import NEWEST, newest

REPORT_TYPES = ("checked_in", "check_in_corrected")
"""Check-ins: a correction is one that takes the place of another."""
ITEM_TYPES = (
    "task_created",
    "task_left",
    "task_reassigned",
    "task_snoozed",
    *REPORT_TYPES,
    "check_in_voided",
    "task_restated",
)
MEMBER_TYPES = ("member_assigned",)
OTHER_TYPES = (
    "plan_launched", "plan_adjusted", "plan_status_changed", "canary_confirmed", "cycle_started", "cycle_checked",
    "goal_decided", "member_restated", "list_published", "clocked_in", "day_closed", "day_recounted", "imported", "messages_stopped", "messages_resumed",
    "account_created", "account_changed", "role_granted", "role_ended", "consent_given", "consent_withdrawn",
    "member_erased", "list_extended", "list_shortened", "guide_absent", "day_norm_set", "guide_hired", "guide_transferred", "guide_left", "store_closed",
    "calendar_set", "urged", "evening_rule_set", "contact_limits_set",
    "case_opened", "case_moved", "case_answered", "case_closed", "case_withdrawn", "picture_kept", "picture_erased",
)  # fmt: skip
"""What projections are built from; the other events of the ledger change none."""

TABLES = ("told_item", "told_report", "told_member", "told_other")
"""In the order in which they are built."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which events count. Without anything: all of the brand's that have committed."""

    some_streams: bool = False
    """Those of the streams in the temporary table `scope_stream` only."""
    position: int | None = None
    """Up to this position."""
    known_at: datetime | None = None
    """What was known by then."""
    placed: bool = True
    """False where the connection sees no positions: events are then looked for in every month."""


def _source(scope: Scope) -> str:
    """SQL: the events in scope, as `e`. Positions and instants are our own values, of number and date types."""
    until = f" AND e.known_at <= '{scope.known_at.isoformat()}'" if scope.known_at is not None else ""
    placed = f" AND p.position <= {scope.position:d}" if scope.position is not None else ""
    if not scope.some_streams and not placed:
        return f"daogou.event e WHERE e.tenant_id = $1{until}"
    if scope.some_streams and not scope.placed:
        return f"daogou.event e JOIN scope_stream s ON s.stream = e.stream WHERE e.tenant_id = $1{until}"
    # By way of the positions, which are not partitioned: each event is then found in its month, however many there are.
    streams = " JOIN scope_stream s ON s.stream = p.stream" if scope.some_streams else ""
    queues = ["event_position"] if placed else ["event_position", "event_pending"]
    told = " UNION ALL ".join(
        f"SELECT e.* FROM daogou.{queue} p{streams} JOIN daogou.event e ON e.tenant_id = $1 AND e.stream = p.stream"
        f" AND e.version = p.version AND e.known_at = p.known_at WHERE p.tenant_id = $1{placed}{until}"
        for queue in queues
    )
    return f"({told}) e WHERE true"


def _listed(types: Sequence[str]) -> str:
    return ", ".join(f"'{one}'" for one in types)


@dataclass(frozen=True, slots=True)
class Fields:
    """SQL of payload fields. `careful`: what cannot be read is null, for a forged payload is a finding, no failure."""

    careful: bool
    payload: str = "e.payload"
    facts: str = "true"
    """SQL: which consents of a file count besides the events."""

    def text(self, name: str) -> str:
        """A field as it stands."""
        return f"({self.payload}->>'{name}') COLLATE \"C\""

    def cast(self, value: str, kind: str, where: str = "true") -> str:
        """A value as another type; null where the condition does not hold."""
        if self.careful:
            where += f" AND pg_input_is_valid({value}, '{kind}')"
        return f"({value})::{kind}" if where == "true" else f"CASE WHEN {where} THEN ({value})::{kind} END"

    def of(self, name: str, kind: str) -> str:
        """A field as a type other than text."""
        return self.cast(f"{self.payload}->>'{name}'", kind)

    def array(self, name: str) -> str:
        """A field that is a list; null where it is none."""
        return f"CASE WHEN jsonb_typeof({self.payload}->'{name}') = 'array' THEN {self.payload}->'{name}' END"


def _tell_items(scope: Scope, fields: Fields) -> str:
    of, text = fields.of, fields.text
    # A report that did not come in order, and what takes its place, say in full where they leave item and member.
    item = Fields(fields.careful, "(e.payload->'leaves_item')")
    member = Fields(fields.careful, "(e.payload->'leaves_member')")
    reported = f"e.type IN ({_listed(REPORT_TYPES)})"
    return f"""
SELECT {fields.cast("substr(e.stream, 6)", "uuid")} AS task_id, e.version, e.type, e.schema_version, e.occurred_at,
       e.known_at, e.actor, {fields.cast("e.performed_by", "uuid", reported)} AS performed_by,
       {text("plan")} AS plan_id, {of("cycle", "integer")} AS cycle, {of("member", "uuid")} AS member_id,
       {of("category", "integer")} AS category_id, {of("guide", "uuid")} AS guide_id,
       {of("run_out_on", "date")} AS run_out_on, {of("due_on", "date")} AS due_on,
       {of("bought_at", "timestamptz")} AS bought_at, {of("silent_since", "timestamptz")} AS silent_since, {text("state")} AS state, {text("reason")} AS reason,
       {item.text("state")} AS item_state, {item.text("reason")} AS item_reason, {item.of("due_on", "date")} AS item_due_on,
       {item.of("attempts", "integer")} AS item_attempts, {item.of("last_attempt_on", "date")} AS item_last_on,
       jsonb_typeof(e.payload->'leaves_member') = 'object' AS in_full, {member.text("grade")} AS member_grade,
       {member.of("dial_days", "integer")} AS member_dial_days, {member.of("last_dial_on", "date")} AS member_dial_on,
       {member.of("last_reached_at", "timestamptz")} AS member_reached_at,
       {of("supersedes", "integer")} AS supersedes, {of("late", "boolean")} AS late, {of("skew_s", "integer")} AS skew_s,
       {of("why", "uuid")} AS why_id,
       {of("business_date", "date")} AS business_date, {text("channel")} AS channel, {text("outcome")} AS outcome,
       {of("reached", "boolean")} AS reached, {text("grade")} AS grade,
       {fields.array("products")} AS products,
       {of("next_on", "date")} AS next_on, {of("until", "timestamptz")} AS until, {of("lent", "boolean")} AS lent, {of("note", "uuid")} AS note_id,
       nullif({text("conflict")}, '') AS conflict, {of("attempt", "integer")} AS attempt,
       {of("dial_days", "integer")} AS dial_days, {of("device", "uuid")} AS device_id,
       nullif({text("evidence")}, '') AS evidence
FROM {_source(scope)} AND e.stream >= 'task/' AND e.stream < 'task0' AND e.type IN ({_listed(ITEM_TYPES)})"""


# Where each item was left by the newest event that says so; what came in order after one that said so in full says less.
_REPORTS = """
SELECT i.task_id, i.version, i.known_at, i.plan_id, i.cycle, i.member_id, coalesce(i.item_state, i.state) AS state,
       CASE WHEN i.item_state IS NOT NULL THEN i.item_reason WHEN i.state = 'unreached' THEN 'not_reached'
            WHEN i.state = 'withdrawn' THEN 'recalled' END AS reason,
       i.item_state IS NULL AND i.state = 'expired' AS leaves_reason,
       coalesce(i.item_due_on, i.due_on) AS due_on, coalesce(i.item_attempts, i.attempt) AS attempt,
       i.dial_days, i.grade, greatest(f.item_last_on, r.last_on) AS last_on, r.dialled_on, r.reached_at
FROM (
    SELECT t.task_id, max(t.version) AS version, f.version AS full_version,
           max(t.business_date) FILTER (WHERE t.type = 'checked_in' AND t.version > coalesce(f.version, 0)) AS last_on,
           max(t.business_date) FILTER (WHERE t.type = 'checked_in' AND NOT t.reached) AS dialled_on,
           max(t.occurred_at) FILTER (WHERE t.type = 'checked_in' AND t.reached) AS reached_at
    FROM told_item t LEFT JOIN (
        SELECT task_id, max(version) AS version FROM told_item WHERE item_state IS NOT NULL GROUP BY 1
    ) f ON f.task_id = t.task_id
    WHERE t.type = 'checked_in' OR t.item_state IS NOT NULL GROUP BY t.task_id, f.version
) r JOIN told_item i ON i.task_id = r.task_id AND i.version = r.version
LEFT JOIN told_item f ON f.task_id = r.task_id AND f.version = r.full_version"""


def _tell_members(scope: Scope, fields: Fields) -> str:
    of, text = fields.of, fields.text
    return f"""
SELECT e.stream, e.version, e.schema_version, e.known_at, {text("plan")} AS plan_id, {of("cycle", "integer")} AS cycle,
       {of("member", "uuid")} AS member_id, {of("guide", "uuid")} AS guide_id, {text("strategy")} AS strategy,
       {text("why")} AS why, {of("score", "integer")} AS score, {of("runner_up", "uuid")} AS runner_up,
       e.payload->'tried' AS tried, {of("value_minor", "bigint")} AS value_minor, {text("quadrant")} AS quadrant,
       {text("grade")} AS grade, {of("dial_days", "integer")} AS dial_days, {of("last_dial_on", "date")} AS last_dial_on,
       {of("last_reached_at", "timestamptz")} AS last_reached_at
FROM (
    SELECT e.stream, e.version, e.schema_version, e.known_at, {newest(*MEMBER_TYPES)} AS payload
    FROM {_source(scope)} AND e.stream >= 'plan-member/' AND e.stream < 'plan-member0' AND e.type IN ({_listed(MEMBER_TYPES)})
) e"""


def _tell_others(scope: Scope) -> str:
    return f"""
SELECT e.stream, split_part(e.stream, '/', 1) AS kind, substr(e.stream, strpos(e.stream, '/') + 1) AS name, e.version,
       e.occurred_at, e.known_at, e.actor, e.type, e.schema_version, {newest(*OTHER_TYPES)} AS payload
FROM {_source(scope)} AND e.type IN ({_listed(OTHER_TYPES)})"""


async def tell(connection: Driver, tenant_id: int, scope: Scope, *, careful: bool = False) -> None:
    """Lay the events in scope out in the temporary tables, which stay until `forget` or the end of the session.

    Args:
        connection: of the ledger; where the tables must agree with each other, in a snapshot of its own.
        tenant_id: the brand.
        scope: which events.
        careful: fields that cannot be read are null instead of an error; slower.

    Raises:
        asyncpg.DataError: a payload holds what is no date, number or id (unless `careful`).
    """
    fields = Fields(careful=careful)
    statements = (
        ("told_item", _tell_items(scope, fields)),
        ("told_report", _REPORTS),
        ("told_member", _tell_members(scope, fields)),
        ("told_other", _tell_others(scope)),
    )
    for table, query in statements:
        tenant = () if table == "told_report" else (tenant_id,)
        await connection.execute(f"CREATE TEMPORARY TABLE {table} AS {query}", *tenant)
        await connection.execute(f"ANALYZE {table}")


async def forget(connection: Driver) -> None:
    """Drop the temporary tables of `tell`."""
    await connection.execute(f"DROP TABLE IF EXISTS {', '.join(f'pg_temp.{table}' for table in TABLES)}")


async def newer_than_known(connection: Driver) -> list[tuple[str, int]]:
    """Types told in a schema version that this code does not know, with the version."""
    rows = await connection.fetch(
        "SELECT type, schema_version FROM told_item UNION SELECT 'member_assigned', schema_version FROM told_member"
        " UNION SELECT type, schema_version FROM told_other ORDER BY 1, 2"
    )
    return [(kind, version) for kind, version in rows if version > NEWEST[kind]]
