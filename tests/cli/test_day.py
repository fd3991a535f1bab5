"""The day on the command line: opened, worked and closed by hand, with nothing but the ledger."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from infra.clock import now
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress
from tests.cli.practice_shop import begin_cycle, playbook, seed
from tests.cli.shop import Shop
from tests.conftest import drop_database

NAME = "cli_practice_day"


@pytest.fixture(scope="module")
def launched(
    postgres: tuple[EmbeddedPostgres, PostgresAddress], home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """The practice brand with its plan launched and its members selected. Only to be copied."""
    shop = Shop(home, tmp_path_factory.mktemp("practice"), NAME, postgres[1])
    seed(shop)
    done = shop.run("plan", "launch", str(playbook(shop)))
    assert done.exit_code == 0, done.output
    begin_cycle(shop)
    yield shop
    asyncio.run(drop_database(shop.address, NAME))


def copied(launched: Shop) -> Iterator[Shop]:
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


@pytest.fixture
def practice(launched: Shop) -> Iterator[Shop]:
    """The launched brand in a database that may be changed."""
    yield from copied(launched)


@pytest.fixture
def opened(practice: Shop) -> Shop:
    assert practice.run("day", "open").exit_code == 0
    return practice


@pytest.fixture(scope="module")
def at_work(launched: Shop) -> Iterator[Shop]:
    """An opened day with G1 at work. Only for what changes nothing."""
    for shop in copied(launched):
        assert shop.run("day", "open").exit_code == 0
        assert shop.run("clock-in", "G1").exit_code == 0
        yield shop


def problem(told: Any) -> tuple[str, str, str]:
    """Field, value and code of the one problem; that it has a reason and a remedy."""
    (one,) = told["error"]["problems"]
    assert one["reason"]
    assert one["remedy"]
    return one["field"], one["value"], one["code"]


def check_in(shop: Shop, *words: str) -> Any:
    return shop.json("check-in", *words)


def test_a_sheet_is_printed_filled_in_and_entered_and_a_complaint_on_it_settled(
    opened: Shop, tmp_path: Path
) -> None:
    assert opened.run("clock-in", "G1").exit_code == 0
    board = opened.json("list", "print", "--guide", "G1")
    day, codes = board["since"], [row["line"] for row in board["rows"]]
    xlsx = tmp_path / "a4.xlsx"
    assert opened.run("list", "print", "--store", "S1", "--xlsx", str(xlsx)).exit_code == 0
    assert xlsx.read_bytes().startswith(b"PK")
    lines = (f"{codes[0]} 投诉", f"{codes[1]} interested B")
    sheet = tmp_path / "sheet.png"
    sheet.write_bytes(b"GIF89a")
    told = opened.json("list", "enter", day, *lines, "--picture", str(sheet))
    assert problem(told)[2] == "not_a_picture"
    sheet.write_bytes(b"\x89PNG\r\n\x1a\n a sheet")
    told = opened.json("list", "enter", day, *lines, "--picture", str(sheet))
    assert [one["result"] for one in told["lines"]] == ["taken", "taken"]
    again = opened.run("list", "enter", day, *lines, f"{codes[1]}X came")
    assert "录入 0 行，早已录入 2 行，没有录入 1 行" in again.stdout
    assert problem(opened.json("list", "enter", day, "G1"))[2] == "not_a_sheet_line"
    assert problem(opened.json("list", "print"))[2] == "sheet_of_one"

    (case,) = opened.json("case", "list")["cases"]
    assert (case["state"], case["guide"]) == ("open", "G1")
    assert case["case_id"][:8] in opened.run("case", "list").stdout
    assert opened.json("case", "answer", case["case_id"][:8])["state"] == "answered"
    assert "已结束" in opened.run("case", "close", case["case_id"], "refunded").stdout
    assert problem(opened.json("case", "answer", "nothing"))[2] == "unknown_case"
    shown = ("check-in", "G1", "3", "--outcome", "came", "--picture", str(sheet))
    assert opened.run(*shown).exit_code == 0
    verified = opened.json("audit", "verify")
    assert (verified["ok"], verified["pictures"]) == (True, 2)
    grades = [row["grade"] for row in opened.json("guide", "resources", "G1")["rows"]]
    assert grades[0] == "B"


def test_opening_the_day_cuts_every_guides_list_once(practice: Shop) -> None:
    first, again = practice.json("day", "open"), practice.json("day", "open")
    ((one,), (other,)) = first["opened"], again["opened"]
    assert (one["cut"], one["lists"], one["workflow_started"]) == (True, 6, None)
    assert (other["cut"], other["lists"]) == (False, 6)
    assert [(store["guides"], store["listed"]) for store in first["stores"]] == [(2, 13), (2, 16), (2, 13)]
    assert [store["listed"] for store in again["stores"]] == [13, 16, 13]


def test_without_temporal_it_is_said_what_will_not_happen(practice: Shop) -> None:
    assert "不会自动发布、提醒和收尾" in practice.run("day", "open").stdout
    assert "No Temporal runs" in practice.run("day", "open", lang="en").stdout


def test_a_day_is_not_opened_before_its_plans_have_their_members(launched: Shop) -> None:
    shop = dataclasses.replace(launched, database=f"{NAME}_{secrets.token_hex(4)}")
    seed(shop)
    nothing = problem(shop.json("day", "open"))
    shop.run("plan", "launch", str(playbook(shop)))
    waiting = problem(shop.json("day", "open"))
    shop.run("plan", "pause", "practice", "--reason", "r")
    paused = shop.json("day", "open")
    remedy = " ".join(shop.run("day", "open").stderr.split())  # lines break where the home's path makes them
    asyncio.run(drop_database(shop.address, shop.database))
    assert nothing == ("plan", "", "no_plan_runs")
    assert waiting == ("plan", "practice", "cycle_not_begun")
    assert problem(paused) == ("plan", "practice", "plan_paused")
    assert "plan resume practice" in remedy


def test_only_today_and_only_a_zone_with_stores_is_opened(practice: Shop) -> None:
    tomorrow = (now() + timedelta(days=2)).date().isoformat()
    assert problem(practice.json("day", "open", "--date", tomorrow)) == ("--date", tomorrow, "not_today")
    assert problem(practice.json("day", "open", "--zone", "Mars/Base")) == (
        "--zone",
        "Mars/Base",
        "no_store_in_zone",
    )
    assert practice.json("day", "status")["stores"] == []


@pytest.mark.parametrize("code", ["release_ahead", "day_is_over"])
def test_a_day_is_not_opened_before_its_release_nor_after_its_close(
    practice: Shop, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    (one,) = practice.json("day", "open")["opened"]
    hours = f"{one['day']} {one['release']}", one["time_zone"]
    released = datetime.fromisoformat(hours[0]).replace(tzinfo=ZoneInfo(hours[1]))
    at = (
        released - timedelta(minutes=1)
        if code == "release_ahead"
        else datetime.fromisoformat(one["closes_at"])
    )
    monkeypatch.setattr("cli.day.now", lambda: at)
    assert problem(practice.json("day", "open"))[2] == code


def test_clocking_in_brings_the_list_although_nothing_opened_the_day(practice: Shop) -> None:
    told = practice.json("clock-in", "G1")
    assert (told["published"], told["listed"]) == (True, 6)
    assert practice.json("clock-in", "G1")["published"] is False
    assert practice.json("today", "G1")["state"] == "published"
    assert "G1 李芳 已打卡" in practice.run("clock-in", "G1").stdout
    (store, *_) = practice.json("day")["stores"]
    assert (store["clocked_in"], store["published"], store["cut"]) == (1, 1, 1)


def test_a_check_in_needs_no_temporal_and_the_same_line_twice_counts_once(opened: Shop) -> None:
    line = ("G1", "1", "--outcome", "interested", "--grade", "a", "--note", "周六来店")
    first, before = check_in(opened, *line), opened.traces()
    again = check_in(opened, *line)
    assert (first["duplicate"], first["state"]) == (False, "done")
    assert again["duplicate"] is True
    assert opened.traces() == before
    listed = opened.json("today", "G1")
    assert [item["rank"] for item in listed["items"] if item["done"]] == [1]
    assert listed["items"][0]["grade"] == "A"
    assert "没有重复计数" in opened.run("check-in", *line).stdout
    assert opened.json("day")["stores"][0]["done"] == 1


def test_the_same_key_counts_once_whatever_is_typed_beside_it(opened: Shop) -> None:
    assert check_in(opened, "G1", "1", "--outcome", "came", "--key", "till-7")["duplicate"] is False
    assert check_in(opened, "G1", "1", "--outcome", "bought", "--key", "till-7")["duplicate"] is True
    used = check_in(opened, "G1", "2", "--outcome", "bought", "--key", "till-7")
    assert problem(used) == ("--key", "check-in/key/till-7", "command_used_elsewhere")


def test_outcomes_and_channels_are_understood_in_chinese_too(opened: Shop) -> None:
    told = check_in(opened, "G2", "1", "--outcome", "没人接", "--channel", "企业微信")
    assert (told["outcome"], told["channel"], told["state"]) == ("no_answer", "wecom", "open")
    assert (
        "没人接" in opened.run("check-in", "G2", "1", "--outcome", "no_answer", "--channel", "wecom").stdout
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (("G9", "1", "--outcome", "came"), ("GUIDE", "G9", "unknown_guide")),
        (("G1", "7", "--outcome", "came"), ("RANK", "7", "rank_not_listed")),
        (("G1", "0", "--outcome", "came"), ("RANK", "0", "not_a_rank")),
        (("G1", "first", "--outcome", "came"), ("RANK", "first", "not_a_rank")),
        (("G1", "1", "--outcome", "happy"), ("--outcome", "happy", "not_a_choice")),
        (("G1", "1", "--outcome", "came", "--grade", "E"), ("--grade", "E", "not_a_choice")),
        (("G1", "1", "--outcome", "no_answer", "--grade", "A"), ("--grade", "A", "grade_without_contact")),
        (("G1", "1", "--outcome", "came", "--channel", "smoke"), ("--channel", "smoke", "not_a_choice")),
        (("G1", "1", "--outcome", "came", "--next-on", "13"), ("--next-on", "13", "not_a_date")),
        (
            ("G1", "1", "--outcome", "came", "--next-on", "2099-01-01"),
            ("--next-on", "2099-01-01", "cycle_ends_today"),
        ),
        (("G1", "1", "--outcome", "came", "--key", "a b"), ("--key", "a b", "key_not_valid")),
    ],
)
def test_a_check_in_that_cannot_be_is_refused_and_changes_nothing(
    at_work: Shop, line: tuple[str, ...], expected: tuple[str, str, str]
) -> None:
    before = at_work.traces()
    assert problem(check_in(at_work, *line)) == expected
    assert at_work.traces() == before


def test_everything_wrong_with_a_line_is_told_at_once(at_work: Shop) -> None:
    told = check_in(at_work, "G1", "1", "--outcome", "x", "--grade", "y", "--next-on", "z", "--channel", "w")
    assert [one["field"] for one in told["error"]["problems"]] == [
        "--outcome",
        "--grade",
        "--channel",
        "--next-on",
    ]
    told = check_in(at_work, "W2", "0", "--outcome", "great", "--grade", "Z")
    assert [one["field"] for one in told["error"]["problems"]] == ["RANK", "--outcome", "--grade"]


def test_a_miss_on_the_plans_last_day_promises_no_other_day(opened: Shop) -> None:
    line = ("check-in", "G1", "1", "--outcome", "no_answer")
    day = opened.json("today", "G1")["day"]
    told = opened.run(*line).stdout
    assert f"到 {day} 结束，不再联系" in told
    assert "再联系；" not in told
    assert "so no more contact" in opened.run(*line, lang="en").stdout


def test_a_list_of_a_paused_plan_offers_no_check_in(opened: Shop) -> None:
    assert "check-in" in opened.run("today", "G1").stdout
    opened.run("plan", "pause", "practice", "--reason", "r")
    paused = opened.run("today", "G1").stdout
    assert "计划暂停" in paused
    assert "check-in" not in paused


def test_an_item_reported_twice_with_different_outcomes_is_refused(opened: Shop) -> None:
    check_in(opened, "G1", "1", "--outcome", "came")
    assert problem(check_in(opened, "G1", "1", "--outcome", "refused")) == ("RANK", "1", "task_closed")


def test_a_closed_day_takes_no_check_in_and_says_when_it_closed(opened: Shop) -> None:
    assert opened.json("day", "close", "--guide", "G1", "--reason", "盘点")["closed"] == 1
    refused = opened.run("check-in", "G1", "1", "--outcome", "came")
    assert refused.exit_code == 1
    assert "发生在收尾之后" in refused.stderr
    assert "+00:00" not in refused.stderr  # the store's own time, not ours
    assert check_in(opened, "G2", "1", "--outcome", "came")["duplicate"] is False


def test_the_evening_comes_early_for_a_guide_then_a_store_then_all(opened: Shop) -> None:
    closed = [
        opened.json("day", "close", *words, "--reason", "停电")["closed"]
        for words in (("--guide", "G1"), ("--store", "S1"), (), ())
    ]
    assert closed == [1, 1, 4, 0]
    assert "没有可关的" in opened.run("day", "close", "--reason", "停电").stdout
    assert {store["closed"] for store in opened.json("day")["stores"]} == {2}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--reason", " "), ("--reason", " ", "reason_missing")),
        (("--reason", "r", "--store", "S9"), ("--store", "S9", "unknown_store")),
        (("--reason", "r", "--guide", "G9"), ("--guide", "G9", "unknown_guide")),
        (("--reason", "r", "--guide", "G1", "--store", "S1"), ("--guide", "G1", "store_or_guide")),
    ],
)
def test_a_close_that_cannot_be_is_refused_and_closes_nothing(
    at_work: Shop, words: tuple[str, ...], expected: tuple[str, str, str]
) -> None:
    assert problem(at_work.json("day", "close", *words)) == expected
    assert {store["closed"] for store in at_work.json("day")["stores"]} == {0}


def test_there_is_nothing_to_close_before_there_are_lists(practice: Shop) -> None:
    assert problem(practice.json("day", "close", "--reason", "r"))[2] == "no_lists_today"


def test_a_guide_sees_what_is_paused_and_what_was_withdrawn(opened: Shop) -> None:
    opened.run("plan", "pause", "practice", "--reason", "r")
    assert opened.run("today", "G1").stdout.count("计划暂停，先不联系") == 6
    opened.run("plan", "resume", "practice", "--reason", "r")
    opened.run("plan", "recall", "practice", "--reason", "r")
    assert opened.run("today", "G1").stdout.count("已撤出") == 6


def test_a_list_says_how_to_check_in_until_it_is_worked(opened: Shop) -> None:
    opened.run("check-in", "G1", "1", "--outcome", "came")
    assert "check-in G1 2 --outcome interested" in opened.run("today", "G1").stdout.replace("\n", " ")
    opened.run("day", "close", "--reason", "r")
    assert "check-in G1" not in opened.run("today", "G1").stdout


def test_the_day_is_told_in_both_languages(practice: Shop) -> None:
    assert "今天还没有清单" in practice.run("day").stdout
    practice.run("day", "open")
    for lang, words in (("zh", ("东门练习店", "已生成，待打卡", "合计")), ("en", ("Clocked in", "Total"))):
        screen = practice.run("day", lang=lang).stdout
        assert all(word in screen for word in words)


def test_waiting_for_a_check_that_nothing_counts_ends_with_what_to_do(
    opened: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.plan.CHECK_WITHIN", timedelta(seconds=0.5))
    told = opened.json("plan", "report", "practice", "--wait")
    assert problem(told) == ("plan", "practice", "not_checked_in_time")


def test_a_guide_cannot_clock_in_before_the_release_hour(
    opened: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    (store, *_) = opened.json("day")["stores"]
    early = datetime.fromisoformat(f"{store['day']} 06:30").replace(tzinfo=ZoneInfo(store["time_zone"]))
    monkeypatch.setattr("cli.check_in.now", lambda: early)
    refused = opened.run("clock-in", "G2")
    assert refused.exit_code == 1
    assert "GUIDE = G2" in refused.stderr
    assert f"{store['day']} 0" in refused.stderr  # the hour as the store's clock shows it


def test_a_guide_who_was_urged_finds_it_on_her_list_and_urging_her_too_often_is_refused(opened: Shop) -> None:
    assert problem(opened.json("day", "urge", "G1"))[2] == "no_open_day", "her list is not out yet"
    assert opened.run("clock-in", "G1").exit_code == 0
    told = opened.json("day", "urge", "G1", "--key", "noon")
    assert (told["open_items"], told["duplicate"], told["told"]) == (6, False, False)
    assert "没有任何渠道能通知她" in opened.run("day", "urge", "G1", "--key", "noon").stdout
    assert "这次催办已经做过" in opened.run("day", "urge", "G1", "--key", "noon").stdout
    assert opened.run("today", "G1").stdout.count("【催】") == 6
    for _ in range(2):
        assert "已催办 G1" in opened.run("day", "urge", "G1").stdout
    assert problem(opened.json("day", "urge", "G1")) == ("guide", "G1", "urged_enough")
    assert problem(opened.json("day", "urge", "G99"))[2] == "unknown_guide"


def test_a_guides_month_shows_today_as_it_stands_and_that_days_are_not_members(at_work: Shop) -> None:
    shown = at_work.run("guide", "month", "G1", lang="en", COLUMNS="80")
    assert shown.exit_code == 0, shown.output
    assert "Days count items of lists" in shown.stdout
    month = at_work.json("guide", "month", "G1")
    (today,) = month["days"]
    assert (today["state"], today["figures_version"]) == ("published", None)
    assert today["due"] == month["total"]["due"] == len(at_work.json("today", "G1")["items"])
    assert at_work.json("guide", "month", "G1", "--month", "2020-01")["days"] == []


def test_a_plans_board_shows_the_running_cycle(at_work: Shop) -> None:
    shown = at_work.run("plan", "board", "practice", lang="en", COLUMNS="80")
    assert shown.exit_code == 0, shown.output
    assert "no source says so" in shown.stdout
    board = at_work.json("plan", "board", "practice")
    assert (board["cycle"], board["cycle_state"], board["whole"]) == (1, "running", True)
    assert board["total"]["due"] == sum(store["due"] for store in board["stores"]) > 0


def test_an_item_is_put_off_by_its_number_and_the_list_says_so(opened: Shop) -> None:
    assert opened.run("clock-in", "G1").exit_code == 0
    zone = ZoneInfo(opened.json("day", "status")["stores"][0]["time_zone"])
    closes = datetime.fromisoformat(opened.json("today", "G1")["closes_at"]).astimezone(zone)
    later = f"{closes - timedelta(minutes=1):%H:%M}"
    done = opened.json("day", "snooze", "G1", "1", "--until", later, "--reason", "member_asked")
    assert (done.get("snoozes"), done.get("duplicate")) == (1, False), done
    tomorrow = (closes + timedelta(days=1)).date().isoformat()  # the practice plan has one day
    told = opened.json("day", "snooze", "G1", "1", "--until", tomorrow, "--reason", "other")
    assert problem(told) == ("--until", tomorrow, "snooze_outside_cycle")
    assert "推迟到" in opened.run("today", "G1").stdout
    assert "put off until" in opened.run("today", "G1", lang="en").stdout
    told = opened.json("day", "snooze", "G1", "1", "--until", "soon", "--reason", "other")
    assert problem(told) == ("--until", "soon", "snooze_until_one")
    told = opened.json("day", "snooze", "G1", "99", "--until", later, "--reason", "other")
    assert problem(told)[2] == "rank_not_listed"


def test_who_is_absent_hands_her_open_items_to_the_store(opened: Shop) -> None:
    before = len(opened.json("today", "G1")["items"])
    told = opened.json("day", "absent", "G1")
    assert sum(told["to"].values()) + told["stays"] == before
    assert "早已记录" in opened.run("day", "absent", "G1").stdout
    assert opened.json("today", "G1")["state"] == "closed"


def test_the_norm_and_the_coming_days_and_the_pool_are_shown(opened: Shop) -> None:
    assert opened.json("day", "norm") == {"calls": 50, "invitations": 30, "invitations_a_visit": 5}
    assert problem(opened.json("day", "norm", "--calls", "40"))[0] == "--reason"
    assert opened.json("day", "norm", "--calls", "40", "--reason", "spring")["calls"] == 40
    assert opened.json("day", "limits")["limits"] == {"day": 1, "week": 3, "month": 8}
    assert problem(opened.json("day", "limits", "--week", "9", "--reason", "r"))[::2] == (
        "--week",
        "contact_limit_above_longer",
    )
    assert problem(opened.json("day", "limits", "--month", "6"))[0] == "--reason"
    later = ("--from", "2199-01-01", "--reason", "r")
    assert opened.json("day", "limits", "--month", "6", *later)["limits"]["month"] == 6
    assert "2199-01-01 起：每天 1 次，每周 3 次，每月 6 次" in opened.run("day", "limits").stdout
    task = opened.json("today", "G1")["items"][0]["task_id"]
    account = opened.json("member", "contacts", "--task", task)
    assert [(one["kind"], one["contacts"]) for one in account["contacts"]] == [("reserved", 1)]
    assert (account["left"], account["free_on"] > account["day"]) == (0, True)
    assert "No contact left" in opened.run("member", "contacts", "--task", task, lang="en").stdout
    assert "没有可领取的任务" in opened.run("day", "pool", "S1").stdout
    nobody = "00000000-0000-0000-0000-000000000001"
    assert problem(opened.json("day", "claim", "G1", nobody)) == ("task_id", nobody, "unknown_task")
    foreseen = opened.json("plan", "forecast", "practice", "--days", "3")
    assert [len(one["days"]) for one in foreseen["guides"]] == [3] * len(foreseen["guides"])
    assert "The coming days" in opened.run("plan", "forecast", "practice", lang="en").stdout


def test_the_same_line_after_a_void_is_a_new_report(opened: Shop) -> None:
    line = ("G1", "1", "--outcome", "interested")
    assert check_in(opened, *line)["duplicate"] is False
    voided = opened.run("check-in", "correct", "G1", "1", "--void", "--reason", "wrong line")
    assert voided.exit_code == 0, voided.output
    assert check_in(opened, *line)["duplicate"] is False
    assert check_in(opened, *line)["duplicate"] is True
    assert opened.json("day")["stores"][0]["done"] == 1


def test_the_same_snooze_typed_twice_puts_an_item_off_once(opened: Shop) -> None:
    assert opened.run("clock-in", "G1").exit_code == 0
    zone = ZoneInfo(opened.json("day", "status")["stores"][0]["time_zone"])
    closes = datetime.fromisoformat(opened.json("today", "G1")["closes_at"]).astimezone(zone)
    line = (
        "day",
        "snooze",
        "G1",
        "1",
        "--until",
        f"{closes - timedelta(minutes=1):%H:%M}",
        "--reason",
        "other",
    )
    assert [opened.json(*line)["snoozes"] for _ in range(4)] == [1, 1, 1, 1]


def test_the_evening_is_scored_summed_up_and_its_rules_are_told(opened: Shop, tmp_path: Path) -> None:
    assert opened.run("clock-in", "G1").exit_code == 0
    assert (
        opened.json("board", "day")["rows"] == []
    )  # no worker has given her list its place in the ledger yet
    opened.sealed()
    day = opened.json("board", "day")
    guides = [row["code"] for row in day["rows"] if row["level"] == "guide"]
    assert (day["board"], day["total"]["listed"] > 0, guides) == ("day_summary", True, ["G1"])
    page, xlsx = tmp_path / "day.html", tmp_path / "scores.xlsx"
    assert opened.run("board", "day", "--print", str(page)).exit_code == 0
    assert "门店日结表" in page.read_text(encoding="utf-8")
    scores = opened.run("board", "scores", "--xlsx", str(xlsx), lang="en")
    assert (scores.exit_code, xlsx.exists()) == (0, True)
    assert "they are no wages" in scores.output
    assert (
        opened.json("board", "rates")["rows"][0]["listed"] == opened.json("board", "day")["total"]["listed"]
    )
    own = opened.run("guide", "score", "G1")
    assert "薄弱环节：电话" in own.output
    assert opened.json("guide", "score", "G9")["error"]["problems"][0]["code"] == "unknown_guide"
    for arguments, code in (
        (("scoring", "--reached", "40", "--from", day["since"], "--reason", "spring"), "rule_of_the_past"),
        (("scoring", "--reached", "40", "--reason", " "), "reason_missing"),
        (("close-from", "25:00", "--reason", "spring"), "not_a_time"),
        (("close-from", "17:00", "--store", "S9", "--reason", "spring"), "unknown_store"),
    ):
        assert [one["code"] for one in opened.json("day", *arguments)["error"]["problems"]] == [code]
    told = opened.json("day", "scoring", "--reached", "40", "--reached-points", "20", "--reason", "spring")
    assert (told["score"]["reached"], told["score"]["points"]["reached"]) == (40, 20)
    opened.run("day", "close-from", "17:30", "--store", "S1", "--reason", "closes at six")
    screen = opened.run("day", "evening", lang="en").output
    assert "Store managers may close their day from 18:00 on" in screen
    assert "S1: from 17:30 on" in screen
