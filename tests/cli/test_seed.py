"""`daogou seed`: a newcomer sees something at once, at any hour, and a brand's own data is never touched."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from activities.assignment import draw_cycle
from cli.playbook_files import read_playbook
from domain.calendar import business_date, local_instant
from infra.clock import now
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress
from infra.practice import playbook_text, practice_day, zone_for
from ledger.ledger import Ledger
from ledger.people import read_people
from tests.cli.practice_shop import in_ledger, playbook, seed
from tests.cli.shop import Shop
from tests.conftest import drop_database

YEAR = [datetime(2026, 1, 1, tzinfo=UTC) + n * timedelta(minutes=15) for n in range(365 * 96)]


@pytest.fixture(scope="module")
def seeded(
    postgres: tuple[EmbeddedPostgres, PostgresAddress], home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    shop = Shop(home, tmp_path_factory.mktemp("practice"), "cli_practice", postgres[1])
    seed(shop)
    yield shop
    asyncio.run(drop_database(shop.address, shop.database))


def items_by_guide(shop: Shop, file: Path, at: datetime) -> Counter[str]:
    plan = read_playbook(file)

    async def draw(ledger: Ledger) -> Counter[str]:
        async with ledger.connection() as connection:
            drawn = await draw_cycle(connection, ledger.tenant_id, plan, 1, at)
        return Counter(str(task.guide) for task in drawn.tasks)

    return in_ledger(shop, draw)


def test_every_guide_of_the_brand_has_five_to_ten_items_due_today(seeded: Shop) -> None:
    told = seeded.json("seed", "--to", str(playbook(seeded)))
    assert (told["stores"], told["guides"], told["members"]) == (3, 6, 60)
    items = items_by_guide(seeded, playbook(seeded), now())
    assert len(items) == 6
    assert all(5 <= count <= 10 for count in items.values())
    assert sum(items.values()) > 6 * min(items.values())  # and not all alike


def test_the_plan_may_be_launched_as_it_is_and_everybody_gets_a_guide(seeded: Shop) -> None:
    preview = seeded.json("plan", "check", str(playbook(seeded)))["preview"]
    assert (preview["selected"], preview["assigned"], preview["unassigned"]) == (54, 54, 0)


def test_its_regions_and_dealer_are_listed_for_a_role_to_be_granted_in(seeded: Shop) -> None:
    told = seeded.json("store", "list")
    assert [(one["store"], one["region"], one["dealer"]) for one in told["stores"]] == [
        ("S1", "市区", ""),
        ("S2", "市区", "练习经销商"),
        ("S3", "郊区", "练习经销商"),
    ]
    assert (told["regions"], told["dealers"]) == ({"市区": 2, "郊区": 1}, {"练习经销商": 2})
    of_dealer = seeded.json("store", "list", "--dealer", "练习经销商", "--limit", "1")
    assert ([one["store"] for one in of_dealer["stores"]], of_dealer["next"]) == (["S2"], "S2")
    screen = seeded.run("store", "list").stdout
    assert "市区（2 家）" in screen
    assert "练习经销商（2 家）" in screen
    unknown = seeded.json("account", "create", "wang", "--name", "王", "--role", "督导", "--place", "东区")
    assert "store list" in unknown["error"]["problems"][0]["remedy"]


def test_it_is_said_that_all_is_made_up_and_the_numbers_are_nobodys(seeded: Shop) -> None:
    screen = seeded.run("seed", "--to", str(playbook(seeded))).stdout
    assert "全部虚构 ALL MADE UP" in screen

    async def phones(ledger: Ledger) -> list[str]:
        async with ledger.connection() as connection:
            ids = [row["member_id"] for row in await connection.fetch("SELECT member_id FROM member")]
            people = await read_people(connection, ledger.tenant_id, ledger.keys, ids)
            guides = await connection.fetch("SELECT phone FROM guide_person")
            return [*(str(one.phone) for one in people.values()), *(row["phone"] for row in guides)]

    found = in_ledger(seeded, phones)
    assert len(found) == 66
    assert all(phone.startswith("111") for phone in found)


def test_seeding_again_changes_nothing_and_says_so(seeded: Shop) -> None:
    before, written = seeded.traces(), playbook(seeded).read_bytes()
    again = seeded.run("seed", "--to", str(playbook(seeded)), lang="en")
    assert again.exit_code == 0
    assert "nothing changed" in again.stdout
    assert seeded.traces() == before
    assert playbook(seeded).read_bytes() == written


def test_seeding_on_a_later_day_keeps_the_facts_and_plans_that_day(
    seeded: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, later = seeded.traces(), now() + timedelta(days=3)
    monkeypatch.setattr("cli.seed.now", lambda: later)
    shop = dataclasses.replace(seeded, folder=tmp_path)
    told = shop.json("seed", "--to", str(playbook(shop)))
    assert (told["changed"], told["playbook_written"]) == (False, True)
    assert seeded.traces() == before
    assert told["day"] >= business_date(later, told["time_zone"]).isoformat()
    assert min(items_by_guide(shop, playbook(shop), later).values()) >= 5


def test_a_plan_of_another_day_has_another_name(
    seeded: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert seeded.run("plan", "launch", str(playbook(seeded))).exit_code == 0
    told = seeded.json("seed", "--to", str(playbook(seeded)))
    assert (told["plan"], told["launched"]) == ("practice", True)
    later = now() + timedelta(days=2)
    monkeypatch.setattr("cli.seed.now", lambda: later)
    told = seeded.json("seed", "--to", str(tmp_path / "later.yaml"))
    assert told["plan"] == f"practice-{told['day'][5:7]}{told['day'][8:10]}"
    assert told["launched"] is False


def test_a_playbook_that_was_edited_is_left_as_it_is(shop: Shop, tmp_path: Path) -> None:
    fresh = dataclasses.replace(shop, database=f"{shop.database}_edited", folder=tmp_path)
    seed(fresh)
    file = playbook(fresh)
    file.write_text(file.read_text(encoding="utf-8").replace("target: 60", "target: 70"), encoding="utf-8")
    again = fresh.json("seed", "--to", str(file))
    asyncio.run(drop_database(fresh.address, fresh.database))
    assert again["playbook_written"] is False
    assert "target: 70" in file.read_text(encoding="utf-8")


def test_a_database_with_a_brand_of_its_own_is_refused_and_stays_as_it_is(
    stocked: Shop, tmp_path: Path
) -> None:
    before = stocked.traces()
    file = tmp_path / "practice.yaml"
    (problem,) = stocked.json("seed", "--to", str(file))["error"]["problems"]
    assert problem["code"] == "not_for_practice"
    assert problem["value"] == "S1, S2"
    assert "--database practice seed" in problem["remedy"]
    assert stocked.traces() == before
    assert not file.exists()


@pytest.mark.parametrize(
    ("name", "code"), [("mine.yaml", "file_is_not_ours"), ("nowhere/practice.yaml", "file_unwritable")]
)
def test_a_file_of_somebody_elses_or_a_missing_folder_is_refused_before_anything_is_done(
    seeded: Shop, tmp_path: Path, name: str, code: str
) -> None:
    (tmp_path / "mine.yaml").write_text("plan: mine\n")
    untouched = dataclasses.replace(seeded, database="never_made")
    (problem,) = untouched.json("seed", "--to", str(tmp_path / name))["error"]["problems"]
    assert (problem["field"], problem["code"]) == ("--to", code)
    assert (tmp_path / "mine.yaml").read_text() == "plan: mine\n"
    assert "没有这个数据库" in untouched.run("plan", "status").stderr


def test_at_any_hour_of_the_year_the_day_has_begun_and_has_an_hour_left() -> None:
    wrong = []
    for at in YEAR:
        today = practice_day(at, zone_for(at), standing=False)
        opens = local_instant(today.day, today.release, today.zone)
        closes = local_instant(today.day, today.close, today.zone)
        if not opens <= at <= closes - timedelta(hours=1) or today.why not in {"here", "elsewhere"}:
            wrong.append((at, today))
    assert wrong == []


def test_it_is_shanghai_while_stores_are_open_there() -> None:
    clock = {at: business_clock(at) for at in YEAR[: 4 * 96]}
    assert all((zone_for(at) == "Asia/Shanghai") == ("07:00" <= clock[at] < "22:00") for at in clock)


def business_clock(at: datetime) -> str:
    return f"{at + timedelta(hours=8):%H:%M}"


@pytest.mark.parametrize("hour", range(24))
def test_the_playbook_is_a_plan_at_any_hour(tmp_path: Path, hour: int) -> None:
    at = datetime(2026, 6, 15, hour, 40, tzinfo=UTC)
    for standing in (False, True):
        today = practice_day(at, "Asia/Shanghai" if standing else zone_for(at), standing=standing)
        file = tmp_path / "practice.yaml"
        file.write_text(playbook_text(today), encoding="utf-8")
        plan = read_playbook(file)
        assert (plan.period.start, plan.day.release, plan.day.close) == (
            today.day,
            today.release,
            today.close,
        )


def test_when_the_day_of_the_standing_stores_is_over_the_plan_is_for_tomorrow() -> None:
    late = datetime(2026, 6, 15, 14, 30, tzinfo=UTC)  # 22:30 in Shanghai
    today = practice_day(late, "Asia/Shanghai", standing=True)
    assert (today.why, today.day.isoformat()) == ("over", "2026-06-16")


def test_a_database_of_ones_own_is_seeded_like_the_embedded_one(seeded: Shop, tmp_path: Path) -> None:
    name = "cli_practice_elsewhere"
    asyncio.run(_create(seeded, name))
    try:
        elsewhere = dataclasses.replace(seeded, folder=tmp_path)
        url = {"DATABASE_URL": seeded.address.url(name)}
        file = str(playbook(elsewhere))
        first, again = (elsewhere.json("seed", "--to", file, **url) for _ in range(2))
        preview = elsewhere.json("plan", "check", file, **url)["preview"]
    finally:
        asyncio.run(drop_database(seeded.address, name))
    assert (first["changed"], again["changed"]) == (True, False)
    assert preview["tasks"] == 43


async def _create(shop: Shop, name: str) -> None:
    connection = await asyncpg.connect(shop.address.url("postgres"))
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
