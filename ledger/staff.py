"""Guides' postings and stores' closings: what is decided, what is due, what still has to move.

Decisions on a brand's staff are made one at a time (`hold_staff`). Each costs a handful of round trips, whatever the
number of guides.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from uuid import UUID

from domain.calendar import local_instant
from domain.events import GuideHired, GuideLeft, GuideTransferred, StoreClosed
from domain.staff import Post, Standing, StorePlace
from ledger.accounts import end_grant
from ledger.door import Appended, Driver
from ledger.ledger import Command, record

GuideChange = GuideHired | GuideTransferred | GuideLeft
SETTLED_AGAIN_FOR = timedelta(hours=1)
"""So long after a change is in force it is looked at again: a cycle drawn at that very moment may have missed it."""
GUIDE_ROLES = ("guide", "service_agent")


@dataclass(frozen=True, slots=True)
class Posting:
    """A decision on a guide: from `from_on` on she stands in `store_id` (None: she has left) instead of `before`."""

    posting_id: UUID
    guide_id: UUID
    guide: str
    before: UUID | None
    store_id: UUID | None
    from_on: date
    from_at: datetime
    replacement_id: UUID | None
    applied: bool


@dataclass(frozen=True, slots=True)
class StaffMember:
    """A guide as the staff list shows her; `next_*` is the next change decided, `next_store` empty where she leaves."""

    guide: str
    name: str
    store: str
    active: bool
    next_on: date | None
    next_store: str | None


@dataclass(frozen=True, slots=True)
class ClosingStore:
    """A store that closes or has closed."""

    store: str
    last_on: date
    to: str | None
    members: int
    """Members whose home it still is."""


def guide_stream(guide_id: UUID) -> str:
    """The stream of a guide's postings."""
    return f"guide/{guide_id}"


def store_stream(store_id: UUID) -> str:
    """The stream of a store."""
    return f"store/{store_id}"


async def hold_staff(connection: Driver, tenant_id: int) -> None:
    """Take the brand's turn to decide on staff, until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('daogou.staff'), $1)", tenant_id)


async def apply_staff_changes(connection: Driver, at: datetime) -> None:
    """Put every change whose day has come by `at` into force; nothing where none has."""
    await connection.execute("SELECT apply_staff_changes($1)", at)


async def guide_id_for(connection: Driver, code: str) -> UUID:
    """The id that a guide of this code has or will have."""
    return UUID(str(await connection.fetchval("SELECT guide_id_for($1)", code)))


async def find_store(connection: Driver, tenant_id: int, code: str) -> StorePlace | None:
    """The store of this code."""
    row = await connection.fetchrow(
        "SELECT s.store_id, s.code, s.time_zone, c.last_on FROM store s"
        " LEFT JOIN store_closing c ON c.tenant_id = $1 AND c.store_id = s.store_id"
        " WHERE s.tenant_id = $1 AND s.code = $2",
        tenant_id,
        code,
    )
    return None if row is None else StorePlace(row["store_id"], row["code"], row["time_zone"], row["last_on"])


async def zone_of(connection: Driver, tenant_id: int, store_id: UUID) -> str:
    """A store's time zone."""
    return str(
        await connection.fetchval(
            "SELECT time_zone FROM store WHERE tenant_id = $1 AND store_id = $2", tenant_id, store_id
        )
    )


_STANDING = """
SELECT g.guide_id, g.code, CASE WHEN g.active THEN g.store_id END AS store_id,
       p.from_on, p.store_id AS next_store_id, p.before_store_id IS NULL AS hired, p.applied_at IS NULL AS ahead
FROM guide g LEFT JOIN LATERAL (
    SELECT * FROM guide_posting p WHERE p.tenant_id = $1 AND p.guide_id = g.guide_id AND p.superseded_at IS NULL
    ORDER BY p.from_on DESC, p.version DESC LIMIT 1
) p ON true
WHERE g.tenant_id = $1 AND"""


async def find_guide(connection: Driver, tenant_id: int, code: str) -> Standing | None:
    """The guide of this code as she stands."""
    rows = await connection.fetch(f"{_STANDING} g.code = $2", tenant_id, code)
    return _standing(rows[0]) if rows else None


def _standing(row: dict[str, object]) -> Standing:
    decided = None if row["from_on"] is None else Post(row["from_on"], row["next_store_id"], row["hired"])  # type: ignore[arg-type]
    ahead = decided is not None and bool(row["ahead"])
    return Standing(row["guide_id"], row["code"], row["store_id"], decided, ahead)  # type: ignore[arg-type]


async def standing_in(
    connection: Driver, tenant_id: int, store_id: UUID, on: date
) -> list[tuple[Standing, bool]]:
    """Guides who will stand in a store on a day or come to it later, by code; True: and nothing is decided on them after."""
    rows = await connection.fetch(
        f"""{_STANDING} (
            (g.active AND g.store_id = $2 AND NOT EXISTS (
                SELECT FROM guide_posting o WHERE o.tenant_id = $1 AND o.guide_id = g.guide_id
                  AND o.applied_at IS NULL AND o.superseded_at IS NULL AND o.from_on <= $3))
            OR EXISTS (
                SELECT FROM guide_posting o WHERE o.tenant_id = $1 AND o.guide_id = g.guide_id
                  AND o.applied_at IS NULL AND o.superseded_at IS NULL AND o.store_id = $2
                  AND (o.from_on > $3 OR NOT EXISTS (
                      SELECT FROM guide_posting l WHERE l.tenant_id = $1 AND l.guide_id = g.guide_id
                        AND l.applied_at IS NULL AND l.superseded_at IS NULL AND l.from_on <= $3
                        AND (l.from_on, l.version) > (o.from_on, o.version)))))
        ORDER BY g.code""",
        tenant_id,
        store_id,
        on,
    )
    return [
        (one, not (one.ahead and one.decided is not None and one.decided.from_on > on))
        for one in map(_standing, rows)
    ]


async def add_guide(connection: Driver, hired: GuideHired, code: str, name: str, phone: str | None) -> None:
    """Enter a hired guide: not at work until the day comes. Who comes back keeps her id, and gets the name told now."""
    await connection.execute(
        "SELECT enter_guide($1, $2, $3, $4, $5)", hired.guide, code, hired.store, name, phone
    )


async def write_change(
    connection: Driver, tenant_id: int, command: Command, posting_id: UUID, change: GuideChange, zone: str
) -> Appended:
    """Decide on a guide: event and posting; call it in a transaction. `zone` is that of the day the change names.

    It takes the place of what was decided before for the same day or later and is not in force yet, in whatever zone: a
    day begins in one store when it has long begun in another. She then comes from where that would have found her.
    """
    appended = await record(connection, tenant_id, command, [(guide_stream(change.guide), change)])
    if appended.duplicate:
        return appended
    left = isinstance(change, GuideLeft)
    from_on = change.last_on + timedelta(days=1) if isinstance(change, GuideLeft) else change.from_on
    named = {"guide_left": "store", "guide_transferred": "before"}.get(change.type)
    before, store_id = getattr(change, named) if named else None, None if left else change.store
    superseded = await connection.fetch(
        "UPDATE guide_posting SET superseded_at = $4 WHERE tenant_id = $1 AND guide_id = $2 AND from_on >= $3"
        " AND applied_at IS NULL AND superseded_at IS NULL RETURNING from_on, version, before_store_id",
        tenant_id,
        change.guide,
        from_on,
        command.known_at,
    )
    if superseded:
        before = min(superseded, key=lambda row: (row["from_on"], row["version"]))["before_store_id"]
    await connection.execute(
        "INSERT INTO guide_posting (tenant_id, posting_id, guide_id, version, before_store_id, store_id, from_on,"
        " from_at, replacement_id, decided_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        tenant_id,
        posting_id,
        change.guide,
        appended.version,
        None if before == store_id else before,  # back to where she is: nothing of hers moves
        store_id,
        from_on,
        local_instant(from_on, time(0), zone),
        change.replacement if isinstance(change, GuideLeft) else None,
        command.known_at,
    )
    return appended


async def write_closing(
    connection: Driver, tenant_id: int, command: Command, closed: StoreClosed, zone: str
) -> Appended:
    """Decide that a store closes: event and row; call it in a transaction."""
    appended = await record(connection, tenant_id, command, [(store_stream(closed.store), closed)])
    if not appended.duplicate:
        await connection.execute(
            "INSERT INTO store_closing (tenant_id, store_id, last_on, from_at, to_store_id, decided_at)"
            " VALUES ($1, $2, $3, $4, $5, $6)",
            tenant_id,
            closed.store,
            closed.last_on,
            local_instant(closed.last_on + timedelta(days=1), time(0), zone),
            closed.to,
            command.known_at,
        )
    return appended


async def end_guide_roles(
    connection: Driver, tenant_id: int, command: Command, guide_id: UUID, ends_at: datetime
) -> list[str]:
    """End what a guide's account may do as a guide; answers the roles it keeps, sorted. HQ decides on those."""
    rows = await connection.fetch(
        "SELECT g.grant_id, g.role FROM role_grant g JOIN account a ON a.tenant_id = $1 AND a.account_id = g.account_id"
        " WHERE g.tenant_id = $1 AND a.guide_id = $2 AND (g.ends_at IS NULL OR g.ends_at > $3) ORDER BY g.grant_id",
        tenant_id,
        guide_id,
        ends_at,
    )
    for row in rows:
        if row["role"] in GUIDE_ROLES:
            one = Command(
                f"{command.command_id}/grant/{row['grant_id']}",
                command.occurred_at,
                command.known_at,
                command.actor,
            )
            await end_grant(connection, tenant_id, one, row["grant_id"], ends_at=ends_at, reason="guide_left")
    return sorted({row["role"] for row in rows if row["role"] not in GUIDE_ROLES})


_POSTING = """
SELECT p.posting_id, p.guide_id, g.code AS guide, p.before_store_id AS before, p.store_id, p.from_on, p.from_at,
       p.replacement_id, p.applied_at IS NOT NULL AS applied
FROM guide_posting p JOIN guide g ON g.tenant_id = $1 AND g.guide_id = p.guide_id
WHERE p.tenant_id = $1 AND"""


async def read_posting(connection: Driver, tenant_id: int, posting_id: UUID) -> Posting | None:
    """The posting of this id."""
    row = await connection.fetchrow(f"{_POSTING} p.posting_id = $2", tenant_id, posting_id)
    return None if row is None else Posting(**dict(row))


async def postings_to_settle(connection: Driver, tenant_id: int, at: datetime) -> list[Posting]:
    """Changes in force whose items may still have to move, in the order of their days."""
    rows = await connection.fetch(
        f"""{_POSTING} p.applied_at IS NOT NULL AND p.before_store_id IS NOT NULL
              AND (p.settled_at IS NULL OR p.applied_at > $2)
        ORDER BY p.from_at, p.guide_id, p.version""",
        tenant_id,
        at - SETTLED_AGAIN_FOR,
    )
    return [Posting(**dict(row)) for row in rows]


async def note_settled(connection: Driver, tenant_id: int, posting_id: UUID, at: datetime) -> None:
    """What was the guide's has moved."""
    await connection.execute(
        "UPDATE guide_posting SET settled_at = coalesce(settled_at, $3) WHERE tenant_id = $1 AND posting_id = $2",
        tenant_id,
        posting_id,
        at,
    )


async def list_staff(
    connection: Driver, tenant_id: int, *, store: str | None, after: str | None, limit: int | None
) -> list[StaffMember]:
    """Guides by code, as far as whoever asks reaches."""
    rows = await connection.fetch(
        """
        SELECT g.code AS guide, coalesce(n.name, '') AS name, s.code AS store, g.active,
               p.from_on AS next_on, t.code AS next_store
        FROM guide g JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id
        LEFT JOIN guide_person n ON n.tenant_id = $1 AND n.guide_id = g.guide_id
        LEFT JOIN LATERAL (
            SELECT from_on, store_id FROM guide_posting p
            WHERE p.tenant_id = $1 AND p.guide_id = g.guide_id AND p.applied_at IS NULL
              AND p.superseded_at IS NULL
            ORDER BY p.from_on, p.version LIMIT 1
        ) p ON true
        LEFT JOIN store t ON t.tenant_id = $1 AND t.store_id = p.store_id
        WHERE g.tenant_id = $1 AND ($2::text IS NULL OR s.code = $2) AND ($3::text IS NULL OR g.code > $3)
        ORDER BY g.code LIMIT $4""",
        tenant_id,
        store,
        after,
        limit,
    )
    return [StaffMember(**dict(row)) for row in rows]


async def list_closings(connection: Driver, tenant_id: int) -> list[ClosingStore]:
    """Stores that close or have closed, newest first."""
    rows = await connection.fetch(
        """
        SELECT s.code AS store, c.last_on, t.code AS "to",
               (SELECT count(*) FROM member m WHERE m.tenant_id = $1 AND m.home_store_id = c.store_id) AS members
        FROM store_closing c JOIN store s ON s.tenant_id = $1 AND s.store_id = c.store_id
        LEFT JOIN store t ON t.tenant_id = $1 AND t.store_id = c.to_store_id
        WHERE c.tenant_id = $1 ORDER BY c.last_on DESC, s.code""",
        tenant_id,
    )
    return [ClosingStore(**dict(row)) for row in rows]
