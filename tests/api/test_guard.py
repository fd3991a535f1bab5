"""What stands before every route: names of this machine only, bounded bodies, answers in the asker's language."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from infra.settings import Settings
from tests.api.conftest import Api, problem


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8400", "localhost:1", "LOCALHOST", "[::1]", "[::1]:8400"]
)
async def test_names_of_this_machine_are_served(api: Api, host: str) -> None:
    assert (await api.http.get("/health/live", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "10.0.0.1:8400", "127.0.0.1.evil.example", "localhost.evil", "", "[::2]"]
)
async def test_other_names_are_misdirected(api: Api, host: str) -> None:
    answer = await api.http.get("/health/live", headers={"host": host})
    assert problem(answer) == (421, [("Host", "foreign_host")])


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil:80"])
async def test_pages_of_other_sites_change_nothing(api: Api, origin: str) -> None:
    answer = await api.http.post("/v1/guides/G1/clock-in", headers={"origin": origin})
    assert problem(answer) == (403, [("Origin", "foreign_origin")])
    assert (await api.http.get("/health/live", headers={"origin": origin})).status_code == 200
    own = await api.http.post("/v1/guides/G1/clock-in", headers={"origin": "http://127.0.0.1:8400"})
    assert own.status_code == 200


async def test_a_body_of_more_than_a_megabyte_is_too_large_however_it_comes(api: Api) -> None:
    async def drops() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"x" * 100_000

    for path in ("/v1/plans/check", "/v1/plans/p1/pause"):
        for content in (b"x" * 1_000_001, drops()):
            answer = await api.http.post(path, content=content, headers={"content-type": "application/json"})
            assert problem(answer) == (413, [("body", "body_too_large")])


async def test_what_is_not_there_is_a_problem_too(api: Api) -> None:
    assert problem(await api.get("/v1/nothing")) == (404, [("address", "unknown_address")])
    answer = await api.http.delete("/v1/plans")
    assert problem(answer) == (405, [("address", "method_not_allowed")])
    assert "GET" in answer.headers["allow"]


async def test_a_body_that_is_no_json_is_malformed(api: Api) -> None:
    for content in (b"{", b"\xff\xfe", b"[" * 50_000):
        answer = await api.http.post(
            "/v1/plans/p1/pause", content=content, headers={"content-type": "application/json"}
        )
        assert problem(answer) == (400, [("body", "broken_json")])


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        (None, "zh"),
        ("en", "en"),
        ("en-GB,en;q=0.8", "en"),
        ("fr", "zh"),
        ("zh;q=0.5, en;q=0.9", "en"),
        ("en;q=0.5,zh-CN", "zh"),
        ("en;q=x", "zh"),
        ("en;q=0", "zh"),
    ],
)
async def test_problems_are_worded_in_the_askers_language(
    api: Api, accepted: str | None, language: str
) -> None:
    headers = {} if accepted is None else {"accept-language": accepted}
    answer = await api.http.get("/v1/plans/p9", headers=headers)
    assert answer.headers["content-language"] == language
    (told,) = answer.json()["problems"]
    assert told["reason"] == {"zh": "没有这个计划。", "en": "There is no such plan."}[language]


async def test_no_page_is_served_that_loads_scripts_from_elsewhere(api: Api) -> None:
    for path in ("/docs", "/redoc"):
        assert (await api.get(path)).status_code == 404
    assert (await api.get("/openapi.json")).status_code == 200


async def test_every_operation_is_named_summarised_and_documents_its_problems(api: Api) -> None:
    document = (await api.get("/openapi.json")).json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len(operations) >= 24
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"]
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], operation["operationId"]
    assert {"Plan", "ProblemDetails"} <= set(document["components"]["schemas"])


async def test_a_fault_of_ours_is_told_without_internals(api: Api) -> None:
    def broken() -> None:
        raise RuntimeError("password=secret")

    app: FastAPI = create_app(
        Settings(home=api.app.state.here.settings.home), api.brand.ledger, clock=lambda: api.now
    )
    app.add_api_route("/broken", broken)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
        answer = await http.get("/broken")
    assert problem(answer) == (500, [("daogou", "bug_in_api")])
    assert "secret" not in json.dumps(answer.json())
