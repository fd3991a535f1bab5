"""A sign-in that another vouches for: used once, held against the linked accounts, then a session as any other."""

from __future__ import annotations

from datetime import datetime

from activities.sessions import digest
from activities.signing_in import Welcome, lock_both, welcome
from ledger.ledger import Ledger
from ledger.linked_identities import Way, find_linked, use_once


async def spend_state(ledger: Ledger, state: str, at: datetime) -> bool:
    """Whether this state comes back for the first time; `ledger` is for upkeep."""
    async with ledger.connection() as connection:
        return await use_once(connection, ledger.tenant_id, digest(f"sign-in/{state}"), at)


async def sign_in_linked(
    ledger: Ledger, way: Way, identity: str, at: datetime, *, shown: str | None
) -> Welcome | None:
    """Begin a session of the account linked to an identity; None: there is none, or it is shut.

    Args:
        ledger: for upkeep.
        way: oidc or wecom.
        identity: as `link_identity` wrote it; the caller has had it proven.
        at: now.
        shown: the secret of the session this browser has had until now, which ends.
    """
    async with ledger.transaction() as connection:
        said = await find_linked(connection, ledger.tenant_id, way, identity, at)
        if said is not None:
            # Shut or parted from the identity while it was found: read again under the lock that both take.
            await lock_both(connection, ledger.tenant_id, said, shown)
            said = await find_linked(connection, ledger.tenant_id, way, identity, at)
        return None if said is None else await welcome(connection, ledger.tenant_id, said, way, at, shown)
