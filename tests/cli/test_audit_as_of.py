"""`daogou audit as-of`: looks back, and says which moment it looked back to."""

from __future__ import annotations

from datetime import timedelta

from infra.clock import now
from tests.cli.shop import Shop


def test_a_plan_is_shown_as_it_stood_before_it_was_paused(shop: Shop) -> None:
    assert shop.run("plan", "launch", shop.playbook()).exit_code == 0
    before = now().isoformat()
    assert shop.run("plan", "pause", "spring", "--reason", "stock").exit_code == 0
    then = shop.json("audit", "as-of", "--plan", "spring", "--at", before)
    assert (then["plan"], then["status"], then["cycle"]) == ("spring", "running", None)
    assert shop.json("audit", "as-of", "--plan", "spring", "--at", now().isoformat())["status"] == "paused"
    told = shop.run("audit", "as-of", "--plan", "spring", "--at", before)
    assert (told.exit_code, "当时的样子" in told.stdout, "春季用量提醒" in told.stdout) == (0, True, True)


def test_a_member_and_a_guide_are_shown_as_they_stood(shop: Shop) -> None:
    at = now().isoformat()
    member = shop.run("audit", "as-of", "--member", "M1", "--at", at, lang="en")
    assert (member.exit_code, "as it stood" in member.stdout) == (0, True)
    guide = shop.run("audit", "as-of", "--guide", "G1", "--at", at, lang="en")
    assert (guide.exit_code, "There was no list yet." in guide.stdout) == (0, True)


def test_what_cannot_be_looked_back_to_is_refused_with_field_and_remedy(shop: Shop) -> None:
    tomorrow = (now() + timedelta(days=1)).isoformat()
    refused = {
        "as_of_future": ("--plan", "spring", "--at", tomorrow),
        "as_of_beyond": ("--plan", "spring", "--position", "999999999"),
        "as_of_nothing": ("--plan", "spring"),
        "as_of_one_subject": ("--plan", "spring", "--guide", "G1", "--at", now().isoformat()),
        "unknown_plan": ("--plan", "nowhere", "--at", now().isoformat()),
        "unknown_task": ("--task", "00000000-0000-0000-0000-000000000009", "--at", now().isoformat()),
    }
    for code, arguments in refused.items():
        assert shop.run("audit", "as-of", *arguments).exit_code == 1
        (problem,) = shop.json("audit", "as-of", *arguments)["error"]["problems"]
        assert problem["code"] == code
