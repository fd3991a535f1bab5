"""Proves the ledger: every chain recomputed, every derived thing compared, every seal and anchor held against it.

It detects a changed payload, actor or time (bytes, columns and jsonb must agree), an event removed, inserted or reordered
(versions and hashes), a cut tail (heads, seals), a gap or a double in the positions, an event whose command is not recorded,
a command whose event is gone, a note or a picture exchanged, a day whose items are not those it was closed with, and what people read
instead of the events where it says something else (`ledger.folding`). A ledger rewritten from end
to end, with correct hashes, heads and seals, shows against an anchor from outside the database, and only there.

Not read here: the purchase facts (a batch's root commits to them; `imports.facts.recompute_root` compares it with the
table, for the ledger knows no imports).

Cost: the events once, in windows of positions, one SHA-256 for the chain and two for the tree each; hash joins with heads,
commands and positions. Since a seal: only what came after it. docs/performance.md has the figures.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ledger.anchors import Anchor
from ledger.database import API
from ledger.door import Driver
from ledger.findings import MOST_LISTED, Difference, Findings
from ledger.folding.comparing import differences
from ledger.member_keys import MemberKeys
from ledger.merkle import Tree
from ledger.seals import Seal, last_seal
from ledger.verify_beside import Beside, compare_days, compare_notes, compare_pictures
from ledger.verify_events import WINDOW, Window, read_window
from ledger.verify_seals import Sealing, after, authenticate, read_seals
from ledger.verify_sets import compare_all, compare_positions, compare_since

__all__ = ["MOST_LISTED", "Difference", "Verification", "verify"]

# Nothing that is in the ledger's own schema may stand in for a function or an operator of PostgreSQL's.
_PATH = "SET LOCAL search_path = pg_catalog, pg_temp"
_PATH_OF_API = "SET LOCAL search_path = pg_catalog, daogou, pg_temp"
"""The policies that bind the API call functions of that schema; exact matches are PostgreSQL's here too."""
_MEMORY = "SET LOCAL work_mem = '128MB'"
"""So that the hash joins of a window stay in memory."""
# What stands where a table should could show each reader something else; a view always has its rule.
_NO_TABLES = """
SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'daogou'::regnamespace AND c.relname <> 'check_in_ever'
AND (c.relkind IN ('v', 'm', 'f') OR c.relhasrules) ORDER BY 1"""


TELL_EVERY = 20_000
"""Events between two tellings of progress."""
WHOLE_FROM = 8
"""A window of at least one so-many-th of the positions is read by hash joins over whole tables."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the ledger is sealed, and how far outside the database somebody could say so."""

    sealed: Seal | None = None
    anchored: Anchor | None = None
    """The highest anchor that the events agree with; None: nothing outside the database was there to compare."""
    unanchored: int = 0
    """Events after it: whoever owns the database could still rewrite them unseen."""

    @property
    def anchored_position(self) -> int:
        """The last anchored position; 0 where there is none."""
        return self.anchored.position if self.anchored else 0


@dataclass(frozen=True, slots=True)
class Verification:
    """What was verified. `differences` lists the first `MOST_LISTED`; `found` counts all."""

    streams: int
    events: int
    positions: int
    found: int
    differences: tuple[Difference, ...]
    since: int = 0
    """The position of the seal that was taken for granted; 0: everything was verified."""
    standing: Standing = field(default_factory=Standing)
    beside: Beside = field(default_factory=Beside)

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return self.found == 0


async def verify(
    connection: Driver,
    tenant_id: int,
    *,
    since: int = 0,
    anchors: Sequence[Anchor] = (),
    keys: MemberKeys | None = None,
    projections: bool = True,
    on_progress: Callable[[int], None] | None = None,
) -> Verification:
    """Verify the ledger of a tenant in one snapshot.

    Args:
        connection: as the worker, an owner, or whoever sees the whole tenant.
        tenant_id: the brand.
        since: take for granted what was sealed up to here: an anchored seal at or before it, if there is one, else
            any seal. Then only what came after it is read, and not what people read instead of the events.
        anchors: copies of seals from outside the database.
        keys: of the members; without them notes are not opened.
        projections: whether what people read instead of the events is held against them too (`ledger.folding`).
        on_progress: told how many events have been verified.
    """
    findings = Findings()
    async with connection.transaction(
        isolation="repeatable_read"
    ):  # the fold keeps what it gathers in temporary tables
        role = await connection.fetchval("SELECT current_setting('role', true)")
        for setting in (
            _PATH_OF_API if role == API else _PATH,
            _MEMORY,
            "SET LOCAL statement_timeout = 0",
            "SET LOCAL idle_in_transaction_session_timeout = 0",
        ):
            await connection.execute(setting)
        for row in await connection.fetch(_NO_TABLES):
            findings.add(row["relname"], 0, "is not the table it should be")
        start = await _start(connection, tenant_id, since, anchors)
        begin = start.position if start else 0
        sealing = Sealing(
            tenant_id,
            findings,
            start.tree if start else Tree(),
            await read_seals(connection, tenant_id, after=begin),
            after(anchors, begin),
            before=start,
        )
        if start is not None:
            sealing.agreed = authenticate(findings, start, anchors)
        async with asyncio.TaskGroup() as growing:
            read = await _read_events(connection, tenant_id, sealing, begin, growing, on_progress)
            positions = await compare_positions(connection, tenant_id, findings, after=begin)
            if start is None:
                streams, events = await compare_all(
                    connection, tenant_id, findings, read=read, positions=positions
                )
            else:
                streams = await compare_since(
                    connection, tenant_id, findings, after=begin, read=read, positions=positions
                )
                events = read
            beside = await compare_notes(connection, tenant_id, findings, keys, after=begin)
            beside += await compare_pictures(connection, tenant_id, findings, keys, after=begin)
            beside += await compare_days(connection, tenant_id, findings, after=begin)
            if start is None and projections:
                async for one in differences(connection, tenant_id):
                    findings.add(one.stream, one.version, one.kind)
        sealing.end()
        standing = await _standing(connection, tenant_id, sealing.agreed)
    if on_progress:
        on_progress(events)
    return Verification(
        streams, events, positions, findings.count, tuple(findings.listed), begin, standing, beside
    )


async def _start(connection: Driver, tenant_id: int, since: int, anchors: Sequence[Anchor]) -> Seal | None:
    """The seal to begin from; None: from the beginning."""
    if since <= 0:
        return None
    anchored = {anchor.position for anchor in anchors if anchor.position <= since}
    for position in sorted(anchored, reverse=True)[:1]:
        seal = await last_seal(connection, tenant_id, up_to=position)
        if seal is not None and seal.position == position:
            return seal
    return await last_seal(connection, tenant_id, up_to=since)


async def _read_events(
    connection: Driver,
    tenant_id: int,
    sealing: Sealing,
    begin: int,
    growing: asyncio.TaskGroup,
    on_progress: Callable[[int], None] | None,
) -> int:
    """Read every window of positions; each one's tree grows while the server works on what comes next."""
    highest = await connection.fetchval(
        "SELECT coalesce(max(position), 0) FROM daogou.event_position WHERE tenant_id = $1", tenant_id
    )
    done = told = 0

    def on_read(events: int) -> None:
        nonlocal done, told
        done += events
        if on_progress and done - told >= TELL_EVERY:
            told = done
            on_progress(done)

    grown: asyncio.Task[None] | None = None
    for first in range(begin, highest, WINDOW):
        window = Window(first, min(first + WINDOW, highest))
        whole = (window.up_to - first) * WHOLE_FROM >= highest
        await read_window(connection, tenant_id, sealing.findings, window, whole=whole, on_read=on_read)
        if grown is not None:
            await grown  # one after another, and no more than two windows in memory
        grown = growing.create_task(asyncio.to_thread(sealing.compare, window))
    return done


async def _standing(connection: Driver, tenant_id: int, agreed: Anchor | None) -> Standing:
    row = await connection.fetchrow(
        """
        SELECT (SELECT coalesce(max(position), 0) FROM daogou.event_position WHERE tenant_id = $1)
             + (SELECT count(*) FROM daogou.event_pending WHERE tenant_id = $1) AS events""",
        tenant_id,
    )
    sealed = await last_seal(connection, tenant_id)
    return Standing(sealed, agreed, max(0, row["events"] - (agreed.position if agreed else 0)))
