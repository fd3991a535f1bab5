"""Returns that a feed tells of: rows of the fact table of purchases, like those a file brings.

What a return leaves unsaid is taken from the purchase it takes back, and no more is given back than was bought.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.errors import Problem, Refused
from ledger.door import Driver


@dataclass(frozen=True, slots=True)
class ToldReturn:
    """A product that was given back: `key` names the return, `return_of` the basket it came from."""

    key: str
    return_of: str
    product: str
    quantity: Decimal
    """Positive."""
    value_minor: int
    """Paid back, not negative."""
    occurred_at: datetime


# The purchase says who, where and what; the key must not be a basket that bought the product, or the other return of it.
_KNOWN = """
SELECT s.at, o.member_id IS NOT NULL AS known, coalesce(m.erased_at IS NOT NULL, false) AS erased,
       b.basket IS NOT NULL AS stands,
       (b.quantity, b.value_minor, b.occurred_at, b.return_of)
       IS NOT DISTINCT FROM (-s.quantity, -s.value, s.occurred_at, s.return_of) AS same,
       o.quantity AS bought, coalesce(r.quantity, 0) AS returned
FROM unnest($2::int[], $3::text[], $4::text[], $5::text[], $6::numeric[], $7::bigint[], $8::timestamptz[])
    AS s(at, key, return_of, product, quantity, value, occurred_at)
LEFT JOIN purchase o ON o.tenant_id = $1 AND o.basket = s.return_of AND o.product = s.product AND NOT o.is_return
LEFT JOIN member m ON m.tenant_id = $1 AND m.member_id = o.member_id
LEFT JOIN purchase b ON b.tenant_id = $1 AND b.basket = s.key AND b.product = s.product AND b.is_return
LEFT JOIN LATERAL (
    SELECT -sum(r.quantity) AS quantity FROM purchase r
    WHERE r.tenant_id = $1 AND r.member_id = o.member_id AND r.is_return AND r.product = s.product
      AND coalesce(r.return_of, r.basket) = s.return_of) r ON true
ORDER BY s.at"""

TURN = "SELECT pg_advisory_xact_lock(hashtext('daogou.returns'), $1)"
"""Whoever adds returns does it in turn, so that no two give back the same thing."""
_ADD = "SELECT * FROM add_returns($1, $2, $3, $4, $5, $6, $7)"


async def add_returns(
    connection: Driver,
    tenant_id: int,
    returns: Sequence[ToldReturn],
    places: Sequence[str],
    *,
    known_at: datetime,
) -> tuple[list[tuple[str, str]], int]:
    """Add the returns of a message that are new; gives their keys and products, and how many are of erased members.

    Call it in a transaction; three round trips.

    Raises:
        Refused: a purchase nobody knows, more than was bought of it and is not returned yet, or a return that was told of
            before in another way.
    """
    if not returns:
        return [], 0
    columns = (
        [one.key for one in returns],
        [one.return_of for one in returns],
        [one.product for one in returns],
        [one.quantity for one in returns],
        [one.value_minor for one in returns],
        [one.occurred_at for one in returns],
    )
    await connection.execute(TURN, tenant_id)
    rows = await connection.fetch(_KNOWN, tenant_id, list(range(len(returns))), *columns)
    problems = [
        Problem(f"{places[row['at']]}.return_of", returns[row["at"]].return_of, "unknown_purchase")
        for row in rows
        if not row["known"]
    ]
    problems += [
        Problem(f"{places[row['at']]}.key", returns[row["at"]].key, "return_differs")
        for row in rows
        if row["stands"] and not row["same"]
    ]
    problems += _twice(returns, places)
    problems += _too_many(rows, returns, places)
    if problems:
        raise Refused(problems)
    added = await connection.fetch(_ADD, *columns, known_at)
    return [(row["basket"], row["product"]) for row in added], sum(row["erased"] for row in rows)


def _twice(returns: Sequence[ToldReturn], places: Sequence[str]) -> list[Problem]:
    told: dict[tuple[str, str], ToldReturn] = {}
    return [
        Problem(f"{place}.key", one.key, "return_twice")
        for place, one in zip(places, returns, strict=True)
        if told.setdefault((one.key, one.product), one) != one
    ]


def _too_many(
    rows: Sequence[Mapping[str, Any]], returns: Sequence[ToldReturn], places: Sequence[str]
) -> list[Problem]:
    """Returns that give back more than is left of their purchase, those before them in the message counted."""
    problems: list[Problem] = []
    before: dict[tuple[str, str], Decimal] = {}
    seen: set[ToldReturn] = set()
    for row in rows:
        one = returns[row["at"]]
        if not row["known"] or row["stands"] or one in seen:
            continue
        seen.add(one)
        purchase = (one.return_of, one.product)
        returned = before.get(purchase, row["returned"])
        if returned + one.quantity > row["bought"]:
            params = {"bought": _plain(row["bought"]), "returned": _plain(returned)}
            place = f"{places[row['at']]}.quantity"
            problems.append(Problem(place, _plain(one.quantity), "returned_more_than_bought", params))
        else:
            before[purchase] = returned + one.quantity
    return problems


def _plain(quantity: Decimal) -> str:
    return f"{quantity.normalize():f}"
