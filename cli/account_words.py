"""Roles, rights, places and instants as people type and read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from domain.errors import NotFound, Problem, Refused
from domain.policy import Right, Role
from wording.catalogue import LANGUAGES, Catalogue, catalogue

_TYPED_AS = {
    "login": "LOGIN",
    "account": "LOGIN",
    "guide": "--guide",
    "role": "--role",
    "place": "--place",
    "starts_at": "--from",
    "ends_at": "--until",
    "reason": "--reason",
    "days": "--days",
    "rights": "--right",
    "grant": "GRANT",
    "token": "TOKEN",
}


_INSTANTS = frozenset({"ends_at", "until"})
"""Gaps of problems of accounts and tokens that hold an instant."""


def role_of(typed: str) -> Role | None:
    """The role somebody means, by its code or by the word any of our languages has for it."""
    told = _plain(typed)
    for role in Role:
        words = {_plain(catalogue(language).code("roles", role.value)) for language in LANGUAGES}
        if told in {role.value, *words}:
            return role
    return None


def unknown_role(field: str, typed: str) -> Problem:
    """The problem of a word that is no role."""
    chinese = catalogue("zh")
    known = ", ".join(f"{role.value} {chinese.code('roles', role.value)}" for role in Role)
    return Problem(field, typed, "unknown_role", {"known": known})


def read_role(typed: str, *, field: str = "--role") -> Role:
    """The role somebody means.

    Raises:
        Refused: there is none of that name.
    """
    role = role_of(typed)
    if role is None:
        raise Refused([unknown_role(field, typed)])
    return role


def read_right(typed: str) -> Right:
    """A right by its code.

    Raises:
        Refused: there is none of that name.
    """
    try:
        return Right(typed.strip().lower())
    except ValueError as error:
        known = ", ".join(sorted(right.value for right in Right))
        raise Refused([Problem("--right", typed, "unknown_right", {"known": known})]) from error


def read_instant(field: str, typed: str | None) -> datetime | None:
    """An instant with its offset; None where nothing was typed.

    Raises:
        Refused: it is none, or says no offset.
    """
    if typed is None:
        return None
    try:
        instant = datetime.fromisoformat(typed)
    except ValueError as error:
        raise Refused([Problem(field, typed, "not_an_instant")]) from error
    if instant.tzinfo is None:
        raise Refused([Problem(field, typed, "not_an_instant")])
    return instant


def role_word(words: Catalogue, role: str, place: str) -> str:
    """A role and where it holds, in words."""
    return words.code("roles", role) + (f" {place}" if place else "")


def at_minute(instant: datetime) -> str:
    """An instant in this machine's zone, to the minute, with its offset: as `--at` and `--until` take it."""
    return instant.astimezone().isoformat(" ", "minutes")


@contextmanager
def as_typed(written: Mapping[str, str] | None = None, /, **fields: str) -> Iterator[None]:
    """Name the fields of problems as the command line has them, and the instants in them as its screens do.

    Args:
        written: what was typed for a field, where it was read as something else: 店长 for store_manager.
        fields: names that go before the usual ones.
    """
    names = {**_TYPED_AS, **fields}
    try:
        yield
    except Refused as error:
        raise Refused([_renamed(problem, names, written or {}) for problem in error.problems]) from error
    except NotFound as error:
        raise NotFound(_renamed(error.problem, names, written or {})) from error


def _renamed(problem: Problem, names: Mapping[str, str], written: Mapping[str, str]) -> Problem:
    field = problem.field.rpartition(".")[2]
    params = {
        name: at_minute(datetime.fromisoformat(str(value))) if name in _INSTANTS else value
        for name, value in problem.params.items()
    }
    return Problem(names.get(field, problem.field), written.get(field, problem.value), problem.code, params)


def _plain(text: str) -> str:
    return text.strip().casefold().replace(" ", "_").replace("-", "_")
