"""Which rows somebody may see and change, worked out again in Python: what row-level security is held against.

One rule a table (`SEES`, `CHANGES`), over the rows as they are and a `Reach`, which comes from the policy table alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from domain.policy import Role
from ledger.system_records import NAME
from tests.identities import account_id_of
from tests.security.reach import Reach
from tests.security.world import GUIDES, NOW, PAST, PLANS, World

Row = Mapping[str, Any]
Rule = Callable[["Facts", Reach, Row], bool]


@dataclass(frozen=True)
class Facts:
    """All rows of all tables, and the codes of the world's ids."""

    world: World
    rows: Mapping[str, list[Row]]

    def guide(self, guide_id: UUID | None) -> str:
        """The guide's code; empty where it is none."""
        return next((code for code, known in self.world.guides.items() if known == guide_id), "")

    def store(self, store_id: UUID | None) -> str:
        """The store's code; empty where it is none."""
        return next((code for code, known in self.world.stores.items() if known == store_id), "")

    def one(self, table: str, **named: Any) -> Row | None:
        """The row of a table with these values."""
        return next((row for row in self.rows[table] if all(row[key] == named[key] for key in named)), None)


def _signed_in(_facts: Facts, _reach: Reach, _row: Row) -> bool:
    return True


def _of_hq(_facts: Facts, _reach: Reach, _row: Row) -> bool:
    return False


def _day(facts: Facts, row: Row) -> date:
    """The day that decides whose a row is: when it happened, or today where it goes on."""
    if "business_date" in row.keys():  # noqa: SIM118 - a row of the database, not a mapping of columns
        return row["business_date"]  # type: ignore[no-any-return]
    plan = facts.one("plan", plan_id=row["plan_id"])
    if row["state"] == "open" and plan is not None and plan["ended_at"] is None:
        return NOW.date()
    return row["last_attempt_on"] or row["known_at"].date()  # type: ignore[no-any-return]


def _part(facts: Facts, row: Row) -> date:
    """The same of a part in a cycle: its last day, or the day its plan ended."""
    plan = facts.one("plan", plan_id=row["plan_id"])
    cycle = facts.one("plan_cycle", plan_id=row["plan_id"], cycle=row["cycle"])
    assert plan is not None
    assert cycle is not None
    ended = plan["ended_at"]
    return min(cycle["ends_on"], ended.date() if ended else cycle["ends_on"])  # type: ignore[no-any-return]


def _stood(guide: str, day: date) -> str:
    stood = PAST.get(guide)
    return stood.store if stood and day < stood.until else GUIDES[guide].store


def _dated(facts: Facts, reach: Reach, row: Row) -> bool:
    """A day's work: of oneself, or of a guide who stood in a store of theirs then."""
    guide = facts.guide(row["guide_id"])
    return reach.did(guide, _stood(guide, _day(facts, row)))


def _dated_changes(facts: Facts, reach: Reach, row: Row) -> bool:
    guide = facts.guide(row["guide_id"])
    return guide in reach.acts_for and (
        guide == reach.myself or _stood(guide, _day(facts, row)) in reach.binds
    )


def _work(facts: Facts, reach: Reach, row: Row) -> bool:
    return facts.guide(row["guide_id"]) in reach.acts_for


def _campaign(_facts: Facts, reach: Reach, row: Row) -> bool:
    return row["plan_id"] in reach.plans


def _steered(_facts: Facts, reach: Reach, row: Row) -> bool:
    return row["plan_id"] in reach.steers


def _item(facts: Facts, reach: Reach, row: Row) -> bool:
    return _dated(facts, reach, row) or _campaign(facts, reach, row)


def _item_changes(facts: Facts, reach: Reach, row: Row) -> bool:
    return _dated_changes(facts, reach, row) or _steered(facts, reach, row)


def _taken_part(facts: Facts, reach: Reach, row: Row) -> bool:
    guide = facts.guide(row["guide_id"])
    return reach.did(guide, _stood(guide, _part(facts, row))) or _campaign(facts, reach, row)


def _taken_part_changes(facts: Facts, reach: Reach, row: Row) -> bool:
    guide = facts.guide(row["guide_id"])
    mine = guide == reach.myself or _stood(guide, _part(facts, row)) in reach.binds
    return (mine and guide in reach.acts_for) or _steered(facts, reach, row)


def _plan(_facts: Facts, reach: Reach, row: Row) -> bool:
    return row["plan_id"] in reach.known_plans


def _member(facts: Facts, reach: Reach, row: Row) -> bool:
    return _at_home(facts, row) in reach.stores or bool(_serving(facts, row) & reach.guides)


def _member_work(facts: Facts, reach: Reach, row: Row) -> bool:
    return _at_home(facts, row) in reach.binds or bool(_serving(facts, row) & reach.acts_for)


def _at_home(facts: Facts, row: Row) -> str:
    known = facts.one("member", member_id=row["member_id"])
    return "" if known is None else facts.store(known["home_store_id"])


def _serving(facts: Facts, row: Row) -> set[str]:
    """Who serves a member now: in the campaigns that run. Those of the past have ended days ago."""
    return {
        facts.guide(one["guide_id"])
        for one in facts.rows["plan_member"]
        if one["member_id"] == row["member_id"] and one["plan_id"] in PLANS
    }


def _calendar(facts: Facts, reach: Reach, row: Row) -> bool:
    """Brand, region and store bind everybody; shifts are seen by whoever looks after the guide."""
    return row["scope"] != "guide" or facts.guide(UUID(row["subject"])) in reach.guides


def _known_guide(facts: Facts, reach: Reach, row: Row) -> bool:
    return facts.guide(row["guide_id"]) in reach.known_guides


def _known_store(facts: Facts, reach: Reach, row: Row) -> bool:
    return facts.store(row["store_id"]) in reach.known_stores


def _bound(facts: Facts, reach: Reach, row: Row) -> bool:
    return facts.store(row["store_id"]) in reach.binds


def _posting(facts: Facts, reach: Reach, row: Row) -> bool:
    stores = {facts.store(row["store_id"]), facts.store(row["before_store_id"])}
    return facts.guide(row["guide_id"]) == reach.myself or bool(stores & reach.stores)


def _recorded(facts: Facts, reach: Reach, row: Row) -> bool:
    guide = facts.guide(row["guide_id"])
    return reach.did(guide, _stood(guide, row["occurred_at"].date())) or _member(facts, reach, row)


def _recorded_also(facts: Facts, reach: Reach, row: Row) -> bool:
    """Whoever sees the record, which names them all."""
    record = facts.one("system_record", **{part: row[part] for part in NAME})
    return record is not None and _recorded(facts, reach, record)


def _own(_facts: Facts, reach: Reach, row: Row) -> bool:
    return bool(row["account_id"] == account_id_of(reach.who.login))


def _own_changes(facts: Facts, reach: Reach, row: Row) -> bool:
    return reach.writes and _own(facts, reach, row)


def _gives_pin(facts: Facts, reach: Reach, row: Row) -> bool:
    """An account that is a guide of a store one manages, and nothing else."""
    account = facts.one("account", account_id=row["account_id"])
    roles = {one["role"] for one in facts.rows["role_grant"] if one["account_id"] == row["account_id"]}
    of_store = account is not None and bool(reach.binds) and facts.guide(account["guide_id"]) in reach.guides
    return of_store and roles <= {Role.GUIDE.value, Role.SERVICE_AGENT.value}


def _account(facts: Facts, reach: Reach, row: Row) -> bool:
    return _own(facts, reach, row) or _work(facts, reach, row)


def _session(facts: Facts, reach: Reach, row: Row) -> bool:
    device = facts.one("device", device_id=row["device_id"])
    on_my_phone = device is not None and _bound(facts, reach, device)
    given = on_my_phone or _gives_pin(facts, reach, row)
    return _own(facts, reach, row) or (row["kind"] == "session" and given)


def _stream(facts: Facts, reach: Reach, row: Row) -> bool:  # noqa: PLR0911 - one answer a kind of stream
    kind, *named = row["stream"].split("/")
    match kind:
        case "task":
            return _found(facts, reach, _item, "task", task_id=UUID(named[0]))
        case "guide-day":
            return _dated(facts, reach, _day_of(named))
        case "plan":
            return named[0] in reach.plans
        case "plan-member":
            key = {"plan_id": named[0], "cycle": int(named[1]), "member_id": UUID(named[2])}
            return _found(facts, reach, _taken_part, "plan_member", **key)
        case "member":
            return _found(facts, reach, _member, "member", member_id=UUID(named[0]))
        case "picture":
            return _found(facts, reach, _dated, "picture", picture_id=UUID(named[0]))
        case "case":
            return _found(facts, reach, SEES["complaint_case"], "complaint_case", case_id=UUID(named[0]))
        case "account":
            return named[0] == str(account_id_of(reach.who.login)) or _stream_changes(facts, reach, row)
    return _stream_changes(facts, reach, row)


def _stream_changes(facts: Facts, reach: Reach, row: Row) -> bool:  # noqa: PLR0911 - as above
    kind, *named = row["stream"].split("/")
    match kind:
        case "task":
            return _found(facts, reach, _item_changes, "task", task_id=UUID(named[0]))
        case "guide-day":
            return _dated_changes(facts, reach, _day_of(named))
        case "plan" | "plan-member":
            return named[0] in reach.steers
        case "member":
            return _found(facts, reach, _member_work, "member", member_id=UUID(named[0]))
        case "account":
            account = {"account_id": UUID(named[0])}
            return _own_changes(facts, reach, account) or _gives_pin(facts, reach, account)
        case "device":
            return _found(facts, reach, _bound, "device", device_id=UUID(named[0]))
    return False


def _day_of(named: list[str]) -> Row:
    return {"guide_id": UUID(named[0]), "business_date": date.fromisoformat(named[1])}


def _command(facts: Facts, reach: Reach, row: Row) -> bool:
    return str(account_id_of(reach.who.login)) in row["command_id"] or _stream(facts, reach, row)


def _found(facts: Facts, reach: Reach, rule: Rule, table: str, **named: Any) -> bool:
    row = facts.one(table, **named)
    return row is not None and rule(facts, reach, row)


SEES: Mapping[str, Rule] = {
    "account": _account,
    "calendar_layer": _calendar,
    "category": _signed_in,
    "cold_item": lambda facts, reach, row: _found(facts, reach, _item, "task", task_id=row["task_id"]),
    "complaint_case": lambda facts, reach, row: _dated(facts, reach, row) or _member(facts, reach, row),
    "check_in": _item,
    "check_in_superseded": _item,
    "command": _command,
    "consent": _member,
    "contact_limit": _signed_in,
    "credential": _session,
    "day_norm": _signed_in,
    "device": _bound,
    "device_code": _bound,
    "endpoint": _of_hq,
    "erasure": _of_hq,
    "evening_rule": _signed_in,
    "event": _stream,
    "feed": _signed_in,
    "feed_message": _of_hq,
    "feed_secret": _of_hq,
    "feed_terms": _signed_in,
    "feed_watermark": _signed_in,
    "event_pending": _of_hq,
    "event_position": _of_hq,
    "guide": _known_guide,
    "guide_absence": _dated,
    "guide_day": _dated,
    "guide_person": _known_guide,
    "guide_posting": _posting,
    "guide_urge": _dated,
    "import_batch": _of_hq,
    "list_item": _dated,
    "member": _member,
    "member_note": _member,
    "member_person": _member,
    "message_stop": _of_hq,
    "outbox": _of_hq,
    "phone_index": _of_hq,
    "picture": _dated,
    "picture_content": lambda facts, reach, row: _found(
        facts, reach, _dated, "picture", picture_id=row["picture_id"]
    ),
    "plan": _plan,
    "plan_check": _campaign,
    "plan_cycle": _plan,
    "plan_member": _taken_part,
    "purchase": _member,
    "role_grant": _own,
    "seal": _of_hq,
    "sign_in_window": _of_hq,
    "staff_answer": _of_hq,
    "store": _known_store,
    "store_closing": _known_store,
    "stream_head": _stream,
    "system_record": _recorded,
    "system_record_also": _recorded_also,
    "task": _item,
    "tenant": _signed_in,
    "zone_day": _signed_in,
}
"""Whoever sees all sees all rows of these; the others those that the rule says."""

CHANGES: Mapping[str, Rule] = {
    "account": lambda facts, reach, row: _own_changes(facts, reach, row) or _gives_pin(facts, reach, row),
    "credential": lambda facts, reach, row: reach.writes and _session(facts, reach, row),
    "device": _bound,
    "device_code": _bound,
    "guide_day": _dated_changes,
    "list_item": _dated_changes,
    "plan": _steered,
    "plan_cycle": _steered,
    "plan_member": _taken_part_changes,
    "stream_head": _stream_changes,
    "task": _item_changes,
}
"""Rows that may be changed besides HQ's, who changes all that anybody may; of other tables nobody else changes any."""

HIDDEN = frozenset({"tenant_secret"})
"""Tables the API has no grant on."""
EMPTY = frozenset({"import_batch", "erasure"})
"""Tables the world has no row of: brands import, and nobody was erased."""
