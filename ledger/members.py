"""Members by their code, and what erasing one does to the ledger's projections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from domain.errors import NotFound, Problem
from domain.events import MemberErased
from ledger.door import Appended, Driver
from ledger.ledger import Command, Ledger, member_stream, record
from ledger.pictures import erase_pictures
from ledger.tasks import Leaving, change_tasks

ERASED = "erased"

Needs = Literal["seen", "decided", "owned"]
"""What the asker must be to the member: one who sees them, who decides about them (HQ, the managers of
their store or their guide), or HQ alone."""
_NEEDED: Mapping[Needs, str] = {
    "seen": "true",
    "decided": "cardinality(reach('binds')) > 0 AND acts_for_member(member_id)",
    "owned": "false",
}
_ANYWAY = "coalesce(changes_all(), false) OR current_setting('role', true) = 'daogou_worker'"
"""HQ, and the command line. Row-level security says whom the others see."""


@dataclass(frozen=True, slots=True)
class Erased:
    """A member that was erased, and how many open items left their lists."""

    member_id: UUID
    erased_at: datetime
    items: int
    duplicate: bool
    copies_missed: int = 0
    """Copies of the key store that were not reached: there the key is still."""


async def member_id_of(
    connection: Driver, tenant_id: int, code: str, needs: Needs, *, erased: bool = False
) -> UUID:
    """The id of a member the connection sees, by the brand's own code.

    Args:
        connection: stands for whoever asks.
        tenant_id: the brand.
        code: as the brand wrote it.
        needs: what the asker must be to the member.
        erased: whoever was erased is found, too.

    Raises:
        NotFound: nobody has this code, was erased, or is out of reach; nobody can tell which.
    """
    found = await connection.fetchval(
        "SELECT member_id FROM member WHERE tenant_id = $1 AND member_id = (SELECT member_id_of($2))"
        f" AND ($3 OR erased_at IS NULL) AND ({_NEEDED[needs]} OR {_ANYWAY})",
        tenant_id,
        code,
        erased,
    )
    if found is None:
        raise unknown_member(code)
    return UUID(str(found))


async def member_of_item(connection: Driver, tenant_id: int, task_id: UUID, needs: Needs) -> UUID:
    """The id of the member an item is about: no screen shows codes, and whoever sees the item knows who it is.

    Raises:
        NotFound: there is no such item, or the asker is not `needs` to its member; nobody can tell which.
    """
    found = await connection.fetchval(
        "SELECT member_id FROM member WHERE tenant_id = $1 AND erased_at IS NULL AND member_id ="
        " (SELECT t.member_id FROM task t WHERE t.tenant_id = $1 AND t.task_id = $2)"
        f" AND ({_NEEDED[needs]} OR {_ANYWAY})",
        tenant_id,
        task_id,
    )
    if found is None:
        raise NotFound(Problem("task_id", str(task_id), "unknown_task"))
    return UUID(str(found))


async def items_taken_off(connection: Driver, tenant_id: int, member: UUID, command_id: str) -> int:
    """How many items a command on a member took off (`take_off`), by its events: the same whenever it is asked."""
    return int(
        await connection.fetchval(
            "SELECT count(*) FROM task t JOIN event e ON e.tenant_id = $1 AND e.stream = 'task/' || t.task_id"
            " WHERE t.tenant_id = $1 AND t.member_id = $2 AND e.cause = $3",
            tenant_id,
            member,
            f"{command_id}/items",
        )
    )


def unknown_member(code: str) -> NotFound:
    """The answer where nobody has this code, was erased, or is out of reach."""
    return NotFound(Problem("member", code, "unknown_member"))


async def take_off(connection: Driver, tenant_id: int, command: Command, member: UUID, reason: str) -> int:
    """Take a member's open items off every list; call it in a transaction. Gives their number.

    Raises:
        Conflict: a check-in came in between; do all of it again.
    """
    rows = await connection.fetch(
        "SELECT task_id, attempts FROM task WHERE tenant_id = $1 AND member_id = $2 AND state = 'open' ORDER BY task_id",
        tenant_id,
        member,
    )
    leaving = [Leaving(row["task_id"], row["attempts"], "withdrawn", reason) for row in rows]
    items = Command(f"{command.command_id}/items", command.occurred_at, command.known_at, command.actor)
    await change_tasks(connection, tenant_id, items, leaving=leaving)
    return len(leaving)


async def erase(ledger: Ledger, command: Command, member: UUID, reason: str) -> Erased:
    """Erase a member: items off the lists, personal rows and pictures deleted, the key destroyed; one transaction.

    The key goes last, before the commit: if it cannot be destroyed nothing was changed. Done again it destroys the key
    again, wherever a copy of it turned up meanwhile. Ended between key and commit, `forgotten_erasures` tells of it.

    Args:
        ledger: may change any member's row.
        command: the same for one member, whenever it is given.
        member: who.
        reason: kept beside the ledger.

    Raises:
        Conflict: a check-in came in between; do it again.
    """
    tenant_id = ledger.tenant_id
    async with ledger.transaction() as connection:
        appended: Appended = await record(
            connection, tenant_id, command, [(member_stream(member), MemberErased(member=member))]
        )
        items = 0 if appended.duplicate else await take_off(connection, tenant_id, command, member, ERASED)
        await connection.execute(
            "SELECT erase_member($1, $2, $3, $4)", member, command.known_at, command.actor, reason
        )
        sheets = await erase_pictures(connection, tenant_id, command, member)
        erased_at = await connection.fetchval(
            "SELECT erased_at FROM member WHERE tenant_id = $1 AND member_id = $2", tenant_id, member
        )
        missed = sum([await ledger.keys.destroy(one) for one in (*sheets, member)])
    return Erased(member, erased_at, items, appended.duplicate, missed)


async def forgotten_erasures(ledger: Ledger) -> list[UUID]:
    """Members whose key was destroyed and who stand in the ledger as if nothing had been.

    It was restored, or the erasure ended before its commit.
    """
    destroyed = await ledger.keys.destroyed()
    async with ledger.connection() as connection:
        rows = await connection.fetch(
            "SELECT member_id FROM member WHERE tenant_id = $1 AND member_id = ANY($2) AND erased_at IS NULL ORDER BY 1",
            ledger.tenant_id,
            list(destroyed),
        )
    return [UUID(str(row["member_id"])) for row in rows]


async def keys_left(ledger: Ledger) -> list[UUID]:
    """Members who were erased and whose key the store does not know as destroyed: it was lost, or came from a copy."""
    async with ledger.connection() as connection:
        rows = await connection.fetch(
            "SELECT member_id FROM erasure WHERE tenant_id = $1 ORDER BY 1", ledger.tenant_id
        )
    destroyed = await ledger.keys.destroyed()
    return [member for row in rows if (member := UUID(str(row["member_id"]))) not in destroyed]
