from __future__ import annotations

import json
from importlib.resources import files

import polars as pl
import pytest
import yaml

from domain.errors import NotFound
from domain.identifiers import personal_id
from imports.facts import recompute_root
from imports.masters import sealed_members
from imports.report import Kind
from imports.staging import root_of
from ledger.canonical import NO_HASH, chain, decode
from ledger.database import driver_connection
from tests.imports.brand import KNOWN_AT, Brand, Database, execute_as_admin
from tests.imports.test_import_purchases import GOOD

PEOPLE = "code,name,phone,store\nSECRET-7,Zhang San,13912345678,S1\n"


async def test_an_import_is_one_event_with_the_root_of_its_batch_and_the_chain_holds(brand: Brand) -> None:
    report = await brand.purchases(GOOD)
    await brand.purchases(GOOD.replace("B1", "B4").replace("B2", "B5").replace("B3", "B6"))
    stored = await brand.fetch(
        "SELECT body, hash, known_at FROM event WHERE stream = 'import/purchases' ORDER BY version"
    )
    assert len(stored) == 2
    before = NO_HASH
    for body, digest, _ in stored:
        before = chain(before, body)
        assert before == digest
    told = decode(stored[0][0])
    assert (told.type, told.actor, told.known_at) == ("imported", "clerk", KNOWN_AT)
    assert told.payload == {
        "kind": "purchases",
        "batch": report.batch_id,
        "root": report.root,
        "rows_read": 3,
        "rows_new": 3,
        "rows_bad": 0,
        "source": "",
    }
    assert (
        await brand.value("SELECT root FROM import_batch WHERE batch_id = $1", report.batch_id) == report.root
    )


async def test_the_root_is_the_one_of_the_rows_and_a_changed_row_shows(
    brand: Brand, ledger_database: Database
) -> None:
    report = await brand.purchases(GOOD)
    assert report.batch_id is not None
    async with driver_connection(brand.engine) as connection:
        assert await recompute_root(connection, 1, report.batch_id) == report.root
        await execute_as_admin(
            ledger_database.admin_url, "UPDATE daogou.purchase SET value_minor = 1 WHERE basket = 'B1'"
        )
        assert await recompute_root(connection, 1, report.batch_id) != report.root


async def test_a_batch_that_does_not_exist_has_no_root(brand: Brand) -> None:
    async with driver_connection(brand.engine) as connection:
        with pytest.raises(NotFound):
            await recompute_root(connection, 1, 99)


@pytest.mark.parametrize("kind", [Kind.GUIDES, Kind.MEMBERS])
async def test_no_personal_data_is_in_an_event(brand: Brand, kind: Kind) -> None:
    await brand.load(kind, brand.write("Zhang San.csv", PEOPLE))
    await brand.load(
        Kind.PURCHASES,
        brand.write("Zhang San 2.csv", GOOD.replace("M1", "SECRET-7")),
        skip_bad=True,
    )
    everything = json.dumps([
        [bytes(body).decode("latin-1"), payload, actor, cause, stream]
        for body, payload, actor, cause, stream in await brand.fetch(
            "SELECT body, payload, actor, cause, stream FROM event"
        )
    ])  # fmt: skip
    assert "imported" in everything
    for personal in ("SECRET-7", "Zhang San", "13912345678"):
        assert personal not in everything


@pytest.mark.parametrize("kind", [Kind.STORES, Kind.GUIDES, Kind.MEMBERS])
async def test_the_root_of_one_row_about_somebody_cannot_be_found_by_trying(brand: Brand, kind: Kind) -> None:
    head, row = "code,name", "X7,Zhang San"
    head, row = (head + ",store", row + ",S1") if kind is Kind.GUIDES else (head, row)
    first = await brand.load(kind, brand.write("one.csv", f"{head}\n{row}\n"))
    again = await brand.load(kind, brand.write("one.csv", f"{head}\n{row}\n"))
    assert (again.rows_new, again.already_imported) == (0, True)
    # Whoever reads the event knows the id from elsewhere in the ledger, and guesses the rest.
    person = personal_id(brand.tenant.id_secret, kind.value[:-1], "X7")
    store = personal_id(brand.tenant.id_secret, "store", "S1")
    frame = pl.DataFrame({"id": [str(person)], "code": ["X7"], "name": ["Zhang San"]})
    if kind is Kind.MEMBERS:
        # Sealed: once the member's key is destroyed, not even who has the brand's secret finds it by trying.
        frame, _ = await sealed_members(brand.tenant, frame)
    if kind is Kind.GUIDES:
        frame = frame.with_columns(store_id=pl.lit(str(store)))
    assert first.root == root_of(kind.value, frame, key=brand.tenant.id_secret)
    assert first.root != root_of(kind.value, frame)


async def test_nothing_stays_when_the_event_cannot_be_written(
    brand: Brand, ledger_database: Database
) -> None:
    before = await brand.traces()
    await execute_as_admin(
        ledger_database.admin_url,
        "ALTER TABLE daogou.event ADD CONSTRAINT broken CHECK (stream <> 'import/purchases')",
    )
    with pytest.raises(Exception, match="broken"):
        await brand.purchases(GOOD)
    assert await brand.traces() == before


def test_every_code_has_words_in_both_languages() -> None:
    catalogue = yaml.safe_load(files("imports").joinpath("messages.yaml").read_text(encoding="utf-8"))
    used = {
        part.split('"')[0]
        for module in files("imports").iterdir()
        if module.name.endswith(".py")
        for part in module.read_text(encoding="utf-8").split('"')
        if part.startswith("import.") and " " not in part
    }
    assert used == set(catalogue)
    assert all(set(words) == {"zh", "en"} for words in catalogue.values())
