"""`daogou account` and `daogou token` as a person uses them."""

from __future__ import annotations

import asyncio
import csv
import stat
from pathlib import Path
from typing import Any

import asyncpg
import openpyxl
import pytest
from argon2 import PasswordHasher

from activities.sessions import digest
from tests.cli.shop import Shop
from wording.catalogue import catalogue

ZH = catalogue("zh")
FILE = "登录名,姓名,角色,范围,导购编号\nwang,王敏,店长,S1,\nwang,王敏,店长,S2,\nLi.Na,李娜,导购,,G1\nboss,老板娘,老板,,\n"


def fetch(shop: Shop, query: str, *arguments: object) -> list[tuple[Any, ...]]:
    async def run() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(
            shop.address.url(shop.database), server_settings={"search_path": "daogou"}
        )
        try:
            return [tuple(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()

    return asyncio.run(run())


def standing(shop: Shop) -> dict[str, list[tuple[Any, ...]]]:
    """Every row that a command on accounts may write."""
    keys = {
        "account": "login",
        "role_grant": "grant_id",
        "credential": "credential_id",
        "event": "stream, version",
    }
    return {table: fetch(shop, f"SELECT * FROM {table} ORDER BY {key}") for table, key in keys.items()}


def create(shop: Shop, login: str = "hq", role: str = "总部", *more: str) -> Any:
    answer = shop.json("account", "create", login, "--name", "王敏", "--role", role, *more)
    assert "error" not in answer, answer
    return answer


def codes(shop: Shop, *arguments: str) -> list[tuple[str, str]]:
    """Field and code of every problem of a command that is refused."""
    answer = shop.json(*arguments)
    return [(problem["field"], problem["code"]) for problem in answer["error"]["problems"]]


def test_an_account_is_created_shown_and_listed_and_its_password_told_once(shop: Shop) -> None:
    made = shop.run("account", "create", "Wang", "--name", "王敏", "--role", "督导", "--place", "华东")
    assert (made.exit_code, "区域" in made.stderr) == (1, True)
    made = shop.run("account", "create", "Wang", "--name", "王敏", "--role", "店长", "--place", "S1")
    assert made.exit_code == 0, made.output
    (kept,) = fetch(shop, "SELECT password FROM account WHERE login = 'wang'")[0]
    shown = made.stdout.split("一次性密码：")[1].split()[0]
    assert PasswordHasher().verify(kept, shown)
    assert ZH("account.password_once")[:6] in made.stdout
    listed, told = shop.run("account", "list").stdout, shop.run("account", "show", "WANG").stdout
    assert "店长 S1" in listed
    assert "待改密码" in listed
    assert "王敏" in told
    log = (shop.home / "logs" / "cli.log").read_text(encoding="utf-8")
    events = str(fetch(shop, "SELECT encode(body, 'escape'), payload::text, cause FROM event"))
    for text in (listed, told, log, events):
        assert shown not in text
        assert kept not in text
    assert "王敏" not in events + log
    assert fetch(shop, "SELECT DISTINCT actor FROM event WHERE stream LIKE 'account/%'") == [("cli",)]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_role_is_understood_by_its_code_and_by_its_word(shop: Shop, lang: str) -> None:
    for word in ("总部", "hq", "HQ", "owner", "老板", "审计", "Auditor"):
        done = shop.run("account", "list", "--role", word, lang=lang)
        assert done.exit_code == 0, done.output
    assert codes(shop, "account", "list", "--role", "总裁") == [("--role", "unknown_role")]
    shown = shop.run("account", "list", "--role", "总裁").stderr
    assert "督导" in shown
    for word in ("督导", "操盘手", "经销商", "店长", "store manager", "store-manager", "导购", "客服"):
        assert shop.run("account", "list", "--role", word).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--role", "店长", "--place", "S9"], ("--place", "unknown_place")),
        (["--role", "督导"], ("--place", "place_missing")),
        (["--role", "经销商", "--place", "nobody"], ("--place", "unknown_place")),
        (["--role", "操盘手", "--place", "no-plan"], ("--place", "unknown_place")),
        (["--role", "hq", "--place", "S1"], ("--place", "role_has_no_place")),
        (["--role", "导购"], ("--guide", "role_needs_guide")),
        (["--role", "导购", "--guide", "G9"], ("--guide", "unknown_guide")),
        (["--role", "hq", "--until", "tomorrow"], ("--until", "not_an_instant")),
        (["--role", "hq", "--until", "2026-01-01T00:00:00"], ("--until", "not_an_instant")),
        (["--role", "hq", "--until", "2001-01-01T00:00:00+08:00"], ("--until", "grant_ends_before")),
    ],
)
def test_an_account_that_cannot_be_is_refused_with_field_value_and_remedy(
    shop: Shop, arguments: list[str], problem: tuple[str, str]
) -> None:
    before = standing(shop)
    command = ("account", "create", "wang", "--name", "王敏", *arguments)
    assert codes(shop, *command) == [problem]
    shown = shop.run(*command)
    assert (shown.exit_code, "办法" in shown.stderr) == (1, True)
    assert standing(shop) == before


def test_a_missing_or_unknown_place_is_answered_with_those_there_are_and_the_role_as_it_was_typed(
    shop: Shop,
) -> None:
    command = ("account", "create", "wang", "--name", "王敏", "--role", "店长")
    missing, unknown = shop.run(*command).stderr, shop.run(*command, "--place", "S9").stderr
    for told in (missing, unknown):
        assert "S1, S2" in told
        assert "store_manager" not in told
    assert "没有写范围" in missing
    create(shop, "wang", "店长", "--place", "S1")
    assert "--role = 店长" in shop.run("account", "grant", "wang", "--role", "店长", "--place", "S1").stderr


def test_no_role_is_granted_in_a_store_that_is_closed(shop: Shop) -> None:
    closed = shop.run("staff", "close-store", "S2", "--to", "S1")
    assert closed.exit_code == 0, closed.output
    fetch(shop, "UPDATE store_closing SET from_at = from_at - interval '2 days'")
    wanted = ("account", "create", "wang", "--name", "王敏", "--role", "店长", "--place", "S2")
    assert codes(shop, *wanted) == [("--place", "store_is_closed")]


def test_a_login_and_a_guide_are_had_by_one(shop: Shop) -> None:
    create(shop, "g1", "导购", "--guide", "G1")
    taken = codes(shop, "account", "create", "G1", "--name", "x", "--role", "hq")
    again = codes(shop, "account", "create", "g2", "--name", "x", "--role", "guide", "--guide", "G1")
    assert (taken, again) == ([("LOGIN", "login_taken")], [("--guide", "guide_has_account")])
    assert codes(shop, "account", "create", "!", "--name", " ", "--role", "hq") == [
        ("LOGIN", "not_a_login"),
        ("--name", "name_missing"),
    ]


def test_roles_are_granted_and_ended(shop: Shop) -> None:
    create(shop, "wang", "店长", "--place", "S1")
    granted = shop.json("account", "grant", "wang", "--role", "店长", "--place", "S2", "--reason", "covers")
    assert (granted["role"], granted["place"], granted["ends_at"]) == ("store_manager", "S2", None)
    twice = codes(shop, "account", "grant", "wang", "--role", "store_manager", "--place", "S2")
    assert twice == [("--role", "granted_already")]
    grant = granted["grant_id"]
    later = shop.run("account", "end-grant", grant, "--at", "2199-01-01T00:00:00+08:00", "--reason", "over")
    assert later.exit_code == 0, later.output
    assert "店长" in later.stdout
    assert shop.run("account", "end-grant", grant, "--reason", "over now").exit_code == 0
    before = standing(shop)
    again = shop.run("account", "end-grant", grant, "--reason", "again")
    (ended,) = fetch(shop, "SELECT ends_at FROM role_grant WHERE grant_id::text = $1", grant)[0]
    assert (again.exit_code, "没有改动" in again.stdout) == (0, True)
    assert ended.astimezone().isoformat(" ", "minutes") in again.stdout
    assert standing(shop) == before
    when = ("--at", "2199-01-01T00:00:00+08:00")
    assert codes(shop, "account", "end-grant", grant, "--reason", "later", *when) == [
        ("--at", "grant_ends_earlier")
    ]
    (listed,) = shop.json("account", "list")["accounts"]
    assert listed["roles"] == [{"role": "store_manager", "place": "S1"}]


def test_the_last_account_of_hq_stays(shop: Shop) -> None:
    create(shop)
    (grant,) = shop.json("account", "show", "hq")["grants"]
    before = standing(shop)
    assert codes(shop, "account", "shut", "hq", "--reason", "x") == [("LOGIN", "last_hq")]
    assert codes(shop, "account", "end-grant", grant["grant_id"], "--reason", "x") == [("GRANT", "last_hq")]
    assert standing(shop) == before
    create(shop, "hq2")
    assert shop.run("account", "shut", "hq", "--reason", "x").exit_code == 0


def test_an_account_is_shut_opened_and_reset(shop: Shop) -> None:
    first = create(shop, "wang", "审计")["password"]
    assert shop.json("account", "shut", "wang", "--reason", "left")["changed"] is True
    assert shop.json("account", "shut", "wang", "--reason", "left")["changed"] is False
    assert codes(shop, "account", "reset", "wang") == [("LOGIN", "account_shut")]
    assert shop.json("account", "open", "wang", "--reason", "back")["account"]["active"] is True
    reset = shop.json("account", "reset", "wang")
    assert reset["password"] != first
    assert reset["account"]["must_change"] is True
    for command in (["show"], ["reset"], ["shut", "--reason", "x"], ["grant", "--role", "hq"]):
        name, *more = command
        assert codes(shop, "account", name, "nobody", *more) == [("LOGIN", "unknown_account")]


# --- from a file --------------------------------------------------------------------------------------


def import_file(shop: Shop, text: str, *more: str) -> Any:
    file = shop.write("accounts.csv", text)
    return shop.json("account", "import", file, *(more or ("--no-passwords",)))


def test_a_file_is_imported_whole_with_its_passwords_in_a_file_of_its_own(shop: Shop) -> None:
    passwords = shop.folder / "passwords.csv"
    file = shop.write("accounts.csv", FILE)
    done = shop.run("account", "import", file, "--passwords", str(passwords))
    assert done.exit_code == 0, done.output
    assert stat.S_IMODE(passwords.stat().st_mode) == 0o600
    with passwords.open(encoding="utf-8-sig", newline="") as lines:
        _, *rows = csv.reader(lines)
    assert [login for login, _ in rows] == ["wang", "li.na", "boss"]
    kept = dict(fetch(shop, "SELECT login, password FROM account"))
    events = str(fetch(shop, "SELECT encode(body, 'escape'), payload::text FROM event"))
    for login, password in rows:
        assert PasswordHasher().verify(kept[login], password)
        assert password not in done.output + events
    roles = {one["login"]: one["roles"] for one in shop.json("account", "list")["accounts"]}
    assert roles == {
        "wang": [{"role": "store_manager", "place": "S1"}, {"role": "store_manager", "place": "S2"}],
        "li.na": [{"role": "guide", "place": ""}],
        "boss": [{"role": "owner", "place": ""}],
    }


def test_an_import_run_twice_changes_nothing(shop: Shop) -> None:
    passwords = shop.folder / "passwords.csv"
    import_file(shop, FILE, "--passwords", str(passwords))
    before, written = standing(shop), passwords.read_bytes()
    again = import_file(shop, FILE, "--passwords", str(passwords))
    assert (again["rows_new"], again["rows_same"], again["accounts_new"], again["passwords"]) == (
        0,
        4,
        0,
        None,
    )
    assert standing(shop) == before
    assert passwords.read_bytes() == written


def test_an_import_adds_roles_and_gives_none_again_that_was_taken_back(shop: Shop) -> None:
    import_file(shop, FILE)
    grants = shop.json("account", "show", "wang")["grants"]
    shop.run("account", "end-grant", grants[0]["grant_id"], "--reason", "moved")
    more = import_file(shop, FILE + "boss,老板娘,审计,,\n")
    assert (more["rows_new"], more["rows_same"], more["rows_not_granted_again"]) == (1, 4, 1)
    roles = {one["login"]: one["roles"] for one in shop.json("account", "list")["accounts"]}
    assert roles["boss"] == [{"role": "auditor", "place": ""}, {"role": "owner", "place": ""}]
    assert roles["wang"] == [{"role": "store_manager", "place": "S2"}]


BAD = (
    "login,name,role,place,guide\n"
    "good,Good,hq,,\n"
    ",Nobody,hq,,\n"
    "a b,Spaced,hq,,\n"
    "c1,C,boss,,\n"
    "d1,D,店长,S9,\n"
    "e1,E,guide,,\n"
    "f1,F,guide,,G9\n"
    "h1,H,hq,S1,\n"
    "i1,I,hq,,\n"
    "i1,Other,owner,,\n"
    "j1,J,guide,,G2\n"
    "k1,K,guide,,G2\n"
    "taken,Another,hq,,\n"
)


def test_bad_rows_keep_everything_out_and_each_is_named_with_row_field_value_and_remedy(shop: Shop) -> None:
    create(shop, "taken", "hq")
    before = standing(shop)
    passwords = shop.folder / "passwords.csv"
    shown = shop.run("account", "import", shop.write("bad.csv", BAD), "--passwords", str(passwords))
    assert shown.exit_code == 1
    assert ZH("account.nothing_written") in shown.stdout
    answer = import_file(shop, BAD)
    assert (answer["refused"], answer["rows_bad"], answer["rows_new"]) == (True, 10, 0)
    assert [(one["line"], one["column"], one["value"], one["code"]) for one in answer["bad"]] == [
        (3, "login", "", "import.required"),
        (4, "login", "a b", "not_a_login"),
        (5, "role", "boss", "unknown_role"),
        (6, "place", "S9", "unknown_place"),
        (7, "guide", "", "role_needs_guide"),
        (8, "guide", "G9", "import.unknown_guide"),
        (9, "place", "S1", "role_has_no_place"),
        (11, "login", "i1", "import.twice_in_file"),
        (13, "guide", "G2", "guide_has_account"),
        (14, "login", "taken", "account_differs"),
    ]
    assert all(one["reason"] and one["remedy"] for one in answer["bad"])
    assert standing(shop) == before
    assert not passwords.exists()


def test_all_that_is_wrong_with_a_row_comes_at_once(shop: Shop) -> None:
    answer = import_file(
        shop, "登录名,姓名,角色,范围,导购编号\na b,,总裁,S9,G9\n,王,店长,S9,\n,李,店长,S9,\n"
    )
    assert [(one["line"], one["column"], one["code"]) for one in answer["bad"]] == [
        (2, "guide", "import.unknown_guide"),
        (2, "login", "not_a_login"),
        (2, "name", "import.required"),
        (2, "role", "unknown_role"),
        (3, "login", "import.required"),
        (3, "place", "unknown_place"),
        (4, "login", "import.required"),
        (4, "place", "unknown_place"),
    ]
    assert {one["header"] for one in answer["bad"]} == {"登录名", "姓名", "角色", "范围", "导购编号"}


def test_an_import_says_what_becomes_of_passwords_and_overwrites_no_file(shop: Shop) -> None:
    before = standing(shop)
    file = shop.write("accounts.csv", FILE)
    both = ("--passwords", str(shop.folder / "p.csv"), "--no-passwords")
    for more in ((), both):
        assert codes(shop, "account", "import", file, *more) == [("--passwords", "passwords_choice")]
    mine = shop.write("mine.csv", "keep")
    assert codes(shop, "account", "import", file, "--passwords", mine) == [
        ("--passwords", "passwords_unwritable")
    ]
    assert Path(mine).read_text(encoding="utf-8") == "keep"
    assert codes(shop, "account", "import", "nowhere.csv", "--no-passwords") == [("FILE", "import.no_file")]
    assert standing(shop) == before


def test_a_workbook_is_read_like_a_csv(shop: Shop) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for line in FILE.splitlines():
        sheet.append(line.split(","))
    path = shop.folder / "accounts.xlsx"
    book.save(path)
    done = shop.json("account", "import", str(path), "--no-passwords")
    assert (done["rows_new"], done["accounts_new"]) == (4, 3)


def test_accounts_beyond_one_chunk_are_imported_and_the_chain_holds(shop: Shop) -> None:
    lines = "".join(f"u{number},N{number},审计,,\n" for number in range(1_203))
    done = import_file(shop, f"登录名,姓名,角色,范围,导购编号\n{lines}")
    assert (done["rows_new"], done["accounts_new"]) == (1_203, 1_203)
    assert fetch(shop, "SELECT count(*) FROM event WHERE stream LIKE 'account/%'") == [(2 * 1_203,)]
    assert shop.json("audit", "verify")["ok"] is True
    page = shop.json("account", "list", "--limit", "2", "--after", "u7")
    assert [one["login"] for one in page["accounts"]] == ["u70", "u700"]
    assert page["next"] == "u700"


# --- tokens -------------------------------------------------------------------------------------------


def test_a_token_is_issued_once_listed_without_its_secret_and_taken_back(shop: Shop) -> None:
    create(shop)
    issued = shop.run("token", "issue", "till", "--account", "hq", "--right", "list.read", "--days", "7")
    assert issued.exit_code == 0, issued.output
    secret = next(word for word in issued.stdout.split() if word.startswith("dgt_"))
    assert fetch(shop, "SELECT hash FROM credential") == [(digest(secret),)]
    assert ZH("token.secret_once")[:6] in issued.stdout
    listed = shop.run("token", "list")
    (token,) = shop.json("token", "list")["tokens"]
    assert (token["name"], token["rights"], token["ended_at"]) == ("till", ["list.read"], None)
    log = (shop.home / "logs" / "cli.log").read_text(encoding="utf-8")
    events = str(fetch(shop, "SELECT encode(body, 'escape'), payload::text FROM event"))
    for text in (listed.output, log, events, str(token)):
        assert secret not in text
    ended = shop.run("token", "end", token["credential_id"], "--reason", "sold")
    assert ended.exit_code == 0, ended.output
    assert shop.json("token", "list")["tokens"] == []
    (gone,) = shop.json("token", "list", "--ended", "--account", "hq")["tokens"]
    assert gone["ended_at"] is not None


def test_a_tokens_scopes_are_chosen_in_one_way(shop: Shop) -> None:
    create(shop, "eyes", "审计")
    for more in ((), ("--read-only", "--all-rights"), ("--right", "plan.read", "--read-only")):
        assert codes(shop, "token", "issue", "x", "--account", "eyes", *more) == [
            ("--right", "rights_choice")
        ]
    read = shop.json("token", "issue", "x", "--account", "eyes", "--read-only")["token"]
    assert read["rights"] == sorted(
        [
            "plan.read",
            "report.read",
            "board.read",
            "list.read",
            "history.read",
            "messages.read",
            "metrics.read",
            "ledger.audit",
            "signs.read",
            "accounts.read",
            "cases.read",
        ]
    )
    assert shop.json("token", "issue", "y", "--account", "eyes", "--all-rights")["token"]["rights"] is None
    lacking = codes(shop, "token", "issue", "z", "--account", "eyes", "--right", "plan.launch")
    assert lacking == [("--right", "right_not_held")]
    assert codes(shop, "token", "issue", "z", "--account", "eyes", "--right", "eat") == [
        ("--right", "unknown_right")
    ]
    long = codes(shop, "token", "issue", "z", "--account", "eyes", "--read-only", "--days", "366")
    assert long == [("--days", "token_days")]
    nobody = codes(shop, "token", "issue", "z", "--account", "nobody", "--read-only")
    assert nobody == [("--account", "unknown_account")]
