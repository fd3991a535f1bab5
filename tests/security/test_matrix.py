"""Role x endpoint x owner, generated from the route table and the policy table: what is allowed, and what is answered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from api.rules import RULES, Open
from domain.policy import POLICY, Role
from tests.security.asking import Asking, asking, told
from tests.security.calls import CALLS, Case, beside, cases_of, rule_of
from tests.security.conftest import Stage
from tests.security.reach import reach_of
from tests.security.world import ASKERS, OTHERS, Shown, World, named

EVERYBODY = ASKERS | OTHERS


@pytest_asyncio.fixture(scope="session")
async def enforced(stage: Stage) -> AsyncIterator[Asking]:
    async with asking(stage) as client:
        yield client


@pytest_asyncio.fixture(scope="session")
async def unchecked(stage: Stage) -> AsyncIterator[Asking]:
    """The application without its own checks: only row-level security is left."""
    async with asking(stage, enforcing=False) as client:
        yield client


def test_every_operation_has_its_line_in_the_table_of_calls(enforced: Asking) -> None:
    called = {call.partition(":")[0] for call in CALLS}
    new = sorted(set(enforced.operations) - called)
    gone = sorted(called - set(enforced.operations))
    assert (new, gone) == ([], []), (
        f"tests/security/calls.py: CALLS lacks {new} and has {gone} too many. Give each new operation a line that says"
        " which kind of object it names (a Thing of tests/security/world.py; None: nothing), what its body is, whether"
        " it needs `acts_on` or `sees` (reaches), and its answers where it is allowed (done): who may then follows."
    )
    assert set(enforced.operations) == set(RULES), (
        "the OpenAPI document and api/rules.py name the same operations"
    )


def test_every_role_of_the_policy_table_asks() -> None:
    assert {who.role for who in ASKERS.values()} == set(Role) == set(POLICY)


@pytest.mark.parametrize("login", EVERYBODY)
async def test_every_answer_is_as_the_policy_table_says(
    login: str, put_back: Stage, enforced: Asking
) -> None:
    reach = reach_of(EVERYBODY[login])
    wrong: list[str] = []
    answers: dict[str, dict[str, tuple[Case, httpx.Response]]] = defaultdict(dict)
    for case in cases_of(put_back.world, reach):
        answer = await enforced.ask(case, put_back.world.shown[login])
        answers[case.call][case.whose] = case, answer
        expected = case.expected()
        if answer.status_code not in expected:
            wrong.append(f"{case}: {answer.status_code}, not {sorted(expected)}: {answer.text[:300]}")
        wrong += [f"{case}: tells {mark}" for mark in leaks(put_back.world, case, answer)]
        changed = await put_back.kept.changed()
        if changed and (expected != case.how.done or case.whose not in {"own", ""}):
            wrong.append(f"{case}: changed {changed}")
        if changed:
            await put_back.kept.restore(changed)
    for call, by in answers.items():
        if {"foreign", "unknown"} <= set(by):
            foreign, unknown = (told(by[one][1], by[one][0].asked.name) for one in ("foreign", "unknown"))
            if foreign != unknown:
                wrong.append(f"{login} {call}: not yours {foreign}, not there {unknown}")
    assert not wrong, "\n".join(wrong)


async def test_nobody_is_answered_but_on_open_routes(put_back: Stage, enforced: Asking) -> None:
    reach = reach_of(OTHERS["acc-nobody"])
    for shown in (None, Shown("dgt_made-up"), Shown(session="made-up", csrf="made-up")):
        for case in cases_of(put_back.world, reach):
            answer = await enforced.ask(case, shown)
            open_to_all = rule_of(case.call) is Open.ANYBODY
            assert answer.status_code in (case.how.done if open_to_all else {401}), f"{case}: {answer.text}"
            assert not leaks(put_back.world, case, answer), str(case)
    # Attempts to sign in are counted and noted, whoever makes them; nothing else is done.
    written = {"command", "event", "event_pending", "stream_head"}
    assert set(await put_back.kept.changed()) <= {"account", "sign_in_window", *written}
    noted = await put_back.kept.connection.fetch(
        "SELECT DISTINCT type FROM (SELECT * FROM daogou.event EXCEPT SELECT * FROM kept.event) new"
    )
    assert {row["type"] for row in noted} <= {"sign_in_refused"}


@pytest.mark.parametrize("login", EVERYBODY)
async def test_row_level_security_alone_leaks_nothing_and_changes_nothing(
    login: str, put_back: Stage, unchecked: Asking
) -> None:
    reach = reach_of(EVERYBODY[login])
    wrong: list[str] = []
    for case in cases_of(put_back.world, reach):
        answer = await unchecked.ask(case, put_back.world.shown[login], language="en")
        wrong += [
            f"{case}: tells {mark}: {answer.text[:2000]}" for mark in leaks(put_back.world, case, answer)
        ]
        changed = await put_back.kept.changed()
        if changed and not may_change(case):
            wrong.append(f"{case}: changed {changed}")
        if changed:
            await put_back.kept.restore(changed)
    assert not wrong, "\n".join(wrong)


def may_change(case: Case) -> bool:
    """Whether the policy table lets this request change anything."""
    rule = rule_of(case.call)
    return case.whose in {"own", ""} and (isinstance(rule, Open) or rule in case.asked.reach.rights)


def leaks(world: World, case: Case, answer: httpx.Response) -> list[str]:
    """Marks of what does not exist for the asker; what stood in the request is the asker's own knowledge."""
    said = f"{answer.request.url} {answer.request.content.decode()}"
    reach, operation = case.asked.reach, case.call.partition(":")[0]
    marks = {
        mark: f"{thing.kind} {thing.name}"
        for thing in world.things
        if not reach.sees(thing)
        for mark in thing.marks
        if mark not in said and mark not in beside(operation, reach, thing)
    }
    return named(marks, answer.text)
