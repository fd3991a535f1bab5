"""Every sentence exists in both languages, with the same gaps; every code has a reason and a remedy."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from string import Formatter

import pytest

from domain import correcting_events, playbook
from domain.errors import Problem
from domain.events import Event
from wording.catalogue import LANGUAGES, Language, catalogue

ROOT = Path(__file__).resolve().parent.parent.parent
LAYERS = ("domain", "ledger", "imports", "activities", "infra", "channels", "cli", "api", "playbooks")
CODE = re.compile(r"(import\.)?[a-z][a-z0-9_]*")
_MAKERS = {"Problem": 2, "_refused": 1, "_Check": 1, "Rule": 1, "_unknown": 3}


def _gaps(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def raised_codes() -> set[str]:
    """Codes of all problems in the source: arguments of `Problem`, `import.*`, rules of pydantic and of plans."""
    codes: set[str] = set(playbook._CODES.values())
    for layer in LAYERS:
        for path in sorted((ROOT / layer).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                codes |= _codes_of(node)
                if layer == "domain" and isinstance(node, ast.Constant) and path.name == "playbook.py":
                    codes |= {str(node.value)} & {"unknown_category", "unknown_store", "unknown_guide"}
    return codes


def _codes_of(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("import."):
        return {node.value} if CODE.fullmatch(node.value) else set()
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return set()
    arguments: list[ast.expr] = []
    if node.func.id in _MAKERS:
        at = _MAKERS[node.func.id]
        arguments = node.args[at : at + 1] + [word.value for word in node.keywords if word.arg == "code"]
    elif node.func.id == "ValueError":
        arguments = node.args[:1]
    found = {arg.value for arg in arguments if isinstance(arg, ast.Constant) and isinstance(arg.value, str)}
    return {
        code
        for code in found
        if (CODE.fullmatch(code) and "_" in code) or code in {"missing", "empty", "conflict", "bug"}
    }


def test_both_languages_have_the_same_keys() -> None:
    chinese, english = (set(catalogue(language).texts) for language in LANGUAGES)
    assert chinese ^ english == set()


def test_both_languages_have_the_same_gaps() -> None:
    chinese, english = (catalogue(language).texts for language in LANGUAGES)
    assert [
        key
        for key in sorted(chinese)
        # Imports split one sentence into reason and remedy; together they hold the same gaps.
        if not key.startswith("problems.import.") and _gaps(chinese[key]) != _gaps(english[key])
    ] == []


def test_no_text_is_empty() -> None:
    for language in LANGUAGES:
        assert [key for key, text in catalogue(language).texts.items() if not str(text).strip()] == []


def test_the_source_is_searched_for_codes() -> None:
    assert {
        "unknown_plan",
        "import.no_file",
        "not_your_task",
        "rate_above_100",
        "broken_yaml",
        "missing",
    } <= raised_codes()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_that_is_raised_has_a_reason_and_a_remedy(language: Language) -> None:
    texts = catalogue(language).texts
    assert [
        f"{code}.{part}"
        for code in sorted(raised_codes())
        for part in ("reason", "remedy")
        if not texts.get(f"problems.{code}.{part}")
    ] == []


def test_every_reason_of_an_assignment_is_worded() -> None:
    source = (ROOT / "domain" / "assignment_ranking.py").read_text(encoding="utf-8")
    told = set(re.findall(r'"([a-z]+_[a-z_]+)"', source)) - {"round_robin"}
    told |= {"served_last", "served_most", "kept", "taken_over", "nobody_can_take"}
    texts = catalogue("zh").texts
    assert sorted(code for code in told if f"why.{code}" not in texts) == []


def test_every_event_is_worded() -> None:
    texts = catalogue("en").texts
    assert correcting_events.CheckInCorrected in Event.__subclasses__()
    assert sorted(kind.type for kind in Event.__subclasses__() if f"events.{kind.type}" not in texts) == []


def test_states_of_the_schema_are_worded() -> None:
    schema = "".join(
        path.read_text(encoding="utf-8") for path in sorted((ROOT / "ledger" / "migrations").glob("*.sql"))
    )
    states = {
        state
        for listed in re.findall(r"(?:state|status)\s+(?:text NOT NULL CHECK \(\w+ )?IN \(([^)]*)\)", schema)
        for state in re.findall(r"'(\w+)'", listed)
    }
    assert {"running", "open", "cut", "recalled"} <= states
    texts = catalogue("zh").texts
    assert sorted(state for state in states if f"statuses.{state}" not in texts) == []


def test_a_code_in_a_gap_is_worded_too() -> None:
    problem = Problem("plan", "spring", "plan_exists", {"status": "paused"})
    assert "已暂停" in catalogue("zh").reason(problem)
    assert "paused" in catalogue("en").reason(problem)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_nearest_name_is_told_only_where_there_is_one(language: Language) -> None:
    words = catalogue(language)
    for params, told in (({"nearest": "G1"}, True), ({"nearest": "—"}, False), ({}, False)):
        remedy = words.remedy(Problem("guide", "X", "unknown_guide", dict(params)))
        assert ("G1" in remedy) is told
        assert "—" not in remedy
        assert (words("nearest", name="").strip(" （）()：:") in remedy) is told
