"""Everything the OpenAPI document allows, and much that it does not, asked of a running server: no 5xx.

The seed is fixed, so a failure comes again; the failure itself prints the request as a curl command.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from domain.policy import Role
from ledger.account_places import Grant
from tests.brand import Brand, at
from tests.conftest import LedgerDatabase
from tests.identities import identity
from tests.serving import serving

EXAMPLES = 8
"""An operation and mode: about 900 requests in all."""
SEED = 20261122
NOTHING_TO_GET_WRONG = {
    "GET /health/live",
    "GET /health/ready",
    "GET /metrics",
    "GET /v1/day-norm",
    "GET /v1/me",
    "GET /v1/audit/root",
    "GET /v1/outbox/summary",
    "GET /v1/sessions",
    "GET /v1/sign-in/oidc",
    "GET /v1/sign-in/wecom",
    "GET /v1/staff/closings",
    "DELETE /v1/sessions/current",
    "POST /v1/sessions/end-others",
}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    allow_header_conformance,
]


def known(brand: Brand, case: schemathesis.Case, task: UUID, *, body: bool) -> None:
    """Name what there is, so that requests get beyond "not found"."""
    there = {"guide": "G1", "plan": "p1", "task_id": str(task), "subject": "plan", "name": "p1"}
    for name in set(there) & set(case.path_parameters or {}):
        case.path_parameters[name] = there[name]
    if body and isinstance(case.body, dict) and "performed_by" in case.body:
        case.body["performed_by"] = "G1"


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
async def test_nothing_the_document_allows_or_forbids_is_a_fault_of_the_server(
    database: LedgerDatabase, shop: Brand, tasks: list[UUID], mode: GenerationMode
) -> None:
    await shop.category("SOAP")
    token = await identity(shop.ledger, "hq", Grant(Role.HQ))
    await asyncio.to_thread(_ask_everything, database, shop, tasks[0], mode, token)


def _ask_everything(
    database: LedgerDatabase, brand: Brand, task: UUID, mode: GenerationMode, token: str
) -> None:
    with serving(database.urls.api, database.ledger.keys, at(2, 10)) as url:
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
        operations: list[Any] = [result.ok() for result in schema.get_all_operations()]
        asked = {one.label: _ask(one, url, token, brand, task, mode) for one in operations}
    assert len(asked) >= 24
    assert {label for label, statuses in asked.items() if not statuses} == (
        NOTHING_TO_GET_WRONG if mode is GenerationMode.NEGATIVE else set()
    )
    if mode is GenerationMode.POSITIVE:
        served = {label for label, statuses in asked.items() if statuses & {200, 201}}
        assert {"GET /v1/plans", "GET /v1/plans/{plan}", "GET /metrics", "POST /v1/outbox/stop"} <= served


def _ask(operation: Any, url: str, token: str, brand: Brand, task: UUID, mode: GenerationMode) -> set[int]:
    """Ask an operation with many requests; returns the statuses it answered with."""
    statuses: set[int] = set()

    @seed(SEED)
    @hypothesis_settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), there=st.booleans(), body=st.booleans())
    def ask(case: schemathesis.Case, there: bool, body: bool) -> None:
        if there:
            known(brand, case, task, body=body)
        response = case.call(base_url=url, headers={"Authorization": f"Bearer {token}"})
        statuses.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    with suppress(Unsatisfiable):  # without parameters and body there is nothing to get wrong
        ask()
    return statuses
