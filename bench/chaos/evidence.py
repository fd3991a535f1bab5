"""What a day left behind: its business projections as rows, their checksum, and what must hold of the ledger."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.chaos.script import RECALLED
from ledger.anchors import Anchor
from ledger.door import Driver
from ledger.ledger import Ledger
from ledger.verify import verify

# Without instants, versions and positions: what the business sees. Slots are named by their order, hours left out.
_SLOTS = "SELECT DISTINCT payload->>'slot' AS slot FROM event WHERE tenant_id = $1 AND type = 'nudged'"
# The Check of a recalled plan comes whenever its workflow looks again, minutes after the day or during it.
_LATER = f"CASE plan_id WHEN '{RECALLED}' THEN state END"
PROJECTIONS = {
    "plan": "SELECT plan_id, status, cycle, (spec - 'day')::text, canary FROM plan WHERE tenant_id = $1",
    "plan_cycle": f"SELECT plan_id, cycle, starts_on, ends_on, time_zone, nullif(state, {_LATER}), days_per_unit::text, rhythms::text"
    " FROM plan_cycle WHERE tenant_id = $1",
    "plan_member": "SELECT plan_id, cycle, member_id, guide_id, strategy, why, score, runner_up, tried::text,"
    " value_minor, quadrant, grade, dial_days, last_dial_on, last_reached_at IS NOT NULL FROM plan_member"
    " WHERE tenant_id = $1",
    "task": "SELECT task_id, plan_id, cycle, member_id, category_id, guide_id, run_out_on, due_on, first_due_on,"
    " state, reason, attempts, last_attempt_on FROM task WHERE tenant_id = $1",
    "check_in": "SELECT task_id, plan_id, cycle, member_id, guide_id, actor, business_date, channel, outcome, reached,"
    " grade, products, next_on, note_id, conflict FROM check_in WHERE tenant_id = $1",
    "guide_day": "SELECT guide_id, business_date, time_zone, state, listed, done, reached, carried,"
    " clocked_in_at IS NOT NULL FROM guide_day WHERE tenant_id = $1",
    "list_item": "SELECT guide_id, business_date, rank, task_id FROM list_item WHERE tenant_id = $1",
    "zone_day": "SELECT time_zone, business_date, lists FROM zone_day WHERE tenant_id = $1",
    "plan_check": "SELECT plan_id, cycle, kind, figures::text FROM plan_check WHERE tenant_id = $1"
    f" AND plan_id <> '{RECALLED}'",
    "purchase": "SELECT basket, product, is_return, member_id, store_id, category_id, guide_id, quantity, value_minor"
    " FROM purchase WHERE tenant_id = $1",
    "nudged": f"SELECT split_part(e.stream, '/', 2), s.place, e.payload->>'open_items' FROM event e JOIN"
    f" (SELECT slot, rank() OVER (ORDER BY slot) AS place FROM ({_SLOTS}) d) s ON s.slot = e.payload->>'slot'"
    " WHERE e.tenant_id = $1 AND e.type = 'nudged'",
    "message": f"SELECT o.guide_id, s.place, o.endpoint_id FROM outbox o JOIN"
    f" (SELECT slot, rank() OVER (ORDER BY slot) AS place FROM ({_SLOTS}) d) s ON s.slot = o.content->>'slot'"
    " WHERE o.tenant_id = $1",
    "events": "SELECT stream, type, count(*) FROM event WHERE tenant_id = $1 AND stream NOT LIKE 'message%'"
    f" AND NOT (stream = 'plan/{RECALLED}' AND type = 'cycle_checked') GROUP BY 1, 2",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """A day at its end."""

    rows: dict[str, list[str]]
    twice: list[str]
    """Commands with more than one event on a stream."""
    checked_in: Counter[str]
    """Keys by the number of events they made."""
    findings: list[str]
    """What verification of the ledger found."""
    pending: int
    open_days: int
    anchored: int = 0
    """Up to this position a copy of the seals outside the database says the same."""
    unanchored: int = 0
    unread: int = 0
    """Notes whose key was not there."""
    outbox: dict[str, str] = field(default_factory=dict)
    """State by `purpose endpoint`."""
    overdue: int = 0
    """Messages that wait although their time is up."""

    def checksum(self) -> str:
        """SHA-256 over the ordered rows of every projection."""
        return hashlib.sha256(json.dumps(self.rows, sort_keys=True).encode()).hexdigest()

    def difference(self, other: Evidence) -> list[str]:
        """Rows only one of the two has: - of this one, + of the other."""
        found = []
        for name in self.rows:
            mine, others = Counter(self.rows[name]), Counter(other.rows[name])
            found += [f"- {name}: {row}" for row in sorted((mine - others).elements())]
            found += [f"+ {name}: {row}" for row in sorted((others - mine).elements())]
        return found


async def gather(ledger: Ledger, *, after: str, anchors: Sequence[Anchor]) -> Evidence:
    """Read it all; `after` is an SQL expression of the present."""
    tenant_id = ledger.tenant_id
    async with ledger.connection() as connection:
        rows = {name: await _rows(connection, query, tenant_id) for name, query in PROJECTIONS.items()}
        twice = await _rows(
            connection,
            "SELECT cause, stream, count(*) FROM event WHERE tenant_id = $1 GROUP BY 1, 2 HAVING count(*) > 1",
            tenant_id,
        )
        causes = await connection.fetch(
            "SELECT cause FROM event WHERE tenant_id = $1 AND type = 'checked_in'", tenant_id
        )
        found = await verify(connection, tenant_id, anchors=anchors, keys=ledger.keys)
        pending = await connection.fetchval(
            "SELECT count(*) FROM event_pending WHERE tenant_id = $1", tenant_id
        )
        still_open = await connection.fetchval(
            "SELECT count(*) FROM guide_day WHERE tenant_id = $1 AND state <> 'closed'", tenant_id
        )
        outbox = await connection.fetch(
            "SELECT o.purpose || ' /' || e.code AS name, o.state FROM outbox o"
            " JOIN endpoint e ON e.tenant_id = $1 AND e.endpoint_id = o.endpoint_id WHERE o.tenant_id = $1",
            tenant_id,
        )
        overdue = await connection.fetchval(
            f"SELECT count(*) FROM outbox WHERE tenant_id = $1 AND state = 'waiting' AND expires_at < {after}",
            tenant_id,
        )
    return Evidence(
        rows=rows,
        twice=twice,
        checked_in=Counter(row["cause"].rpartition("/")[2] for row in causes),
        findings=[f"{one.stream} {one.version}: {one.kind}" for one in found.differences],
        anchored=found.standing.anchored_position,
        unanchored=found.standing.unanchored,
        unread=found.beside.unread,
        pending=pending,
        open_days=still_open,
        outbox={row["name"]: row["state"] for row in outbox},
        overdue=overdue,
    )


async def _rows(connection: Driver, query: str, tenant_id: int) -> list[str]:
    rows: list[Any] = await connection.fetch(query, tenant_id)
    return sorted(" | ".join(str(value) for value in row) for row in rows)
