"""The lines of the two sheets of a phone invitation drive: every call, and every success.

They are about members, so they are read as whoever asks sees them: row-level security decides which lines there are, and
who may not know what a member bought is told "not recorded". Names are masked; notes are in neither sheet.

Cost: three round trips a page and one a plan for purchases; rows grow with the page. Lines are found by guide and day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.attribution import NetPurchase
from domain.board_span import Span
from domain.evening import SUCCESSES
from domain.lost_orders import ordered
from domain.plan import Plan
from ledger import facts
from ledger.board_moment import Moment, held
from ledger.door import Driver
from ledger.member_keys import MemberKeys
from ledger.people import NOBODY, read_people
from ledger.plans import parse_spec
from ledger.records import purchases_of

Place = tuple[datetime, UUID, int]
"""Where a page ended: occurred at, item, version."""


@dataclass(frozen=True, slots=True)
class PhoneLine:
    """A report and what became of it by the moment."""

    task_id: UUID
    version: int
    plan_id: str
    guide_id: UUID
    member_id: UUID
    member: str
    """Masked."""
    business_date: date
    occurred_at: datetime
    known_at: datetime
    channel: str
    outcome: str
    grade: str | None
    products: tuple[str, ...]
    next_on: date | None
    added: bool
    """The member was reported added as friend by this guide."""
    joined_by: str | None
    """The channel of this guide's first report that the member joined the group; None: none of hers says so.

    Of hers alone: another guide's may be out of sight of one who sees the line, who would be told something else.
    """
    bought: bool | None = None
    """Of a success: something of the plan's categories within its window. None: not the asker's to know."""

    @property
    def place(self) -> Place:
        """The sort key."""
        return self.occurred_at, self.task_id, self.version

    @property
    def written_after(self) -> timedelta:
        """How long after the talk it was written down."""
        return self.known_at - self.occurred_at


_COLUMNS = (
    "k.task_id, k.version, k.plan_id, k.guide_id, k.member_id, k.business_date, k.occurred_at, k.known_at, k.channel,"
    " k.outcome, k.grade, k.products, k.next_on"
)


def _lines(which: str) -> str:
    reports = held(
        _COLUMNS,
        "k.guide_id = ANY($4) AND k.business_date BETWEEN $5 AND $6 AND ($7::text IS NULL OR k.plan_id = $7)"
        f" AND {which} AND ($8::timestamptz IS NULL OR (k.occurred_at, k.task_id, k.version) > ($8, $9::uuid, $10::int))",
    )
    hers = "k.member_id = r.member_id AND k.guide_id = r.guide_id AND"
    added = held("1", f"{hers} k.outcome = 'added_friend'")
    joined = held(
        "k.channel, k.occurred_at, k.task_id, k.version",
        f"{hers} k.plan_id = r.plan_id AND k.outcome = 'joined_group'",
    )
    return f"""
SELECT r.*, EXISTS ({added}) AS added,
       (SELECT j.channel FROM ({joined}) j ORDER BY j.occurred_at, j.task_id, j.version LIMIT 1) AS joined_by,
       EXISTS (SELECT FROM member m WHERE m.tenant_id = $1 AND m.member_id = r.member_id) AS known
FROM ({reports}) r ORDER BY r.occurred_at, r.task_id, r.version LIMIT $11"""


_CALLS = _lines("k.channel = 'phone'")
_WON = _lines(f"k.outcome IN ({', '.join(repr(one) for one in SUCCESSES)})")


@dataclass(frozen=True, slots=True)
class Asked:
    """Which lines: of these guides in the span, of a plan, at most so many after a place."""

    guides: Sequence[UUID]
    span: Span
    moment: Moment
    limit: int
    plan_id: str | None = None
    after: Place | None = None


async def read_calls(connection: Driver, tenant_id: int, keys: MemberKeys, asked: Asked) -> list[PhoneLine]:
    """Sheet 1: every call of the span, in the order they were dialled."""
    rows = await _fetch(connection, tenant_id, _CALLS, asked)
    people = await read_people(connection, tenant_id, keys, {row["member_id"] for row in rows})
    return [_line(row, people.get(row["member_id"], NOBODY).masked, None) for row in rows]


async def read_successes(
    connection: Driver, tenant_id: int, keys: MemberKeys, asked: Asked
) -> list[PhoneLine]:
    """Sheet 2: every report of the span that says the member agreed to visit or join, or did."""
    rows = await _fetch(connection, tenant_id, _WON, asked)
    people = await read_people(connection, tenant_id, keys, {row["member_id"] for row in rows})
    plans = await _plans(connection, tenant_id, sorted({row["plan_id"] for row in rows}))
    bought: dict[tuple[str, UUID], list[NetPurchase]] = {}
    for plan_id, plan in plans.items():
        members = sorted({row["member_id"] for row in rows if row["plan_id"] == plan_id and row["known"]})
        since = min(row["occurred_at"] for row in rows if row["plan_id"] == plan_id)
        ids = await facts.category_ids(connection, tenant_id, plan.members.bought_categories)
        found = await purchases_of(
            connection, tenant_id, members, sorted(ids.values()), since, asked.moment.at
        )
        bought |= {(plan_id, member): lines for member, lines in found.items()}
    return [
        _line(row, people.get(row["member_id"], NOBODY).masked, _bought(row, plans, bought, asked.moment))
        for row in rows
    ]


def _bought(
    row: Mapping[str, Any],
    plans: Mapping[str, Plan],
    bought: Mapping[tuple[str, UUID], Sequence[NetPurchase]],
    moment: Moment,
) -> bool | None:
    if not row["known"] or row["plan_id"] not in plans:
        return None
    until = row["occurred_at"] + plans[row["plan_id"]].attribution_window
    lines = bought.get((row["plan_id"], row["member_id"]), ())
    return ordered(lines, since=row["occurred_at"], until=until, as_of=moment.at)


async def _fetch(connection: Driver, tenant_id: int, query: str, asked: Asked) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = await connection.fetch(
        query,
        tenant_id,
        asked.moment.at,
        asked.moment.position,
        list(asked.guides),
        asked.span.since,
        asked.span.until,
        asked.plan_id,
        *(asked.after or (None, None, None)),
        asked.limit,
    )
    return rows


async def _plans(connection: Driver, tenant_id: int, plans: Sequence[str]) -> dict[str, Plan]:
    rows = await connection.fetch(
        "SELECT plan_id, spec::text AS spec FROM plan WHERE tenant_id = $1 AND plan_id = ANY($2) ORDER BY plan_id",
        tenant_id,
        list(plans),
    )
    return {row["plan_id"]: parse_spec(row["spec"]) for row in rows}


def _line(row: Mapping[str, Any], member: str, bought: bool | None) -> PhoneLine:
    told = {name: row[name] for name in row.keys() if name not in {"known", "products"}}  # noqa: SIM118 - the driver's rows
    return PhoneLine(member=member, bought=bought, products=tuple(row["products"]), **told)
