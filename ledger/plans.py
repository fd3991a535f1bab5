"""Plans: launch, adjust, pause, close, recall, and how they stand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from domain.errors import NotFound, Problem, Refused
from domain.events import CanaryConfirmed, GoalDecided, PlanAdjusted, PlanLaunched, PlanStatusChanged
from domain.plan import Plan
from domain.playbook import References
from ledger.door import Appended, Driver, Head, append, read_head
from ledger.ledger import Command, plan_stream, record, stream_batch

FINAL = ("closed", "recalled")
"""Nothing comes after these."""


@lru_cache(maxsize=4096)
def parse_spec(spec: str) -> Plan:
    """The plan of a stored playbook; a plan is frozen, and a running one is asked for at every check-in."""
    return Plan.model_validate_json(spec)


@dataclass(frozen=True, slots=True)
class PlanState:
    """A plan as it stands: the playbook after every adjustment, and where its life has got to."""

    plan: Plan
    status: str
    cycle: int
    version: int
    launched_at: datetime
    canary: tuple[str, ...] = ()
    """Codes of the only stores it runs in so far; empty: all."""


async def references(connection: Driver, tenant_id: int) -> References:
    """What a playbook may name."""

    async def names(statement: str) -> frozenset[str]:
        return frozenset(row[0] for row in await connection.fetch(statement, tenant_id))

    return References(
        categories=await names("SELECT name FROM category WHERE tenant_id = $1"),
        stores=await names("SELECT code FROM store WHERE tenant_id = $1"),
        guides=await names("SELECT code FROM guide WHERE tenant_id = $1 AND active"),
    )


async def read_plan(connection: Driver, tenant_id: int, plan_id: str) -> PlanState:
    """The plan as it stands.

    Raises:
        NotFound: there is no such plan.
    """
    row = await connection.fetchrow(
        "SELECT spec::text AS spec, status, cycle, version, launched_at, canary FROM plan"
        " WHERE tenant_id = $1 AND plan_id = $2",
        tenant_id,
        plan_id,
    )
    if row is None:
        raise NotFound(Problem("plan", plan_id, "unknown_plan"))
    return PlanState(
        parse_spec(row["spec"]),
        row["status"],
        row["cycle"],
        row["version"],
        row["launched_at"],
        tuple(row["canary"] or ()),
    )


async def launch(
    connection: Driver, tenant_id: int, command: Command, plan: Plan, *, canary: tuple[str, ...] = ()
) -> Appended:
    """Launch a checked plan, in the stores of `canary` only where any are named; call it in a transaction.

    Members given to a guide by hand are written with their ids: a membership number may be a phone number, and
    what is in the ledger stays. Numbers nobody has are left out.

    Raises:
        Refused: a plan of this name runs already, with another playbook.
    """
    spec = plan_json(await without_member_codes(connection, tenant_id, plan))
    stream = plan_stream(plan.plan)
    head = await read_head(connection, tenant_id, stream)
    if head is not None:
        standing = await read_plan(connection, tenant_id, plan.plan)
        if plan_json(standing.plan) == spec:
            return Appended(duplicate=True, stream=stream, version=head.version, events=0)
        raise Refused([Problem("plan", plan.plan, "plan_exists", {"status": standing.status})])
    appended = await append(
        connection,
        tenant_id=tenant_id,
        command_id=command.command_id,
        known_at=command.known_at,
        batches=[stream_batch(command, stream, None, PlanLaunched(plan=plan.plan, spec=spec, canary=canary))],
    )
    if not appended.duplicate:
        await connection.execute(
            "INSERT INTO plan (tenant_id, plan_id, status, spec, version, launched_at, canary)"
            " VALUES ($1, $2, 'running', $3::text::jsonb, 1, $4, $5)",
            tenant_id,
            plan.plan,
            json.dumps(spec),
            command.occurred_at,
            list(canary) or None,
        )
    return appended


async def launched_before(
    connection: Driver, tenant_id: int, plan: Plan, canary: tuple[str, ...] = ()
) -> bool:
    """Whether this very playbook was launched, whatever was adjusted since.

    Raises:
        Refused: it was, but in other stores: whoever asks would believe it runs there only.
    """
    row = await connection.fetchrow(
        "SELECT payload->>'spec' AS spec, payload->>'canary' AS canary FROM event WHERE tenant_id = $1 AND stream = $2 AND version = 1",
        tenant_id,
        plan_stream(plan.plan),
    )
    if row is None:
        return False
    # Read first: what has been added to playbooks since has its default.
    if plan_json(parse_spec(row["spec"])) != plan_json(
        await without_member_codes(connection, tenant_id, plan)
    ):
        return False
    before = tuple(json.loads(row["canary"] or "[]"))
    if canary and sorted(canary) != sorted(before):
        runs_in = ", ".join(before) or "*"
        raise Refused([Problem("canary", ", ".join(canary), "launched_elsewhere", {"stores": runs_in})])
    return True


async def without_member_codes(connection: Driver, tenant_id: int, plan: Plan) -> Plan:
    """The plan with its manual members named by id instead of the brand's own code."""
    codes = sorted(
        {code for step in plan.care.strategies for members in step.members.values() for code in members}
    )
    if not codes:
        return plan
    rows = await connection.fetch(
        """
        SELECT n.name, m.member_id FROM unnest($2::text[]) AS n(name)
        CROSS JOIN LATERAL (SELECT member_id_of(n.name) AS of_code) d
        JOIN member m ON m.tenant_id = $1
             AND m.member_id IN (d.of_code, CASE WHEN pg_input_is_valid(n.name, 'uuid') THEN n.name::uuid END)""",
        tenant_id,
        codes,
    )
    ids = {row["name"]: str(row["member_id"]) for row in rows}
    steps = tuple(
        step.model_copy(
            update={
                "members": {
                    guide: tuple(ids[code] for code in members if code in ids)
                    for guide, members in step.members.items()
                }
            }
        )
        for step in plan.care.strategies
    )
    return plan.model_copy(update={"care": plan.care.model_copy(update={"strategies": steps})})


async def adjust(
    connection: Driver, tenant_id: int, command: Command, standing: PlanState, adjusted: PlanAdjusted
) -> Appended:
    """Act on a running plan: the new playbook takes effect at once; call it in a transaction.

    Raises:
        Conflict: the plan changed since `standing` was read.
    """
    appended = await _append_to_plan(connection, tenant_id, command, standing, adjusted)
    if not appended.duplicate:
        await connection.execute(
            "UPDATE plan SET spec = $3::text::jsonb, version = $4 WHERE tenant_id = $1 AND plan_id = $2",
            tenant_id,
            standing.plan.plan,
            json.dumps(adjusted.spec),
            appended.version,
        )
    return appended


async def change_status(
    connection: Driver, tenant_id: int, command: Command, plan_id: str, *, status: str, reason: str
) -> Appended:
    """Pause, resume (`running`), close or recall a plan; call it in a transaction.

    Raises:
        Refused: the plan is at its end already, or stands where it should go.
    """
    standing = await read_plan(connection, tenant_id, plan_id)
    if standing.status == status:
        raise Refused([Problem("status", status, "plan_already", {"status": standing.status})])
    if standing.status in FINAL:
        raise Refused([Problem("status", status, "plan_ended", {"status": standing.status})])
    changed = PlanStatusChanged(status=status, reason=reason)
    appended = await _append_to_plan(connection, tenant_id, command, standing, changed)
    if not appended.duplicate:
        await connection.execute(
            """
            UPDATE plan SET status = $3, version = $4,
                   ended_at = CASE WHEN $3::text = ANY($6::text[]) THEN $5::timestamptz END,
                   paused = CASE WHEN $3 = 'paused' THEN paused + tstzmultirange(tstzrange($5::timestamptz, NULL))
                                 ELSE paused - tstzmultirange(tstzrange($5::timestamptz, NULL)) END
            WHERE tenant_id = $1 AND plan_id = $2""",
            tenant_id,
            plan_id,
            status,
            appended.version,
            command.occurred_at,
            list(FINAL),
        )
    return appended


async def confirm_canary(
    connection: Driver, tenant_id: int, command: Command, plan_id: str, *, reason: str
) -> Appended:
    """Let a plan that runs in its canary stores go to all; call it in a transaction.

    Raises:
        Refused: the plan is at its end, or is not in canary.
    """
    standing = await read_plan(connection, tenant_id, plan_id)
    if standing.status in FINAL:
        raise Refused([Problem("plan", plan_id, "plan_closed")])
    if not standing.canary:
        raise Refused([Problem("plan", plan_id, "not_in_canary")])
    confirmed = CanaryConfirmed(stores=standing.canary, reason=reason)
    appended = await _append_to_plan(connection, tenant_id, command, standing, confirmed)
    if not appended.duplicate:
        await connection.execute(
            "UPDATE plan SET canary = NULL, version = $3 WHERE tenant_id = $1 AND plan_id = $2",
            tenant_id,
            plan_id,
            appended.version,
        )
    return appended


async def note_decision(
    connection: Driver, tenant_id: int, command: Command, plan_id: str, decided: GoalDecided
) -> None:
    """Note what Act by rule came to, so that it is not decided again; call it in the transaction that acted."""
    if not (await record(connection, tenant_id, command, [(plan_stream(plan_id), decided)])).duplicate:
        await connection.execute(
            "UPDATE plan SET version = version + 1 WHERE tenant_id = $1 AND plan_id = $2", tenant_id, plan_id
        )


async def _append_to_plan(
    connection: Driver,
    tenant_id: int,
    command: Command,
    standing: PlanState,
    event: PlanAdjusted | PlanStatusChanged | CanaryConfirmed,
) -> Appended:
    stream = plan_stream(standing.plan.plan)
    head = await read_head(connection, tenant_id, stream)
    # What was decided rests on `standing`: at another version the door refuses.
    decided_on = Head(standing.version, head.hash) if head else None
    return await append(
        connection,
        tenant_id=tenant_id,
        command_id=command.command_id,
        known_at=command.known_at,
        batches=[stream_batch(command, stream, decided_on, event)],
    )


async def running_plans(connection: Driver, tenant_id: int) -> list[PlanState]:
    """Plans whose items go onto lists today, by name."""
    rows = await connection.fetch(
        "SELECT plan_id FROM plan WHERE tenant_id = $1 AND status = 'running' ORDER BY plan_id", tenant_id
    )
    return [await read_plan(connection, tenant_id, row["plan_id"]) for row in rows]


async def visible_plans(connection: Driver, tenant_id: int) -> frozenset[str]:
    """Ids of the plans that whoever stands on the connection sees."""
    rows = await connection.fetch("SELECT plan_id FROM plan WHERE tenant_id = $1", tenant_id)
    return frozenset(row["plan_id"] for row in rows)


async def holds_running(connection: Driver, tenant_id: int, plan_id: str) -> bool:
    """Whether the plan runs; if so it goes on running until the caller's transaction ends."""
    return bool(
        await connection.fetchval(
            "SELECT status = 'running' FROM plan WHERE tenant_id = $1 AND plan_id = $2 FOR SHARE",
            tenant_id,
            plan_id,
        )
    )


async def list_plans(
    connection: Driver, tenant_id: int, *, after: tuple[datetime, str] | None = None, limit: int | None = None
) -> list[dict[str, Any]]:
    """Plans with status, cycle, launch and canary stores, newest first; `after` is launch and id of the last one seen."""
    rows = await connection.fetch(
        """
        SELECT plan_id, spec->>'name' AS name, status, cycle, launched_at, coalesce(canary, '{}') AS canary FROM plan
        WHERE tenant_id = $1 AND ($2::timestamptz IS NULL OR launched_at < $2
              OR (launched_at = $2 AND plan_id > $3::text COLLATE "C"))
        ORDER BY launched_at DESC, plan_id LIMIT $4""",
        tenant_id,
        *(after or (None, None)),
        limit,
    )
    return [dict(row) for row in rows]


def plan_json(plan: Plan) -> dict[str, Any]:
    """The playbook as JSON values; numbers are strings, as the ledger wants them."""
    return plan.model_dump(mode="json", by_alias=True)


def cycle_span(plan: Plan, cycle: int) -> tuple[date, date]:
    """First and last working day of a cycle."""
    days = plan.cycle_days(cycle)
    return days[0], days[-1]
