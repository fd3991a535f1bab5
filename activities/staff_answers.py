"""What a change of staff was answered: the same request sent again is answered as the first was, whatever moved since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from pydantic import TypeAdapter

from activities.handing_over import Moved
from ledger.door import Driver


@dataclass(frozen=True, slots=True)
class StaffChanged:
    """A change as it was decided; `first_on` is the first day on which it holds."""

    first_on: date
    in_force: bool
    duplicate: bool = False
    """This very request had been done before; nothing was changed now."""
    moves: tuple[Moved, ...] = ()
    """What moved, or will where it is dated ahead, as things stood when it was decided."""
    guides: tuple[str, ...] = ()
    """Of a closing: who is transferred with it."""
    keeps_roles: tuple[str, ...] = ()
    """Of a leave: what her account may still do, for HQ to decide on."""


_ANSWER = TypeAdapter(StaffChanged)


async def keep_answer(
    connection: Driver, tenant_id: int, command_id: str, told: StaffChanged, at: datetime
) -> None:
    """Keep what a command was answered; the first one stays."""
    await connection.execute(
        "INSERT INTO staff_answer (tenant_id, command_id, answer, known_at) VALUES ($1, $2, $3::text::jsonb, $4)"
        " ON CONFLICT DO NOTHING",
        tenant_id,
        command_id,
        _ANSWER.dump_json(told).decode(),
        at,
    )


async def kept_answer(connection: Driver, tenant_id: int, command_id: str) -> StaffChanged | None:
    """What a command was answered; None: the version before kept none, or it was lost on the way."""
    told = await connection.fetchval(
        "SELECT answer::text FROM staff_answer WHERE tenant_id = $1 AND command_id = $2",
        tenant_id,
        command_id,
    )
    return None if told is None else _ANSWER.validate_json(told)
