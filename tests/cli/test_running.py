"""What takes longer: a rehearsal on a copy, and being interrupted in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from infra.clock import now
from infra.service_user import locate
from tests.cli.shop import CLEAN, Shop, purchases


def test_a_rehearsal_runs_on_a_copy_and_leaves_the_database_as_it_was(shop: Shop) -> None:
    past = now().date() - timedelta(days=12)
    lines = purchases(past).replace(",B", ",R")  # other baskets, known when they occurred
    done = shop.run("import", "purchases", shop.write("past.csv", lines), "--known-as-occurred")
    assert done.exit_code == 0, done.output
    file = shop.playbook(
        **{"period": {"start": past.isoformat(), "working_days": 3}, "goal.by": now().date().isoformat()}
    )
    before = shop.traces()

    told = shop.json("rehearse", file, "--seed", "7")

    assert told["verification"]["ok"] is True
    assert told["report"]["total"]["members_at_start"] == 5
    assert told["report"]["unassigned"] == [{"members": 1, "tried": [["round_robin", "all_full"]]}]
    assert told["settled"]["kind"] == "settled"
    assert shop.traces() == before
    copy = Shop(shop.home, shop.folder, told["database"], shop.address)
    screen = copy.run("plan", "report", "spring", "--settled")
    assert screen.exit_code == 0
    assert "跟踪完成率 completion" in screen.stdout
    assert copy.json("plan", "report", "spring")["kind"] == "provisional"
    assert copy.run("rehearse", file).exit_code == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_command_cleanly(tmp_path: Path, number: signal.Signals, code: int) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in CLEAN}
    command = [sys.executable, "-m", "cli.main", "--home", str(tmp_path / "home"), "demo"]
    with subprocess.Popen(
        command,
        cwd=Path(__file__).resolve().parent.parent.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stderr is not None
        assert running.stdout is not None
        assert "servers" in running.stderr.readline()
        running.send_signal(number)
        told, answered = running.stderr.read(), running.stdout.read()
    assert running.returncode == code
    assert "Traceback" not in told
    assert answered == ""
    assert len([line for line in told.splitlines() if "中断" in line]) == (
        1 if number == signal.SIGINT else 0
    )
    assert not (locate(tmp_path / "home").data / "postmaster.pid").exists()
