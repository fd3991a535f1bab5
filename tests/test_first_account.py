"""The first start: one account of HQ, its password told once to whoever started it and kept nowhere."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from activities.passwords import proves
from cli.introduction import Introduction
from cli.session import Session
from domain.policy import Role
from infra.first_account import FirstAccount, make_first_account
from infra.settings import Settings
from ledger.account_places import Grant
from tests.brand import Brand, at
from tests.conftest import LedgerDatabase
from tests.identities import identity
from tests.test_up import ROOT, daogou, end, environment, running, started
from wording.catalogue import catalogue


async def test_a_brand_without_accounts_gets_one_at_hq_whose_password_has_to_be_changed(
    ledger_database: LedgerDatabase,
) -> None:
    ledger = ledger_database.ledger
    made = await make_first_account(ledger, at(1))
    assert made is not None
    assert made.password not in repr(made)
    rows = await Brand(ledger).rows("SELECT login, password, must_change FROM account")
    assert [(login, must_change) for login, _, must_change in rows] == [("hq", True)]
    assert await proves(made.password, rows[0][1])
    assert await Brand(ledger).rows("SELECT role, place FROM role_grant") == [("hq", "")]
    assert made.password not in str(await Brand(ledger).rows("SELECT * FROM event"))
    assert await make_first_account(ledger, at(2)) is None


async def test_two_starts_at_once_make_one(ledger_database: LedgerDatabase) -> None:
    ledger = ledger_database.ledger
    made = await asyncio.gather(*(make_first_account(ledger, at(1)) for _ in range(4)))
    assert len([one for one in made if one is not None]) == 1
    assert await Brand(ledger).value("SELECT count(*) FROM account") == 1


async def test_a_brand_with_any_account_gets_none(ledger_database: LedgerDatabase) -> None:
    await identity(ledger_database.ledger, "auditor", Grant(Role.AUDITOR))
    assert await make_first_account(ledger_database.ledger, at(1)) is None


@pytest.mark.parametrize("language", ["zh", "en"])
def test_what_is_no_terminal_is_told_how_to_get_a_password_instead(
    language: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = Session(Settings(home=tmp_path), catalogue("en" if language == "en" else "zh"))
    Introduction(session, None).make(FirstAccount("hq", "abcd-efgh-jkmn-pqrs"))
    told = " ".join(capsys.readouterr().out.split())  # lines break where the home's path makes them
    assert "abcd-efgh" not in told
    assert "account reset hq" in told


@pytest.fixture
def new_home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    try:
        yield home
    finally:
        end(home)


def on_a_terminal(home: Path, *arguments: str) -> str:
    """What the command shows on a terminal; it has to end well."""
    mine, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "--home", str(home), *arguments],
        cwd=ROOT,
        env=environment(TERM="dumb", COLUMNS="120"),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            read = os.read(mine, 65_536)
        except OSError:  # the last one at the other end has gone
            break
        if not read:
            break
        shown += read
    os.close(mine)
    assert process.wait(30) == 0, shown.decode()
    return shown.decode()


def sign_in(home: Path, password: str) -> httpx.Response:
    return httpx.post(f"{running(home).api}/v1/sessions", json={"login": "hq", "password": password})


def files_with(text: str, home: Path) -> list[str]:
    """Files of the home that hold a text; there are logs among them."""
    files = [path for path in home.rglob("*") if path.is_file()]
    assert {"up.log", "up.console.log", "api-1.log"} <= {path.name for path in files}
    return [str(path) for path in files if text.encode() in path.read_bytes()]


def test_the_terminal_that_started_it_in_the_background_is_told_and_no_file(new_home: Path) -> None:
    shown = on_a_terminal(new_home, "--lang", "en", "up", "--detach")
    passwords = re.findall(r"\b[a-z2-9]{4}(?:-[a-z2-9]{4}){3}\b", shown)
    assert len(passwords) == 1, shown
    answer = sign_in(new_home, passwords[0])
    assert answer.status_code == 201, answer.text
    assert answer.json()["must_change"] is True
    assert answer.json()["roles"] == [{"role": "hq", "place": ""}]
    assert files_with(passwords[0], new_home) == []
    assert daogou(new_home, "down").returncode == 0
    assert files_with(passwords[0], new_home) == []
    assert started(new_home)["first_account"] is None
    assert sign_in(new_home, passwords[0]).status_code == 201


def test_a_program_is_told_in_the_json_it_asked_for(new_home: Path) -> None:
    answer = started(new_home)
    told = answer["first_account"]
    assert told["login"] == "hq"
    assert sign_in(new_home, told["password"]).status_code == 201
    console = (new_home / "logs" / "up.console.log").read_text()
    assert told["password"] not in console
    assert files_with(told["password"], new_home) == []
