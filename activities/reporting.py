"""Checks, boards and months for programs: every count, the rates with their counts, and the goal a Check was counted by."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from domain.act import measured
from domain.figures import Figures, Rate
from domain.plan import Goal
from ledger.door import Driver
from ledger.guide_month import GuideMonth, ItemCounts
from ledger.plan_board import BoardRow, PlanBoard
from ledger.report import Report, ReportRow
from ledger.timeline import timeline

MOST_EVENTS = 10_000
"""Events of a plan that are looked through; a plan has a handful a cycle."""


async def goal_when_counted(connection: Driver, tenant_id: int, report: Report) -> Goal:
    """The goal that held when the cycle was counted first: Act may have moved it since."""
    goal = report.plan.goal
    for entry in await timeline(connection, tenant_id, "plan", report.plan.plan, limit=MOST_EVENTS):
        if entry.type == "cycle_checked" and entry.payload["cycle"] == report.cycle:
            return goal
        if "spec" in entry.payload:
            goal = Goal.model_validate(entry.payload["spec"]["goal"])
    return goal


def figures_json(figures: Figures) -> dict[str, Any]:
    """Every count, money in minor units, and the rates with their counts."""
    rates = {
        "completion_rate": figures.completion_rate,
        "attempt_rate": figures.attempt_rate,
        "success_rate": figures.success_rate,
        "repurchase_rate": figures.repurchase_rate,
    }
    return {**asdict(figures), **{name: _rate(rate) for name, rate in rates.items()}}


def report_json(report: Report, goal: Goal) -> dict[str, Any]:
    """A stored Check; `goal` is the one that held when it was counted."""
    result = measured(report.plan.model_copy(update={"goal": goal}), report.total)
    return {
        "plan": report.plan.plan,
        "name": report.plan.name,
        "status": report.status,
        "cycle": report.cycle,
        "kind": report.kind,
        "as_of": report.as_of,
        "position": report.position,
        "starts_on": report.starts_on,
        "ends_on": report.ends_on,
        "goal": {
            "measure": goal.measure,
            "target": str(goal.target),
            "by": goal.by,
            "result": None if result is None else str(result),
            "reached": result is not None and result >= goal.target,
        },
        "total": figures_json(report.total),
        "claims": asdict(report.claims),
        "complete_until": dict(report.complete_until),
        "stores": [_row(row) for row in report.stores],
        "guides": [_row(row) for row in report.guides],
        "assigned": report.assigned,
        "unassigned": [
            {"members": reason.members, "tried": [list(step) for step in reason.tried]}
            for reason in report.unassigned
        ],
        "tasks": report.tasks,
        "check_ins": report.check_ins,
        "guide_days": report.guide_days,
        "whole": report.whole,
    }


def board_json(board: PlanBoard) -> dict[str, Any]:
    """A plan's board."""
    return {
        "plan": board.plan.plan,
        "name": board.plan.name,
        "status": board.status,
        "cycle": board.cycle,
        "cycle_state": board.state,
        "starts_on": board.starts_on,
        "ends_on": board.ends_on,
        "as_of": board.as_of,
        "position": board.position,
        "total": figures_json(board.total),
        "open_today": board.open_today,
        "stores": [_board_row(row) for row in board.stores],
        "guides": [_board_row(row) for row in board.guides],
        "complete_until": dict(board.complete_until),
        "whole": board.whole,
    }


def month_json(month: GuideMonth) -> dict[str, Any]:
    """A guide's month."""
    return {
        "guide_code": month.guide_code,
        "guide_name": month.guide_name,
        "month": f"{month.month:%Y-%m}",
        "as_of": month.as_of,
        "total": _items(month.total),
        "days": [
            {
                "day": day.day,
                "state": day.state,
                **_items(day.counts),
                "carried": day.carried,
                "figures_version": day.figures_version,
            }
            for day in month.days
        ],
    }


def _items(counts: ItemCounts) -> dict[str, Any]:
    rates = {"completion_rate": counts.completion_rate, "attempt_rate": counts.attempt_rate}
    return {**asdict(counts), **{name: _rate(rate) for name, rate in rates.items()}}


def _board_row(row: BoardRow) -> dict[str, Any]:
    return {"code": row.code, "name": row.name, "open_today": row.open_today, **figures_json(row.figures)}


def _rate(rate: Rate) -> dict[str, Any]:
    percent = rate.percent()
    return {
        "percent": None if percent is None else float(percent),
        "numerator": rate.numerator,
        "denominator": rate.denominator,
    }


def _row(row: ReportRow) -> dict[str, Any]:
    return {"code": row.code, "name": row.name, **figures_json(row.figures), "claims": asdict(row.claims)}
