"""The history of a plan, item, guide, member, account or stream, in the order it became known."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path

from api.answers import EventAnswer
from api.context import AtHand
from api.fields import STORABLE
from api.pages import After, Limit, Page, page_of, read_cursor
from api.problems import Declined, responses
from domain.errors import NotFound, Problem
from domain.policy import Right
from ledger.plan_in_reach import plan_is_seen
from ledger.timeline import Subject, timeline, with_codes

_ACCOUNTS = "account/"
"""What the streams of accounts begin with."""

router = APIRouter(prefix="/timeline", tags=["timeline"])


@router.get("/{subject}/{name:path}", operation_id="read_timeline", responses=responses(403, 404))
async def read_timeline(
    here: AtHand,
    subject: Subject,
    name: Annotated[
        str,
        STORABLE,
        Path(
            min_length=1,
            max_length=300,
            description="Plan, item id, code of a guide or member, login or id of an account, stream.",
        ),
    ],
    after: After = None,
    limit: Limit = 50,
) -> Page[EventAnswer]:
    """The events of a subject, oldest first. Nothing in them names a person: members and guides are ids.

    An account's history takes the right `accounts.read`, asked for as its stream, too; a plan's is the whole campaign's, for whoever sees all of it.
    """
    of_account = subject == "account" or (subject == "stream" and name.startswith(_ACCOUNTS))
    if of_account and here.enforcing and Right.READ_ACCOUNTS not in here.who.rights:
        raise NotFound(Problem(subject, name, "nothing_recorded"))
    place = read_cursor(after, datetime, str, int)
    async with here.ledger.connection() as connection:
        try:
            entries = await timeline(
                connection,
                here.ledger.tenant_id,
                subject,
                name,
                limit=limit + 1,
                after=place and (place[0], place[1], place[2]),
            )
        except NotFound:
            # Whoever sees the plan is told why: it is no secret that it is there.
            if subject == "plan" and await plan_is_seen(connection, here.ledger.tenant_id, name):
                raise Declined(403, Problem("plan", name, "plan_history_is_whole")) from None
            raise
        entries = await with_codes(connection, here.ledger.tenant_id, entries)
    return page_of(
        entries,
        limit,
        EventAnswer.model_validate,
        lambda entry: (entry.known_at, entry.stream, entry.version),
    )
