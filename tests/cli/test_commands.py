"""The commands do what they say, in both languages, for people and for programs."""

from __future__ import annotations

import json

import pytest

from tests.cli.shop import Shop


@pytest.fixture
def launched(shop: Shop) -> Shop:
    assert shop.run("plan", "launch", shop.playbook()).exit_code == 0
    return shop


def test_a_check_shows_what_would_begin_and_writes_nothing(stocked: Shop) -> None:
    before = stocked.traces()
    told = stocked.json("plan", "check", stocked.playbook())
    assert told["preview"]["selected"] == 5
    assert told["preview"]["assigned"] == 4
    assert told["preview"]["unassigned_reasons"] == [{"tried": [["round_robin", "all_full"]], "members": 1}]
    assert told["preview"]["guides_taking_part"] == 2
    assert stocked.traces() == before


def test_the_preview_names_those_nobody_can_take_and_why(stocked: Shop) -> None:
    screen = stocked.run("plan", "check", stocked.playbook()).stdout
    assert "平均分：合适的导购都已满" in screen
    assert "没有写入任何内容" in screen


def test_english_is_spoken_when_asked(stocked: Shop) -> None:
    assert "Ready to launch" in stocked.run("plan", "check", stocked.playbook(), lang="en").stdout
    assert "What to do:" in stocked.run("plan", "status", "nothing", lang="en").stderr


def test_a_launch_without_temporal_says_that_nothing_will_run(shop: Shop) -> None:
    told = shop.run("plan", "launch", shop.playbook())
    assert told.exit_code == 0
    assert "没有启动任何工作流" in told.stdout
    assert shop.json("plan", "status")["plans"][0]["status"] == "running"


def test_launching_the_same_file_twice_changes_nothing(shop: Shop) -> None:
    file = shop.playbook()
    assert shop.json("plan", "launch", file) == {
        "plan": "spring",
        "launched": True,
        "canary": [],
        "workflow_started": None,
    }
    before = shop.traces()
    assert shop.json("plan", "launch", file)["launched"] is False
    assert shop.traces() == before


def test_the_same_file_may_be_launched_again_after_the_plan_was_adjusted(shop: Shop) -> None:
    file = shop.playbook()
    shop.run("plan", "launch", file)
    assert shop.run("plan", "goal", "spring", "85", "--reason", "r").exit_code == 0
    assert shop.json("plan", "launch", file)["launched"] is False


def test_the_canary_stores_are_shown_until_they_are_confirmed(shop: Shop) -> None:
    file = shop.playbook()
    shop.run("plan", "launch", file, "--canary", "S1")
    again = shop.run("plan", "launch", file).stdout
    assert "试点门店（S1）" in again
    assert "daogou plan confirm spring" in again
    assert shop.json("plan", "launch", file)["canary"] == ["S1"]
    for line in (("plan", "status"), ("plan", "status", "spring")):
        assert "试点，只在 S1" in shop.run(*line).stdout
    assert shop.json("plan", "status", "spring")["canary"] == ["S1"]
    assert shop.json("plan", "status")["plans"][0]["canary"] == ["S1"]
    shop.run("plan", "confirm", "spring", "--reason", "r")
    assert "试点" not in shop.run("plan", "launch", file).stdout
    assert "试点" not in shop.run("plan", "status").stdout


def test_another_plan_of_the_same_name_is_refused(launched: Shop) -> None:
    (problem,) = launched.json("plan", "launch", launched.playbook(name="x", **{"goal.target": 70}))["error"][
        "problems"
    ]
    assert problem["code"] == "plan_exists"


def test_pause_resume_and_close_are_on_the_record_with_their_reasons(launched: Shop) -> None:
    for verb, status in (("pause", "paused"), ("resume", "running"), ("close", "closed")):
        assert launched.json("plan", verb, "spring", "--reason", f"because {verb}")["status"] == status
    history = launched.json("audit", "timeline", "plan", "spring")["events"]
    assert [event["payload"].get("reason") for event in history[1:]] == [
        "because pause",
        "because resume",
        "because close",
    ]


def test_pausing_twice_is_refused(launched: Shop) -> None:
    launched.run("plan", "pause", "spring", "--reason", "r")
    assert (
        launched.json("plan", "pause", "spring", "--reason", "r")["error"]["problems"][0]["code"]
        == "plan_already"
    )
    twice = launched.run("plan", "pause", "spring", "--reason", "r").stderr
    launched.run("plan", "close", "spring", "--reason", "r")
    ended = launched.run("plan", "pause", "spring", "--reason", "r").stderr
    assert "另发布一份" not in twice
    assert "另发布一份" in ended


def test_goal_and_means_are_adjusted_and_shown(launched: Shop) -> None:
    assert "80 → 90" in launched.run("plan", "goal", "spring", "90", "--reason", "good start").stdout
    told = launched.json("plan", "means", "spring", "--script", "新话术", "--lead-days", "3", "--reason", "r")
    assert told["change"]["script_version"] == {"before": "1", "after": "2"}
    playbook = launched.json("plan", "status", "spring")["playbook"]
    assert playbook["goal"]["target"] == "90"
    assert playbook["means"][0]["lead_days"] == 3


@pytest.mark.parametrize("reason", ["", "   "])
def test_nothing_is_adjusted_without_a_reason(launched: Shop, reason: str) -> None:
    before = launched.traces()
    for command in (("pause", "spring"), ("goal", "spring", "90"), ("means", "spring", "--lead-days", "3")):
        told = launched.json("plan", *command, "--reason", reason)
        assert told["error"]["problems"][0]["code"] == "reason_missing"
    assert launched.traces() == before


def test_a_closed_plan_is_not_adjusted(launched: Shop) -> None:
    launched.run("plan", "close", "spring", "--reason", "r")
    (problem,) = launched.json("plan", "goal", "spring", "90", "--reason", "r")["error"]["problems"]
    assert problem["code"] == "plan_closed"


def test_json_is_all_there_is_on_stdout(launched: Shop) -> None:
    again = launched.playbook()
    for command in (
        ("plan", "check", launched.playbook(name="other")),
        ("plan", "launch", again),
        ("plan", "status"),
        ("plan", "status", "spring"),
        ("plan", "report", "spring"),
        ("plan", "goal", "spring", "81", "--reason", "r"),
        ("plan", "means", "spring", "--lead-days", "9", "--reason", "r"),
        ("plan", "pause", "spring", "--reason", "r"),
        ("plan", "resume", "spring", "--reason", "r"),
        ("plan", "close", "spring", "--reason", "r"),
        ("today", "G1"),
        ("audit", "timeline", "plan", "spring"),
        ("audit", "verify"),
        ("import", "stores", launched.write("stores.csv", "code,name,time_zone\nS1,One,Asia/Shanghai\n")),
        ("rehearse", str(launched.folder / "nothing.yaml")),
    ):
        told = launched.run(*command, "--json")
        assert isinstance(json.loads(told.stdout), dict), command


def test_an_untouched_ledger_verifies(launched: Shop) -> None:
    told = launched.run("audit", "verify")
    assert told.exit_code == 0
    assert "账本已核验 ledger verified" in told.stdout


def test_nothing_but_problems_and_progress_goes_to_stderr(stocked: Shop) -> None:
    assert stocked.run("plan", "status").stderr == ""


def test_progress_off_a_terminal_is_a_few_plain_lines(stocked: Shop) -> None:
    told = stocked.run("audit", "verify").stderr
    assert len(told.splitlines()) <= 4
    assert "\x1b" not in told


def test_a_seal_is_shown_kept_and_held_against_and_one_event_proven(shop: Shop) -> None:
    assert shop.json("audit", "root") == {"sealed": False}
    assert shop.json("audit", "verify")["anchored_position"] == 0
    sealed = shop.sealed()
    told = shop.json("audit", "root")
    assert (told["position"], told["root"]) == (sealed.position, sealed.root.hex())
    assert told["check_value"] in shop.run("audit", "root").stdout
    kept = shop.write("kept.json", shop.run("audit", "root", "--json").stdout)
    verified = shop.json("audit", "verify", "--against", kept)
    assert (verified["ok"], verified["anchored_position"], verified["not_anchored"]) == (
        True,
        sealed.position,
        0,
    )
    assert shop.json("audit", "verify", "--since", str(sealed.position))["events"] == 0
    proof = json.loads(shop.run("audit", "proof", "import/stores", "1").stdout)
    assert proof["anchor"]["root"] == sealed.root.hex()

    other = shop.write("other.json", json.dumps(told | {"root": "00" * 32}))
    found = shop.run("audit", "verify", "--against", other, "--json")
    assert found.exit_code == 1
    (difference,) = json.loads(found.stdout)["differences"]
    assert (difference["stream"], difference["version"]) == ("seal", sealed.position)
    assert "is not the one anchored" in difference["kind"]
    junk = shop.write("junk.json", "what is this\n")
    assert shop.run("audit", "verify", "--against", junk).exit_code != 0
