"""Looking into what guides claim: signs of faking as far as they can be looked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.signs import SignCode
from ledger.confirmations import Scope
from ledger.door import Driver
from ledger.ledger import Ledger
from ledger.signs import Sign, guides_as_members, list_signs
from ledger.watermarks import complete_until

CODES = ("guide", "store")
"""What has an id of ours beside its code."""


@dataclass(frozen=True, slots=True)
class SignsFound:
    """The signs, up to when the data was complete, and what could not be looked for: there is no key store."""

    signs: tuple[Sign, ...]
    complete_until: Mapping[str, datetime | None]
    not_looked_for: tuple[SignCode, ...] = ()


async def audit_signs(ledger: Ledger, scope: Scope) -> SignsFound:
    """Every sign in a scope, as far as the asker reaches."""
    left_out: tuple[SignCode, ...] = ()
    selves: list[tuple[UUID, UUID]] = []
    try:
        # Whose number a guide's is, is asked of every member; which of it is shown, of the asker's reach.
        selves = await guides_as_members(ledger.for_upkeep())
    except LookupError:
        left_out = (SignCode.SELF_DEALING,)
    codes = [code for code in SignCode if code not in left_out]
    async with ledger.connection() as connection:
        found = await list_signs(connection, ledger.tenant_id, scope, selves=selves, codes=codes)
        until = await complete_until(connection, ledger.tenant_id, scope.as_of)
    return SignsFound(tuple(found), until, left_out)


async def codes_by_id(connection: Driver, tenant_id: int, kind: str, ids: Collection[str]) -> dict[str, str]:
    """Codes of guides or stores by id."""
    if kind not in CODES:
        raise ValueError(f"kind: {kind!r} has no codes; one of {', '.join(CODES)}")
    rows = await connection.fetch(
        f"SELECT {kind}_id AS id, code FROM {kind} WHERE tenant_id = $1 AND {kind}_id = ANY($2)",
        tenant_id,
        [UUID(one) for one in ids],
    )
    return {str(row["id"]): row["code"] for row in rows}
