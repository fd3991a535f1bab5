"""The one error mapping: whatever goes wrong becomes an RFC 9457 problem that says what to do.

Refused            422, or 409 where what stands in the ledger is against it (`STANDS_AGAINST`)
NotFound           404        Conflict       409: read again and retry
the request itself 400, 401, 403, 404, 405, 413, 415, 421, 422, 429
row-level security 403, logged: a check before it should have refused
database lost      503 with Retry-After
anything else      500, logged, told without internals
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import asyncpg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import ErrorDetails
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from api.languages import words_for
from domain.errors import Conflict, NotFound, Problem, Refused, Unavailable
from domain.playbook import problem_of
from wording.catalogue import Catalogue

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2
"""A restart of PostgreSQL takes about so long."""

KINDS = {
    400: "malformed",
    401: "not_signed_in",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    415: "media_type",
    421: "foreign_host",
    422: "refused",
    429: "too_many",
    500: "bug",
    503: "unavailable",
}
"""Status to kind; `api.titles` words it, and the problem's type is urn:daogou:problem:<kind>."""

STANDS_AGAINST = frozenset({
    "case_over",
    "complaint_open",
    "check_in_superseded",
    "claimed_by_other",
    "close_too_early",
    "guide_is_away",
    "guide_not_in_plan",
    "list_is_closed",
    "not_in_pool",
    "not_on_open_list",
    "snoozed_too_often",
    "closed_day_is_the_supervisors",
    "nothing_to_correct",
    "store_is_closed",
    "store_has_guides",
    "store_closes_already",
    "guide_has_left",
    "guide_not_at_work",
    "guide_exists",
    "change_decided",
    "account_shut",
    "already_today",
    "endpoint_removed",
    "grant_ends_earlier",
    "granted_already",
    "guide_has_account",
    "item_waits",
    "last_hq",
    "feed_exists",
    "launched_elsewhere",
    "login_taken",
    "member_declined",
    "member_opted_out",
    "message_not_retriable",
    "message_too_late",
    "no_open_day",
    "no_lists_of_store",
    "not_in_canary",
    "not_on_todays_list",
    "not_released_yet",
    "phone_unknown",
    "phone_withdrawn",
    "pin_is_for_hq",
    "message_used_otherwise",
    "nothing_open",
    "nothing_to_change",
    "plan_already",
    "plan_closed",
    "plan_ended",
    "plan_exists",
    "record_differs",
    "return_differs",
    "task_closed",
    "too_many_reveals",
    "urged_enough",
})  # fmt: skip
"""Codes of refusals that say nothing against the request, only against its moment: 409."""

DATABASE_LOST = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.UndefinedTableError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # killed between two messages: asyncpg is left in a state of its own (#1069)
)
"""A PostgreSQL that is away, starting, stopping, full, failing over or not migrated yet."""

_CODES = {
    "missing": "missing_field",
    "json_invalid": "broken_json",
    "model_attributes_type": "not_an_object",
    "dict_type": "not_an_object",
    "model_type": "not_an_object",
    "string_too_long": "text_too_long",
    "string_unicode": "unstorable_text",
    "uuid_parsing": "not_a_uuid",
    "uuid_type": "not_a_uuid",
    "datetime_parsing": "not_an_instant",
    "datetime_from_date_parsing": "not_an_instant",
    "datetime_type": "not_an_instant",
    "timezone_aware": "not_an_instant",
    "string_pattern_mismatch": "not_as_described",
    "enum": "not_a_choice",
}
_SECRETS = frozenset({"password", "pin", "old", "new"})
"""Fields whose text no answer repeats."""
MOST_TOLD = 50
"""Problems of a body that are told at once: a megabyte of names that are no fields makes a hundred thousand."""
_FRAMEWORK = {404: "unknown_address", 405: "method_not_allowed"}

log = structlog.get_logger("api")


class Declined(HTTPException):
    """A request that is turned away before any rule of ours is asked; an HTTPException, so that FastAPI lets it pass."""

    def __init__(self, status: int, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, headers=dict(headers or {}))
        self.problem = problem


class FieldProblem(BaseModel):
    """One thing that is wrong: where, what stood there, why it cannot be, and what to do."""

    model_config = ConfigDict(frozen=True)

    field: str = Field(description="Path of the field as you wrote it, e.g. `goal.target`.")
    value: str
    code: str = Field(description="Stable; branch on this, never on wording.")
    reason: str
    remedy: str


class ProblemDetails(BaseModel):
    """RFC 9457; `problems` names everything that is wrong at once."""

    model_config = ConfigDict(frozen=True)

    type: str
    title: str
    status: int
    detail: str
    problems: list[FieldProblem]


def worded(words: Catalogue, problems: Sequence[Problem]) -> list[FieldProblem]:
    """Problems in the reader's language."""
    return [
        FieldProblem(
            field=_sendable(problem.field),
            value=_sendable(problem.value),
            code=problem.code,
            reason=_sendable(words.reason(problem)),
            remedy=_sendable(words.remedy(problem)),
        )
        for problem in problems
    ]


def problem_response(
    words: Catalogue, status: int, problems: Sequence[Problem], headers: Mapping[str, str] | None = None
) -> Response:
    """The answer for problems, worded."""
    told_problems = worded(words, problems)
    kind = KINDS[status]
    body = ProblemDetails(
        type=f"urn:daogou:problem:{kind}",
        title=words(f"api.titles.{kind}"),
        status=status,
        detail=("" if words.language == "zh" else " ").join(problem.reason for problem in told_problems),
        problems=told_problems,
    )
    told = {"content-language": words.language, "vary": "accept-language", **(headers or {})}
    if status == 401:
        told["www-authenticate"] = "Bearer"
    if status == 503:
        told["retry-after"] = str(RETRY_AFTER_S)
    return Response(body.model_dump_json(), status, told, MEDIA_TYPE)


def answered(request: Request, error: Exception) -> Response:
    """The answer for any error; what is a bug of ours is logged and not told."""
    words = words_for(request)
    match error:
        case Refused():
            status = 409 if all(one.code in STANDS_AGAINST for one in error.problems) else 422
            answer = problem_response(words, status, error.problems)
        case NotFound():
            answer = problem_response(words, 404, [error.problem])
        case Conflict():
            answer = problem_response(words, 409, [Problem("ledger", "", "conflict")])
        case RequestValidationError():
            answer = _invalid(request, words, error.errors())
        case HTTPException():
            answer = _framework(request, words, error)
        case Unavailable():
            answer = problem_response(words, 503, [Problem("temporal", "", "temporal_unreachable")])
        case asyncpg.InsufficientPrivilegeError():
            # The database refused what a check of ours let through: the asker is told no, and we are told to mend it.
            log.error("refused_by_the_database", reason=str(error), path=_route(request))
            answer = problem_response(words, 403, [Problem("account", "", "out_of_reach")])
        case _ if is_database_lost(error):
            log.warning("database_lost", reason=type(error).__name__, path=_route(request))
            answer = problem_response(words, 503, [Problem("database", "", "database_away")])
        case _:
            log.error("request_failed", path=_route(request), exc_info=error)
            answer = problem_response(words, 500, [Problem("daogou", "", "bug_in_api")])
    return answer


def is_database_lost(error: BaseException) -> bool:
    """Whether the same request may succeed later, once PostgreSQL is back."""
    return any(
        isinstance(cause, DATABASE_LOST) and not isinstance(cause, asyncpg.DataError)
        for cause in _causes(error)
    )


def install(app: FastAPI) -> None:
    """Give every error of the routes its answer; what escapes them, `api.guard` answers."""

    async def handle(request: Request, error: Exception) -> Response:
        return answered(request, error)

    for kind in (
        Refused, NotFound, Conflict, Unavailable, RequestValidationError, HTTPException, *DATABASE_LOST, DBAPIError,
        asyncpg.InsufficientPrivilegeError,
    ):  # fmt: skip
        app.add_exception_handler(kind, handle)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems a route documents, besides those every route can have."""
    return {
        status: {
            "description": KINDS[status].replace("_", " "),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
        }
        for status in sorted({*statuses, 401, 403, 421, 422, 503})
    }


def invalid_body(details: Sequence[Any]) -> RequestValidationError:
    """What pydantic says of a body that a route read by hand, as if the framework had read it."""
    return RequestValidationError([{**detail, "loc": ("body", *detail["loc"])} for detail in details])


def problem_schemas() -> dict[str, Any]:
    """The components that `responses` refers to."""
    schema = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), "ProblemDetails": schema}


def _invalid(request: Request, words: Catalogue, details: Sequence[Any]) -> Response:
    problems, status = [], 422
    for detail in details[:MOST_TOLD]:
        place, *path = detail["loc"]
        if place == "body" and isinstance(detail["input"], bytes):
            # The framework reads a body only where its kind is said to be JSON.
            kind = request.headers.get("content-type", "")[:200]
            return problem_response(words, 415, [Problem("Content-Type", kind, "not_sent_as_json")])
        problem = shape_problem(cast("ErrorDetails", {**detail, "loc": tuple(path) or (place,)}))
        if place == "header" or problem.code == "broken_json":
            status = 400
        if place == "header":
            code = "key_missing" if problem.code == "missing_field" else "not_a_key"
            problem = Problem("Idempotency-Key", problem.value, code)
        if problem.code == "broken_json":
            problem = Problem("body", "", "broken_json")
        problems.append(problem)
    return problem_response(words, status, problems)


def shape_problem(detail: ErrorDetails) -> Problem:
    """One of pydantic's errors on a body or parameter as a problem; no secret is repeated."""
    problem = problem_of(detail, _CODES)
    if problem.field.rpartition(".")[2] in _SECRETS:
        problem = replace(problem, value="")
    if problem.code == "not_valid":
        problem = Problem(problem.field, problem.value, "not_as_described")
    return problem


def _framework(request: Request, words: Catalogue, error: HTTPException) -> Response:
    if isinstance(error, Declined):
        return problem_response(words, error.status_code, [error.problem], error.headers)
    status = error.status_code if error.status_code in _FRAMEWORK else 400
    headers = dict(error.headers or {})
    if status == 400:
        problem = Problem("body", "", "broken_json")
    else:
        problem = Problem("address", f"{request.method} {request.url.path}"[:200], _FRAMEWORK[status])
    if status == 405:
        headers["allow"] = ", ".join(_allowed(request))
    return problem_response(words, status, [problem], headers)


def _allowed(request: Request) -> list[str]:
    """Methods of every route at the address; Starlette names those of the first one only."""
    return [
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        for scope in [{**request.scope, "method": method, "path_params": {}}]
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
    ]


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what the pool made it from."""
    yield error
    wrapped: BaseException | None = error.orig if isinstance(error, DBAPIError) else None
    while wrapped is not None:
        yield wrapped
        wrapped = wrapped.__cause__


def _route(request: Request) -> str:
    """The path's template: the path itself may name a guide or a member."""
    return getattr(request.scope.get("route"), "path", "")


def _sendable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
