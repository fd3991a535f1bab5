"""What to look into: claims that no system of record confirms, and signs of faking; of the guides in reach."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from activities.auditing import CODES, audit_signs, codes_by_id
from api.answers import Answer, ClaimsAnswer
from api.context import AtHand, Here
from api.fields import Code, Instant, PlanId
from api.pages import After, Limit, page_of, read_cursor, write_cursor
from api.problems import responses
from domain.confirmation import Claims, Standing
from domain.errors import Problem, Refused
from domain.signs import SignCode
from ledger.confirmations import GradedClaim, Scope, count_claims, list_claims

USUAL = timedelta(days=7)
LONGEST = timedelta(days=93)
MOST_SLICES = 3
"""As many parts of a big span are looked at before a page is answered, be it with fewer items than asked for."""

router = APIRouter(tags=["signs"])

Since = Annotated[Instant | None, Query(description="The seven days before `until` where left out.")]
Until = Annotated[Instant | None, Query(description="Now where left out; the instant itself is not in it.")]
OfGuide = Annotated[Code | None, Query(description="Of this guide only.")]
OfPlan = Annotated[PlanId | None, Query(description="Of this plan only.")]


class ClaimAnswer(Answer):
    """A check-in and how it stands."""

    task_id: UUID
    version: int
    stream: str = Field(description="Its history: GET /v1/timeline/stream/{stream}.")
    plan: str
    cycle: int
    guide: str
    store: str
    occurred_at: datetime
    channel: str
    outcome: str
    standing: Standing
    records: list[str] = Field(description="What systems of record say of it, e.g. calls/pbx/123.")
    came_of_it: list[str]


class ClaimPage(Answer):
    """Some of the claims, and up to when the data is complete."""

    items: list[ClaimAnswer]
    next: str | None = Field(
        description="Pass it as `after`; null: there is nothing more. A page may be short, or empty, and have a next one."
    )
    complete_until: dict[str, datetime | None]


class ClaimCount(ClaimsAnswer):
    """Claims of a guide, store or plan, by its code."""

    code: str


class ClaimCounts(Answer):
    """Claims of a span, in all and by guide, store or plan."""

    since: datetime
    until: datetime
    total: ClaimsAnswer
    rows: list[ClaimCount]
    complete_until: dict[str, datetime | None]


class SignAnswer(Answer):
    """A sign of faking, for whoever judges it."""

    code: SignCode
    guide: str
    store: str
    since: datetime
    until: datetime
    check_ins: list[str] = Field(
        description="task/<id>#<version>: before # is a stream of GET /v1/timeline/stream/{stream}."
    )
    records: list[str]
    others: list[str] = Field(description="Codes of the other guides.")


class SignList(Answer):
    """The signs of a span, and up to when the data is complete."""

    since: datetime
    until: datetime
    items: list[SignAnswer]
    complete_until: dict[str, datetime | None]
    not_looked_for: list[SignCode] = Field(description="Signs that could not be looked for here.")


@router.get("/claims", operation_id="list_claims", responses=responses(400, 404))
async def claims(
    here: AtHand,
    *,
    since: Since = None,
    until: Until = None,
    guide: OfGuide = None,
    plan: OfPlan = None,
    standing: Annotated[
        list[Standing] | None,
        Query(description="Unconfirmed and contradicted where left out.", max_length=len(Standing)),
    ] = None,
    after: After = None,
    limit: Limit = 50,
) -> ClaimPage:
    """Check-ins of a span by how they stand: claimed and not confirmed, where nothing else is asked."""
    scope = await _scope(here, since, until, guide, plan)
    place = read_cursor(after, datetime, str, int)
    wanted = frozenset(standing or (Standing.UNCONFIRMED, Standing.CONTRADICTED))
    async with here.ledger.connection() as connection:
        listed = await list_claims(
            connection,
            here.ledger.tenant_id,
            scope,
            wanted,
            limit=limit + 1,
            after=place and (place[0], _task_id(place[1], after), place[2]),
            most_slices=MOST_SLICES,
        )
    page = page_of(listed.claims, limit, _claim, lambda one: (one.occurred_at, str(one.task_id), one.version))
    following = page.next
    if following is None and listed.looked_until is not None:
        following = write_cursor((listed.looked_until, str(UUID(int=0)), 0))
    return ClaimPage(items=page.items, next=following, complete_until=dict(listed.complete_until))


@router.get("/claims/counts", operation_id="count_claims", responses=responses(400, 404))
async def counts(
    here: AtHand,
    *,
    by: Literal["guide", "store", "plan"] = "guide",
    since: Since = None,
    until: Until = None,
    guide: OfGuide = None,
    plan: OfPlan = None,
) -> ClaimCounts:
    """How many check-ins of a span are claimed, confirmed, contradicted or not checkable yet, and what came of them."""
    scope = await _scope(here, since, until, guide, plan)
    async with here.ledger.connection() as connection:
        counted = await count_claims(connection, here.ledger.tenant_id, scope)
        rows: Mapping[str, Claims] = getattr(counted, f"{by}s")
        codes = await codes_by_id(connection, here.ledger.tenant_id, by, rows) if by in CODES else {}
    since_, until_ = _span(here, since, until)
    return ClaimCounts(
        since=since_,
        until=until_,
        total=ClaimsAnswer.model_validate(counted.total),
        rows=sorted(
            (
                ClaimCount(code=codes.get(name, name), **ClaimsAnswer.model_validate(one).model_dump())
                for name, one in rows.items()
            ),
            key=lambda row: row.code,
        ),
        complete_until=dict(counted.complete_until),
    )


@router.get("/signs", operation_id="list_signs", responses=responses(400, 404))
async def signs(here: AtHand, *, since: Since = None, until: Until = None, guide: OfGuide = None) -> SignList:
    """Signs of faking in a span: evidence used twice, calls of two seconds, a list cleared in a minute, and others."""
    scope = await _scope(here, since, until, guide, None)
    found = await audit_signs(here.ledger, scope)
    since_, until_ = _span(here, since, until)
    return SignList(
        since=since_,
        until=until_,
        items=[SignAnswer.model_validate(sign) for sign in found.signs],
        complete_until=dict(found.complete_until),
        not_looked_for=list(found.not_looked_for),
    )


def _span(here: Here, since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    last = until or here.clock()
    first = since or last - USUAL
    if not first < last:
        raise Refused([Problem("since", first.isoformat(), "span_empty", {"until": last.isoformat()})])
    if last - first > LONGEST:
        raise Refused([Problem("since", first.isoformat(), "span_too_long", {"days": LONGEST.days})])
    return first, last


async def _scope(
    here: Here, since: datetime | None, until: datetime | None, guide: str | None, plan: str | None
) -> Scope:
    first, last = _span(here, since, until)
    guides = None if guide is None else [await here.guide_in_reach(guide)]
    return Scope(as_of=here.clock(), since=first, until=last, guides=guides, plan_id=plan)


def _claim(one: GradedClaim) -> ClaimAnswer:
    return ClaimAnswer.model_validate(one)


def _task_id(told: str, cursor: str | None) -> UUID:
    try:
        return UUID(told)
    except ValueError as error:
        raise Refused([Problem("after", (cursor or "")[:80], "not_a_cursor")]) from error
