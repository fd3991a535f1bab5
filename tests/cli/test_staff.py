"""`daogou staff`: hire, transfer, leave, close a store, list; and a guide without a phone."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from infra.clock import now
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress
from tests.cli.practice_shop import begin_cycle, playbook, seed
from tests.cli.shop import Shop
from tests.conftest import drop_database

NAME = "cli_staff_practice"


def rows(shop: Shop, query: str) -> list[tuple[Any, ...]]:
    async def read() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(shop.address.url(shop.database))
        try:
            await connection.execute("SET search_path = daogou")
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    return asyncio.run(read())


def store_of(shop: Shop, guide: str) -> str:
    (one,) = (line for line in shop.json("staff", "list")["guides"] if line["guide"] == guide)
    return str(one["store"])


def problems(told: Any) -> list[tuple[str, str, str]]:
    """Field, value and code of every problem; that each has a reason and a remedy."""
    found = told["error"]["problems"]
    assert all(one["reason"] and one["remedy"] for one in found)
    return [(one["field"], one["value"], one["code"]) for one in found]


@pytest.fixture(scope="module")
def launched(
    postgres: tuple[EmbeddedPostgres, PostgresAddress], home: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """The practice brand with its plan launched and its members selected. Only to be copied."""
    shop = Shop(home, tmp_path_factory.mktemp("practice"), NAME, postgres[1])
    seed(shop)
    done = shop.run("plan", "launch", str(playbook(shop)))
    assert done.exit_code == 0, done.output
    begin_cycle(shop)
    yield shop
    asyncio.run(drop_database(shop.address, NAME))


@pytest.fixture
def practice(launched: Shop) -> Iterator[Shop]:
    """The launched brand in a database that may be changed."""
    name = f"{NAME}_{secrets.token_hex(4)}"

    async def copy() -> None:
        connection = await asyncpg.connect(launched.address.url("postgres"))
        try:
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{NAME}" STRATEGY FILE_COPY')
        finally:
            await connection.close()

    asyncio.run(copy())
    yield dataclasses.replace(launched, database=name)
    asyncio.run(drop_database(launched.address, name))


def test_a_leave_is_foreseen_by_a_dry_run_and_done_with_the_same_result(practice: Shop) -> None:
    yesterday = str((now() - timedelta(days=1)).date())
    store = store_of(practice, "G1")
    assert practice.run("staff", "hire", "G77", "--name", "王芳", "--store", store).exit_code == 0
    before = practice.traces()
    foreseen = practice.json("staff", "leave", "G1", "--last-day", yesterday, "--dry-run")
    assert practice.traces() == before
    done = practice.json("staff", "leave", "G1", "--last-day", yesterday)
    assert (foreseen["dry_run"], done["dry_run"]) == (True, False)
    assert done["in_force"]
    assert done["moves"] == foreseen["moves"]
    (moved,) = done["moves"]
    assert practice.run("audit", "verify").exit_code == 0
    assert moved["tasks"] == sum(moved["to"].values()) > 0
    assert rows(practice, "SELECT count(*) FROM task t JOIN guide g USING (tenant_id, guide_id)"
                " WHERE g.code = 'G1' AND t.state = 'open'") == [(0,)]  # fmt: skip


def test_screens_are_chinese_first_and_say_what_comes_next(practice: Shop) -> None:
    day = str((now() + timedelta(days=5)).date())
    told = practice.run("staff", "leave", "G1", "--last-day", day)
    assert told.exit_code == 0, told.output
    assert "最后一天" in told.output
    assert "到那天零点（门店时区）自动生效" in told.output
    assert "无人能接的原因 · practice" in told.output
    assert "就近：合适的导购都已满" in told.output
    assert "怎么办" in told.output
    listed = practice.run("staff", "list")
    assert "起离职" in listed.output
    english = practice.run("staff", "list", lang="en")
    assert "gone from" in english.output


def test_a_guide_without_a_phone_is_hired_clocked_in_and_checked_in_for(practice: Shop) -> None:
    hired = practice.run("staff", "hire", "G77", "--name", "王芳", "--store", store_of(practice, "G1"))
    assert hired.exit_code == 0, hired.output
    yesterday = str((now() - timedelta(days=1)).date())
    left = practice.json("staff", "leave", "G1", "--last-day", yesterday, "--replacement", "G77")
    assert set(left["moves"][0]["to"]) == {"G77"}
    assert practice.run("day", "open").exit_code == 0
    assert practice.run("clock-in", "G77").exit_code == 0
    assert practice.json("today", "G77")["items"]
    done = practice.run("check-in", "G77", "1", "--outcome", "interested")
    assert done.exit_code == 0, done.output
    assert rows(practice, "SELECT p.phone, c.actor FROM check_in c JOIN guide g USING (tenant_id, guide_id)"
                " JOIN guide_person p USING (tenant_id, guide_id) WHERE g.code = 'G77'") == [(None, "hq")]  # fmt: skip


def test_a_store_is_hired_into_transferred_to_and_closed(shop: Shop) -> None:
    assert shop.json("staff", "hire", "G9", "--name", "Zhao", "--store", "S1")["in_force"]
    assert shop.json("staff", "transfer", "G1", "S2")["in_force"]
    assert problems(shop.json("staff", "close-store", "S1")) == [("STORE", "S1", "store_has_guides")]
    closed = shop.json("staff", "close-store", "S1", "--to", "S2")
    assert (closed["guides"], closed["in_force"]) == (["G9"], False)
    told = shop.json("staff", "list", "--store", "S1")
    assert [(one["guide"], one["next_store"]) for one in told["guides"]] == [("G9", "S2")]
    assert [(one["store"], one["to"], one["members"]) for one in told["closings"]] == [("S1", "S2", 5)]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("transfer", "G8", "S2"), [("GUIDE", "G8", "unknown_guide")]),
        (("transfer", "G1", "S8"), [("STORE", "S8", "unknown_store")]),
        (("transfer", "G8", "S8"), [("GUIDE", "G8", "unknown_guide"), ("STORE", "S8", "unknown_store")]),
        (("transfer", "G1", "S2", "--from", "soon"), [("--from", "soon", "not_a_date")]),
        (("transfer", "G1", "S2", "--from", "2020-01-01"), [("--from", "2020-01-01", "too_long_ago")]),
        (("leave", "G1", "--replacement", "G1"), [("--replacement", "G1", "replacement_not_working")]),
        (("hire", "G9", "--name", " ", "--store", "S1"), [("--name", " ", "empty")]),
        (("hire", "G9", "--name", "Li", "--phone", "no", "--store", "S1"), [("--phone", "no", "not_a_phone_number")]),
        (("hire", "G1", "--name", "Li", "--store", "S1"), [("GUIDE", "G1", "guide_exists")]),
        (("close-store", "S8"), [("STORE", "S8", "unknown_store")]),
    ],
)  # fmt: skip
def test_bad_input_is_told_by_field_value_and_remedy_and_changes_nothing(
    shop: Shop, arguments: tuple[str, ...], told: list[tuple[str, str, str]]
) -> None:
    before = shop.traces()
    assert problems(shop.json("staff", *arguments)) == told
    assert shop.traces() == before
