"""Seals on their way out of the house, to the endpoints that were set for it (scope `audit`)."""

from __future__ import annotations

from datetime import datetime, timedelta

from ledger.anchors import anchor_line
from ledger.claims import SEAL
from ledger.ledger import Ledger
from ledger.seals import Seal

EXPIRES_AFTER = timedelta(days=1)
MAIL_AT_MOST_EVERY = timedelta(hours=1)
"""Robots and webhooks get every seal, a mailbox one an hour: each says all that the ones before did."""


async def queue_seal(ledger: Ledger, seal: Seal, at: datetime) -> int:
    """Put a seal into the outbox, one row an endpoint; gives how many were new. Again it changes nothing.

    One that still waits is overtaken. Two statements, also where there is no such endpoint.
    """
    tenant_id = ledger.tenant_id
    async with ledger.transaction() as connection:
        put = await connection.fetch(
            """
            INSERT INTO outbox (tenant_id, purpose, kind, content, created_at, expires_at, endpoint_id)
            SELECT $1, $2, $3, jsonb_build_object('anchor', $4::text), $5, $6, e.endpoint_id
            FROM endpoint e
            WHERE e.tenant_id = $1 AND e.scope = 'audit' AND e.active
              AND NOT (e.kind = 'mail' AND EXISTS (SELECT FROM outbox o WHERE o.tenant_id = $1 AND o.kind = $3
                       AND o.endpoint_id = e.endpoint_id AND o.created_at > $7))
            ON CONFLICT DO NOTHING RETURNING endpoint_id""",
            tenant_id,
            f"{SEAL}/{seal.position}",
            SEAL,
            anchor_line(seal, tenant_id),
            at,
            at + EXPIRES_AFTER,
            at - MAIL_AT_MOST_EVERY,
        )
        if put:
            await connection.execute(
                "UPDATE outbox SET state = 'expired', why = 'overtaken', ended_at = $4 WHERE tenant_id = $1"
                " AND state = 'waiting' AND kind = $2 AND purpose <> $3 AND endpoint_id = ANY($5)",
                tenant_id,
                SEAL,
                f"{SEAL}/{seal.position}",
                at,
                [row["endpoint_id"] for row in put],
            )
    return len(put)
