"""From a written playbook to a plan, or to every problem it has, in the user's own field names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from domain.errors import Problem, Refused
from domain.plan import Plan

# pydantic's error types -> our message codes; what is not listed is worded as `not_valid`.
_CODES = {
    "missing": "missing",
    "extra_forbidden": "unknown_field",
    "decimal_parsing": "not_a_number",
    "decimal_type": "not_a_number",
    "int_parsing": "not_a_whole_number",
    "int_type": "not_a_whole_number",
    "int_from_float": "not_a_whole_number",
    "finite_number": "not_a_number",
    "date_parsing": "not_a_date",
    "date_type": "not_a_date",
    "date_from_datetime_parsing": "not_a_date",
    "date_from_datetime_inexact": "not_a_date",
    "time_parsing": "not_a_time",
    "time_type": "not_a_time",
    "greater_than": "too_small_exclusive",
    "greater_than_equal": "too_small",
    "less_than_equal": "too_large",
    "literal_error": "not_a_choice",
    "too_short": "too_few",
    "too_long": "too_many",
    "string_too_short": "empty",
    "string_pattern_mismatch": "not_an_id",
    "string_type": "not_text",
    "tuple_type": "not_a_list",
    "bool_type": "not_yes_or_no",
}
_PARAMS = {
    "gt": "limit",
    "ge": "limit",
    "le": "limit",
    "expected": "expected",
    "min_length": "limit",
    "max_length": "limit",
}
# Rules that compare fields are told of their parent; the field to change is this one.
_FIELD_OF_RULE = {
    "rate_above_100": "target",
    "days_per_unit_not_positive": "days_per_unit",
    "release_outside_hours": "release",
    "release_not_before_close": "close",
    "nudge_outside_day": "nudges",
    "escalation_outside_day": "escalate",
    "claim_outside_day": "claim_until",
    "lower_not_below_raise": "lower_at",
}


@dataclass(frozen=True, slots=True)
class References:
    """What a plan may name: the codes the database knows."""

    categories: frozenset[str]
    stores: frozenset[str]
    guides: frozenset[str]


def parse_plan(written: object) -> Plan:
    """Read a playbook that has been parsed from YAML or JSON.

    Raises:
        Refused: with one problem for every field that is missing or wrong.
    """
    if not isinstance(written, Mapping):
        raise Refused([Problem("playbook", _shown(written), "not_a_playbook")])
    try:
        return Plan.model_validate(written)
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise Refused([problem_of(detail) for detail in details if not _only_follows(detail)]) from error


def check_plan(plan: Plan, *, references: References, today: date) -> list[Problem]:
    """What stands against launching `plan` today; empty when nothing does.

    Shapes and ranges were checked by `parse_plan`; here it is compared with the world: the period must not
    be past, and categories, stores and guides must be known.
    """
    problems: list[Problem] = []
    last_day = plan.cycle_days(plan.period.cycles)[-1]
    if plan.period.start < today:
        problems.append(
            Problem(
                "period.start", plan.period.start.isoformat(), "period_past", {"today": today.isoformat()}
            )
        )
    if plan.goal.by < plan.period.start:
        problems.append(
            Problem(
                "goal.by",
                plan.goal.by.isoformat(),
                "goal_before_start",
                {"start": plan.period.start.isoformat(), "last": last_day.isoformat()},
            )
        )
    named = (
        (
            "members.bought_categories",
            plan.members.bought_categories,
            references.categories,
            "unknown_category",
        ),
        (
            "means.0.days_per_unit",
            tuple(plan.means[0].days_per_unit),
            references.categories,
            "unknown_category",
        ),
        ("members.stores", plan.members.stores, references.stores, "unknown_store"),
        ("care.guides", plan.care.guides, references.guides, "unknown_guide"),
        ("care.without_guides", plan.care.without_guides, references.guides, "unknown_guide"),
    )
    for field, values, known, code in named:
        problems.extend(_unknown(field, values, known, code))
    for index, step in enumerate(plan.care.strategies):
        field = f"care.strategies.{index}"
        problems.extend(_unknown(f"{field}.members", tuple(step.members), references.guides, "unknown_guide"))
        if step.strategy == "manual" and not step.members:
            problems.append(Problem(f"{field}.members", "", "manual_without_members"))
    if not references.guides:
        problems.append(Problem("care.guides", "", "no_guides"))
    return problems


def _unknown(field: str, values: tuple[str, ...], known: frozenset[str], code: str) -> list[Problem]:
    return [
        Problem(field, value, code, {"nearest": nearest(value, known) or "—"})
        for value in values
        if value not in known
    ]


def nearest(value: str, known: frozenset[str]) -> str | None:
    """The known name that shares the longest beginning or any word with `value`, to suggest in a message."""
    folded = value.casefold()
    words = sorted(folded.split())

    def closeness(name: str) -> tuple[int, int]:
        other = name.casefold()
        prefix = 0
        while prefix < min(len(folded), len(other)) and folded[prefix] == other[prefix]:
            prefix += 1
        return sum(word in other for word in words), prefix

    best = max(sorted(known), key=closeness, default=None)
    return best if best is not None and closeness(best) > (0, 1) else None


def _only_follows(detail: ErrorDetails) -> bool:
    """Whether a list is called too short only because pydantic does not count the wrong items in it."""
    context = detail.get("ctx") or {}
    return detail["type"] == "too_short" and len(detail["input"]) >= context["min_length"]


def problem_of(detail: ErrorDetails, codes: Mapping[str, str] | None = None) -> Problem:
    """One of pydantic's errors as a problem; `codes` (pydantic's type -> ours) goes before the usual ones."""
    field = ".".join(str(part) for part in detail["loc"]) or "playbook"
    context: dict[str, Any] = dict(detail.get("ctx") or {})
    if detail["type"] == "value_error":
        code, value = str(context["error"]), detail["input"]
        if code in _FIELD_OF_RULE and isinstance(value, Mapping):
            name = _FIELD_OF_RULE[code]
            return Problem(f"{field}.{name}", _shown(value.get(name)), code)
        return Problem(field, _shown(value), code)
    code = {**_CODES, **(codes or {})}.get(detail["type"], "not_valid")
    value = "" if detail["type"] == "missing" else _shown(detail["input"])
    params = {_PARAMS[key]: str(context[key]) for key in sorted(context) if key in _PARAMS}
    return Problem(field, value, code, params)


def _as_json(value: object) -> str:
    """A value as it may have been written; its Python spelling tells a writer of YAML or JSON nothing."""
    if not isinstance(value, (dict, list, tuple, bool)):
        return str(value)
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):  # keys that are dates, or a list that holds itself
        return "…"


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else "" if value is None else _as_json(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
