"""`daogou account import`: many accounts from a file, all valid rows or none."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import RenderableType
from rich.text import Text

from activities.account_import import Draft, Found, Row, import_accounts
from activities.accounts import Giver
from activities.asked import Asked
from cli.account_words import role_of, unknown_role
from cli.import_files import header_of
from cli.layout import heading, number, table
from cli.session import Session, json_option, pass_session
from domain.errors import Problem, Refused
from domain.logins import login_of
from domain.policy import Right
from imports import cells
from imports.checking import Findings, sift, text_rules
from imports.columns import required_columns
from imports.reading import LINE, Table, read_table
from imports.report import Kind
from infra.clock import now
from wording.catalogue import Catalogue

SHOWN = 20
LISTED = 1_000
COLUMNS = ("login", "name", "role", "place", "guide")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the import found and did; `rows_bad` counts rows, `bad` every problem of theirs by line."""

    rows_read: int
    bad: tuple[Found, ...]
    draft: Draft
    ignored: tuple[str, ...]
    headers: Mapping[str, str]

    @property
    def rows_bad(self) -> int:
        """Rows with a problem, each once."""
        return len({found.line for found in self.bad})


class PasswordFile:
    """Where one-time passwords go: a new file that only its owner can read, never an old one."""

    def __init__(self, path: Path, words: Catalogue) -> None:
        self._path = path
        self._words = words
        self.written = False

    def keep(self, passwords: dict[str, str]) -> None:
        """Write them, by login.

        Raises:
            Refused: there is such a file already, or it cannot be written.
        """
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            told = {"why": error.strerror or type(error).__name__}
            raise Refused([Problem("--passwords", str(self._path), "passwords_unwritable", told)]) from error
        self.written = True
        with os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="") as file:
            lines = csv.writer(file)
            lines.writerow((self._words("account.login"), self._words("account.by_password")))
            lines.writerows(passwords.items())
            file.flush()
            os.fsync(file.fileno())

    def discard(self) -> None:
        """Remove the file if it was written here: its passwords open nothing."""
        if self.written:
            self._path.unlink(missing_ok=True)


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--passwords",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="一次性密码写到这个新文件，只有你能读 / one-time passwords go into this new file (0600).",
)
@click.option("--no-passwords", is_flag=True, help="新账号不要密码 / new accounts get no password.")
@json_option
@pass_session
def import_command(session: Session, file: Path, passwords: Path | None, *, no_passwords: bool) -> None:
    """从 CSV 或 XLSX 建立账号并授权 / Create accounts and grant roles from CSV or XLSX."""
    if (passwords is None) is not no_passwords:
        raise Refused([Problem("--passwords", "", "passwords_choice")])
    kept = None if passwords is None else PasswordFile(passwords, session.words)
    outcome = session.run(_import(session, file, kept))
    written = passwords if kept is not None and kept.written else None
    session.show(
        _machine(session.words, file, outcome, written), *_screen(session.words, file, outcome, written)
    )
    if outcome.bad:
        raise SystemExit(1)


async def _import(session: Session, file: Path, kept: PasswordFile | None) -> Outcome:
    read = read_table(file, Kind.ACCOUNTS)
    rows, found = _rows(read)
    giver = Giver(Asked(None, now(), "cli"), frozenset(Right))
    try:
        async with session.ledger() as (ledger, _):
            draft = await import_accounts(
                ledger, rows, giver, keep=kept.keep if kept else None, check_only=bool(found)
            )
    except Refused:  # nothing was written; after any other error that may be open, and the file stays
        if kept is not None:
            kept.discard()
        raise
    told = {(one.line, one.problem.field) for one in found}
    more = [one for one in draft.found if (one.line, one.problem.field) not in told]
    bad = sorted([*found, *more], key=lambda one: (one.line, one.problem.field, one.problem.code))
    return Outcome(read.frame.height + len(read.misshapen), tuple(bad), draft, read.ignored, read.headers)


def _rows(read: Table) -> tuple[list[Row], list[Found]]:
    """The rows, and what is wrong with those that are not valid by themselves."""
    schema = read.frame.schema
    there = [name for name in COLUMNS if name in schema]
    findings = Findings()
    findings.add(read.misshapen, rows=len(read.misshapen), problems=len(read.misshapen))
    frame = read.frame.select(LINE, *(cells.text(name, schema[name]).alias(name) for name in there))
    sift(frame, text_rules(there, required_columns(Kind.ACCOUNTS)), findings)
    found = [
        Found(one.line, Problem(one.column, one.value, one.code, one.params)) for one in findings.listed()
    ]
    lines = {one.line for one in found}
    named = {one.line for one in found if one.problem.field == "role"}
    rows: list[Row] = []
    for row in frame.iter_rows(named=True):
        line, told = row[LINE], {name: row.get(name) or "" for name in COLUMNS}
        role = role_of(told["role"])
        if role is None and line not in named:
            found.append(Found(line, unknown_role("role", told["role"])))
        whole = role is not None and line not in lines
        login = login_of(told["login"])
        rows.append(Row(line, login, told["name"], role, told["place"], told["guide"], whole))
    return rows, found


def _done(outcome: Outcome) -> str:
    if outcome.bad:
        return "account.refused"
    return "account.imported" if outcome.draft.new_rows else "account.again"


def _screen(
    words: Catalogue, file: Path, outcome: Outcome, passwords: Path | None
) -> Sequence[RenderableType]:
    draft, bad = outcome.draft, outcome.bad
    parts: list[RenderableType] = [
        heading(words(_done(outcome), file=file.name)),
        words(
            "account.counts",
            read=number(outcome.rows_read),
            new=number(0 if bad else draft.new_rows),
            same=number(draft.same_rows),
            bad=number(outcome.rows_bad),
            accounts=number(0 if bad else len(draft.new_logins)),
        ),
    ]
    if outcome.ignored:
        parts.append(words("imports.ignored", columns=", ".join(outcome.ignored)))
    if draft.not_again:
        parts.append(words("account.not_again", count=number(draft.not_again)))
    if bad:
        made = table(
            words("imports.line"), words("imports.column"), words("imports.value"), words("imports.reason"),
            right=(0,), fold=(2, 3),
        )  # fmt: skip
        for one in bad[:SHOWN]:
            value = "".join(char if char.isprintable() else "�" for char in one.problem.value[:40])
            told = f"{words.reason(one.problem)} {words.remedy(one.problem)}"
            header = header_of(words, Kind.ACCOUNTS, outcome.headers, one.problem.field)
            made.add_row(number(one.line), Text(header), Text(value), Text(told))
        parts.append(made)
        if len(bad) > SHOWN:
            parts.append(words("imports.more", count=number(len(bad) - SHOWN)))
        parts.append(words("account.nothing_written"))
    if passwords is not None:
        parts.append(Text(words("account.passwords_in", file=passwords), style="bold"))
    return parts


def _machine(words: Catalogue, file: Path, outcome: Outcome, passwords: Path | None) -> dict[str, Any]:
    draft, bad = outcome.draft, outcome.bad
    return {
        "file": str(file),
        "refused": bool(bad),
        "rows_read": outcome.rows_read,
        "rows_new": 0 if bad else draft.new_rows,
        "rows_same": draft.same_rows,
        "rows_bad": outcome.rows_bad,
        "rows_not_granted_again": draft.not_again,
        "accounts_new": 0 if bad else len(draft.new_logins),
        "ignored": outcome.ignored,
        "passwords": None if passwords is None else str(passwords),
        "bad": [
            {
                "line": one.line,
                "column": one.problem.field,
                "header": header_of(words, Kind.ACCOUNTS, outcome.headers, one.problem.field),
                "value": one.problem.value,
                "code": one.problem.code,
                "reason": words.reason(one.problem),
                "remedy": words.remedy(one.problem),
            }
            for one in bad[:LISTED]
        ],
    }
