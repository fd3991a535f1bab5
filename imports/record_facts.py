"""Records from the stage into the table of what systems of record say: new ones in, nothing ever changed."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import polars as pl

from domain.errors import NotFound, Problem
from imports.checking import Findings
from imports.facts import Outcome, batch_of_root, into
from imports.records import KEY, RECORDS, STAGED
from imports.report import LISTED, BadRow, Kind, Progress, Tenant
from imports.staging import root_of, stage, start_root
from ledger.door import Driver
from ledger.naming import Standing, keys_of, names_the_same

_DDL = """key text COLLATE "C", revision bigint, voided boolean, guide_id uuid, member_id uuid, also uuid[], store_id uuid,
    occurred_us bigint, ended_us bigint, seconds integer, answered boolean, code bytea, value_minor bigint"""
_AT = "timestamptz 'epoch' + {column} * interval '1 microsecond'"
_OCCURRED, _ENDED = _AT.format(column="s.occurred_us"), _AT.format(column="s.ended_us")

_OVERLAP = f"""
SELECT s.key, s.revision,
       (r.voided, r.guide_id, r.store_id, r.occurred_at, r.ended_at, r.seconds, r.answered, r.code, r.value_minor)
       IS NOT DISTINCT FROM
       (s.voided, s.guide_id, s.store_id, {_OCCURRED}, {_ENDED}, s.seconds, s.answered, s.code, s.value_minor) AS same,
       r.member_id, r.also, r.named
FROM stage s JOIN system_record r
  ON r.tenant_id = $1 AND r.source = $2 AND r.kind = $3 AND r.key = s.key AND r.revision = s.revision"""

_INSERT = f"""
INSERT INTO system_record (tenant_id, source, kind, key, revision, voided, guide_id, member_id, also, store_id, occurred_at,
                           ended_at, seconds, answered, code, value_minor, named, known_at, batch_id)
SELECT $1, $2, $3, s.key, s.revision, s.voided, s.guide_id, s.member_id, s.also, s.store_id, {_OCCURRED}, {_ENDED},
       s.seconds, s.answered, s.code, s.value_minor, n.named, $4, $5
FROM stage s LEFT JOIN (SELECT * FROM unnest($6::text[], $7::bigint[], $8::text[]::bytea[])) AS n(key, revision, named)
    USING (key, revision)
WHERE NOT EXISTS (
    SELECT FROM system_record r WHERE r.tenant_id = $1 AND r.source = $2 AND r.kind = $3 AND r.key = s.key
      AND r.revision = s.revision)
ORDER BY s.key, s.revision
ON CONFLICT DO NOTHING"""


# The columns of STAGED as the stage's CSV writes them, so that the same digest comes out.
_AS_STAGED = """
SELECT key, revision, voided::text, guide_id, member_id, also, store_id, (extract(epoch FROM occurred_at) * 1000000)::bigint,
       (extract(epoch FROM ended_at) * 1000000)::bigint, seconds, answered::text, code, value_minor
FROM system_record WHERE tenant_id = $1 AND batch_id = $2 ORDER BY key, revision"""


async def recompute_record_root(connection: Driver, tenant_id: int, batch_id: int) -> str:
    """The root of a batch of records from the table as it stands now (hex); see `imports.facts.recompute_root`.

    Raises:
        NotFound: there is no such batch of records.
    """
    kinds = [kind.value for kind in RECORDS]
    kind = await connection.fetchval(
        "SELECT kind FROM import_batch WHERE tenant_id = $1 AND batch_id = $2 AND kind = ANY($3)",
        tenant_id,
        batch_id,
        kinds,
    )
    if kind is None:
        raise NotFound(Problem(field="batch", value=str(batch_id), code="import.unknown_batch"))
    source = await connection.fetchval(
        "SELECT source FROM system_record WHERE tenant_id = $1 AND batch_id = $2 LIMIT 1", tenant_id, batch_id
    )
    digest = start_root(f"{kind} {source}")
    await connection.copy_from_query(_AS_STAGED, tenant_id, batch_id, output=into(digest), format="csv")
    return digest.hexdigest()


async def load_records(  # noqa: PLR0913 - the parts of one import, all by name
    connection: Driver,
    tenant: Tenant,
    kind: Kind,
    source: str,
    rows: pl.DataFrame,
    *,
    batch_id: int,
    known_at: datetime,
    findings: Findings,
    on_progress: Progress,
) -> Outcome:
    """Add the rows that are not there yet; call it inside the import's transaction.

    Args:
        connection: the driver's connection, in a transaction.
        tenant: the brand.
        kind: of the records.
        source: which system they come from.
        rows: `CheckedRecords.rows`, sorted by key.
        batch_id: the batch they will belong to.
        known_at: when they became known.
        findings: takes rows that contradict what was told before under the same revision.
        on_progress: told of stages and rows.
    """
    tenant_id = tenant.tenant_id
    staged = rows.select(STAGED)
    name = f"{kind.value} {source}"
    await stage(connection, _DDL, staged, name, on_progress)
    await connection.execute("ANALYZE stage")
    there = await _there(connection, tenant, source, kind, rows)
    differing = rows.join(there.filter(~pl.col("same")), on=KEY, how="semi").sort("line")
    findings.add(
        [
            BadRow(line, "key", key, "import.record_differs")
            for line, key in differing.head(LISTED).select("line", "key").iter_rows()
        ],
        rows=differing.height,
        problems=differing.height,
    )
    new = rows.join(there, on=KEY, how="anti", maintain_order="left")
    root = root_of(name, new.select(STAGED))
    same = there.height - differing.height
    if not new.height:
        earlier = await batch_of_root(connection, tenant_id, kind.value, root_of(name, staged))
        return Outcome(0, same, root, earlier)
    on_progress("insert", 0, new.height)
    by_number = new.filter(pl.col("named").is_not_null())
    named = [by_number[column].to_list() for column in (*KEY, "named")]
    await connection.execute(_INSERT, tenant_id, source, kind.value, known_at, batch_id, *named)
    on_progress("insert", new.height, new.height)
    return Outcome(new.height, same, root)


async def _there(
    connection: Driver, tenant: Tenant, source: str, kind: Kind, rows: pl.DataFrame
) -> pl.DataFrame:
    """Which rows stand there already, and whether they say the same: key, revision, same."""
    found = await connection.fetch(_OVERLAP, tenant.tenant_id, source, kind.value)
    meant = [
        Standing(UUID(str(row["member_id"])), tuple(UUID(str(one)) for one in row["also"]), row["named"])
        for row in found
    ]
    keys = await keys_of(tenant.keys, meant)
    schema = {"key": pl.String, "revision": pl.Int64, "same": pl.Boolean}
    there = pl.DataFrame(
        [(row["key"], row["revision"], row["same"]) for row in found], schema=schema, orient="row"
    )
    sent = there.join(rows, on=KEY, how="left", maintain_order="left").select("member_id", "also", "number")
    same = [
        names_the_same(whom, keys, [UUID(one) for one in (member, *_ids(also))], number)
        for whom, (member, also, number) in zip(meant, sent.iter_rows(), strict=True)
    ]
    return there.with_columns(pl.col("same") & pl.Series(same, dtype=pl.Boolean))


def _ids(array: str) -> list[str]:
    return [one for one in array.strip("{}").split(",") if one]
