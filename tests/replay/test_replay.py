"""Stored histories replay on today's code, whatever the hash seed; fingerprints guard the commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.fingerprints import COMMITTED, FOLDER, changed, fingerprints
from infra.replay import HISTORIES, replay_stored
from infra.workers import ALL_WORKFLOWS

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("hash_seed", ["0", "1", "2", "42", "4294967295"])
def test_every_stored_history_replays_under_this_hash_seed(hash_seed: str) -> None:
    done = subprocess.run(
        [sys.executable, "worker.py", "verify", "--json"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["ok"]
    covered = {name.split("/")[0] for name in told["histories"]}
    assert covered == {workflow.__name__ for workflow in ALL_WORKFLOWS}


async def test_a_history_of_other_commands_does_not_replay(tmp_path: Path) -> None:
    stored = next((HISTORIES / "GuideDayWorkflow").glob("*.json"))
    history = json.loads(stored.read_text(encoding="utf-8"))
    for event in history["events"]:
        if "markerRecordedEventAttributes" in event:
            # As if this history had been made by code that ran its local activities under another name.
            event["markerRecordedEventAttributes"]["markerName"] = "another_marker"
    folder = tmp_path / "GuideDayWorkflow"
    folder.mkdir()
    (folder / "changed.json").write_text(json.dumps(history), encoding="utf-8")
    replayed = await replay_stored(tmp_path)
    assert [name for name, _ in replayed.failures] == ["GuideDayWorkflow/changed.json"]
    assert not replayed.ok


async def test_a_workflow_without_a_stored_history_is_named(tmp_path: Path) -> None:
    replayed = await replay_stored(tmp_path)
    assert replayed.missing == tuple(sorted(workflow.__name__ for workflow in ALL_WORKFLOWS))
    assert not replayed.ok


def test_the_commands_of_every_workflow_are_the_committed_ones() -> None:
    assert changed() == []


def test_fingerprints_cover_every_registered_workflow() -> None:
    assert set(fingerprints()) == {workflow.__name__ for workflow in ALL_WORKFLOWS}


def test_an_added_activity_changes_the_fingerprint_and_the_message_says_how_to_mend(tmp_path: Path) -> None:
    for path in FOLDER.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name == "guide_day.py":
            line = "        await sleep_until(run.closes_at, run.time)\n"
            assert line in text
            text = text.replace(line, line + '        await workflow.execute_activity("praise", run)\n')
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    messages = changed(tmp_path, COMMITTED)
    assert len(messages) == 1
    assert "GuideDayWorkflow" in messages[0]
    assert "workflow.patched(" in messages[0]
    assert "execute_activity praise" in messages[0]


def test_stored_histories_tell_nothing_of_the_machine_they_were_made_on() -> None:
    for path in HISTORIES.glob("*/*.json"):
        identities = {
            value
            for event in json.loads(path.read_text(encoding="utf-8"))["events"]
            for attributes in event.values()
            if isinstance(attributes, dict) and (value := attributes.get("identity"))
        }
        assert identities <= {"worker"}
