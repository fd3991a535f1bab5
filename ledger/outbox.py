"""People's side of the outbox: what was sent and what was not, the switch, and sending once more by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, NamedTuple, get_args
from uuid import UUID

from domain.errors import NotFound, Problem, Refused
from domain.events import Event, MessageRetried, MessagesResumed, MessagesStopped
from ledger.claims import ENSURE_SWITCH
from ledger.door import Driver
from ledger.ledger import Command, Ledger, record

STREAM = "messages"
State = Literal["unknown", "dead", "waiting", "sending", "sent", "expired", "unrouted"]
"""Every state of a message, those that want a person first."""
STATES: tuple[State, ...] = get_args(State)
RETRIABLE = ("unknown", "dead")


_MESSAGES = """
SELECT o.purpose, o.endpoint_id, o.kind, o.guide_id, g.code AS guide_code, (o.content->>'date')::date AS day,
       o.content->>'slot' AS slot, o.state, o.why, o.attempts, o.created_at, o.expires_at, o.not_before,
       o.claimed_at, o.ended_at, e.kind AS channel, e.scope, e.code,
       e.active AS channel_active
FROM outbox o
LEFT JOIN guide g ON g.tenant_id = $1 AND g.guide_id = o.guide_id
LEFT JOIN endpoint e ON e.tenant_id = $1 AND e.endpoint_id = o.endpoint_id
WHERE o.tenant_id = $1"""


class Place(NamedTuple):
    """A message's place in the list: what keyset pages go by."""

    created_at: datetime
    purpose: str
    endpoint_id: int


@dataclass(frozen=True, slots=True)
class Message:
    """A message and where it stands; one about no guide has none. `channel`, `scope` and `code` are its endpoint's; None: nobody's."""

    purpose: str
    endpoint_id: int
    kind: str
    guide_id: UUID | None
    guide_code: str | None
    day: date | None
    slot: str | None
    state: str
    why: str | None
    attempts: int
    created_at: datetime
    expires_at: datetime
    not_before: datetime | None
    claimed_at: datetime | None
    ended_at: datetime | None
    channel: str | None
    scope: str | None
    code: str | None
    channel_active: bool | None

    @property
    def place(self) -> Place:
        """Where the next page begins."""
        return Place(self.created_at, self.purpose, self.endpoint_id)


@dataclass(frozen=True, slots=True)
class StateCount:
    """How many messages stand in a state, and since when the oldest has been there (its making)."""

    messages: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Switch:
    """The one switch for everything that leaves the house; `changed_at` None: it was never thrown."""

    stopped: bool
    reason: str = ""
    changed_at: datetime | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class Thrown:
    """The switch as it stands, and whether this command changed it."""

    switch: Switch
    changed: bool


async def list_messages(
    connection: Driver,
    tenant_id: int,
    *,
    state: str | None = None,
    after: Place | None = None,
    limit: int = 50,
) -> list[Message]:
    """Messages, newest first; the next page begins `after` the place of this one's last.

    Raises:
        Refused: there is no such state.
    """
    if state is not None and state not in STATES:
        raise Refused([Problem("state", state, "unknown_message_state", {"known": ", ".join(STATES)})])
    conditions = ["true"]
    arguments: list[object] = [tenant_id, limit]
    if state is not None:
        arguments.append(state)
        conditions.append(f"o.state = ${len(arguments)}")
    if after is not None:
        at = len(arguments)
        arguments += after
        conditions.append(f"(o.created_at, o.purpose, o.endpoint_id) < (${at + 1}, ${at + 2}, ${at + 3})")
    rows = await connection.fetch(
        f"{_MESSAGES} AND {' AND '.join(conditions)}"
        " ORDER BY o.created_at DESC, o.purpose DESC, o.endpoint_id DESC LIMIT $2",
        *arguments,
    )
    return [Message(**row) for row in rows]


async def count_messages(
    connection: Driver, tenant_id: int, *, since: datetime | None = None
) -> dict[str, StateCount]:
    """Messages by state, every state among them.

    What is settled (sent, expired, unrouted) is counted from `since` on, where it is given: there are years of it.
    What is waiting, on its way, or wants a person is counted whole.
    """
    rows = await connection.fetch(
        """
        SELECT state, count(*)::int AS messages, min(created_at) AS oldest FROM outbox
        WHERE tenant_id = $1 AND state IN ('unknown', 'dead', 'waiting', 'sending') GROUP BY 1
        UNION ALL
        SELECT state, count(*)::int, min(created_at) FROM outbox
        WHERE tenant_id = $1 AND state IN ('sent', 'expired', 'unrouted') AND created_at >= coalesce($2::timestamptz, '-infinity')
        GROUP BY 1""",
        tenant_id,
        since,
    )
    found = {row["state"]: StateCount(row["messages"], row["oldest"]) for row in rows}
    return {state: found.get(state, StateCount(0, None)) for state in STATES}


async def read_switch(connection: Driver, tenant_id: int) -> Switch:
    """Whether messages are stopped, since when and why."""
    row = await connection.fetchrow(
        "SELECT stopped, reason, changed_at, version FROM message_stop WHERE tenant_id = $1 AND version > 0",
        tenant_id,
    )
    return Switch(stopped=False) if row is None else Switch(**row)


async def stop_messages(ledger: Ledger, command: Command, reason: str) -> Thrown:
    """Stop everything that leaves the house. What is on its way arrives; nothing is claimed after the commit.

    Raises:
        Refused: no reason is given.
    """
    return await _throw(ledger, command, MessagesStopped(reason=_reason(reason)), stopped=True, reason=reason)


async def resume_messages(ledger: Ledger, command: Command, reason: str) -> Thrown:
    """Send again; what expired meanwhile stays unsent.

    Raises:
        Refused: no reason is given.
    """
    return await _throw(
        ledger, command, MessagesResumed(reason=_reason(reason)), stopped=False, reason=reason
    )


def _reason(reason: str) -> str:
    if not reason.strip():
        raise Refused([Problem("reason", reason, "reason_missing")])
    return reason


async def _throw(ledger: Ledger, command: Command, event: Event, *, stopped: bool, reason: str) -> Thrown:
    tenant_id = ledger.tenant_id
    async with ledger.transaction() as connection:
        await connection.execute(ENSURE_SWITCH, tenant_id, command.known_at)
        # Waits for the claims that hold it; those after it read what is written here.
        standing = await connection.fetchval(
            "SELECT stopped FROM message_stop WHERE tenant_id = $1 FOR UPDATE", tenant_id
        )
        changed = False
        if standing is not stopped:
            appended = await record(connection, tenant_id, command, [(STREAM, event)])
            changed = not appended.duplicate
            if changed:
                await connection.execute(
                    "UPDATE message_stop SET stopped = $2, reason = $3, changed_at = $4, version = $5"
                    " WHERE tenant_id = $1",
                    tenant_id,
                    stopped,
                    reason,
                    command.occurred_at,
                    appended.version,
                )
        return Thrown(await read_switch(connection, tenant_id), changed)


async def retry_message(ledger: Ledger, command: Command, purpose: str, endpoint_id: int) -> Message:
    """Have a message sent once more: a person says that it did not arrive. On the record.

    It is looked at again like any other before it is sent.

    Raises:
        NotFound: there is no such message.
        Refused: it neither ended as unknown nor was refused for good, its time is up, or its endpoint is gone.
    """
    tenant_id = ledger.tenant_id
    async with ledger.transaction() as connection:
        row = await connection.fetchrow(
            "SELECT state, why, expires_at FROM outbox"
            " WHERE tenant_id = $1 AND purpose = $2 AND endpoint_id = $3 FOR UPDATE",
            tenant_id,
            purpose,
            endpoint_id,
        )
        if row is None:
            raise NotFound(Problem("purpose", purpose, "unknown_message"))
        if row["state"] not in RETRIABLE:
            raise Refused([Problem("purpose", purpose, "message_not_retriable", {"state": row["state"]})])
        if row["expires_at"] <= command.known_at:
            until = row["expires_at"].isoformat(timespec="minutes")
            raise Refused([Problem("purpose", purpose, "message_too_late", {"until": until})])
        serves = "SELECT active FROM endpoint WHERE tenant_id = $1 AND endpoint_id = $2"
        if not await connection.fetchval(serves, tenant_id, endpoint_id):
            raise Refused([Problem("endpoint", str(endpoint_id), "endpoint_removed")])
        event = MessageRetried(purpose=purpose, endpoint=endpoint_id, state=row["state"], why=row["why"])
        if not (await record(connection, tenant_id, command, [(STREAM, event)])).duplicate:
            await connection.execute(
                "UPDATE outbox SET state = 'waiting', why = NULL, not_before = NULL, ended_at = NULL,"
                " claimed_by = NULL WHERE tenant_id = $1 AND purpose = $2 AND endpoint_id = $3",
                tenant_id,
                purpose,
                endpoint_id,
            )
        (message,) = [
            found
            for found in await find_messages(connection, tenant_id, purpose)
            if found.endpoint_id == endpoint_id
        ]
    return message


async def find_messages(connection: Driver, tenant_id: int, purpose: str) -> list[Message]:
    """The messages of a purpose, one an endpoint."""
    rows = await connection.fetch(
        f"{_MESSAGES} AND o.purpose = $2 ORDER BY o.endpoint_id", tenant_id, purpose
    )
    return [Message(**row) for row in rows]
