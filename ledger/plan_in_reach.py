"""What a playbook says of stores and guides, as far as whoever asks knows them.

A playbook is one document for the whole campaign: the stores and guides it names, and the members it gives to guides by
hand, are cut here to those that row-level security lets the connection see. Whoever sees everything gets it whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from domain.plan import Plan
from ledger.door import Driver


async def stores_in_reach(connection: Driver, tenant_id: int, codes: Iterable[str]) -> frozenset[str]:
    """Of these codes of stores, those that are seen."""
    return await _seen(
        connection, "SELECT code FROM store WHERE tenant_id = $1 AND code = ANY($2)", tenant_id, codes
    )


async def plan_is_seen(connection: Driver, tenant_id: int, plan: str) -> bool:
    """Whether the connection sees that there is this plan."""
    query = "SELECT true FROM plan WHERE tenant_id = $1 AND plan_id = $2"
    return bool(await connection.fetchval(query, tenant_id, plan))


async def plan_in_reach(connection: Driver, tenant_id: int, plan: Plan) -> Plan:
    """The plan without the stores and guides that are not seen."""
    by_hand = [step.members for step in plan.care.strategies]
    stores = await stores_in_reach(connection, tenant_id, plan.members.stores)
    guides = await _seen(
        connection,
        "SELECT code FROM guide WHERE tenant_id = $1 AND code = ANY($2)",
        tenant_id,
        {*plan.care.guides, *plan.care.without_guides, *(code for members in by_hand for code in members)},
    )
    strategies = tuple(
        step.model_copy(
            update={"members": {code: told for code, told in step.members.items() if code in guides}}
        )
        for step in plan.care.strategies
    )
    care = plan.care.model_copy(
        update={
            "guides": _kept(plan.care.guides, guides),
            "without_guides": _kept(plan.care.without_guides, guides),
            "strategies": strategies,
        }
    )
    members = plan.members.model_copy(update={"stores": _kept(plan.members.stores, stores)})
    return plan.model_copy(update={"care": care, "members": members})


def _kept(codes: Sequence[str], seen: Collection[str]) -> tuple[str, ...]:
    return tuple(code for code in codes if code in seen)


async def _seen(connection: Driver, query: str, tenant_id: int, codes: Iterable[str]) -> frozenset[str]:
    wanted = sorted(codes)
    if not wanted:
        return frozenset()
    return frozenset(row["code"] for row in await connection.fetch(query, tenant_id, wanted))
