"""Pictures beside the ledger: content-addressed, sealed, and held against the digest in their events.

Evidence lies under its member's key and goes with the member. A photographed sheet shows many members, so it lies under a key of its
own (in the key store, under the picture's id), and goes with the first of those on the day's list who is erased.

What a picture is named after is its digest and what it is of: the same one kept twice for the same thing is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from domain.errors import Conflict, NotFound, Problem, Refused
from domain.events import Event
from domain.identifiers import derived_id
from domain.picture_events import PictureErased, PictureKept
from domain.pictures import Kind, digest_of, media_type, picture_problem
from ledger.door import Driver, lock_heads
from ledger.guides import unknown_guide
from ledger.ledger import Command, Ledger, guide_day_stream, record
from ledger.sealing import seal, unseal


def picture_stream(picture_id: UUID) -> str:
    """The stream of a picture."""
    return f"picture/{picture_id}"


def picture_place(picture_id: UUID) -> str:
    """Where a picture is kept, for sealing it."""
    return f"picture/{picture_id}"


@dataclass(frozen=True, slots=True)
class NewPicture:
    """A picture of what a guide did on a day: of an item, or, without one, of the day's sheet."""

    content: bytes
    guide_id: UUID
    guide_code: str
    day: date
    task_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known of a picture that was kept; `content` is read apart."""

    picture_id: UUID
    kind: Kind
    sha256: str
    media_type: str
    size: int
    guide: str
    business_date: date
    task_id: UUID | None
    kept_at: datetime
    erased_at: datetime | None


@dataclass(frozen=True, slots=True)
class Kept:
    """A picture is kept; `duplicate`: it had been before."""

    picture_id: UUID
    sha256: str
    media_type: str
    size: int
    duplicate: bool


async def keep_picture(ledger: Ledger, new: NewPicture, *, at: datetime, actor: str) -> Kept:
    """Keep a picture; the same again for the same thing changes nothing.

    Six round trips in two transactions: whoever asks is looked at first, what is written is written for upkeep.

    Raises:
        NotFound: the guide's work is not the asker's to record, or there is no such item.
        Refused: it is no picture, too large, or the member was erased.
    """
    problem = picture_problem(new.content)
    if problem is not None:
        raise Refused([problem])
    member = await _allowed(ledger, new)
    tenant_id, sha256 = ledger.tenant_id, digest_of(new.content)
    whose = str(new.task_id) if new.task_id else f"{new.guide_id}/{new.day}"
    picture_id = derived_id("picture", sha256, whose)
    kept = Kept(picture_id, sha256, media_type(new.content) or "", len(new.content), duplicate=False)
    owner = member or picture_id
    key = (await ledger.keys.make_many([owner])).get(owner)
    if key is None:
        raise Refused([Problem("content", sha256, "picture_erased")])
    event = PictureKept(
        picture=picture_id,
        kind="evidence" if new.task_id else "sheet",
        sha256=sha256,
        media_type=kept.media_type,
        size=kept.size,
        guide=new.guide_id,
        business_date=new.day,
        task=new.task_id,
        member=member,
    )
    async with ledger.for_upkeep().transaction() as connection:
        await connection.execute(_TURN.format(shared="_shared"), str(tenant_id))
        await lock_heads(connection, tenant_id, [picture_stream(picture_id)])
        command = Command(f"picture/{picture_id}", at, at, actor, str(new.guide_id))
        appended = await record(connection, tenant_id, command, [(picture_stream(picture_id), event)])
        if appended.duplicate:
            return Kept(picture_id, sha256, kept.media_type, kept.size, duplicate=True)
        await _project(connection, tenant_id, event, at)
        if event.kind == "sheet" and await connection.fetchval(
            _SHOWS_ERASED, tenant_id, new.guide_id, new.day
        ):
            raise Refused([Problem("content", sha256, "picture_erased")])
        sealed = seal(key, tenant_id, owner, picture_place(picture_id), new.content)
        await connection.execute(
            "INSERT INTO picture_content (tenant_id, picture_id, sealed) VALUES ($1, $2, $3)",
            tenant_id,
            picture_id,
            sealed,
        )
    return kept


_RECORDS_HER_WORK = """
SELECT coalesce(current_setting('role', true) = 'daogou_worker', false) OR coalesce(changes_all(), false)
    OR acts_on_stream($1)"""


_SHOWS_ERASED = """
SELECT coalesce(bool_or(shown.erased_at IS NOT NULL), false) FROM (
    SELECT m.erased_at FROM list_item i JOIN task t ON t.tenant_id = $1 AND t.task_id = i.task_id
    JOIN member m ON m.tenant_id = $1 AND m.member_id = t.member_id
    WHERE i.tenant_id = $1 AND i.guide_id = $2 AND i.business_date = $3
) shown"""
"""Whether somebody on the list was erased."""
_TURN = "SELECT pg_advisory_xact_lock{shared}(hashtextextended('sheets/' || $1::text, 0))"
"""Sheets are kept beside each other and erasures one by one: an erasure at the same moment comes before, or finds the sheet."""


async def _allowed(ledger: Ledger, new: NewPicture) -> UUID | None:
    """The member an item is about, where whoever asks may record it."""
    async with ledger.connection() as connection:
        if not await connection.fetchval(_RECORDS_HER_WORK, guide_day_stream(new.guide_id, new.day)):
            raise unknown_guide(new.guide_code)
        if new.task_id is None:
            listed = await connection.fetchval(
                "SELECT true FROM guide_day WHERE tenant_id = $1 AND guide_id = $2 AND business_date = $3",
                ledger.tenant_id,
                new.guide_id,
                new.day,
            )
            if not listed:  # what no list stands behind nobody's erasure would find
                raise NotFound(Problem("date", new.day.isoformat(), "no_list", {"guide": new.guide_code}))
            return None
        member = await connection.fetchval(
            "SELECT member_id FROM task WHERE tenant_id = $1 AND task_id = $2", ledger.tenant_id, new.task_id
        )
    if member is None:
        raise NotFound(Problem("task_id", str(new.task_id), "unknown_task"))
    return UUID(str(member))


async def _project(connection: Driver, tenant_id: int, event: PictureKept, at: datetime) -> None:
    await connection.execute(
        "INSERT INTO picture (tenant_id, picture_id, kind, sha256, media_type, size, guide_id, business_date, task_id,"
        " member_id, kept_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        tenant_id,
        event.picture,
        event.kind,
        event.sha256,
        event.media_type,
        event.size,
        event.guide,
        event.business_date,
        event.task,
        event.member,
        at,
    )


_PICTURES = """
SELECT p.picture_id, p.kind, p.sha256, p.media_type, p.size, coalesce(g.code, '') AS guide, p.business_date, p.task_id,
       p.kept_at, p.erased_at
FROM picture p LEFT JOIN guide g ON g.tenant_id = $1 AND g.guide_id = p.guide_id
WHERE p.tenant_id = $1"""


async def list_pictures(connection: Driver, tenant_id: int, guide_id: UUID, day: date) -> list[Picture]:
    """The pictures of a guide's day in the asker's reach, in the order they were kept."""
    rows = await connection.fetch(
        f"{_PICTURES} AND p.guide_id = $2 AND p.business_date = $3 ORDER BY p.kept_at, p.picture_id",
        tenant_id,
        guide_id,
        day,
    )
    return [Picture(**dict(row)) for row in rows]


async def read_picture(ledger: Ledger, picture_id: UUID) -> tuple[Picture, bytes]:
    """A picture in the asker's reach with its content.

    Raises:
        NotFound: there is none, it was erased, or no key opens it.
    """
    unknown = NotFound(Problem("picture", str(picture_id), "unknown_picture"))
    tenant_id = ledger.tenant_id
    async with ledger.connection() as connection:
        row = await connection.fetchrow(f"{_PICTURES} AND p.picture_id = $2", tenant_id, picture_id)
        content = await connection.fetchrow(
            "SELECT p.member_id, c.sealed FROM picture_content c"
            " JOIN picture p ON p.tenant_id = $1 AND p.picture_id = c.picture_id"
            " WHERE c.tenant_id = $1 AND c.picture_id = $2",
            tenant_id,
            picture_id,
        )
    if row is None or content is None:
        raise unknown
    opened = opened_picture(
        await ledger.keys.get_many([content["member_id"] or picture_id]), tenant_id, picture_id, content
    )
    # What does not open, or is not what was kept, is shown to nobody; `audit verify` names it.
    if opened is None or digest_of(opened) != row["sha256"]:
        raise unknown
    return Picture(**dict(row)), opened


def opened_picture(
    keys: Mapping[UUID, bytes], tenant_id: int, picture_id: UUID, row: Mapping[str, Any]
) -> bytes | None:
    """What lies under a picture's key (`row`: `member_id`, `sealed`); None: no key opens it."""
    owner = UUID(str(row["member_id"])) if row["member_id"] else picture_id
    return unseal(keys.get(owner), tenant_id, owner, picture_place(picture_id), row["sealed"])


_OF_MEMBER = """
SELECT p.picture_id, p.member_id, p.erased_at FROM picture p WHERE p.tenant_id = $1 AND p.member_id = $2
UNION
SELECT p.picture_id, p.member_id, p.erased_at FROM task t
JOIN plan_cycle c ON c.tenant_id = $1 AND c.plan_id = t.plan_id AND c.cycle = t.cycle
CROSS JOIN generate_series(c.starts_on::timestamp, c.ends_on, interval '1 day') AS d(day)
JOIN list_item i ON i.tenant_id = $1 AND i.business_date = d.day::date AND i.task_id = t.task_id
JOIN guide g ON g.tenant_id = $1 AND g.guide_id = i.guide_id
-- The item may have stood on another list of that day before, which was printed then: of whoever had it, or of a colleague.
JOIN guide h ON h.tenant_id = $1 AND (h.store_id = g.store_id OR h.guide_id IN (
    SELECT (v.payload->>'guide')::uuid FROM event v
    WHERE v.tenant_id = $1 AND v.stream = 'task/' || t.task_id AND v.type IN ('task_created', 'task_reassigned')))
JOIN picture p ON p.tenant_id = $1 AND p.guide_id = h.guide_id AND p.business_date = i.business_date AND p.member_id IS NULL
     AND (h.guide_id = i.guide_id OR EXISTS (SELECT FROM event v WHERE v.tenant_id = $1
          AND v.stream = 'guide-day/' || h.guide_id || '/' || i.business_date AND v.payload->'tasks' ? t.task_id::text))
WHERE t.tenant_id = $1 AND t.member_id = $2
ORDER BY 1"""


async def erase_pictures(connection: Driver, tenant_id: int, command: Command, member: UUID) -> list[UUID]:
    """Erase the pictures a member is on; call it in the erasure's transaction, as whoever may change any member.

    Answers those whose key is their own, whenever they were erased: the caller destroys it, as it does the member's, once more where
    a copy of it may have turned up.
    """
    await connection.execute(_TURN.format(shared=""), str(tenant_id))
    rows = await connection.fetch(_OF_MEMBER, tenant_id, member)
    sheets = [UUID(str(row["picture_id"])) for row in rows if row["member_id"] is None]
    pictures = [UUID(str(row["picture_id"])) for row in rows if row["erased_at"] is None]
    if not pictures:
        return sheets
    events: list[tuple[str, Event]] = [(picture_stream(one), PictureErased(picture=one)) for one in pictures]
    done = Command(
        f"{command.command_id}/pictures/{pictures[0]}",
        command.occurred_at,
        command.known_at,
        command.actor,
    )
    if (await record(connection, tenant_id, done, events)).duplicate:
        raise Conflict("the member is being erased at the same moment: read again")
    await connection.execute(
        "UPDATE picture SET erased_at = $3 WHERE tenant_id = $1 AND picture_id = ANY($2)",
        tenant_id,
        pictures,
        done.occurred_at,
    )
    await connection.execute("SELECT erase_pictures($1)", pictures)
    return sheets
