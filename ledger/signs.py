"""Signs of faking, found set-based in the check-ins of a span, with the facts each rests on.

Cost: one statement a sign, over the span's check-ins and their members' records; for the two that look at calls, one for
some 100,000 check-ins. What the data cannot say is not looked
for: a phone that is not bound is not known, and a guide is known to be a member by her phone number only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.confirmation import CALL_SPAN, SHORT_CALL_S
from domain.signs import A_MINUTE, IN_A_MINUTE, ONE_HAND, ONE_TALK, SignCode
from ledger.confirmation_query import BY_GUIDE
from ledger.confirmations import SLICE, Scope
from ledger.door import Driver
from ledger.ledger import Ledger
from ledger.phone_index import members_of_phones


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign: whose, since when, and the facts it rests on."""

    code: SignCode
    guide_id: UUID
    guide: str
    store: str
    since: datetime
    until: datetime
    check_ins: tuple[str, ...]
    """`task/<id>#<version>`: what comes before # is a stream of `daogou audit timeline stream`."""
    records: tuple[str, ...]
    """Of systems of record: `calls/pbx/123`; or `evidence/<digest>`, `device/<id>`."""
    others: tuple[str, ...]
    """Codes of the other guides."""


# $1 tenant, $2 as of, $3 since, $4 until, $5 guides
_CLAIM = """
WITH claim AS MATERIALIZED (
    SELECT c.*, 'task/' || c.task_id || '#' || c.version AS name FROM check_in c
    WHERE c.tenant_id = $1 AND c.known_at <= $2 AND c.occurred_at <= $2
      AND ($3::timestamptz IS NULL OR c.occurred_at >= $3) AND ($4::timestamptz IS NULL OR c.occurred_at < $4)
      AND ($5::uuid[] IS NULL OR c.guide_id = ANY($5))
)"""
_FOUND = """
SELECT f.guide_id, g.code AS guide, coalesce(s.code, '') AS store, f.since, f.until, f.check_ins, f.records, f.others
FROM found f
JOIN guide g ON g.tenant_id = $1 AND g.guide_id = f.guide_id
LEFT JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id
ORDER BY f.since, g.code, f.check_ins"""

# $6 span of a call
_CALLS = f"""{_CLAIM}, matched AS (
    SELECT c.name, c.task_id, c.member_id, c.guide_id, c.occurred_at, r.kind || '/' || r.source || '/' || r.key AS record,
           r.answered, r.seconds
    FROM claim c JOIN valid_records($2) r ON r.tenant_id = $1 AND r.kind = 'calls' AND r.guide_id = c.guide_id
      AND (r.member_id = c.member_id OR c.member_id = ANY (r.also))
      AND r.occurred_at BETWEEN c.occurred_at - $6::interval AND c.occurred_at + $6::interval
    WHERE c.channel = 'phone' AND c.reached
)"""

_QUERIES: Mapping[SignCode, str] = {
    # A call that alone serves several: where each check-in could have a call of its own, nothing is odd. $7 one talk
    SignCode.EVIDENCE_TWICE: f"""{_CALLS}, sole AS (
        SELECT name, min(record) AS record FROM matched WHERE answered GROUP BY 1 HAVING count(DISTINCT record) = 1
    ), found AS (
        SELECT m.guide_id, min(m.occurred_at) AS since, max(m.occurred_at) AS until,
               array_agg(m.name ORDER BY m.occurred_at, m.name) AS check_ins, ARRAY[m.record] AS records,
               '{{}}'::text[] AS others
        FROM matched m JOIN sole o ON o.name = m.name AND o.record = m.record
        GROUP BY m.guide_id, m.record
        HAVING count(DISTINCT m.task_id) > 1
           AND (count(DISTINCT m.member_id) > 1 OR max(m.occurred_at) - min(m.occurred_at) > $7::interval)
        UNION ALL
        SELECT c.guide_id, min(c.occurred_at), max(c.occurred_at),
               array_agg(c.name ORDER BY c.occurred_at, c.name), ARRAY['evidence/' || c.evidence],
               (SELECT coalesce(array_agg(DISTINCT g.code ORDER BY g.code), '{{}}') FROM check_in o
                JOIN guide g ON g.tenant_id = $1 AND g.guide_id = o.guide_id
                WHERE o.tenant_id = $1 AND o.evidence = c.evidence AND o.guide_id <> c.guide_id AND o.known_at <= $2)
        FROM claim c
        WHERE c.evidence IS NOT NULL AND EXISTS (
            SELECT FROM check_in o WHERE o.tenant_id = $1 AND o.evidence = c.evidence AND o.task_id <> c.task_id
              AND o.known_at <= $2)
        GROUP BY c.guide_id, c.evidence
    ) {_FOUND}""",
    # $7 seconds of a short call
    SignCode.SHORT_CALL: f"""{_CALLS}, found AS (
        SELECT guide_id, min(occurred_at) AS since, max(occurred_at) AS until, ARRAY[name] AS check_ins,
               array_agg(record ORDER BY record) AS records, '{{}}'::text[] AS others
        FROM matched GROUP BY guide_id, name
        HAVING bool_or(answered AND seconds <= $7) AND NOT bool_or(answered AND seconds > $7)
    ) {_FOUND}""",
    # By when they are said to have occurred: a phone that was offline sends a morning's work at once. $6 so many after the
    # first, $7 a minute
    SignCode.LIST_IN_A_MINUTE: f"""{_CLAIM}, nth AS (
        SELECT guide_id, business_date, occurred_at,
               lag(occurred_at, $6::int) OVER (PARTITION BY guide_id ORDER BY occurred_at, name) AS first
        FROM claim
    ), fast AS (
        SELECT guide_id, business_date, range_agg(tstzrange(first, occurred_at, '[]')) AS spans
        FROM nth WHERE occurred_at - first <= $7::interval GROUP BY 1, 2
    ), found AS (
        SELECT c.guide_id, min(c.occurred_at) AS since, max(c.occurred_at) AS until,
               array_agg(c.name ORDER BY c.occurred_at, c.name) AS check_ins, '{{}}'::text[] AS records,
               '{{}}'::text[] AS others
        FROM claim c JOIN fast f ON f.guide_id = c.guide_id AND f.spans @> c.occurred_at
        GROUP BY c.guide_id, f.business_date
    ) {_FOUND}""",
    # In the order they were sent. $6 one hand
    SignCode.ONE_DEVICE: f"""{_CLAIM}, turn AS (
        SELECT c.*, lag(guide_id) OVER w AS guide_before, lag(known_at) OVER w AS before,
               lead(guide_id) OVER w AS guide_after, lead(known_at) OVER w AS after
        FROM claim c WHERE device_id IS NOT NULL WINDOW w AS (PARTITION BY device_id ORDER BY known_at, name)
    ), near AS (
        SELECT * FROM turn WHERE (guide_before <> guide_id AND known_at - before <= $6::interval)
            OR (guide_after <> guide_id AND after - known_at <= $6::interval)
    ), found AS (
        SELECT n.guide_id, min(n.occurred_at) AS since, max(n.occurred_at) AS until,
               array_agg(n.name ORDER BY n.known_at, n.name) AS check_ins, ARRAY['device/' || n.device_id] AS records,
               (SELECT array_agg(DISTINCT g.code ORDER BY g.code) FROM near o
                JOIN guide g ON g.tenant_id = $1 AND g.guide_id = o.guide_id
                WHERE o.device_id = n.device_id AND o.business_date = n.business_date AND o.guide_id <> n.guide_id)
                   AS others
        FROM near n GROUP BY n.guide_id, n.device_id, n.business_date
    ) {_FOUND}""",
    # $6 guides and $7 the members they are
    SignCode.SELF_DEALING: f"""{_CLAIM}, self AS (
        SELECT * FROM unnest($6::uuid[], $7::uuid[]) AS s(guide_id, member_id)
        WHERE $5::uuid[] IS NULL OR s.guide_id = ANY($5)
    ), done AS (
        SELECT c.guide_id, c.occurred_at, c.name AS check_in, NULL::text AS record
        FROM claim c JOIN self s USING (guide_id, member_id)
        UNION ALL
        SELECT p.guide_id, p.occurred_at, NULL, 'purchases/' || p.basket || '/' || p.product
        FROM purchase p JOIN self s USING (guide_id, member_id)
        WHERE p.tenant_id = $1 AND NOT p.is_return AND p.known_at <= $2 AND p.occurred_at <= $2
          AND ($3::timestamptz IS NULL OR p.occurred_at >= $3) AND ($4::timestamptz IS NULL OR p.occurred_at < $4)
        UNION ALL
        SELECT r.guide_id, r.occurred_at, NULL, r.kind || '/' || r.source || '/' || r.key
        FROM valid_records($2) r JOIN self s USING (guide_id, member_id)
        WHERE r.tenant_id = $1 AND r.kind = 'redemptions'
          AND ($3::timestamptz IS NULL OR r.occurred_at >= $3) AND ($4::timestamptz IS NULL OR r.occurred_at < $4)
    ), found AS (
        SELECT guide_id, min(occurred_at) AS since, max(occurred_at) AS until,
               coalesce(array_agg(check_in ORDER BY occurred_at, check_in) FILTER (WHERE check_in IS NOT NULL), '{{}}')
                   AS check_ins,
               coalesce(array_agg(record ORDER BY record) FILTER (WHERE record IS NOT NULL), '{{}}') AS records,
               '{{}}'::text[] AS others
        FROM done GROUP BY guide_id
    ) {_FOUND}""",
}


_SLICED = (SignCode.EVIDENCE_TWICE, SignCode.SHORT_CALL)


async def guides_as_members(ledger: Ledger) -> list[tuple[UUID, UUID]]:
    """Guides who are members too, and which: whoever has the guide's phone number.

    Args:
        ledger: the worker's, or one for upkeep: numbers of all members are looked through.

    Raises:
        LookupError: there is no key store.
    """
    async with ledger.connection() as connection:
        rows = await connection.fetch(
            "SELECT guide_id, phone FROM guide_person WHERE tenant_id = $1 AND phone IS NOT NULL ORDER BY 1",
            ledger.tenant_id,
        )
    members = await members_of_phones(ledger, {row["phone"] for row in rows})
    return [(UUID(str(row["guide_id"])), member) for row in rows for member in members.get(row["phone"], ())]


async def list_signs(
    connection: Driver,
    tenant_id: int,
    scope: Scope,
    *,
    selves: Sequence[tuple[UUID, UUID]] = (),
    codes: Iterable[SignCode] = tuple(SignCode),
) -> list[Sign]:
    """The signs in a scope (its plan and cycle do not matter), in the order of their codes and instants.

    Args:
        connection: sees whose signs are wanted.
        tenant_id: the brand.
        scope: as of when, of which span and guides.
        selves: what `guides_as_members` gives.
        codes: which signs.
    """
    every: list[Sign] = []
    more: dict[SignCode, tuple[object, ...]] = {
        SignCode.EVIDENCE_TWICE: (CALL_SPAN, ONE_TALK),
        SignCode.SHORT_CALL: (CALL_SPAN, SHORT_CALL_S),
        SignCode.LIST_IN_A_MINUTE: (IN_A_MINUTE - 1, A_MINUTE),
        SignCode.ONE_DEVICE: (ONE_HAND,),
        SignCode.SELF_DEALING: ([one for one, _ in selves], [one for _, one in selves]),
    }
    span = (tenant_id, scope.as_of, scope.since, scope.until)
    guides = None if scope.guides is None else list(scope.guides)
    for code in sorted(set(codes)):
        parts = await _slices(connection, span, guides) if code in _SLICED else [guides]
        found: list[Sign] = []
        for part in parts:
            found += [
                _sign(code, row) for row in await connection.fetch(_QUERIES[code], *span, part, *more[code])
            ]
        every += sorted(found, key=lambda sign: (sign.since, sign.guide, sign.check_ins))
    return every


async def _slices(
    connection: Driver, span: tuple[object, ...], guides: list[UUID] | None
) -> list[list[UUID] | None]:
    """The guides of a span in groups of some `SLICE` check-ins, or of one guide."""
    parts: list[list[UUID] | None] = []
    part: list[UUID] = []
    number = 0
    for row in await connection.fetch(BY_GUIDE, *span, guides):
        if part and number + row["number"] > SLICE:
            parts.append(part)
            part, number = [], 0
        part.append(row["guide_id"])
        number += row["number"]
    return [*parts, part] if part else parts


def _sign(code: SignCode, row: Mapping[str, Any]) -> Sign:
    return Sign(
        code=code,
        guide_id=UUID(str(row["guide_id"])),
        guide=row["guide"],
        store=row["store"],
        since=row["since"],
        until=row["until"],
        check_ins=tuple(row["check_ins"]),
        records=tuple(row["records"]),
        others=tuple(row["others"] or ()),
    )
