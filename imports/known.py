"""Whom and what a file names: codes, numbers and baskets looked up before its rows are checked."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import polars as pl

from domain.identifiers import personal_id
from domain.phones import dialled
from imports import cells
from imports.records import NAMED, RecordCodes
from imports.report import Tenant
from ledger.database import driver_connection
from ledger.ledger import Ledger
from ledger.naming import digests_of_numbers
from ledger.phone_index import digest_of, members_of_phones, records_key
from ledger.pool import Pool


async def record_codes(
    engine: Pool, tenant: Tenant, table: pl.DataFrame, stores: pl.DataFrame
) -> RecordCodes:
    """Who and what a file of records names. Numbers are looked up here, and nowhere written."""

    def told(column: str) -> pl.Series:
        if column not in table.columns:
            return pl.Series(column, [], dtype=pl.String)
        return table.select(cells.text(column, table.schema[column])).to_series().drop_nulls().unique()

    ledger = Ledger(engine, tenant.tenant_id, keys=tenant.keys)
    phones = await members_of_phones(ledger, told("phone").to_list())
    key = await records_key(ledger) if told("code").len() else b""
    told_of = sorted(phones.items())
    numbers = [dialled(phone) for phone, _ in told_of]
    firsts = [members[0] for _, members in told_of]
    named = await digests_of_numbers(tenant.keys, list(zip(firsts, numbers, strict=True)))
    found = [
        (phone, str(first), _array(members[1:]), number, None if digest is None else f"\\x{digest.hex()}")
        for (phone, members), first, number, digest in zip(told_of, firsts, numbers, named, strict=True)
    ]
    return RecordCodes(
        members=await known_members(engine, tenant, told("member")),
        phones=pl.DataFrame(
            found, schema=dict.fromkeys(("phone", "of_phone", "also", *NAMED), pl.String), orient="row"
        ),
        stores=stores,
        guides=await known_guides(engine, tenant),
        digest=lambda code: digest_of(key, "voucher", code).hex(),
    )


async def known_guides(engine: Pool, tenant: Tenant) -> pl.DataFrame:
    """Every guide's code, id and zone."""
    return await known(
        engine,
        "SELECT g.code, g.guide_id::text, s.time_zone FROM guide g"
        " JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id WHERE g.tenant_id = $1",
        ("guide", "guide_id", "guide_zone"),
        tenant.tenant_id,
    )


async def bought(engine: Pool, tenant: Tenant, table: pl.DataFrame) -> pl.DataFrame:
    """The purchases that a file of returns names."""
    baskets = (
        table.select(cells.text("return_of", table.schema["return_of"])).to_series().drop_nulls().unique()
    )
    return await known(
        engine,
        "SELECT p.basket, p.product, p.member_id::text, p.store_id::text, s.time_zone, c.name, p.guide_id::text"
        " FROM purchase p JOIN store s ON s.tenant_id = $1 AND s.store_id = p.store_id"
        " JOIN category c ON c.tenant_id = $1 AND c.category_id = p.category_id"
        " WHERE p.tenant_id = $1 AND NOT p.is_return AND p.basket = ANY($2)",
        ("return_of", "product", "member_id", "store_id", "zone", "category", "guide_id"),
        tenant.tenant_id,
        baskets.to_list(),
    )


async def known_members(engine: Pool, tenant: Tenant, codes: pl.Series) -> pl.DataFrame:
    """Code and id of the members that exist; a code is found by its digest, for it is kept sealed."""
    ids = [str(personal_id(tenant.id_secret, "member", code)) for code in codes]
    there = await known(
        engine,
        "SELECT member_id::text FROM member WHERE tenant_id = $1 AND member_id = ANY($2::text[]::uuid[])",
        ("member_id",),
        tenant.tenant_id,
        ids,
    )
    return pl.DataFrame({"member": codes, "member_id": pl.Series(ids, dtype=pl.String)}).join(
        there, on="member_id", how="semi"
    )


async def without_erased(
    engine: Pool, tenant: Tenant, rows: pl.DataFrame, member: str
) -> tuple[pl.DataFrame, int]:
    """The rows that are not of members who were erased, and how many are: what they do now is not kept."""
    erased = await known(
        engine,
        "SELECT member_id::text FROM member WHERE tenant_id = $1 AND erased_at IS NOT NULL",
        ("member_id",),
        tenant.tenant_id,
    )
    if not erased.height:
        return rows, 0
    left = rows.join(erased, left_on=member, right_on="member_id", how="anti", maintain_order="left")
    return left, rows.height - left.height


async def known(engine: Pool, query: str, names: tuple[str, ...], *arguments: object) -> pl.DataFrame:
    """What a query finds, all as text, under these names."""
    async with driver_connection(engine) as connection:
        found = await connection.fetch(query, *arguments)
    return pl.DataFrame([tuple(row) for row in found], schema=dict.fromkeys(names, pl.String), orient="row")


def _array(members: Sequence[UUID]) -> str:
    return "{" + ",".join(map(str, members)) + "}"
