"""What can go wrong, as problems a person can act on; translated once, in `cli.main`."""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from domain.errors import Conflict, NotFound, Problem, Refused, Unavailable
from infra.server_errors import EmbeddedServerError
from infra.settings import Settings

DATABASE_ERRORS = (
    OSError,
    TimeoutError,
    ValueError,
    OverflowError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    SQLAlchemyError,
)
"""What opening a database can raise."""

_CODES: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (asyncpg.InvalidAuthorizationSpecificationError, "database_login"),
    (asyncpg.InvalidCatalogNameError, "database_missing"),
    (asyncpg.ObjectInUseError, "database_in_use"),
    (asyncpg.InsufficientPrivilegeError, "database_rights"),
    (
        (
            OSError,
            TimeoutError,
            asyncpg.PostgresConnectionError,
            asyncpg.CannotConnectNowError,
            asyncpg.TooManyConnectionsError,
            asyncpg.AdminShutdownError,
            asyncpg.ConnectionDoesNotExistError,
        ),
        "database_unreachable",
    ),
)
_LOST = (ConnectionError, asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError)


def database_problem(error: BaseException, settings: Settings) -> Problem | None:
    """What keeps the database from being opened; None if it is a fault of ours."""
    field, value = "DATABASE_URL", _shown(settings.database_url)
    if settings.database_url is None:
        field, value = "--database", settings.database
    for cause in _causes(error):
        for kinds, code in _CODES:
            if isinstance(cause, kinds):
                return Problem(field, value, code, {"why": str(cause) or type(cause).__name__})
    if settings.database_url is not None and isinstance(error, ArgumentError | ValueError | OverflowError):
        return Problem(field, value, "database_url_invalid")
    return None


def problems_of(error: BaseException, settings: Settings) -> tuple[Problem, ...] | None:
    """The problems a raised error stands for; None if it is a bug."""
    match error:
        case Refused():
            problems: tuple[Problem, ...] = error.problems
        case NotFound():
            problems = (error.problem,)
        case Conflict():
            problems = (Problem("ledger", "", "conflict"),)
        case Unavailable():
            problems = (Problem("TEMPORAL_ADDRESS", settings.temporal_address or "", "temporal_unreachable"),)
        case EmbeddedServerError():
            told = {"what": error.what, "todo": error.remedy}
            problems = (Problem("home", error.where, "embedded_server", told),)
        case _:
            lost = any(isinstance(cause, _LOST) for cause in _causes(error))
            problem = database_problem(error, settings) if lost else None
            return None if problem is None else (problem,)
    return problems


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was made from: SQLAlchemy wraps what the driver raised."""
    yield error
    wrapped: BaseException | None = error.orig if isinstance(error, DBAPIError) else None
    while wrapped is not None:
        yield wrapped
        wrapped = wrapped.__cause__


def _shown(url: str | None) -> str:
    """The address without its password."""
    if url is None:
        return ""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return url.rpartition("@")[2]
