"""The sender's side of the outbox: what is due, claimed with a recheck, ended.

A message is marked as being sent, and that is committed, *before* it is sent: at most once. Who dies between mark
and end leaves it `sending`; after a lease it is `unknown`, on view, and nobody sends it again by himself. One claim
an endpoint at a time, under the endpoint's row lock, so that any number of senders keep its rate together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from domain.calendar import local_instant
from domain.delivery import RATE_LIMITED, Delivery, standing_after
from domain.errors import Refused
from domain.permitted import Purpose, next_permitted
from ledger.calendars import LAYERS_OF_STORE, STORE_COLUMNS, layers_of, with_guide
from ledger.case_standing import NO_COMPLAINT
from ledger.contact_accounts import read_account
from ledger.contacts import try_hold
from ledger.door import Driver
from ledger.escalating import KIND as ESCALATION
from ledger.escalating import PLACE, left_open
from ledger.ledger import Ledger
from ledger.open_items import ITEM_UNTOUCHED, ITEMS_OF_DAY, item_open

LEASE = timedelta(minutes=2)
"""Whoever has not ended a message by then has died; longer than any attempt to send."""
RATE_WINDOW = timedelta(seconds=60)
SEAL = "seal"
"""The kind of message that carries a seal; its purpose is `seal/{position}`."""
DAY_SUMMARY = "day_summary"
"""The kind of message that tells a store how its day closed (`tell_store_day`, 0022.sql); its figures are its content's."""
CONTACT = "contact"
"""The kind of message that reaches a member (`outbox.member_id`)."""
NO_CONTACT_LEFT = "no_contact_left"
"""Why a message to a member waits whose contacts of the day, week or month are taken."""
HELD_FOR = timedelta(seconds=5)
"""A message to a member whose account somebody holds, who cuts lists or sends to her, is looked at again after that."""
LOOKED_AT = 50
"""Messages one recheck looks at; those that can never become right are ended on the way to one that can be sent."""

_STILL_OPEN = left_open(
    "(c.content->>'date')::date", "c.content->>'time_zone'", "(c.content->>'open_percent')::int", "$3"
)
_UNDISTURBED = NO_COMPLAINT.format(member="c.member_id")
_RECHECK = f"""
WITH candidate AS (
    SELECT purpose, kind, guide_id, member_id, content, created_at, expires_at, attempts FROM outbox
    WHERE tenant_id = $1 AND endpoint_id = $2 AND state = 'waiting' AND (not_before IS NULL OR not_before <= $3)
    ORDER BY created_at, purpose LIMIT {LOOKED_AT} FOR UPDATE SKIP LOCKED
)
SELECT c.purpose, c.attempts, (c.content->>'date')::date AS day, c.content->>'slot' AS slot, g.code AS guide_code,
       h.name AS guide_name, n.open_items, coalesce(d.opens_at, c.created_at) AS opens_at, c.kind, c.member_id,
       c.content->>'anchor' AS anchor, c.content->>'text' AS text, g.code, g.on_leave_from, g.on_leave_to,
       c.content->>'level' AS level, c.content->>'place' AS place, e.left_open, c.content::text AS content,
       (SELECT k.facts::text FROM calendar_layer k WHERE k.tenant_id = $1 AND k.scope = 'guide'
        AND k.subject = g.guide_id::text) AS facts, {STORE_COLUMNS}, {LAYERS_OF_STORE} AS said,
       CASE WHEN c.expires_at <= $3 THEN 'too_late'
            WHEN (c.kind = '{CONTACT}' OR c.member_id IS NOT NULL) AND (m.member_id IS NULL OR m.erased_at IS NOT NULL)
                THEN 'member_gone'
            WHEN m.opted_out_at <= $3 THEN 'opted_out'
            WHEN EXISTS (SELECT FROM plan_member q WHERE q.tenant_id = $1 AND q.plan_id = c.content->>'plan'
                         AND q.member_id = c.member_id AND q.grade = 'D') THEN 'graded_d'
            WHEN c.kind = '{CONTACT}' AND NOT {_UNDISTURBED} THEN 'complaint_open'
            WHEN c.kind IN ('{CONTACT}', '{SEAL}', '{DAY_SUMMARY}') THEN NULL
            WHEN c.kind = '{ESCALATION}' THEN CASE WHEN e.left_open IS NULL THEN 'nothing_open' END
            WHEN g.guide_id IS NULL OR NOT g.active THEN 'guide_gone'
            WHEN (c.content->>'date')::date BETWEEN g.on_leave_from AND coalesce(g.on_leave_to, 'infinity')
                THEN 'guide_on_leave'
            WHEN d.state IS DISTINCT FROM 'published' OR d.closes_at <= $3 THEN 'day_over'
            WHEN n.open_items = 0 AND n.paused > 0 THEN 'paused'
            WHEN n.open_items = 0 THEN 'nothing_open'
       END AS why
FROM candidate c
LEFT JOIN guide g ON g.tenant_id = $1 AND g.guide_id = c.guide_id
LEFT JOIN guide_person h ON h.tenant_id = $1 AND h.guide_id = c.guide_id
LEFT JOIN member m ON m.tenant_id = $1 AND m.member_id = c.member_id
LEFT JOIN store s ON s.tenant_id = $1 AND s.store_id = coalesce(m.home_store_id, g.store_id)
LEFT JOIN guide_day d ON d.tenant_id = $1 AND d.guide_id = c.guide_id
     AND d.business_date = (c.content->>'date')::date
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE {item_open("$3")})::int AS open_items,
           count(*) FILTER (WHERE {ITEM_UNTOUCHED} AND p.status = 'paused') AS paused
    FROM (SELECT d.guide_id, d.business_date) AS d {ITEMS_OF_DAY}
) n
LEFT JOIN LATERAL (
    SELECT array_agg(o.code || ' ' || o.open_items ORDER BY o.open_items DESC, o.code) AS left_open
    FROM ({_STILL_OPEN}) o
    WHERE {PLACE.format(level="c.content->>'level'")} = c.content->>'place'
) e ON c.kind = '{ESCALATION}'
ORDER BY c.created_at, c.purpose"""


@dataclass(frozen=True, slots=True)
class Nudge:
    """Items are open. `shared`: others read the endpoint too, so the text names the guide; `urged`: somebody urges her."""

    urged: bool
    shared: bool
    guide_code: str
    guide_name: str
    day: date
    slot: str
    open_items: int

    def __repr__(self) -> str:
        """Without the name, so that no log or failure message tells it."""
        return f"Nudge({self.guide_code!r}, {self.day}, {self.slot!r})"


@dataclass(frozen=True, slots=True)
class LeftOpen:
    """What guides of a store, a region or the brand have left open: each as `code count`, the most first."""

    level: str
    place: str
    day: date
    slot: str
    guides: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DaySummary:
    """A store's day as it closed, in items; `version` counts the closes and new figures of its lists."""

    place: str
    day: date
    slot: str
    version: int
    guides: int
    listed: int
    done: int
    reached: int
    carried: int
    late: int


@dataclass(frozen=True, slots=True)
class SealNews:
    """The ledger was sealed; the anchor is one line of JSON (`ledger/anchors.py`)."""

    position: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Contact:
    """A text of the house's own for a member: nothing personal, so that it may stand in the queue."""

    text: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that is marked as being sent, and what it says."""

    purpose: str
    endpoint_id: int
    token: str
    kind: str
    address: str
    attempt: int
    says: Nudge | LeftOpen | DaySummary | SealNews | Contact

    def __repr__(self) -> str:
        """Without address, so that no log or failure message tells it."""
        return f"Claimed({self.purpose!r}, {self.endpoint_id})"


@dataclass(frozen=True, slots=True)
class Overdue:
    """How many messages ended because their time was up, and how many because their sender died."""

    expired: int
    lost: int


@dataclass(frozen=True, slots=True)
class _LookedAt:
    """What the recheck says: send it (neither is set), end it (`why`), or let it wait (`not_before`)."""

    purpose: str
    why: str | None = None
    not_before: datetime | None = None


def _looked_at(row: Mapping[str, Any], now: datetime) -> _LookedAt:
    purpose: str = row["purpose"]
    if row["why"] is not None:
        return _LookedAt(purpose, row["why"])
    reaches = Purpose.WORK if row["member_id"] is None else Purpose.CONTACT
    if reaches is Purpose.WORK and row["kind"] in (
        SEAL,
        ESCALATION,
        DAY_SUMMARY,
    ):  # whoever answers for others is told at once
        return _LookedAt(purpose)
    layers = layers_of(row)
    if reaches is Purpose.WORK:
        layers = with_guide(layers, row)
    begins = max(now, row["opens_at"])
    try:
        permitted = next_permitted(begins, layers, reaches)
    except Refused:
        return _LookedAt(purpose, "never_permitted")
    if permitted.instant <= now:
        return _LookedAt(purpose)
    return _LookedAt(purpose, permitted.reason.code if permitted.reason else None, permitted.instant)


async def end_overdue(connection: Driver, tenant_id: int, now: datetime) -> Overdue:
    """End what is past its time, and what a sender that died left behind; also while messages are stopped."""
    expired = await connection.execute(
        "UPDATE outbox SET state = 'expired', why = 'too_late', ended_at = $2"
        " WHERE tenant_id = $1 AND state = 'waiting' AND expires_at <= $2",
        tenant_id,
        now,
    )
    lost = await connection.execute(
        "UPDATE outbox SET state = 'unknown', why = 'sender_lost', ended_at = $2"
        " WHERE tenant_id = $1 AND state = 'sending' AND claimed_at < $3",
        tenant_id,
        now,
        now - LEASE,
    )
    return Overdue(_count(expired), _count(lost))


async def due_endpoints(connection: Driver, tenant_id: int, now: datetime) -> list[int]:
    """Endpoints with messages that may be sent now; none while messages are stopped."""
    rows = await connection.fetch(
        "SELECT DISTINCT endpoint_id FROM outbox WHERE tenant_id = $1 AND state = 'waiting' AND endpoint_id > 0"
        " AND (not_before IS NULL OR not_before <= $2)"
        " AND NOT EXISTS (SELECT FROM message_stop WHERE tenant_id = $1 AND stopped) ORDER BY 1",
        tenant_id,
        now,
    )
    return [row["endpoint_id"] for row in rows]


async def claim(ledger: Ledger, *, endpoint_id: int, token: str, now: datetime) -> Claimed | None:
    """Mark the endpoint's next message as being sent, if it still may be; None: nothing may be sent to it now.

    Everything is looked at again in the transaction that marks: the switch, the message's time, the guide, her day,
    what is open, the endpoint and its rate; of a member her opt-out, erasure and D, and whether she has a contact left, her
    account being held from then on; and whether the instant is permitted (`domain.permitted`). What can never become right ends as `expired`, what comes too early waits, each with the reason.

    Args:
        ledger: the brand's.
        endpoint_id: where to.
        token: new for every call; names the claim when it is ended or given back.
        now: the present instant.
    """
    tenant_id = ledger.tenant_id
    async with ledger.transaction() as connection:
        if await _stopped(connection, tenant_id, now):
            return None
        # Another sender that holds it is at work on this endpoint: go elsewhere.
        endpoint = await connection.fetchrow(
            "SELECT scope, kind, address, per_minute, active FROM endpoint"
            " WHERE tenant_id = $1 AND endpoint_id = $2 FOR UPDATE SKIP LOCKED",
            tenant_id,
            endpoint_id,
        )
        if endpoint is None:
            return None
        if not endpoint["active"]:
            await connection.execute(
                "UPDATE outbox SET state = 'expired', why = 'endpoint_removed', ended_at = $3"
                " WHERE tenant_id = $1 AND endpoint_id = $2 AND state = 'waiting'",
                tenant_id,
                endpoint_id,
                now,
            )
            return None
        if await _resting(connection, tenant_id, endpoint_id, endpoint["per_minute"], now):
            return None
        while rows := await connection.fetch(_RECHECK, tenant_id, endpoint_id, now):
            looked = [_looked_at(row, now) for row in rows]
            await _end_wrong(connection, tenant_id, endpoint_id, looked, now)
            for row, again in zip(rows, looked, strict=True):
                if again.why is None and again.not_before is None:
                    if row["member_id"] and not await _takes_contact(
                        connection, tenant_id, endpoint_id, row, now
                    ):
                        continue
                    await _mark(connection, tenant_id, endpoint_id, row["purpose"], token, now)
                    return Claimed(
                        purpose=row["purpose"],
                        endpoint_id=endpoint_id,
                        token=token,
                        kind=endpoint["kind"],
                        address=endpoint["address"],
                        attempt=row["attempts"] + 1,
                        says=_says(row, shared=endpoint["scope"] != "guide"),
                    )
    return None


_OF_SUMMARY = ("version", "guides", "listed", "done", "reached", "carried", "late")


async def _takes_contact(
    connection: Driver, tenant_id: int, endpoint_id: int, row: Mapping[str, Any], now: datetime
) -> bool:
    """Whether the member has a contact left for the message; her account is held then. If not, it waits for one."""
    purpose: str = row["purpose"]
    if not await try_hold(connection, tenant_id, row["member_id"]):
        waits = _LookedAt(purpose, None, now + HELD_FOR)
    else:
        account = await read_account(connection, tenant_id, row["member_id"], at=now)
        if account.left:
            return True
        waits = _LookedAt(purpose, NO_CONTACT_LEFT, local_instant(account.free_on, time(0), account.zone))
    await _end_wrong(connection, tenant_id, endpoint_id, [waits], now)
    return False


def _says(row: Mapping[str, Any], *, shared: bool) -> Nudge | LeftOpen | DaySummary | SealNews | Contact:
    if row["kind"] == CONTACT:
        return Contact(row["text"] or "")
    if row["kind"] == SEAL:
        return SealNews(row["purpose"].removeprefix(f"{SEAL}/"), row["anchor"])
    if row["kind"] == DAY_SUMMARY:
        counts = json.loads(row["content"])
        return DaySummary(
            row["place"], row["day"], row["slot"], **{name: int(counts[name]) for name in _OF_SUMMARY}
        )
    if row["kind"] == ESCALATION:
        return LeftOpen(row["level"], row["place"], row["day"], row["slot"], tuple(row["left_open"]))
    return Nudge(
        urged=row["kind"] == "urge",
        shared=shared,
        guide_code=row["guide_code"],
        guide_name=row["guide_name"] or "",
        day=row["day"],
        slot=row["slot"],
        open_items=row["open_items"],
    )


async def finish(
    connection: Driver, tenant_id: int, claimed: Claimed, delivery: Delivery, now: datetime
) -> str:
    """Write down how an attempt ended; returns the state of the message. Doing it again changes nothing.

    What is known counts more than the guess that the sender died: it also mends `unknown` of the same claim.
    """
    standing = standing_after(delivery, claimed.attempt)
    await connection.execute(
        "UPDATE outbox SET state = $5, why = $6, not_before = $7, ended_at = $8"
        " WHERE tenant_id = $1 AND purpose = $2 AND endpoint_id = $3 AND claimed_by = $4"
        " AND state IN ('sending', 'unknown')",
        tenant_id,
        claimed.purpose,
        claimed.endpoint_id,
        claimed.token,
        standing.state,
        standing.why,
        None if standing.pause is None else now + standing.pause,
        None if standing.state == "waiting" else now,
    )
    return standing.state


async def give_back(connection: Driver, tenant_id: int, tokens: Sequence[str]) -> int:
    """Let messages wait again whose claim was committed without its sender hearing of it: nobody sent them."""
    return _count(
        await connection.execute(
            "UPDATE outbox SET state = 'waiting', attempts = attempts - 1, claimed_by = NULL"
            " WHERE tenant_id = $1 AND state = 'sending' AND claimed_by = ANY($2)",
            tenant_id,
            list(tokens),
        )
    )


async def _stopped(connection: Driver, tenant_id: int, now: datetime) -> bool:
    """Whether messages are stopped; the switch cannot be thrown until the transaction ends."""
    query = "SELECT stopped FROM message_stop WHERE tenant_id = $1 FOR SHARE"
    stopped = await connection.fetchval(query, tenant_id)
    if stopped is None:  # nobody ever threw it: a row that is not there cannot be locked
        await connection.execute(ENSURE_SWITCH, tenant_id, now)
        stopped = await connection.fetchval(query, tenant_id)
    return bool(stopped)


ENSURE_SWITCH = (
    "INSERT INTO message_stop (tenant_id, stopped, reason, changed_at, version) VALUES ($1, false, '', $2, 0)"
    " ON CONFLICT DO NOTHING"
)


async def _resting(
    connection: Driver, tenant_id: int, endpoint_id: int, per_minute: int, now: datetime
) -> bool:
    """Whether the endpoint has had its share of the minute, or asked for a pause."""
    return bool(
        await connection.fetchval(
            "SELECT (SELECT count(*) FROM outbox WHERE tenant_id = $1 AND endpoint_id = $2 AND claimed_at > $3) >= $4"
            " OR EXISTS (SELECT FROM outbox WHERE tenant_id = $1 AND endpoint_id = $2 AND state = 'waiting'"
            " AND why = $6 AND not_before > $5)",
            tenant_id,
            endpoint_id,
            now - RATE_WINDOW,
            per_minute,
            now,
            RATE_LIMITED,
        )
    )


async def _end_wrong(
    connection: Driver, tenant_id: int, endpoint_id: int, rows: Sequence[_LookedAt], now: datetime
) -> None:
    """End what can never become right; let wait what is not permitted yet."""
    wrong = [row for row in rows if row.not_before is None and row.why is not None]
    early = [row for row in rows if row.not_before is not None]
    if wrong:
        await connection.execute(
            "UPDATE outbox o SET state = 'expired', why = w.why, ended_at = $3"
            " FROM unnest($4::text[], $5::text[]) AS w(purpose, why)"
            " WHERE o.tenant_id = $1 AND o.endpoint_id = $2 AND o.purpose = w.purpose",
            tenant_id,
            endpoint_id,
            now,
            [row.purpose for row in wrong],
            [row.why for row in wrong],
        )
    if early:
        await connection.execute(
            "UPDATE outbox o SET not_before = w.at, why = w.why FROM unnest($3::text[], $4::timestamptz[], $5::text[])"
            " AS w(purpose, at, why) WHERE o.tenant_id = $1 AND o.endpoint_id = $2 AND o.purpose = w.purpose",
            tenant_id,
            endpoint_id,
            [row.purpose for row in early],
            [row.not_before for row in early],
            [row.why for row in early],
        )


async def _mark(
    connection: Driver, tenant_id: int, endpoint_id: int, purpose: str, token: str, now: datetime
) -> None:
    await connection.execute(
        "UPDATE outbox SET state = 'sending', claimed_at = $4, claimed_by = $5, attempts = attempts + 1, why = NULL,"
        " not_before = NULL, ended_at = NULL WHERE tenant_id = $1 AND purpose = $2 AND endpoint_id = $3",
        tenant_id,
        purpose,
        endpoint_id,
        now,
        token,
    )


def _count(status: str) -> int:
    """Rows of a command's status, e.g. `UPDATE 3`."""
    return int(status.rsplit(" ", 1)[1])
