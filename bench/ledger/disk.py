"""What a check-in leaves on disk, indexes included: the ledger's own tables, and the row people read."""

from __future__ import annotations

from dataclasses import dataclass

from bench.ledger.stand import Stand
from ledger.sequencer import sequence

MILLION = 1_000_000
_SIZES = """
SELECT coalesce(sum(pg_total_relation_size(c.oid)) FILTER (WHERE c.relispartition), 0)::bigint AS event,
       pg_total_relation_size('command')::bigint AS command,
       pg_total_relation_size('event_position')::bigint AS position,
       pg_total_relation_size('check_in')::bigint AS check_in,
       pg_total_relation_size('stream_head')::bigint AS heads,
       (SELECT count(*) FROM stream_head) AS streams, (SELECT count(*) FROM check_in) AS check_ins
FROM pg_class c WHERE c.relnamespace = 'daogou'::regnamespace AND c.relname LIKE 'event_2%' AND c.relkind = 'r'"""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes, and what they hold."""

    event: int
    command: int
    position: int
    check_in: int
    heads: int
    streams: int
    check_ins: int


async def read_sizes(stand: Stand) -> Sizes:
    """How large the tables are now, every event with its position."""
    async with stand.worker.connection() as connection:
        await sequence(connection, 1)
        return Sizes(**dict(await connection.fetchrow(_SIZES)))


def gigabytes_a_million(before: Sizes, after: Sizes) -> dict[str, float]:
    """Of a million check-ins, each the only one of its item's stream, in units of 10^9 bytes."""
    made = after.check_ins - before.check_ins
    share = MILLION / made / 1e9
    heads = after.heads / after.streams * MILLION / 1e9
    ledger = (
        after.event - before.event + after.command - before.command + after.position - before.position
    ) * share + heads
    return {"ledger": ledger, "read": (after.check_in - before.check_in) * share}
