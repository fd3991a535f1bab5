"""Whether the members' keys fit the ledger, seen when it is opened; what can be mended is mended then.

An erasure that ended between key and commit is ended; keys that are missing come from a known copy, but for those of
members who were erased; of two keys of one member the one that opens what is sealed is taken.
"""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import datetime

import structlog

from activities.asked import Asked
from activities.members import erase_again
from domain.errors import Conflict
from infra.key_copies import bring_from, known_copies
from infra.key_file import is_sound
from infra.key_store import SqliteKeys
from ledger.database import DATABASE_LOST
from ledger.ledger import Ledger
from ledger.members import keys_left
from ledger.people import count_unreadable, fitting_keys

ACTOR = "daogou"
REASON = "erasure_was_cut_short"
ANSWER_S = 10.0
"""A key store that does not answer keeps nobody longer from opening the ledger."""
REMEDY = (
    "members' names, phones and notes cannot be read. Put back keys/members.db from beside a backup"
    " into the home's backups/keys, make no backup over it, and start again (docs/backup.md)"
)

log = structlog.get_logger(__name__)


async def settle_keys(ledger: Ledger, at: datetime) -> None:
    """Mend what can be mended of the keys, and say loudly what cannot; nothing is raised for it."""
    try:
        async with asyncio.timeout(ANSWER_S):
            await ledger.keys.destroyed()
    except (*DATABASE_LOST, sqlite3.Error) as error:
        log.error("member_keys_unreachable", why=f"{type(error).__name__}: {error}")  # noqa: TRY400 - no trace helps
        return
    try:
        if erased := await erase_again(ledger, Asked(None, at, ACTOR), REASON):
            log.warning("erasures_completed", members=erased)
    except (Conflict, OSError, sqlite3.Error) as error:
        log.warning("erasures_not_completed", why=str(error), remedy="the next start tries again")
    missing = await count_unreadable(ledger)
    if isinstance(ledger.keys, SqliteKeys):
        if missing:
            await _bring(ledger.keys)
        await _choose(ledger, ledger.keys)
        missing = await count_unreadable(ledger) if missing else 0
    await _destroy_left(ledger)
    if missing:
        log.error("member_keys_missing", members=missing, of_the_first=100, remedy=REMEDY)


async def _bring(keys: SqliteKeys) -> None:
    """Add the keys of every copy that can be reached; what the home knows stays."""
    if keys.home is None:
        return
    for copy in await asyncio.to_thread(known_copies, keys.home):
        try:
            if not (copy.is_file() and await asyncio.to_thread(is_sound, copy)):
                log.warning("key_copy_not_reached", copy=str(copy), why="not there, or not to be read")
                continue
            await asyncio.to_thread(bring_from, copy, keys.home)
            log.warning("member_keys_brought", copy=str(copy))
        except (OSError, sqlite3.Error) as error:
            log.warning("key_copy_not_reached", copy=str(copy), why=str(error))


async def _destroy_left(ledger: Ledger) -> None:
    """A store that was lost, or came from a copy of before, does not know who was erased; the ledger does."""
    try:
        left = await keys_left(ledger)
        for member in left:
            await ledger.keys.destroy(member)
    except (OSError, sqlite3.Error) as error:
        log.error("member_keys_left", why=str(error))  # noqa: TRY400 - no trace helps
        return
    if left:
        log.warning("member_keys_destroyed_again", members=len(left))


async def _choose(ledger: Ledger, keys: SqliteKeys) -> None:
    others = await keys.others()
    fitting = await fitting_keys(ledger, others) if others else {}
    for member, key in fitting.items():
        await keys.prefer(member, key)
    if fitting:
        log.warning("member_keys_chosen", members=len(fitting))
