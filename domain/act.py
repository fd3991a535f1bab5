"""Act: three levers on a running plan, each leaving a new playbook and a record of what changed and why."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from pydantic import ValidationError

from domain.errors import Problem, Refused
from domain.events import PlanAdjusted
from domain.figures import Figures
from domain.plan import Goal, Plan, Replenishment, StrategyStep

Direction = Literal["raise", "lower", "keep"]


def adjust_goal(plan: Plan, target: Decimal, *, reason: str, figures: Mapping[str, Any]) -> PlanAdjusted:
    """Raise or lower the goal.

    Raises:
        Refused: the target is not a number above zero, is a rate above 100, or is what it is already.
    """
    if not target.is_finite():
        raise Refused([Problem("goal.target", str(target), "not_a_number")])
    if target == plan.goal.target:
        raise Refused([Problem("goal.target", str(target), "nothing_to_change")])
    try:
        goal = Goal(measure=plan.goal.measure, target=target, by=plan.goal.by)
    except ValidationError as error:
        code = "rate_above_100" if target > 0 else "too_small_exclusive"
        raise Refused([Problem("goal.target", str(target), code, {"limit": "0"})]) from error
    change = {"target": {"before": str(plan.goal.target), "after": str(goal.target)}}
    return _adjusted(plan.model_copy(update={"goal": goal}), "goal", change, reason, figures)


def tune_means(
    plan: Plan,
    *,
    script: str | None = None,
    lead_days: int | None = None,
    reason: str,
    figures: Mapping[str, Any],
) -> PlanAdjusted:
    """Change the script (its version counts up) or how early the reminder comes.

    New lead days hold for items made from now on; those on the lists keep their day.

    Raises:
        Refused: nothing would change, the script is empty, or the lead is outside 0 to 90 days.
    """
    means = plan.means[0]
    update: dict[str, Any] = {}
    if script is not None and script != means.script:
        update |= {"script": script, "script_version": means.script_version + 1}
    if lead_days is not None and lead_days != means.lead_days:
        update["lead_days"] = lead_days
    if not update:
        raise Refused([Problem("means.0", means.name, "nothing_to_change")])
    try:
        tuned = Replenishment.model_validate(means.model_dump() | update)
    except ValidationError as error:
        problems = {
            "script": Problem("means.0.script", script or "", "empty"),
            "lead_days": Problem("means.0.lead_days", str(lead_days), "outside_range", {"from": 0, "to": 90}),
        }
        raise Refused([problems[str(detail["loc"][0])] for detail in error.errors()]) from error
    change = {
        key: {"before": str(getattr(means, key)), "after": str(getattr(tuned, key))} for key in sorted(update)
    }
    return _adjusted(plan.model_copy(update={"means": (tuned,)}), "means", change, reason, figures)


def replace_guide(
    plan: Plan, *, leaving: str, replacement: str, reason: str, figures: Mapping[str, Any]
) -> PlanAdjusted:
    """Another guide takes over; history and credit stay with whoever did the work. Guides are named by code.

    The plan remembers who left, so that no later cycle gives the members back, and what a manager gave to the
    leaving guide by hand goes to the replacement.

    Raises:
        Refused: both are the same, or the plan names its guides and `leaving` is not among them.
    """
    if leaving == replacement:
        raise Refused([Problem("replacement", replacement, "nothing_to_change")])
    care = plan.care
    if care.guides and leaving not in care.guides:
        raise Refused([Problem("leaving", leaving, "guide_not_in_plan")])
    both = {leaving, replacement}
    update: dict[str, Any] = {
        "without_guides": (*(code for code in care.without_guides if code not in both), leaving),
        "strategies": tuple(_by_hand_to(step, leaving, replacement) for step in care.strategies),
    }
    if care.guides:
        update["guides"] = (*(code for code in care.guides if code not in both), replacement)
    plan = plan.model_copy(update={"care": care.model_copy(update=update)})
    change = {"guide": {"before": leaving, "after": replacement}}
    return _adjusted(plan, "people", change, reason, figures)


def _by_hand_to(step: StrategyStep, leaving: str, replacement: str) -> StrategyStep:
    if leaving not in step.members:
        return step
    members = {code: named for code, named in step.members.items() if code != leaving}
    # A member may have been named for both: once is enough.
    members[replacement] = tuple(dict.fromkeys((*members.get(replacement, ()), *step.members[leaving])))
    return step.model_copy(update={"members": members})


def goal_by_result(plan: Plan, figures: Figures) -> tuple[Direction, Decimal]:
    """Raise, keep or lower the goal by the cycle's result, and the target that follows.

    Compared is the measure the goal is set in; without a result (nothing due, no window closed) it is kept.
    """
    result = measured(plan, figures)
    rule, goal = plan.act, plan.goal
    if result is None or (rule.raise_at is None and rule.lower_at is None):
        return "keep", goal.target
    reached = result / goal.target * 100
    if rule.raise_at is not None and reached >= rule.raise_at:
        raised = goal.target + rule.step
        capped = min(raised, Decimal(100)) if goal.measure.endswith("_rate") else raised
        return ("raise", capped) if capped != goal.target else ("keep", goal.target)
    if rule.lower_at is not None and reached < rule.lower_at and goal.target > rule.step:
        return "lower", goal.target - rule.step
    return "keep", goal.target


def measured(plan: Plan, figures: Figures) -> Decimal | None:
    """The figure the goal is set in: percent for rates, currency units for revenue, a count for members."""
    match plan.goal.measure:
        case "completion_rate":
            return figures.completion_rate.percent()
        case "success_rate":
            return figures.success_rate.percent()
        case "repurchase_rate":
            return figures.repurchase_rate.percent()
        case "revenue":
            return Decimal(figures.revenue) / 100
        case "members":
            return Decimal(figures.followed_up)


def _adjusted(
    plan: Plan, lever: str, change: dict[str, Any], reason: str, figures: Mapping[str, Any]
) -> PlanAdjusted:
    if not reason.strip():
        raise Refused([Problem("reason", reason, "reason_missing")])
    return PlanAdjusted(
        lever=lever,
        change=change,
        reason=reason,
        figures=dict(figures),
        spec=plan.model_dump(mode="json", by_alias=True),
    )
