"""Endpoints: where messages go, and which of them serve a guide.

The nearest scope wins: a guide's own endpoints, else her store's, else her region's, else the brand's; all
active ones of that scope get the message. An address holds its secret, so it is in no event and no log; whoever
shows one masks it first (`channels/addresses.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from domain.errors import NotFound, Problem, Refused
from ledger.door import Driver
from ledger.ledger import Ledger

SCOPES = ("brand", "region", "store", "guide", "audit")
"""The last gets seals, and nothing else does."""

SERVING = """
    CROSS JOIN LATERAL (VALUES ('guide', g.code, 1), ('store', s.code, 2), ('region', s.region, 3), ('brand', '', 4))
        AS place(scope, code, nearness)
    JOIN endpoint e ON e.tenant_id = $1 AND e.scope = place.scope AND e.code = place.code AND e.active"""
"""Joins the endpoints that may serve guide `g` of store `s`; the lowest `place.nearness` that has any does."""

_CODES = {
    "region": (
        "SELECT true FROM store WHERE tenant_id = $1 AND region = $2 AND region <> '' LIMIT 1",
        "channel_region",
    ),
    "store": ("SELECT true FROM store WHERE tenant_id = $1 AND code = $2", "channel_store"),
    "guide": ("SELECT true FROM guide WHERE tenant_id = $1 AND code = $2", "channel_guide"),
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A robot, mailbox or webhook. `code` is the region's name, the store's or guide's code; empty: the brand."""

    endpoint_id: int
    scope: str
    code: str
    kind: str
    address: str
    per_minute: int
    active: bool

    def __repr__(self) -> str:
        """Without the address, so that no log or failure message tells its secret."""
        return f"Endpoint({self.endpoint_id}, {self.scope!r}, {self.code!r}, {self.kind!r})"


async def add_endpoint(
    ledger: Ledger, *, scope: str, code: str, kind: str, address: str, per_minute: int
) -> Endpoint:
    """Add an endpoint; one that is there already is used again with the new rate.

    Raises:
        Refused: there is no code or no such region, store or guide, or the rate is not positive.
    """
    problems = []
    if per_minute < 1:
        problems.append(Problem("per_minute", str(per_minute), "too_small", {"limit": 1}))
    if scope not in SCOPES:
        problems.append(Problem("scope", scope, "channel_scope"))
    elif scope in {"brand", "audit"} and code:
        problems.append(Problem("code", code, "channel_brand_code"))
    async with ledger.transaction() as connection:
        if scope in _CODES and not code:
            problems.append(Problem("code", "", "channel_code_missing", {"scope": scope}))
        elif scope in _CODES:
            query, problem = _CODES[scope]
            if not await connection.fetchval(query, ledger.tenant_id, code):
                problems.append(Problem("code", code, problem))
        if problems:
            raise Refused(problems)
        # Numbers are given one after another; two who add at once take turns.
        await connection.execute(
            "SELECT pg_advisory_xact_lock(hashtext('daogou.endpoint'), $1)", ledger.tenant_id
        )
        row = await connection.fetchrow(
            """
            INSERT INTO endpoint (tenant_id, endpoint_id, scope, code, kind, address, per_minute)
            SELECT $1, 1 + coalesce(max(endpoint_id), 0), $2, $3, $4, $5, $6 FROM endpoint WHERE tenant_id = $1
            ON CONFLICT (tenant_id, scope, code, kind, address)
                DO UPDATE SET active = true, per_minute = excluded.per_minute
            RETURNING endpoint_id""",
            ledger.tenant_id,
            scope,
            code,
            kind,
            address,
            per_minute,
        )
    return Endpoint(row["endpoint_id"], scope, code, kind, address, per_minute, active=True)


async def remove_endpoint(ledger: Ledger, endpoint_id: int) -> Endpoint:
    """Take an endpoint out of use; what waits for it ends as expired. Removing it again changes nothing.

    Raises:
        NotFound: there is no endpoint of this number.
    """
    async with ledger.connection() as connection:
        row = await connection.fetchrow(
            "UPDATE endpoint SET active = false WHERE tenant_id = $1 AND endpoint_id = $2"
            " RETURNING endpoint_id, scope, code, kind, address, per_minute, active",
            ledger.tenant_id,
            endpoint_id,
        )
    if row is None:
        raise NotFound(Problem("endpoint", str(endpoint_id), "unknown_endpoint"))
    return Endpoint(**row)


async def list_endpoints(connection: Driver, tenant_id: int, *, removed: bool = False) -> list[Endpoint]:
    """The endpoints in use, and with `removed` those that were, by scope, code and number."""
    rows = await connection.fetch(
        "SELECT endpoint_id, scope, code, kind, address, per_minute, active FROM endpoint"
        " WHERE tenant_id = $1 AND (active OR $2)"
        " ORDER BY array_position(ARRAY['brand', 'region', 'store', 'guide', 'audit'], scope), code, endpoint_id",
        tenant_id,
        removed,
    )
    return [Endpoint(**row) for row in rows]
