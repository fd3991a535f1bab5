"""A member's number, shown to whoever is to call now; each time it is asked for is recorded."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from domain.errors import NotFound, Problem, Refused
from domain.events import PhoneRevealed
from ledger.case_standing import NO_COMPLAINT
from ledger.consents import LATEST
from ledger.door import Driver, lock_heads
from ledger.ledger import Command, Ledger, account_stream, member_stream, record
from ledger.people import NOBODY, read_people

MOST_A_DAY = 200
"""Numbers one account may see in 24 hours: four times a day's list (ours)."""
DAY = timedelta(hours=24)

_READ = f"""
SELECT t.member_id, t.state, t.plan_id, p.status AS plan_status, i.task_id IS NOT NULL AS listed,
       coalesce(m.opted_out_at <= $3, false) OR m.erased_at IS NOT NULL AS opted_out,
       {LATEST.format(member="t.member_id", purpose="phone", at="$3")} AS phone_agreed,
       NOT {NO_COMPLAINT.format(member="t.member_id")} AS complains
FROM task t
JOIN plan p ON p.tenant_id = $1 AND p.plan_id = t.plan_id
JOIN member m ON m.tenant_id = $1 AND m.member_id = t.member_id
LEFT JOIN guide_day d ON d.tenant_id = $1 AND d.guide_id = t.guide_id AND d.state = 'published'
     AND d.closes_at > $3 AND d.business_date = (SELECT on_day FROM day_at(t.guide_id, $3))
LEFT JOIN list_item i ON i.tenant_id = $1 AND i.guide_id = d.guide_id AND i.business_date = d.business_date
     AND i.task_id = t.task_id
WHERE t.tenant_id = $1 AND t.task_id = $2
  AND (coalesce(changes_all(), false) OR t.guide_id = ANY (reach('acts_for')))"""


async def reveal_phone(
    ledger: Ledger, account_id: UUID, task_id: UUID, *, command_id: str, at: datetime
) -> str:
    """The number of the member of an open item on today's list; that it was shown is recorded before it is.

    Args:
        ledger: as far as the asker reaches.
        account_id: who asks.
        task_id: the item.
        command_id: new for every reveal.
        at: now.

    Raises:
        NotFound: no such item, or not one the asker works on.
        Refused: the item is not on today's list or not open, the member is not to be called, nobody knows a number,
            or the account has seen too many.
    """
    tenant_id = ledger.tenant_id
    stream, actor = account_stream(account_id), f"account/{account_id}"
    async with ledger.transaction() as connection:
        row = await connection.fetchrow(_READ, tenant_id, task_id, at)
        if row is None:
            raise NotFound(Problem("task_id", str(task_id), "unknown_task"))
        problem = _objection(
            task_id,
            row["state"],
            opted_out=row["opted_out"],
            complains=row["complains"],
            listed=row["listed"],
            agreed=row["phone_agreed"],
        )
        if problem is None and row["plan_status"] == "paused":
            problem = Problem("task_id", str(task_id), "item_waits", {"plan": row["plan_id"]})
        if problem is not None:
            raise Refused([problem])
        await lock_heads(connection, tenant_id, [stream])  # whoever asks twice at once is counted twice
        await _check_rate(connection, tenant_id, stream, at)
        member = UUID(str(row["member_id"]))
        people = await read_people(connection, tenant_id, ledger.keys, [member])
        phone = people.get(member, NOBODY).phone
        if not phone:
            raise Refused([Problem("task_id", str(task_id), "phone_unknown")])
        event = PhoneRevealed(member=member, task=task_id)
        command = Command(command_id, at, at, actor)
        await record(connection, tenant_id, command, [(stream, event), (member_stream(member), event)])
    return phone


def _objection(
    task_id: UUID, state: str, *, opted_out: bool, complains: bool, listed: bool, agreed: bool | None
) -> Problem | None:
    if opted_out:
        return Problem("task_id", str(task_id), "member_opted_out")
    if complains:
        return Problem("task_id", str(task_id), "complaint_open")
    if agreed is False:
        return Problem("task_id", str(task_id), "phone_withdrawn")
    if state != "open":
        return Problem("task_id", str(task_id), "task_closed", {"state": state})
    return None if listed else Problem("task_id", str(task_id), "not_on_todays_list")


async def _check_rate(connection: Driver, tenant_id: int, stream: str, at: datetime) -> None:
    shown = await connection.fetchval(
        "SELECT count(*) FROM event WHERE tenant_id = $1 AND stream = $2 AND type = $3 AND known_at > $4",
        tenant_id,
        stream,
        PhoneRevealed.type,
        at - DAY,
    )
    if shown >= MOST_A_DAY:
        raise Refused([Problem("account", "", "too_many_reveals", {"most": MOST_A_DAY})])
