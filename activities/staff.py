"""Commands on staff, ledger first: hire, transfer, leave, close a store. No workflow is needed.

Each decides in one transaction: guards, event, posting, and the ends of rights that are known already. What is dated
today or earlier is in force when it ends, and what has to move moves at once; what is dated ahead comes into force when
its day begins in the store's time zone: for whoever asks, at that minute; its items, with the worker's next pass
(`activities.handing_over`). With `dry_run` the answer says what would move, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from uuid import UUID

from activities.asked import Asked
from activities.handing_over import Moved, preview, settle
from activities.staff_answers import StaffChanged, keep_answer, kept_answer
from domain.calendar import business_date
from domain.errors import Problem, Refused
from domain.identifiers import derived_id
from domain.playbook import nearest
from domain.staff import (
    Standing,
    StorePlace,
    decide_closing,
    decide_hire,
    decide_leave,
    decide_transfer,
)
from ledger.door import Driver, command_used, lock_heads
from ledger.ledger import Command, Ledger
from ledger.plans import references
from ledger.staff import (
    GuideChange,
    Posting,
    add_guide,
    apply_staff_changes,
    end_guide_roles,
    find_guide,
    find_store,
    guide_id_for,
    guide_stream,
    hold_staff,
    read_posting,
    standing_in,
    store_stream,
    write_change,
    write_closing,
    zone_of,
)


@dataclass(frozen=True, slots=True)
class NewGuide:
    """A guide to be hired; name and phone are kept beside the ledger."""

    code: str
    name: str
    store: str
    phone: str | None = None
    from_on: date | None = None
    """Today in the store's time zone, where left out."""


class _DryRun(Exception):
    """Takes a transaction back; `told` is what it would have done."""

    def __init__(self, told: StaffChanged) -> None:
        super().__init__("dry run")
        self.told = told


@dataclass
class _Decided:
    """What a transaction decided."""

    postings: list[Posting] = field(default_factory=list)
    first_on: date = date.max
    in_force: bool = False
    duplicate: bool = False
    command: str = ""
    guides: list[str] = field(default_factory=list)
    keeps_roles: list[str] = field(default_factory=list)


async def hire(ledger: Ledger, new: NewGuide, asked: Asked, *, dry_run: bool = False) -> StaffChanged:
    """Let a guide, new or come back, work in a store; she gets members with the next assignment.

    Raises:
        Refused: unknown or closed store, she works already, or the day is out of bounds.
    """

    async def decide(connection: Driver) -> _Decided:
        tenant_id = ledger.tenant_id
        there = await find_guide(connection, tenant_id, new.code)
        guide = there or Standing(await guide_id_for(connection, new.code), new.code, None)
        command = await _command(connection, tenant_id, guide_stream(guide.guide_id), "hire", asked)
        problems: list[Problem] = []
        store = await _store(connection, tenant_id, "store", new.store, problems)
        if store is None:
            raise Refused(problems)
        told = {"guide_id": guide.guide_id, "store_id": store.store_id, "from_on": new.from_on}
        if (done := await _done_before(connection, tenant_id, command, told)) is not None:
            return done
        today = business_date(asked.at, store.time_zone)
        hired = decide_hire(guide, store, new.from_on or today, today)
        await add_guide(connection, hired, new.code, new.name, new.phone)
        return await _written(connection, tenant_id, command, [(hired, store.time_zone)])

    return await _run(ledger, decide, asked, dry_run=dry_run)


async def transfer(
    ledger: Ledger, guide: str, store: str, from_on: date | None, asked: Asked, *, dry_run: bool = False
) -> StaffChanged:
    """Let a guide stand in another store. Members at home in the one she comes from stay with it.

    Raises:
        Refused: unknown guide or store, she does not work or stands there, it is closed, or the day is out of bounds.
    """

    async def decide(connection: Driver) -> _Decided:
        tenant_id = ledger.tenant_id
        problems: list[Problem] = []
        standing = await _guide(connection, tenant_id, "guide", guide, problems)
        place = await _store(connection, tenant_id, "store", store, problems)
        if standing is None or place is None:
            raise Refused(problems)
        command = await _command(connection, tenant_id, guide_stream(standing.guide_id), "transfer", asked)
        told = {"guide_id": standing.guide_id, "store_id": place.store_id, "from_on": from_on}
        if (done := await _done_before(connection, tenant_id, command, told)) is not None:
            return done
        today = business_date(asked.at, place.time_zone)
        change = decide_transfer(standing, place, from_on or today, today)
        return await _written(connection, tenant_id, command, [(change, place.time_zone)])

    return await _run(ledger, decide, asked, dry_run=dry_run)


async def leave(
    ledger: Ledger,
    guide: str,
    last_on: date | None,
    replacement: str | None,
    asked: Asked,
    *,
    dry_run: bool = False,
) -> StaffChanged:
    """Let a guide leave after her last day: then her sessions and tokens end, and what she holds goes to others.

    Raises:
        Refused: unknown guide or replacement, she does not work or not yet, or the day is out of bounds.
    """

    async def decide(connection: Driver) -> _Decided:
        tenant_id = ledger.tenant_id
        problems: list[Problem] = []
        standing = await _guide(connection, tenant_id, "guide", guide, problems)
        follower = (
            await _guide(connection, tenant_id, "replacement", replacement, problems) if replacement else None
        )
        if standing is None or problems:
            raise Refused(problems)
        command = await _command(connection, tenant_id, guide_stream(standing.guide_id), "leave", asked)
        told = {
            "guide_id": standing.guide_id,
            "store_id": None,
            "replacement_id": follower.guide_id if follower else None,
            "from_on": last_on and last_on + timedelta(days=1),
        }
        if (done := await _done_before(connection, tenant_id, command, told)) is not None:
            return done
        store_id = standing.then or standing.store_id
        zone = await zone_of(connection, tenant_id, store_id) if store_id else "UTC"
        today = business_date(asked.at, zone)
        change = decide_leave(standing, last_on or today, follower, today)
        written = await _written(connection, tenant_id, command, [(change, zone)])
        (posting,) = written.postings
        written.keeps_roles = await end_guide_roles(
            connection, tenant_id, command, standing.guide_id, max(posting.from_at, asked.at)
        )
        return written

    return await _run(ledger, decide, asked, dry_run=dry_run)


async def close_store(
    ledger: Ledger, store: str, last_on: date | None, to: str | None, asked: Asked, *, dry_run: bool = False
) -> StaffChanged:
    """Close a store after its last day: its phones are bound no more.

    With `to`, its members are at home there from then on, and guides who would stay behind are transferred there.

    Raises:
        Refused: unknown store, it closes already, guides would stay behind (they are named), or the day is out of bounds.
    """

    async def decide(connection: Driver) -> _Decided:
        tenant_id = ledger.tenant_id
        problems: list[Problem] = []
        place = await _store(connection, tenant_id, "store", store, problems)
        new_home = await _store(connection, tenant_id, "to", to, problems) if to else None
        if place is None or problems:
            raise Refused(problems)
        command = await _command(connection, tenant_id, store_stream(place.store_id), "close", asked)
        if await command_used(connection, tenant_id, command.command_id):
            return replace(_closed_before(place, last_on, asked), command=command.command_id)
        today = business_date(asked.at, place.time_zone)
        day = last_on or today
        first_on = day + timedelta(days=1)
        there = await standing_in(connection, tenant_id, place.store_id, first_on)
        coming = [one for one, free in there if free] if new_home else []
        staying = [one.code for one, _ in there if one not in coming]
        closed = decide_closing(place, day, new_home, staying, today)
        await write_closing(connection, tenant_id, command, closed, place.time_zone)
        changes: list[tuple[GuideChange, str]] = [
            (decide_transfer(one, new_home, first_on, today), place.time_zone)
            for one in coming
            if new_home is not None
        ]
        written = await _written(connection, tenant_id, command, changes)
        written.first_on, written.in_force = first_on, first_on <= today
        written.guides = [one.code for one in coming]
        return written

    return await _run(ledger, decide, asked, dry_run=dry_run)


async def _run(
    ledger: Ledger, decide: Callable[[Driver], Awaitable[_Decided]], asked: Asked, *, dry_run: bool
) -> StaffChanged:
    try:
        async with ledger.transaction() as connection:
            await hold_staff(connection, ledger.tenant_id)
            # What is decided rests on where everybody stands now.
            await apply_staff_changes(connection, asked.at)
            decided = await decide(connection)
            if decided.duplicate:
                kept = await kept_answer(connection, ledger.tenant_id, decided.command)
                if kept is not None:
                    return replace(kept, duplicate=True)
            moves = await _foreseen(connection, ledger.tenant_id, decided, asked, dry_run=dry_run)
            await apply_staff_changes(connection, asked.at)
    except _DryRun as taken_back:
        return taken_back.told
    if decided.in_force:
        for posting in decided.postings:
            if posting.before is not None:
                moves += await settle(ledger, posting, asked.at)
    told = _told(decided, moves)
    if asked.key and not decided.duplicate:
        async with ledger.transaction() as connection:
            await keep_answer(connection, ledger.tenant_id, decided.command, told, asked.at)
    return told


async def _foreseen(
    connection: Driver, tenant_id: int, decided: _Decided, asked: Asked, *, dry_run: bool
) -> list[Moved]:
    """What will move, where it does not at once; a dry run ends here."""
    moves: list[Moved] = []
    if dry_run or not decided.in_force:
        for posting in decided.postings:
            moves += await preview(connection, tenant_id, posting, asked.at)
    if dry_run:
        raise _DryRun(_told(decided, moves))
    return moves


def _told(decided: _Decided, moves: Sequence[Moved]) -> StaffChanged:
    return StaffChanged(
        first_on=decided.first_on,
        in_force=decided.in_force,
        duplicate=decided.duplicate,
        moves=tuple(moves),
        guides=tuple(decided.guides),
        keeps_roles=tuple(decided.keeps_roles),
    )


async def _written(
    connection: Driver, tenant_id: int, command: Command, changes: Sequence[tuple[GuideChange, str]]
) -> _Decided:
    decided = _Decided(command=command.command_id)
    alone = len(changes) == 1 and command.command_id.split("/")[-1] != "close"
    for change, zone in changes:
        key = command.command_id if alone else f"{command.command_id}/guide/{change.guide}"
        one = Command(key, command.occurred_at, command.known_at, command.actor)
        await write_change(connection, tenant_id, one, _posting_id(key), change, zone)
        posting = await read_posting(connection, tenant_id, _posting_id(key))
        if posting is None:
            raise LookupError(f"posting of {key} was written and is not there")
        decided.postings.append(posting)
        decided.first_on = posting.from_on
        decided.in_force = posting.from_at <= command.known_at
    return decided


async def _command(connection: Driver, tenant_id: int, stream: str, what: str, asked: Asked) -> Command:
    # Without a key of the asker, the version decided on names the request: two at once cannot both pass.
    heads = await lock_heads(connection, tenant_id, [stream])
    version = heads[stream].version if stream in heads else 0
    told = f"key/{asked.key}" if asked.key else f"{stream}/{version}"
    return Command(f"staff/{told}/{what}", asked.at, asked.at, asked.actor)


async def _done_before(
    connection: Driver, tenant_id: int, command: Command, told: dict[str, UUID | date | None]
) -> _Decided | None:
    """The same request done before; one with the same key and another content is refused."""
    if not await command_used(connection, tenant_id, command.command_id):
        return None
    posting = await read_posting(connection, tenant_id, _posting_id(command.command_id))
    same = posting is not None and all(
        getattr(posting, name) == value
        for name, value in told.items()
        if name != "from_on" or value is not None
    )
    if posting is None or not same:
        raise Refused([Problem("Idempotency-Key", "", "key_used_otherwise")])
    # Whoever did it first may have ended before it moved what had to: then it moves now.
    return _Decided([posting], posting.from_on, posting.applied, duplicate=True, command=command.command_id)


def _closed_before(place: StorePlace, last_on: date | None, asked: Asked) -> _Decided:
    if place.last_on is None or last_on not in {None, place.last_on}:
        raise Refused([Problem("Idempotency-Key", "", "key_used_otherwise")])
    first_on = place.last_on + timedelta(days=1)
    in_force = first_on <= business_date(asked.at, place.time_zone)
    return _Decided(first_on=first_on, in_force=in_force, duplicate=True)


def _posting_id(key: str) -> UUID:
    return derived_id("posting", key)


async def _guide(
    connection: Driver, tenant_id: int, name: str, code: str, problems: list[Problem]
) -> Standing | None:
    """The guide of this code; None, and a problem more, where there is none."""
    found = await find_guide(connection, tenant_id, code)
    if found is None:
        known = (await references(connection, tenant_id)).guides
        problems.append(Problem(name, code, "unknown_guide", {"nearest": nearest(code, known) or "—"}))
    return found


async def _store(
    connection: Driver, tenant_id: int, name: str, code: str, problems: list[Problem]
) -> StorePlace | None:
    """The store of this code; None, and a problem more, where there is none."""
    found = await find_store(connection, tenant_id, code)
    if found is None:
        known = (await references(connection, tenant_id)).stores
        problems.append(Problem(name, code, "unknown_store", {"nearest": nearest(code, known) or "—"}))
    return found
