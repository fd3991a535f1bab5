"""Somebody who asks: an account with grants and a token."""

from __future__ import annotations

from uuid import UUID

from bench.identity import account_id_of, issue_identity
from domain.policy import Right
from ledger.account_places import Grant
from ledger.ledger import Ledger
from tests.brand import at

__all__ = ["account_id_of", "identity"]

SINCE = at(1, 0)


async def identity(
    ledger: Ledger,
    login: str,
    *grants: Grant,
    guide: UUID | None = None,
    rights: tuple[Right, ...] | None = None,
) -> str:
    """An account with these grants since 1 March 2026; gives a token of it."""
    return await issue_identity(ledger, login, *grants, at=SINCE, guide_id=guide, rights=rights)
