"""Two identities: everything the OpenAPI document allows, asked as each role of the other's objects.

Whatever is sent, nothing fails and nothing tells of an object beyond the asker's reach. Seeded, so a failure comes
again; it prints the request as a curl command.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from api.rules import RULES
from tests.security.asking import credentials
from tests.security.calls import beside
from tests.security.conftest import Stage
from tests.security.reach import Reach, reach_of
from tests.security.world import ASKERS, NOW, World, named
from tests.serving import serving

EXAMPLES = 3
"""An operation and role: some 2,000 requests in all."""
SEED = 20261122
BEHIND_A_PASSWORD = {"sign_in", "sign_in_by_pin"}
"""A guess costs an argon2id by design; whether it tells anything is asked once a role in the matrix."""

NAMES = {
    "plan": "plan",
    "guide": "guide",
    "task_id": "task",
    "member": "member",
    "account_id": "account",
    "session": "session",
    "token_id": "token",
    "grant_id": "grant",
    "device": "device",
    "store": "store",
    "performed_by": "guide",
    "leaving": "guide",
    "replacement": "guide",
    "name": "plan",
}
"""Fields that name an object, with its kind; what is generated alone would never hit one."""


@pytest.fixture(scope="module")
def served_at(stage: Stage) -> Iterator[str]:
    with serving(stage.database.urls.api, stage.served.keys, NOW) as url:
        yield url


@pytest.fixture(scope="module")
def operations(served_at: str) -> dict[str, st.SearchStrategy[schemathesis.Case]]:
    """What may be asked of each operation: the same for every role, and to work it out takes longer than to ask."""
    schema = schemathesis.openapi.from_url(f"{served_at}/openapi.json")
    found: list[Any] = [result.ok() for result in schema.get_all_operations()]
    return {
        name: operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        for operation in found
        if (name := operation.definition.raw["operationId"]) not in BEHIND_A_PASSWORD
    }


@pytest.mark.parametrize("login", ASKERS)
async def test_whatever_a_role_asks_it_learns_nothing_of_others(
    login: str,
    put_back: Stage,
    served_at: str,
    operations: dict[str, st.SearchStrategy[schemathesis.Case]],
) -> None:
    # Where rows changed on the way, the next examples meet them: that is the point.
    await asyncio.to_thread(_ask_everything, put_back, login, served_at, operations)


def _ask_everything(
    stage: Stage, login: str, url: str, operations: dict[str, st.SearchStrategy[schemathesis.Case]]
) -> None:
    reach = reach_of(ASKERS[login])
    asked = {name: _ask(name, cases, url, stage.world, reach) for name, cases in operations.items()}
    assert set(asked) == set(RULES) - BEHIND_A_PASSWORD
    assert all(asked.values()), f"never asked: {[name for name, times in asked.items() if not times]}"


def _ask(name: str, cases: st.SearchStrategy[schemathesis.Case], url: str, world: World, reach: Reach) -> int:
    """Ask an operation of one's own and of others' objects, in both languages; gives how often."""
    times = 0

    @seed(SEED)
    @hypothesis_settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=cases,
        which=st.integers(0, 20),
        language=st.sampled_from(["zh", "en"]),
    )
    def ask(case: schemathesis.Case, which: int, language: str) -> None:
        nonlocal times
        times += 1
        for place in (case.path_parameters, case.query, case.body):
            _name(world, place, which)
        case.headers = {
            **(case.headers or {}),
            **credentials(world.shown[reach.who.login]),
            "Accept-Language": language,
        }
        response = case.call(base_url=url)
        case.validate_response(response, checks=[not_a_server_error])
        said = f"{response.request.url} {response.request.body!r} {case.body!r}"
        marks = {
            mark: f"{thing.kind} {thing.name}"
            for thing in world.things
            if not reach.sees(thing)
            for mark in thing.marks
            if mark not in said and mark not in beside(name, reach, thing)
        }
        assert not named(marks, response.text), f"{case.as_curl_command()}\n{response.text}"

    with suppress(Unsatisfiable):
        ask()
    return times


def _name(world: World, place: Any, which: int) -> None:
    """Put names of the world's objects, whoever's they are, where names belong."""
    if not isinstance(place, dict):
        return
    for field in sorted(set(place) & set(NAMES)):
        there = [thing.name for thing in world.things if thing.kind == NAMES[field]]
        place[field] = there[which % len(there)]
    if "subject" in place:
        place["subject"] = "plan"
