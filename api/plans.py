"""Plans: check, launch, look at, act on. The ledger decides; workflows are told behind the asker's back."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from activities.acting import (
    PlanActed,
    adjust_goal_of,
    change_plan_status,
    launch_plan,
    recall_plan,
    replace_guide_in,
    tune_means_of,
)
from activities.acting import confirm_canary as confirm_canary_of
from activities.preview import preview_plan
from activities.reporting import goal_when_counted, report_json
from api.answers import Acted, CheckedPlan, PlanLine, PlanStatus, Replaced, ReportAnswer, StoredCheck
from api.context import AtHand, Here, OptionalKey, asked_by
from api.fields import STORABLE, Body, Code, Day, Number, PlanId, Reason, Whole
from api.pages import After, Limit, Page, page_of, read_cursor
from api.playbook_bodies import DESCRIBED, PlaybookBody
from api.problems import responses
from api.replayed import mark_replayed
from ledger.cycles import list_checks, read_cycle
from ledger.plan_in_reach import plan_in_reach, stores_in_reach
from ledger.plans import list_plans, plan_json, read_plan
from ledger.report import read_report

MOST_CYCLES = 520
"""As many as a plan may have."""

router = APIRouter(prefix="/plans", tags=["plans"])


class Reasoned(Body):
    """Why."""

    reason: Reason


class NewGoal(Reasoned):
    """A goal's new number: rates in percent, revenue in whole currency units."""

    target: Number


class NewMeans(Reasoned):
    """What is tuned; what is left out stays."""

    script: Annotated[str, Field(max_length=10_000), STORABLE] | None = None
    lead_days: Whole | None = None


class NewGuide(Reasoned):
    """Who leaves, who takes over; both by code."""

    leaving: Code
    replacement: Code


@router.post("/check", operation_id="check_plan", responses=responses(400, 413, 415), openapi_extra=DESCRIBED)
async def check_plan(
    here: AtHand,
    plan: PlaybookBody,
    on: Annotated[Day | None, Query(description="Check as of this day; today where left out.")] = None,
) -> CheckedPlan:
    """Check a playbook and preview its first cycle; writes nothing."""
    preview = await preview_plan(here.ledger, plan, at=here.clock(), on=on)
    return CheckedPlan.model_validate({
        "plan": plan.plan,
        "preview": {
            **preview.drawn.started.model_dump(),
            "guides_taking_part": preview.guides,
            "unassigned_reasons": preview.unassigned,
            "forecast": preview.forecast,
        },
        "notes": preview.notes,
    })  # fmt: skip


@router.post(
    "",
    operation_id="launch_plan",
    status_code=201,
    responses=responses(400, 409, 413, 415) | {200: {"model": Acted, "description": "Launched before"}},
    openapi_extra=DESCRIBED,
)
async def launch(
    here: AtHand,
    plan: PlaybookBody,
    response: Response,
    canary: Annotated[
        list[Code] | None, Query(max_length=100, description="Codes of the stores to try it in first.")
    ] = None,
    key: OptionalKey = None,
) -> Acted:
    """Check and launch a playbook; the same one launched again changes nothing."""
    acted = await launch_plan(here.ledger, plan, asked_by(here, key), canary=tuple(canary or ()))
    here.telling.launched(plan.plan)
    if acted.duplicate:
        response.status_code = 200
        mark_replayed(response)
    return Acted.model_validate(_told(acted))


@router.get("", operation_id="list_plans", responses=responses())
async def plans(here: AtHand, after: After = None, limit: Limit = 50) -> Page[PlanLine]:
    """Every plan, newest first."""
    place = read_cursor(after, datetime, str)
    async with here.ledger.connection() as connection:
        rows = await list_plans(
            connection, here.ledger.tenant_id, after=place and (place[0], place[1]), limit=limit + 1
        )
        seen = await stores_in_reach(
            connection, here.ledger.tenant_id, {code for row in rows for code in row["canary"]}
        )
    for row in rows:
        row["canary"] = [code for code in row["canary"] if code in seen]
    return page_of(
        rows,
        limit,
        lambda row: PlanLine(plan=row["plan_id"], **{name: row[name] for name in _LINE}),
        lambda row: (row["launched_at"], row["plan_id"]),
    )


_LINE = ("name", "status", "cycle", "launched_at", "canary")


@router.get("/{plan}", operation_id="read_plan", responses=responses(404))
async def status(here: AtHand, plan: PlanId) -> PlanStatus:
    """A plan as it stands: its playbook after every adjustment, where its cycle is, which Checks there are.

    Of the stores and guides it names, those in the asker's reach.
    """
    tenant = here.ledger.tenant_id
    async with here.ledger.connection() as connection:
        standing = await read_plan(connection, tenant, plan)
        cycle = await read_cycle(connection, tenant, plan, standing.cycle)
        checks = await list_checks(connection, tenant, plan)
        seen = await stores_in_reach(connection, tenant, standing.canary)
        playbook = await plan_in_reach(connection, tenant, standing.plan)
    return PlanStatus(
        plan=plan,
        status=standing.status,
        cycle=standing.cycle,
        cycle_state=cycle.state if cycle else None,
        version=standing.version,
        launched_at=standing.launched_at,
        canary=[code for code in standing.canary if code in seen],
        checks=[StoredCheck.model_validate(check) for check in checks],
        playbook=plan_json(playbook),
    )


@router.get("/{plan}/report", operation_id="read_report", responses=responses(404))
async def report(
    here: AtHand,
    plan: PlanId,
    cycle: Annotated[
        int | None, Query(ge=1, le=MOST_CYCLES, description="The newest where left out.")
    ] = None,
    settled: Annotated[bool, Query(description="The final figures, all windows closed.")] = False,
) -> ReportAnswer:
    """The Check of a cycle: in all, every store, every guide; for a region, dealer or store, theirs alone."""
    tenant, kind = here.ledger.tenant_id, "settled" if settled else "provisional"
    async with here.ledger.connection() as connection:
        found = await read_report(connection, tenant, plan, cycle=cycle, kind=kind, in_reach=True)
    # The plan is in reach, or there were no report; its history is not, for everybody's figures are in it.
    async with here.ledger.for_upkeep().connection() as connection:
        goal = await goal_when_counted(connection, tenant, found)
    return ReportAnswer.model_validate(report_json(found, goal))


@router.post("/{plan}/pause", operation_id="pause_plan", responses=responses(400, 404, 409, 415))
async def pause(
    here: AtHand, plan: PlanId, body: Reasoned, response: Response, key: OptionalKey = None
) -> Acted:
    """Pause: no new lists and no reminders from it until it is resumed."""
    return await _stand(here, plan, "paused", body.reason, key, response)


@router.post("/{plan}/resume", operation_id="resume_plan", responses=responses(400, 404, 409, 415))
async def resume(
    here: AtHand, plan: PlanId, body: Reasoned, response: Response, key: OptionalKey = None
) -> Acted:
    """Resume a paused plan."""
    return await _stand(here, plan, "running", body.reason, key, response)


@router.post("/{plan}/close", operation_id="close_plan", responses=responses(400, 404, 409, 415))
async def close(
    here: AtHand, plan: PlanId, body: Reasoned, response: Response, key: OptionalKey = None
) -> Acted:
    """Close a plan early; it cannot be resumed."""
    return await _stand(here, plan, "closed", body.reason, key, response)


@router.post("/{plan}/recall", operation_id="recall_plan", responses=responses(400, 404, 409, 415))
async def recall(
    here: AtHand, plan: PlanId, body: Reasoned, response: Response, key: OptionalKey = None
) -> Acted:
    """Undo a wrong launch: its items leave the lists; what was done stays."""
    acted = await recall_plan(here.ledger, here.plan_to_steer(plan), body.reason, asked_by(here, key))
    return _acted(here, acted, response)


@router.post("/{plan}/confirm", operation_id="confirm_canary", responses=responses(400, 404, 409, 415))
async def confirm(
    here: AtHand, plan: PlanId, body: Reasoned, response: Response, key: OptionalKey = None
) -> Acted:
    """Let a plan that runs in its canary stores go to all."""
    acted = await confirm_canary_of(here.ledger, here.plan_to_steer(plan), body.reason, asked_by(here, key))
    return _acted(here, acted, response)


@router.post("/{plan}/goal", operation_id="adjust_goal", responses=responses(400, 404, 409, 415))
async def goal(
    here: AtHand, plan: PlanId, body: NewGoal, response: Response, key: OptionalKey = None
) -> Acted:
    """Raise or lower the goal."""
    acted = await adjust_goal_of(
        here.ledger, here.plan_to_steer(plan), body.target, body.reason, asked_by(here, key)
    )
    return _acted(here, acted, response)


@router.post("/{plan}/means", operation_id="tune_means", responses=responses(400, 404, 409, 415))
async def means(
    here: AtHand, plan: PlanId, body: NewMeans, response: Response, key: OptionalKey = None
) -> Acted:
    """Change the script, or how many days early the reminder comes."""
    acted = await tune_means_of(
        here.ledger,
        here.plan_to_steer(plan),
        script=body.script,
        lead_days=body.lead_days,
        reason=body.reason,
        asked=asked_by(here, key),
    )
    return _acted(here, acted, response)


@router.post("/{plan}/people", operation_id="replace_guide", responses=responses(400, 404, 409, 415))
async def people(
    here: AtHand, plan: PlanId, body: NewGuide, response: Response, key: OptionalKey = None
) -> Replaced:
    """Another guide takes over: open items move, credit stays with who did the work."""
    acted, moved = await replace_guide_in(
        here.ledger,
        here.plan_to_steer(plan),
        body.leaving,
        body.replacement,
        body.reason,
        asked_by(here, key),
    )
    _acted(here, acted, response)
    return Replaced(**_told(acted), members=moved.members, tasks=moved.tasks, unassigned=moved.unassigned)


async def _stand(
    here: Here,
    plan: str,
    status: Literal["paused", "running", "closed"],
    reason: str,
    key: str | None,
    response: Response,
) -> Acted:
    acted = await change_plan_status(
        here.ledger, here.plan_to_steer(plan), status, reason, asked_by(here, key)
    )
    return _acted(here, acted, response)


def _acted(here: Here, acted: PlanActed, response: Response) -> Acted:
    here.telling.changed(acted.plan_id)
    if acted.duplicate:
        mark_replayed(response)
    return Acted.model_validate(_told(acted))


def _told(acted: PlanActed) -> dict[str, Any]:
    return {
        "plan": acted.plan_id,
        "status": acted.status,
        "version": acted.version,
        "duplicate": acted.duplicate,
        "change": dict(acted.change),
    }
