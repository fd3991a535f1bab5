"""Replays stored histories against the code that is here; no server is needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from infra.core_logs import forward_core_logs
from infra.workers import ALL_WORKFLOWS, workflow_runner

HISTORIES = Path(__file__).resolve().parent.parent / "tests" / "replay" / "histories"


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was replayed: files relative to the folder, and what failed with its reason."""

    histories: tuple[str, ...]
    failures: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]
    """Workflows without a stored history: nothing proves that their running ones survive this code."""

    @property
    def ok(self) -> bool:
        """Whether every workflow has a history and all of them replay."""
        return not self.failures and not self.missing


async def replay_stored(folder: Path = HISTORIES) -> Replayed:
    """Replay `<folder>/<Workflow>/<era>.json`, every one."""
    forward_core_logs()
    replayer = Replayer(
        workflows=list(ALL_WORKFLOWS),
        workflow_runner=workflow_runner(),
        data_converter=pydantic_data_converter,
    )
    stored = _stored(folder)
    names = tuple(name for name, _ in stored)
    failures: list[tuple[str, str]] = []
    for name, text in stored:
        history = WorkflowHistory.from_json(name.removesuffix(".json"), text)
        result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
        if result.replay_failure is not None:
            failures.append((name, str(result.replay_failure)))
    covered = {name.split("/")[0] for name in names}
    missing = tuple(
        sorted(workflow.__name__ for workflow in ALL_WORKFLOWS if workflow.__name__ not in covered)
    )
    return Replayed(names, tuple(failures), missing)


def _stored(folder: Path) -> list[tuple[str, str]]:
    return [
        (str(path.relative_to(folder)), path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*/*.json"))
    ]
