"""Guides by the code their brand gave them."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from domain.errors import NotFound, Problem
from ledger.door import Driver
from ledger.ledger import guide_day_stream


async def guide_id_of(connection: Driver, tenant_id: int, code: str) -> UUID:
    """The id of a guide, whether active or not; it never changes, for it is derived from the code.

    Raises:
        NotFound: no guide has this code.
    """
    guide_id = await connection.fetchval(
        "SELECT guide_id FROM guide WHERE tenant_id = $1 AND code = $2", tenant_id, code
    )
    if guide_id is None:
        raise unknown_guide(code)
    return UUID(str(guide_id))


async def acts_for_guide(connection: Driver, guide_id: UUID, day: date) -> bool:
    """Whether whoever stands on the connection records this guide's work: as row-level security has it."""
    return bool(
        await connection.fetchval(
            "SELECT changes_all() OR acts_on_stream($1)", guide_day_stream(guide_id, day)
        )
    )


async def manages_guide(connection: Driver, tenant_id: int, guide_id: UUID) -> bool:
    """Whether whoever stands on the connection is HQ or manages the store where the guide stands."""
    return bool(
        await connection.fetchval(
            "SELECT changes_all() OR EXISTS (SELECT FROM guide g WHERE g.tenant_id = $1 AND g.guide_id = $2"
            " AND g.store_id = ANY (reach('binds')))",
            tenant_id,
            guide_id,
        )
    )


def unknown_guide(code: str) -> NotFound:
    """The answer where no guide has this code, and where one out of reach has it."""
    return NotFound(Problem("guide", code, "unknown_guide", {"nearest": "—"}))
