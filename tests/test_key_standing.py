"""Opening the ledger sees whether its keys are there: brings them from a copy, or says loudly that they are lost."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from structlog.testing import capture_logs

from activities.asked import Asked
from activities.members import erase_member
from imports.loading import import_frame
from imports.report import Kind, Tenant
from infra.databases import open_ledger, read_id_secret
from infra.key_copies import copy_keys
from infra.key_file import FILE
from infra.settings import Settings
from ledger.ledger import Ledger
from ledger.people import Person, read_people
from tests.brand import at
from tests.conftest import LedgerDatabase

CODES = ["M1", "M2", "M3"]


@pytest.fixture
def settings(ledger_database: LedgerDatabase, tmp_path: Path) -> Settings:
    """A home whose ledger is elsewhere and whose keys are in it."""
    return Settings(
        home=tmp_path,
        database_url=ledger_database.urls.worker,
        database_admin_url=ledger_database.urls.admin,
        database_api_url=ledger_database.urls.api,
    )


async def bring_members(ledger: Ledger) -> None:
    tenant = Tenant(1, await read_id_secret(ledger), ledger.keys)
    frame = pl.DataFrame({"code": CODES, "name": ["Wang", "Li", "Zhao"]})
    await import_frame(ledger.engine, tenant, Kind.MEMBERS, frame, known_at=at(2), actor="hq")


async def names(ledger: Ledger) -> list[str | None]:
    async with ledger.connection() as connection:
        ids = [await connection.fetchval("SELECT member_id_of($1)", code) for code in CODES]
        people = await read_people(connection, 1, ledger.keys, ids)
    return [people.get(one, Person()).name for one in ids]


async def members_in(settings: Settings) -> None:
    with capture_logs() as logs:
        async with open_ledger(settings) as (ledger, _):
            await bring_members(ledger)
            assert await names(ledger) == ["Wang", "Li", "Zhao"]
        async with open_ledger(settings):
            pass
    assert [one["event"] for one in logs if "key" in one["event"]] == [], "all is well: nothing is said"


async def test_keys_that_are_lost_are_said_loudly_and_with_the_remedy(settings: Settings) -> None:
    await members_in(settings)
    (settings.home / FILE).unlink()
    with capture_logs() as logs:
        async with open_ledger(settings) as (ledger, _):
            assert await names(ledger) == [None] * 3
    (said,) = [one for one in logs if one["event"] == "member_keys_missing"]
    assert (said["log_level"], said["members"]) == ("error", 3)
    assert "keys/members.db" in said["remedy"]
    assert not (settings.home / FILE).exists(), "no empty store hides that it is lost"


async def test_keys_that_are_lost_come_back_from_the_copy_by_themselves(settings: Settings) -> None:
    await members_in(settings)
    copy_keys(settings.home, settings.home / "backups")
    (settings.home / FILE).unlink()
    with capture_logs() as logs:
        async with open_ledger(settings) as (ledger, _):
            assert await names(ledger) == ["Wang", "Li", "Zhao"]
    events = [one["event"] for one in logs]
    assert "member_keys_brought" in events
    assert "member_keys_missing" not in events


async def test_a_copy_from_before_an_erasure_brings_no_erased_key_back(settings: Settings) -> None:
    home = settings.home
    await members_in(settings)
    copy_keys(home, home / "disk")
    (home / "disk").rename(home / "drawer")
    async with open_ledger(settings) as (ledger, _):
        async with ledger.connection() as connection:
            member = await connection.fetchval("SELECT member_id_of('M1')")
        key = (await ledger.keys.get_many([member]))[member]
        erased = await erase_member(ledger, "M1", "asked", Asked(None, at(3), "hq"))
        assert erased.copies_missed == 1
    (home / FILE).unlink()
    (home / "drawer").rename(home / "disk")
    assert key in (home / "disk" / FILE).read_bytes()
    async with open_ledger(settings) as (ledger, _):
        assert await names(ledger) == [None, "Li", "Zhao"]
        assert await ledger.keys.destroyed() == {member}
    assert key not in (home / "disk" / FILE).read_bytes()
    assert key not in (home / FILE).read_bytes()


async def test_of_two_keys_the_one_that_opens_what_is_sealed_is_taken(settings: Settings) -> None:
    await members_in(settings)
    copy_keys(settings.home, settings.home / "backups")
    (settings.home / FILE).rename(settings.home / "lost")
    (settings.home / "backups").rename(settings.home / "away")
    async with open_ledger(settings) as (ledger, _):
        async with ledger.connection() as connection:
            member = await connection.fetchval("SELECT member_id_of('M1')")
        await ledger.keys.make_many([member])  # somebody noted something about M1 meanwhile
    (settings.home / "away").rename(settings.home / "backups")
    async with open_ledger(settings) as (ledger, _):
        assert await names(ledger) == ["Wang", "Li", "Zhao"]


async def test_an_erasure_that_ended_before_its_commit_is_ended_by_the_next_start(settings: Settings) -> None:
    await members_in(settings)
    async with open_ledger(settings) as (ledger, _), ledger.connection() as connection:
        member = await connection.fetchval("SELECT member_id_of('M1')")
        await ledger.keys.destroy(member)  # all that was done before the machine went down
    async with open_ledger(settings) as (ledger, _), ledger.connection() as connection:
        assert await connection.fetchval(
            "SELECT erased_at IS NOT NULL FROM member WHERE member_id = $1", member
        )
        assert (
            await connection.fetchval("SELECT count(*) FROM member_person WHERE member_id = $1", member) == 0
        )


async def test_a_key_store_that_does_not_answer_keeps_nobody_from_opening_the_ledger(
    settings: Settings,
) -> None:
    (settings.home / FILE).parent.mkdir(exist_ok=True)
    (settings.home / FILE).write_bytes(b"no key store" * 100)
    with capture_logs() as logs:
        async with open_ledger(settings):
            pass
    assert [one["event"] for one in logs if one["log_level"] == "error"] == ["member_keys_unreachable"]
