"""Accounts from a file: all its rows or none, and the same file again changes nothing.

It only adds. What was taken back since is not given again by an old file: that is `grant`'s to do, by name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from activities.accounts import Giver, login_problems, name_problems, new_password
from activities.passwords import hash_secret
from domain.errors import Problem, Refused
from domain.policy import Role
from ledger.account_batches import Admission, Known, admit, guides_by_code, read_known
from ledger.account_places import Grant, place_problem
from ledger.accounts import NewAccount, lock_accounts
from ledger.door import Driver
from ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the file, its login in its one spelling; `guide` is a code, empty where it is nobody's."""

    line: int
    login: str
    name: str
    role: Role | None
    """None: the file names none, or one there is not."""
    place: str
    guide: str
    whole: bool = True
    """False: something is wrong with it already; it is looked at for what else is, and never written."""


@dataclass(frozen=True, slots=True)
class Found:
    """A problem of a row."""

    line: int
    problem: Problem


@dataclass
class Draft:
    """What the rows come to: accounts to create, roles to add, and what is there already."""

    admissions: list[Admission] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    new_rows: int = 0
    same_rows: int = 0
    not_again: int = 0
    """Rows whose role was taken back since: not given again."""

    @property
    def new_logins(self) -> list[str]:
        """Logins of the accounts to create, as in the file."""
        return [one.new.login for one in self.admissions if one.new is not None]


Keep = Callable[[dict[str, str]], None]
"""Writes one-time passwords by login where only the asker can read them, before they open anything."""


async def import_accounts(
    ledger: Ledger, rows: Sequence[Row], by: Giver, *, keep: Keep | None, check_only: bool = False
) -> Draft:
    """Create the accounts of a file and grant their roles, or list what is wrong and change nothing.

    Args:
        ledger: the brand's.
        rows: of the file; with one that is not `whole`, nothing is written.
        by: who imports.
        keep: takes the one-time passwords; None: the new accounts get none.
        check_only: list what is wrong and write nothing, whatever is right.

    Raises:
        Refused: somebody else changed the accounts between the check and the writing.
    """
    async with ledger.transaction() as connection:
        draft = await _draft(connection, ledger.tenant_id, rows, by, {})
    if check_only or draft.found or not draft.admissions or not all(row.whole for row in rows):
        return draft
    hashes: dict[str, str] = {}
    if keep is not None and draft.new_logins:
        passwords = {login: new_password() for login in draft.new_logins}
        hashed = await asyncio.gather(*map(hash_secret, passwords.values()))
        hashes = dict(zip(passwords, hashed, strict=True))
        keep(passwords)
    async with ledger.transaction() as connection:
        await lock_accounts(connection, ledger.tenant_id)
        again = await _draft(connection, ledger.tenant_id, rows, by, hashes)
        if again.new_logins != draft.new_logins or again.found:
            raise Refused([Problem("FILE", "", "accounts_changed_meanwhile")])
        if again.admissions:
            await admit(connection, ledger.tenant_id, by.command("import"), again.admissions)
    return again


async def _draft(
    connection: Driver, tenant_id: int, rows: Sequence[Row], by: Giver, hashes: dict[str, str]
) -> Draft:
    guides = await guides_by_code(connection, tenant_id, sorted({row.guide for row in rows if row.guide}))
    known = await read_known(
        connection, tenant_id, sorted({row.login for row in rows}), list(guides.values()), at=by.asked.at
    )
    draft = Draft()
    draft.found += await _place_problems(connection, tenant_id, rows, by.asked.at)
    by_login: dict[str | int, list[Row]] = {}
    for row in rows:
        by_login.setdefault(row.login or row.line, []).append(row)
    there = {one.login: one for one in known}
    taken = {one.guide_id: one.login for one in known if one.guide_id is not None and one.active}
    first_of_guide: dict[str, Row] = {}
    for own in by_login.values():
        login = own[0].login
        draft.found += _row_problems(own, guides, taken, first_of_guide, there.get(login))
        whole = [row for row in own if row.whole]
        if whole:
            _add(draft, whole, guides, there.get(login), hashes)
    return draft


async def _place_problems(
    connection: Driver, tenant_id: int, rows: Sequence[Row], at: datetime
) -> list[Found]:
    """Each role and place is looked up once, however many rows name it."""
    looked_up: dict[tuple[Role, str, bool], Problem | None] = {}
    found: list[Found] = []
    for row in rows:
        if row.role is None:
            continue
        key = (row.role, row.place, bool(row.guide))
        if key not in looked_up:
            looked_up[key] = await place_problem(
                connection, tenant_id, Grant(row.role, row.place), is_guide=bool(row.guide), at=at
            )
        problem = looked_up[key]
        if problem is not None:
            found.append(Found(row.line, problem))
    return found


def _row_problems(
    own: Sequence[Row],
    guides: dict[str, UUID],
    taken: dict[UUID, str],
    first_of_guide: dict[str, Row],
    there: Known | None,
) -> list[Found]:
    """What is wrong with the rows of one login."""
    first = own[0]
    found = [Found(first.line, one) for one in login_problems("login", first.login)]
    found += [Found(first.line, one) for one in name_problems("name", first.name)]
    for row in own:
        if row.name and first.name and (row.name, row.guide) != (first.name, first.guide):
            told = {"other_line": first.line}
            found.append(Found(row.line, Problem("login", row.login, "import.twice_in_file", told)))
        if row.guide and row.guide not in guides:
            found.append(Found(row.line, Problem("guide", row.guide, "import.unknown_guide")))
    if first.guide in guides:
        owner = taken.get(guides[first.guide], first.login)
        other = first_of_guide.setdefault(first.guide, first)
        if owner != first.login or other.login != first.login:
            login = owner if owner != first.login else other.login
            found.append(
                Found(first.line, Problem("guide", first.guide, "guide_has_account", {"login": login}))
            )
    if (
        there is not None
        and first.name
        and (there.name, there.guide_id) != (first.name, guides.get(first.guide))
    ):
        found.append(
            Found(first.line, Problem("login", first.login, "account_differs", {"name": there.name}))
        )
    return found


def _add(
    draft: Draft, own: Sequence[Row], guides: dict[str, UUID], there: Known | None, hashes: dict[str, str]
) -> None:
    first = own[0]
    account_id = there.account_id if there else uuid4()
    held = set(there.held) if there else set()
    lost = there.lost if there else frozenset()
    grants: list[tuple[UUID, Grant]] = []
    for row in own:
        if row.role is None:
            continue
        key = (row.role.value, row.place)
        if key in held:
            draft.same_rows += 1
            draft.not_again += key in lost
            continue
        held.add(key)
        draft.new_rows += 1
        grants.append((uuid4(), Grant(row.role, row.place)))
    new = None
    if there is None:
        hashed = hashes.get(first.login)
        new = NewAccount(
            account_id,
            first.login,
            first.name,
            guides.get(first.guide),
            hashed,
            must_change=hashed is not None,
        )
    if grants:
        draft.admissions.append(Admission(account_id, new, tuple(grants)))
