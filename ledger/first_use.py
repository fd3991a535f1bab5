"""What a command wrote when its key was first used: the same key with another content is told from a request sent again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ledger.door import Driver


@dataclass(frozen=True, slots=True)
class FirstUse:
    """The event of a command's first use."""

    type: str
    payload: Mapping[str, Any]
    occurred_at: datetime
    known_at: datetime

    def instant(self, name: str) -> datetime | None:
        """An instant of the payload; None where there is none."""
        told = self.payload.get(name)
        return None if told is None else datetime.fromisoformat(told)


async def first_use(connection: Driver, tenant_id: int, command_id: str) -> FirstUse | None:
    """The event a command wrote, of the first stream it wrote to; None: the connection sees no such command."""
    row = await connection.fetchrow(
        "SELECT e.type, e.payload::text AS payload, e.occurred_at, e.known_at FROM command c"
        " JOIN event e ON e.tenant_id = c.tenant_id AND e.stream = c.stream AND e.version = c.version"
        " WHERE c.tenant_id = $1 AND c.command_id = $2",
        tenant_id,
        command_id,
    )
    if row is None:
        return None
    return FirstUse(row["type"], json.loads(row["payload"]), row["occurred_at"], row["known_at"])
