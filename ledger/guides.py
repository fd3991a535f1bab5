"""Guides by the code their brand gave them."""

from __future__ import annotations

from uuid import UUID

from domain.errors import NotFound, Problem
from ledger.door import Driver


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


def unknown_guide(code: str) -> NotFound:
    """The answer where no guide has this code, and where one out of reach has it."""
    return NotFound(Problem("guide", code, "unknown_guide", {"nearest": "—"}))
