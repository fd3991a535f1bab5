"""Screens of the `plan` commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from activities.preview import Preview
from cli import check_screen as check
from cli.completeness import complete_line
from cli.forecast_screen import forecast
from cli.layout import NOTHING, heading, labelled, number, table
from cli.session import Session
from domain.plan import Goal, Plan
from ledger.cycles import CycleState
from ledger.plans import FINAL, PlanState, cycle_span
from ledger.report import Report


def preview(session: Session, plan: Plan, found: Preview) -> Iterator[RenderableType]:
    """A plan that may be launched, and what its first cycle would begin with."""
    words, started, guides, unassigned = session.words, found.drawn.started, found.guides, found.unassigned
    yield heading(words("preview.title", name=plan.name, plan=plan.plan))
    yield labelled(
        (words("preview.period"), _period(session, plan)),
        (
            words("preview.members"),
            words(
                "preview.members_text",
                selected=number(started.selected),
                assigned=number(started.assigned),
                unassigned=number(started.unassigned),
            ),
        ),
        (words("preview.items"), words("preview.items_text", tasks=number(started.tasks))),
        (
            words("preview.staffing"),
            words(
                "preview.staffing_text" if started.staffing_needed <= guides else "preview.staffing_short",
                needed=number(started.staffing_needed),
                guides=number(guides),
                a_day=found.a_day,
            ),
        ),
        (words("preview.span"), words("preview.span_text", months=started.longest_reminder_months)),
        (words("preview.goal"), _goal(session, plan)),
    )
    if unassigned:
        yield check.unassigned(words, unassigned)
    yield from forecast(session, found.forecast)
    yield words("preview.nothing_written")


def plans(session: Session, rows: Sequence[dict[str, Any]]) -> RenderableType:
    """Every plan, newest first."""
    words = session.words
    if not rows:
        return words("status.no_plans", command=session.command("plan", "check", "FILE"))
    made = table(
        words("status.plan"), words("status.name"), words("status.status"), words("status.cycle"),
        words("status.launched"), right=(3,), fold=(1,),
    )  # fmt: skip
    for row in rows:
        made.add_row(
            row["plan_id"],
            row["name"],
            _status(session, row["status"], row["canary"]),
            number(row["cycle"]),
            f"{row['launched_at']:%Y-%m-%d}",
        )
    return made


def status(
    session: Session, standing: PlanState, cycle: CycleState | None, checks: Sequence[dict[str, Any]]
) -> Table:
    """One plan as it stands."""
    words, plan = session.words, standing.plan
    means = plan.means[0]
    return labelled(
        (words("status.plan"), f"{plan.plan} · {plan.name}"),
        (words("status.status"), _status(session, standing.status, standing.canary)),
        (
            words("status.cycle"),
            f"{standing.cycle} / {plan.period.cycles}"
            + (f" · {words.code('statuses', cycle.state)}" if cycle else ""),
        ),
        (words("preview.period"), _period(session, plan)),
        (words("preview.goal"), _goal(session, plan)),
        (
            words("status.means"),
            words(
                "status.means_text",
                name=means.name,
                lead=means.lead_days,
                version=means.script_version,
                script=means.script,
            ),
        ),
        (words("status.launched"), f"{standing.launched_at:%Y-%m-%d %H:%M} UTC"),
        (
            words("status.checks"),
            "\n".join(
                words(
                    "status.check",
                    cycle=one["cycle"],
                    kind=words.code("statuses", one["kind"]),
                    as_of=check.local(one["as_of"], cycle.time_zone if cycle else "UTC"),
                )
                for one in checks
            )
            or NOTHING,
        ),
    )


def report(session: Session, stored: Report, goal: Goal) -> Iterator[RenderableType]:
    """A stored Check in full."""
    words = session.words
    yield heading(words("report.title", name=stored.plan.name, plan=stored.plan.plan, cycle=stored.cycle))
    yield words(
        "report.basis",
        first=stored.starts_on,
        last=stored.ends_on,
        kind=words.code("statuses", stored.kind),
        as_of=check.local(stored.as_of, stored.time_zone),
        position=number(stored.position),
    )
    yield ""
    yield check.rates(words, stored, None)
    yield check.goal_line(words, stored, goal)
    if stored.complete_until:
        yield check.claims_line(words, stored.claims)
        yield complete_line(words, stored.complete_until, stored.time_zone)
    yield ""
    yield check.breakdown(words, words("check.stores"), stored.stores)
    yield ""
    yield check.breakdown(words, words("check.guides"), stored.guides)
    yield ""
    yield check.unassigned(words, stored.unassigned)


def _status(session: Session, status: str, canary: Sequence[str]) -> str:
    """The status, and the only stores the plan runs in while it is in canary."""
    words = session.words
    told = words.code("statuses", status)
    return (
        words("status.canary", status=told, stores=words("comma").join(canary))
        if canary and status not in FINAL
        else told
    )


def _period(session: Session, plan: Plan) -> str:
    first, last = cycle_span(plan, 1)
    return session.words(
        "preview.period_text",
        first=first,
        last=last,
        days=plan.period.working_days,
        cycles=plan.period.cycles,
    )


def _goal(session: Session, plan: Plan) -> str:
    goal = plan.goal
    unit = " %" if goal.measure.endswith("_rate") else ""
    return session.words(
        "preview.goal_text",
        measure=session.words.code("measures", goal.measure),
        target=f"{goal.target:f}{unit}",
        by=goal.by,
    )
