"""Bad input gets one message that says field, value and what to do; nothing is written, nothing is traced."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import click
import pytest

from cli.main import root
from tests.cli.shop import Shop

BAD_PLANS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a goal without a number": ({"goal.target": "很多"}, "goal.target", "很多"),
    "a goal that is missing": ({"goal.target": None}, "goal.target", ""),
    "a goal above 100 per cent": ({"goal.target": 120}, "goal.target", "120"),
    "an unknown category": (
        {"members.bought_categories": ["COFEE"]},
        "members.bought_categories",
        "COFEE",
    ),
    "an unknown store": ({"members": {"bought_categories": ["COFFEE"], "within_days": 180, "stores": ["S9"]}}, "members.stores", "S9"),
    "an unknown guide": (
        {"care": {"strategies": [{"strategy": "round_robin"}], "members_per_guide": 2, "items_per_day": 5, "guides": ["G9"]}},
        "care.guides",
        "G9",
    ),
    "a period in the past": ({"period.start": "2020-01-01", "goal.by": "2099-01-01"}, "period.start", "2020-01-01"),
    "a day that does not exist": ({"period.start": "2027-02-30"}, "period.start", "2027-02-30"),
    "no capacity": ({"care.items_per_day": 0}, "care.items_per_day", "0"),
    "a field nobody knows": ({"goals": 3}, "goals", "3"),
    "no weekday": ({"calendar": {"weekdays": []}}, "calendar.weekdays", "[]"),
    "a period without end": ({"period": {"start": "9999-12-30", "working_days": 9}}, "calendar", "weekdays"),
}  # fmt: skip


@pytest.mark.parametrize("command", ["check", "launch"])
@pytest.mark.parametrize(("changes", "field", "value"), BAD_PLANS.values(), ids=BAD_PLANS.keys())
def test_a_bad_plan_is_refused_with_one_message_and_writes_nothing(
    stocked: Shop, command: str, changes: dict[str, Any], field: str, value: str
) -> None:
    file = stocked.playbook(**changes)
    before = stocked.traces()

    machine = stocked.run("plan", command, file, "--json")
    screen = stocked.run("plan", command, file)

    _one_message(machine.stdout, screen.stderr, field, value)
    assert machine.exit_code == screen.exit_code == 1
    assert screen.stdout == ""
    assert stocked.traces() == before


BROKEN_FILES: dict[str, bytes] = {
    "broken YAML": b"plan: x\n  name: [1\n",
    "a key written twice": b"plan: x\nplan: y\n",
    "aliases": b"a: &a [1]\nb: *a\n",
    "binary garbage": bytes(range(256)) * 20,
    "an empty file": b"",
    "a list": b"- 1\n- 2\n",
    "brackets without end": b"[" * 100_000,
}


@pytest.mark.parametrize("content", BROKEN_FILES.values(), ids=BROKEN_FILES.keys())
def test_a_broken_file_is_refused_with_one_message(stocked: Shop, content: bytes) -> None:
    file = stocked.write("broken.yaml", content)
    field = "playbook" if content in (b"", b"- 1\n- 2\n") else "FILE"
    _refused_file(stocked, file, field)


def test_a_broken_line_is_named(stocked: Shop) -> None:
    file = stocked.write("line.yaml", "plan: x\nname: y\n bad: z\n")
    (problem,) = stocked.json("plan", "check", file)["error"]["problems"]
    assert problem["code"] == "broken_yaml"
    assert "第 3 行" in problem["reason"]


def test_a_folder_is_refused_with_one_message(stocked: Shop) -> None:
    _refused_file(stocked, str(stocked.folder), "FILE")


def test_a_missing_file_is_refused_with_one_message(stocked: Shop) -> None:
    _refused_file(stocked, str(stocked.folder / "nothing.yaml"), "FILE")


def test_a_terminal_is_not_steered_by_what_stands_in_a_file(stocked: Shop) -> None:
    told = stocked.run("plan", "check", stocked.playbook(**{"goal.target": "\x1b[2Jnothing"}))
    assert "\x1b" not in told.stderr
    assert "goal.target" in told.stderr


def test_times_without_quotes_are_times(stocked: Shop) -> None:
    file = stocked.playbook()
    with open(file, "a", encoding="utf-8") as text:  # noqa: PTH123 - appended as a person would
        text.write("day:\n  release: 10:30\n  nudges: [12:00]\n  close: 20:15\n")
    told = stocked.json("plan", "check", file)
    assert told["ok"] is True


BAD_IMPORTS = {
    "garbage cells": (
        b"member,store,occurred_at,basket,product,category,quantity,value\nM9,S9,yesterday,B1,P1,COFFEE,some,many\n",
        "value",
    ),
    "no columns of ours": (b"a,b\n1,2\n", "missing_column"),
    "binary garbage": (bytes(range(256)) * 20, ""),
    "nothing": (b"", "empty_file"),
}


@pytest.mark.parametrize(("content", "told"), BAD_IMPORTS.values(), ids=BAD_IMPORTS.keys())
def test_garbage_purchases_are_refused_with_what_to_do_and_write_nothing(
    stocked: Shop, content: bytes, told: str
) -> None:
    file = stocked.write("garbage.csv", content)
    before = stocked.traces()

    machine = stocked.run("import", "purchases", file, "--json")
    screen = stocked.run("import", "purchases", file)

    assert machine.exit_code == screen.exit_code == 1
    assert told in machine.stdout
    assert "Traceback" not in machine.output + screen.output
    assert "bug" not in machine.stdout
    assert stocked.traces() == before


def test_every_bad_cell_is_listed_with_line_column_value_and_remedy(stocked: Shop) -> None:
    header = "member,store,occurred_at,basket,product,category,quantity,value\n"
    file = stocked.write("cells.csv", header + "M1,S9,2026-01-01 10:00,B,P,COFFEE,1,2.00\n")
    told = stocked.json("import", "purchases", file)
    assert told["refused"] is True
    assert [(bad["line"], bad["column"], bad["value"]) for bad in told["bad"]] == [(2, "store", "S9")]
    assert "daogou import stores" in told["bad"][0]["remedy"]


def test_a_problem_names_the_column_as_the_files_header_has_it_else_in_the_readers_language(
    stocked: Shop,
) -> None:
    file = stocked.write("accounts.csv", "登录名,姓名,角色\na b,张,hq\nzhao,赵,guide\n")
    told = stocked.json("account", "import", file, "--no-passwords")["bad"]
    assert [(one["column"], one["header"]) for one in told] == [("login", "登录名"), ("guide", "导购编号")]
    shown = stocked.run("account", "import", file, "--no-passwords")
    assert "登录名" in shown.stdout
    assert "login" not in shown.stdout
    english = stocked.run("account", "import", file, "--no-passwords", lang="en")
    assert "guide" in english.stdout
    stores = stocked.write("stores.csv", "门店编码,店名,时区\nS9,九,Mars/Base\n")
    assert stocked.json("import", "stores", stores)["bad"][0]["header"] == "时区"
    missing = stocked.run("import", "stores", stocked.write("none.csv", "门店编码\nS9\n")).stderr
    assert "✗ 门店名称" in missing
    assert "缺少必需的列“门店名称”" in missing


def test_good_rows_go_in_when_bad_ones_are_to_be_skipped(shop: Shop) -> None:
    header = "member,store,occurred_at,basket,product,category,quantity,value\n"
    good, bad = "M1,S1,2026-01-01 10:00,B,P,TEA,1,2.00\n", "M1,S9,2026-01-01 10:00,C,P,TEA,1,2.00\n"
    done = shop.run("import", "purchases", shop.write("mixed.csv", header + good + bad), "--skip-bad")
    assert done.exit_code == 0
    assert "S9" in done.stdout


BAD_ADDRESSES = {
    "a wrong password": ("postgresql://postgres:wrong@{host}:{port}/postgres", "database_login"),
    "a wrong port": ("postgresql://postgres:wrong@{host}:1/postgres", "database_unreachable"),
    "a port that cannot be": ("postgresql://postgres:wrong@{host}:99999/postgres", "database_url_invalid"),
    "no address at all": ("somewhere", "database_url_invalid"),
}


@pytest.mark.parametrize(("url", "code"), BAD_ADDRESSES.values(), ids=BAD_ADDRESSES.keys())
def test_a_database_that_cannot_be_opened_gets_one_message_without_the_password(
    stocked: Shop, url: str, code: str
) -> None:
    address = url.format(host=stocked.address.host, port=stocked.address.port)
    told = stocked.run("plan", "status", "--json", DATABASE_URL=address)
    screen = stocked.run("plan", "status", DATABASE_URL=address)
    _one_message(told.stdout, screen.stderr, "DATABASE_URL", "")
    assert f'"code": "{code}"' in told.stdout
    assert "wrong" not in told.output + screen.output
    assert told.exit_code == screen.exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("plan", "status", "nothing"), "plan"),
        (("plan", "report", "nothing"), "plan"),
        (("plan", "pause", "nothing", "--reason", "x"), "plan"),
        (("plan", "goal", "nothing", "90", "--reason", "x"), "plan"),
        (("plan", "goal", "nothing", "NaN", "--reason", "x"), "goal.target"),
        (("today", "G9"), "guide"),
        (("today", "G1"), "date"),
        (("audit", "timeline", "member", "M99"), "member"),
        (("audit", "why", "00000000-0000-4000-8000-000000000009"), "task_id"),
        (("--database", "no such", "plan", "status"), "--database"),
        (("--database", "nobodys", "rehearse", "FILE"), "--database"),
    ],
)
def test_a_name_nobody_knows_gets_one_message(stocked: Shop, arguments: tuple[str, ...], field: str) -> None:
    arguments = tuple(stocked.playbook() if argument == "FILE" else argument for argument in arguments)
    before = stocked.traces()
    told = stocked.run(*arguments, "--json")
    assert told.exit_code == 1
    _one_message(told.stdout, stocked.run(*arguments).stderr, field, "")
    assert stocked.traces() == before


def test_a_home_that_cannot_be_written_gets_one_message(stocked: Shop) -> None:
    told = stocked.run("--home", "/proc/nowhere", "plan", "status", "--json")
    _one_message(
        told.stdout, stocked.run("--home", "/proc/nowhere", "plan", "status").stderr, "--home", "nowhere"
    )


def test_a_file_without_end_is_refused(stocked: Shop) -> None:
    _refused_file(stocked, "/dev/zero", "FILE")


def test_arguments_that_are_no_text_end_with_2() -> None:
    command = [sys.executable, "-m", "cli.main", "plan", "status", b"\xff"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.decode().splitlines()) == 1


def test_a_bug_is_one_message_on_the_screen_and_a_traceback_in_the_log(stocked: Shop) -> None:
    @click.command("broken")
    def broken() -> None:
        raise ZeroDivisionError

    root.add_command(broken)
    try:
        told = stocked.run("broken")
    finally:
        del root.commands["broken"]
    assert told.exit_code == 1
    assert told.stderr.count("✗") == 1
    assert "Traceback" not in told.output
    assert "ZeroDivisionError" in (stocked.home / "logs" / "cli.log").read_text(encoding="utf-8")


def test_a_wrong_way_of_calling_ends_with_2(stocked: Shop) -> None:
    assert stocked.run("plan", "frobnicate").exit_code == 2
    assert stocked.run("today").exit_code == 2


def _refused_file(shop: Shop, file: str, field: str) -> None:
    before = shop.traces()
    machine = shop.run("plan", "check", file, "--json")
    screen = shop.run("plan", "check", file)
    assert machine.exit_code == screen.exit_code == 1
    _one_message(machine.stdout, screen.stderr, field, "")
    assert shop.traces() == before


def _one_message(machine: str, screen: str, field: str, value: str) -> None:

    (problem,) = json.loads(machine)["error"]["problems"]
    assert problem["field"] == field
    assert value in problem["value"]
    assert problem["code"] != "bug"
    assert problem["reason"]
    assert problem["remedy"]
    # The screen folds long lines; what is told is the same.
    flat = "".join(screen.split())
    for part in (field, problem["reason"], problem["remedy"]):
        assert "".join(part.split()) in flat
    assert "Traceback" not in screen


def test_a_mistyped_database_is_refused_and_not_made(shop: Shop) -> None:
    for _ in range(2):
        told = shop.run("--database", "nosuch", "audit", "verify", "--json")
        assert told.exit_code == 1
        assert json.loads(told.stdout)["error"]["problems"][0]["code"] == "unknown_database"
