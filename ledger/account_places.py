"""Where a role is to hold: a region, dealer, store or plan that is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches

from domain.errors import Problem
from domain.policy import SCOPES, Role, Scope
from ledger.door import Driver


@dataclass(frozen=True, slots=True)
class Grant:
    """A role in a place: region, dealer, store code or plan; empty where the role's scope is the brand or oneself."""

    role: Role
    place: str = ""
    starts_at: datetime | None = None
    """None: with the command that grants it."""
    ends_at: datetime | None = None


_OPEN_STORES = """
SELECT s.code AS place FROM store s WHERE s.tenant_id = $1 AND NOT EXISTS (
    SELECT FROM store_closing c WHERE c.tenant_id = $1 AND c.store_id = s.store_id AND c.from_at <= $2)"""
_PLACES = {
    Scope.REGION: (
        "region",
        "SELECT DISTINCT region AS place FROM store WHERE tenant_id = $1 AND region <> ''",
    ),
    Scope.DEALER: (
        "dealer",
        "SELECT DISTINCT dealer AS place FROM store WHERE tenant_id = $1 AND dealer <> ''",
    ),
    Scope.STORE: ("store", _OPEN_STORES),
    Scope.CAMPAIGN: ("plan", "SELECT plan_id AS place FROM plan WHERE tenant_id = $1"),
}
PLACES_NAMED = 10
"""So many places there are to choose from are named where one is missing or unknown."""


async def place_problem(
    connection: Driver, tenant_id: int, grant: Grant, *, is_guide: bool, at: datetime
) -> Problem | None:
    """What is wrong with where a role is to hold; None: nothing.

    Args:
        connection: of the ledger; one round trip, and one more where something is wrong.
        tenant_id: the brand.
        grant: role and place.
        is_guide: whether the account is a guide's.
        at: now; in a store that is closed when the grant begins there is nothing to do.
    """
    scope = SCOPES[grant.role]
    told: dict[str, str | int] = {"role": grant.role.value}
    if scope is Scope.SELF and not is_guide:
        return Problem("guide", "", "role_needs_guide", told)
    if scope in {Scope.TENANT, Scope.SELF}:
        return Problem("place", grant.place, "role_has_no_place", told) if grant.place else None
    kind, query = _PLACES[scope]
    begins = max(grant.starts_at or at, at)
    arguments = (tenant_id, begins) if scope is Scope.STORE else (tenant_id,)
    if grant.place and await connection.fetchval(
        f"SELECT true FROM ({query}) p WHERE place = ${len(arguments) + 1} LIMIT 1", *arguments, grant.place
    ):
        return None
    if scope is Scope.STORE:
        last_on = await connection.fetchval(
            "SELECT c.last_on FROM store s JOIN store_closing c ON c.tenant_id = $1 AND c.store_id = s.store_id"
            " WHERE s.tenant_id = $1 AND s.code = $2",
            tenant_id,
            grant.place,
        )
        if last_on is not None:
            return Problem("place", grant.place, "store_is_closed", {"last_on": last_on.isoformat()})
    rows = await connection.fetch(f"SELECT place FROM ({query}) p ORDER BY place", *arguments)
    return Problem(
        "place",
        grant.place,
        "unknown_place" if grant.place else "place_missing",
        {**told, "place_kind": kind, "choices": _choices(grant.place, [row["place"] for row in rows])},
    )


def _choices(place: str, there: Sequence[str]) -> str:
    """The places there are, the nearest to what was written first where they are too many to name."""
    named = there
    if len(there) > PLACES_NAMED:
        near = get_close_matches(place, there, PLACES_NAMED, cutoff=0.5) if place else []
        named = [*near, *(one for one in there if one not in near)][:PLACES_NAMED]
    return ", ".join(named) + (f" … ({len(there)})" if len(there) > len(named) else "")
