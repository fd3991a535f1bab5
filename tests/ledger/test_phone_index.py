"""Whose number is it? Always as the members' numbers stand, whatever became of the index in between."""

from __future__ import annotations

from uuid import UUID

import asyncpg

from ledger.people import seal_text
from ledger.phone_index import members_of_phones
from tests.brand import Brand
from tests.conftest import LedgerDatabase

NUMBER, OTHER = "138 0000 1234", "139-0000-5678"


async def found(brand: Brand, *numbers: str) -> dict[str, list[UUID]]:
    told = await members_of_phones(brand.ledger, numbers)
    return {number: list(members) for number, members in told.items()}


async def change(brand: Brand, member: UUID, number: str) -> None:
    key = (await brand.ledger.keys.get_many([member]))[member]
    sealed = seal_text(key, 1, member, "phone", number)
    await brand.execute("UPDATE member_person SET phone_sealed = $2 WHERE member_id = $1", member, sealed)


async def test_a_number_is_found_as_it_stands_and_all_who_share_it(shop: Brand) -> None:
    first, second = sorted(await shop.join("M1", "M2"))
    assert await found(shop, NUMBER, OTHER) == {NUMBER: [first, second]}
    await change(shop, second, "+86 13900005678")
    assert await found(shop, NUMBER, OTHER) == {NUMBER: [first], OTHER: [second]}
    (third,) = await shop.join("M3")
    assert await found(shop, NUMBER) == {NUMBER: sorted([first, third])}


async def test_who_is_gone_is_not_found(shop: Brand) -> None:
    first, second = sorted(await shop.join("M1", "M2"))
    await found(shop, NUMBER)
    await shop.execute("SELECT erase_member($1, now(), 'hq', 'asked')", first)
    assert await shop.rows("SELECT member_id FROM phone_index WHERE digest IS NOT NULL") == [(second,)]
    assert await found(shop, NUMBER) == {NUMBER: [second]}


async def test_an_index_that_a_crash_emptied_is_made_again(shop: Brand, database: LedgerDatabase) -> None:
    members = sorted(await shop.join("M1", "M2"))
    await found(shop, NUMBER)
    connection = await asyncpg.connect(database.admin_url)
    await connection.execute("TRUNCATE daogou.phone_index")  # what PostgreSQL does to it: no log holds it
    await connection.close()
    assert await found(shop, NUMBER) == {NUMBER: members}


async def test_no_backup_holds_it(shop: Brand) -> None:
    kind = await shop.value("SELECT relpersistence::text FROM pg_class WHERE relname = 'phone_index'")
    assert kind == "u"
