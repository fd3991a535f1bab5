"""How an item came about, over HTTP: as far as whoever asks reaches."""

from __future__ import annotations

from uuid import UUID

from domain.identifiers import personal_id
from domain.messages import PlanStep
from domain.policy import Role
from ledger.account_places import Grant
from ledger.ledger import Ledger
from tests.api.conftest import Api, problem
from tests.brand import SECRET, at
from tests.identities import identity


async def test_an_item_tells_how_it_came_about_to_whoever_sees_it(
    api: Api, tasks: list[UUID], served: Ledger
) -> None:
    await api.check_in(tasks[0], note="her name is Wang")
    await api.brand.review.check_cycle(PlanStep(plan_id="p1", cycle=1, at=at(12, 21), rehearsal=True))
    api.now = at(13)
    await api.brand.open_store("S2")
    await api.brand.hire("G2", "S2")
    askers = {
        "g1": (Grant(Role.GUIDE), "G1"), "g2": (Grant(Role.GUIDE), "G2"),
        "m1": (Grant(Role.STORE_MANAGER, "S1"), None), "p1": (Grant(Role.ORGANISER, "p1"), None),
    }  # fmt: skip
    path = f"/v1/audit/why/{tasks[0]}"
    told = {"hq": (await api.get(path)).json()}
    assert told["hq"]["whole"] is True
    assert [(one["kind"], one["event"]["type"]) for one in told["hq"]["checks"]] == [
        ("provisional", "cycle_checked")
    ]
    assert told["hq"]["effect"]["outcome"] == "window_open"
    for login, (grant, code) in askers.items():
        guide = personal_id(SECRET, "guide", code) if code else None
        token = await identity(api.brand.ledger, login, grant, guide=guide)
        asking = Api(api.brand, served=served, token=token, now=at(13))
        async with asking.http:
            answer = await asking.get(path)
        if login == "g2":
            assert problem(answer) == (404, [("task_id", "unknown_task")])
            continue
        if login == "p1":
            assert problem(answer)[0] == 403
            continue
        assert answer.status_code == 200, (login, answer.text)
        told[login] = answer.json()
        assert "Wang" not in answer.text
    seen = {
        login: (
            one["whole"],
            len(one["selected"]),
            len(one["days"]),
            len(one["checks"]),
            one["basis"]["agrees"],
        )
        for login, one in told.items()
    }
    assert seen == {
        "hq": (True, 3, 1, 1, True),
        "g1": (False, 1, 1, 0, True),
        "m1": (False, 1, 1, 1, True),
    }
    shares = told["hq"]["checks"][0]["effect"]["figures"]
    assert told["m1"]["checks"][0]["effect"]["figures"] == shares
    assert {one["rule"]["bought_categories"][0] for one in told.values()} == {"TIN"}
