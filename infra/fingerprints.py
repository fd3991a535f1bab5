"""Fingerprints of the workflows: which commands their code issues, in source order.

A history replays only against the same commands in the same order. The fingerprint, committed beside
the workflows, shows an unversioned change in review and in CI, before it wedges what is running.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "workflows"
COMMITTED = FOLDER / "fingerprints.json"

COMMANDS = frozenset(
    {
        "execute_activity",
        "start_activity",
        "execute_activity_method",
        "start_activity_method",
        "execute_local_activity",
        "start_local_activity",
        "execute_child_workflow",
        "start_child_workflow",
        "continue_as_new",
        "sleep",
        "sleep_until",
        "wait_condition",
        "signal",
        "cancel",
        "upsert_search_attributes",
        "upsert_memo",
        "patched",
        "deprecate_patch",
    }
)

HOW_TO_MEND = """\
The commands of {workflow} changed. Histories that are running would stop replaying.
  1. Put the new commands behind `workflow.patched("kebab-case-what-changed")` and keep the old ones in the else branch.
  2. Store a history of the old code first: .venv/bin/python -m tests.replay.record
  3. Write the new fingerprint: .venv/bin/python -m infra.fingerprints
If the workflow was never released, step 3 is enough.
  committed: {committed}
  now:       {now}"""


def fingerprints(folder: Path = FOLDER) -> dict[str, list[str]]:
    """Workflow name to its commands, e.g. `run: execute_activity read_plan`, in source order."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and node.name.endswith("Workflow"):
                found[node.name] = list(_commands(node))
    return found


def changed(folder: Path = FOLDER, committed: Path = COMMITTED) -> list[str]:
    """What to say for each workflow whose commands differ from the committed ones; empty when none does."""
    before: dict[str, list[str]] = json.loads(committed.read_text(encoding="utf-8"))
    current = fingerprints(folder)
    return [
        HOW_TO_MEND.format(workflow=name, committed=before.get(name), now=current.get(name))
        for name in sorted(before.keys() | current.keys())
        if before.get(name) != current.get(name)
    ]


def _commands(workflow: ast.ClassDef) -> Iterator[str]:
    for method in workflow.body:
        if isinstance(method, (ast.AsyncFunctionDef, ast.FunctionDef)):
            calls = [node for node in ast.walk(method) if isinstance(node, ast.Call)]
            for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
                name = (
                    call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
                )
                if name in COMMANDS:
                    yield f"{method.name}: {name} {_subject(call)}".rstrip()


def _subject(call: ast.Call) -> str:
    """What is called: an activity's name, a child's class, a patch id; nothing for waits."""
    if not call.args:
        return ""
    first = call.args[0]
    if isinstance(first, ast.Constant) and isinstance(first.value, str):
        return first.value
    if (
        isinstance(first, ast.Attribute)
        and isinstance(first.value, ast.Name)
        and first.value.id.endswith("Workflow")
    ):
        return first.value.id
    return ""


if __name__ == "__main__":
    COMMITTED.write_text(json.dumps(fingerprints(), indent=2) + "\n", encoding="utf-8")
