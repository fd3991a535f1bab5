"""How every operation is called, for an object of any kind: the generator's only hand-written part.

A new route needs one line here (`CALLS`): which kind of object it names, and what its body says. Everything else, who
may and what they are answered, follows from `api/rules.py`, `domain/policy.py` and the world.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from api.rules import RULES, Open
from domain.policy import Right
from tests.brand import written
from tests.security.reach import Reach
from tests.security.world import GUIDES, Thing, World

UNKNOWN = {
    "plan": "pla-x9",
    "guide": "gui-nobody",
    "task": str(UUID(int=9 << 64)),
    "member": "mem-nobody-9",
    "store": "sto-nowhere",
    "message": "nudge/gui-nobody",
    "case": str(UUID(int=3 << 64)),
    "picture": str(UUID(int=2 << 64)),
    "device": str(UUID(int=8 << 64)),
    "account": str(UUID(int=7 << 64)),
    "session": str(UUID(int=6 << 64)),
    "token": str(UUID(int=5 << 64)),
    "grant": str(UUID(int=4 << 64)),
}
"""Names that nothing in the world has."""

REASON = {"reason": "because"}


@dataclass(frozen=True)
class Asked:
    """What is asked: by whom, of what, by which name."""

    world: World
    reach: Reach
    name: str
    thing: Thing | None
    """None: the name is nobody's, or the operation names nothing."""

    @property
    def own_guide(self) -> str:
        """A guide the asker may act for, so that only the object is what is wrong; anybody where there is none."""
        return min(self.reach.acts_for, default="gui-iris")


Written = Callable[[Asked], Any]
Reaches = Callable[[Reach, Thing], bool]


def _sees(reach: Reach, thing: Thing) -> bool:
    return reach.sees(thing)


def _acts(reach: Reach, thing: Thing) -> bool:
    return reach.sees(thing) and reach.acts_on(thing)


@dataclass(frozen=True)
class Call:
    """How an operation is called."""

    kind: str | None = None
    """Of the object it names; None: it names none."""
    done: frozenset[int] = frozenset({200})
    """Its answers where it is allowed: what it does, or why the moment is against it."""
    missing: int = 404
    """Its answer where the object is not there, and where it is somebody else's."""
    seen: int = 0
    """Its answer where the object is seen and yet not in reach for this; 0: the same as for one that is not there."""
    reaches: Reaches = _sees
    path: Mapping[str, str] = field(default_factory=dict)
    """Path parameters that are not the object's name; `{name}` is put in."""
    query: Mapping[str, str] = field(default_factory=dict)
    body: Written | None = None
    key: bool = False
    """Whether it wants an Idempotency-Key."""
    in_session: bool = False
    """Whether it is for people in a session only: a token is told so, whatever it asks of."""
    called: Callable[[World, Thing], str] = lambda _world, thing: thing.name
    """The name of an object in the request, where it is not its own."""


def _changes(kind: str, *done: int, body: Written = lambda _asked: REASON, **more: Any) -> Call:
    return Call(kind, frozenset(done or (200,)), reaches=_acts, body=body, **more)


def _playbook(_asked: Asked) -> Any:
    return written(plan="pla-new")


def _report(asked: Asked) -> Any:
    return {"performed_by": _mine(asked), "channel": "phone", "outcome": "interested"}


_LATER = {"until": "20:00", "reason": "other"}


def _mine(asked: Asked) -> str:
    return asked.thing.guide if asked.thing and asked.reach.acts_on(asked.thing) else asked.own_guide


def _report_by(asked: Asked) -> Any:
    return {"performed_by": asked.name, "channel": "phone", "outcome": "interested"}


_PICTURE = {"content": "iVBORw0KGgo="}
"""As much of a PNG as is looked at."""


def _sheet_of(asked: Asked) -> Any:
    """A line of nobody's list: what is told of it is the same for every guide."""
    return {"day": "2026-03-02", "lines": [{"code": f"{asked.name}-999AA", "outcome": "interested"}]}


def _amends(reach: Reach, thing: Thing) -> bool:
    """Closed days are changed by supervisors in their region, and by HQ."""
    return reach.changes_all or thing.store in reach.amends


def _urges(reach: Reach, thing: Thing) -> bool:
    """Whoever answers for her work: HQ, the supervisor of her region, the manager of her store."""
    return reach.changes_all or thing.store in reach.amends or thing.store in reach.binds


def _corrects(reach: Reach, thing: Thing) -> bool:
    return reach.acts_on(thing) or _amends(reach, thing)


def _correction(_asked: Asked) -> Any:
    return REASON | {"report": {"channel": "phone", "outcome": "came"}}


def _belated(asked: Asked) -> Any:
    mine = asked.thing is not None and _amends(asked.reach, asked.thing)
    by = asked.thing.guide if asked.thing and mine else min(asked.reach.guides, default="gui-iris")
    return _belated_by(by)


def _belated_by(guide: str) -> Any:
    told = {"channel": "phone", "outcome": "interested", "occurred_at": "2026-03-02T09:10:00+08:00"}
    return REASON | told | {"performed_by": guide}


def _in_campaign(reach: Reach, thing: Thing) -> bool:
    """The history of a plan is the whole campaign's: its Check is in it, and everybody's part."""
    return reach.sees_all or thing.name in reach.plans


def _audits(reach: Reach, _thing: Thing) -> bool:
    """The history of accounts, one's own too, is for those who read accounts."""
    return Right.READ_ACCOUNTS in reach.rights


def _owns(reach: Reach, thing: Thing) -> bool:
    return thing.owner == reach.who.login


def _gives_pin(reach: Reach, thing: Thing) -> bool:
    return reach.changes_all or thing.store in reach.binds


def _months(reach: Reach, thing: Thing) -> bool:
    """HR's month: of the stores in reach. (In March every guide stands where she is.)"""
    return reach.sees_all or thing.store in reach.stores


def _boards(reach: Reach, thing: Thing) -> bool:
    """Boards of figures: of the stores in reach, of a guide's own store, of who takes part in a campaign of one's own."""
    if _months(reach, thing):
        return True
    if reach.myself:
        return thing.store == GUIDES[reach.myself].store
    part = {guide.code for guide in GUIDES.values() if guide.plan in reach.plans}
    return bool(part & {thing.name}) or any(
        thing.kind == "store" and GUIDES[code].store == thing.name for code in part
    )


def beside(operation: str, reach: Reach, thing: Thing) -> frozenset[str]:
    """Marks of what is out of reach that an operation tells all the same, and why it may.

    A guide sees the board of the store where she stands: her colleagues by code and name, and what they did, in counts.
    """
    colleague = thing.kind == "guide" and reach.myself and thing.store == GUIDES[reach.myself].store
    if operation == "read_leaderboard" and colleague:
        return frozenset({thing.name})
    return frozenset()


def _secrets(_asked: Asked) -> Any:
    return {"old": "what it was not", "new": "what it will not be"}


def _history(subject: str, *, name: str = "{name}", **more: Any) -> Call:
    kind = more.pop("kind", subject)
    return Call(kind, path={"subject": subject, "name": name}, **more)


_MONDAY = {"since": "2026-03-02", "until": "2026-03-02"}
_THEN = {"at": "2026-03-02T09:30:00+08:00"}

CALLS: Mapping[str, Call] = {
    "live": Call(),
    "ready": Call(done=frozenset({200, 503})),
    "metrics": Call(),
    "check_plan": Call(body=_playbook),
    "launch_plan": Call(body=_playbook, done=frozenset({201})),
    "list_plans": Call(),
    "read_plan": Call("plan"),
    "read_report": Call("plan"),
    "read_plan_board": Call("plan"),
    "pause_plan": _changes("plan"),
    "resume_plan": _changes("plan", 409),
    "close_plan": _changes("plan"),
    "recall_plan": _changes("plan"),
    "confirm_canary": _changes("plan", 200, 409),
    "adjust_goal": _changes("plan", body=lambda _asked: REASON | {"target": 70}),
    "tune_means": _changes("plan", body=lambda _asked: REASON | {"lead_days": 4}),
    "read_leaderboard": Call(),
    "read_leaderboard: of a store": Call("store", query={"store": "{name}", "by": "store"}, reaches=_boards),
    "read_leaderboard: of a plan": Call("plan", query={"plan": "{name}"}),
    "read_lost_orders": Call(query={"as": "print"}),
    "read_lost_orders: of a store": Call("store", query={"store": "{name}"}, reaches=_boards),
    "read_funnel": Call("plan"),
    "list_funnel_members": Call("plan", path={"stage": "contacted"}),
    "read_invitations": Call(),
    "read_invitations: of a guide": Call("guide", query={"guide": "{name}", **_MONDAY}, reaches=_boards),
    "read_successes": Call(query={"as": "print", **_MONDAY}),
    "read_successes: of a plan": Call("plan", query={"plan": "{name}"}),
    "read_summary": Call("plan"),
    "read_month_sheet": Call(query={"on": "2026-03-02"}),
    "read_month_sheet: of a store": Call(
        "store", query={"on": "2026-03-02", "store": "{name}"}, reaches=_months
    ),
    "read_day_summary": Call(query={"as": "print"}),
    "read_day_summary: of a store": Call("store", query={"store": "{name}"}, reaches=_months),
    "read_score_sheet": Call(),
    "read_day_rates": Call(query=_MONDAY),
    "read_day_rates: of a plan": Call("plan", query={"plan": "{name}"}),
    "read_guide_score": Call("guide", path={"guide": "{name}"}),
    "read_evening_rules": Call(),
    "set_score_rule": Call(body=lambda _asked: REASON | {"reached": 40}),
    "set_close_hour": Call(body=lambda _asked: REASON | {"close_from": "19:00"}),
    "close_store_day": Call("store", reaches=_gives_pin, path={"store": "{name}"}),
    "read_resources": Call("guide"),
    "read_resources: by member": Call("guide", query={"by": "member", "as": "print"}),
    "read_day_sheet": Call("guide", query={"guide": "{name}"}),
    "read_day_sheet: of a store": Call("store", query={"store": "{name}", "as": "print"}),
    "keep_evidence": _changes("task", 201, body=lambda asked: _PICTURE | {"performed_by": _mine(asked)}),
    "keep_sheet": Call(
        "guide", frozenset({201}), reaches=_acts, path={"day": "2026-03-02"}, body=lambda _asked: _PICTURE
    ),
    "list_pictures": Call("guide", query={"date": "2026-03-02"}),
    # Its bytes are nobody's picture: who sees it is told, as everybody else, that there is none to be opened.
    "read_picture": Call("picture", frozenset({404})),
    "enter_sheet": Call("guide", missing=200, body=_sheet_of),
    "replace_guide": _changes(
        "plan",
        body=lambda _asked: REASON | {"leaving": "gui-iris", "replacement": "gui-jasmine"},
    ),
    "read_todays_list": Call("guide"),
    "read_guide_month": Call("guide"),
    "read_guide_month: before": Call("guide", query={"month": "2026-02"}),
    "clock_in": Call("guide", reaches=_acts),
    "urge_guide": Call("guide", frozenset({200, 409}), reaches=_urges),
    "list_cases": Call(),
    "list_cases: of a guide": Call("guide", query={"guide": "{name}"}, missing=200),
    "answer_case": Call("case", frozenset({200, 409}), reaches=_urges, body=lambda _asked: {"note": "sorry"}),
    "close_case": Call(
        "case", frozenset({200, 409}), reaches=_urges, body=lambda _asked: {"resolution": "explained"}
    ),
    "check_in": _changes("task", 201, body=_report, key=True),
    "check_in: performed by": Call(
        "guide",
        frozenset({201}),
        missing=422,
        reaches=_acts,
        body=_report_by,
        key=True,
        path={"task_id": "{task}"},
    ),
    "read_pool": Call("store"),
    "claim_task": _changes("task", body=lambda asked: {"guide": _mine(asked)}),
    "claim_task: for a guide": Call(
        "guide",
        frozenset({200}),
        missing=422,
        reaches=_acts,
        body=lambda asked: {"guide": asked.name},
        path={"task_id": "{task}"},
    ),
    "snooze_task": _changes("task", body=lambda asked: _LATER | {"guide": _mine(asked)}),
    "snooze_task: for a guide": Call(
        "guide",
        frozenset({200}),
        missing=422,
        reaches=_acts,
        body=lambda asked: _LATER | {"guide": asked.name},
        path={"task_id": "{task}"},
    ),
    "tell_absence": Call("guide", reaches=_acts),
    "read_day_norm": Call(),
    "set_day_norm": Call(body=lambda _asked: REASON | {"calls": 40}),
    "read_contact_limits": Call(),
    "set_contact_limits": Call(body=lambda _asked: REASON | {"month": 9}),
    "read_contact_account": Call("member"),
    "read_contact_account_by_item": Call("task"),
    "read_forecast": Call("plan"),
    "correct_check_in": Call(
        "task",
        frozenset({201}),
        reaches=_corrects,
        body=_correction,
        key=True,
        path={"version": "3"},
        called=lambda world, thing: str(world.done[thing.guide]),
    ),
    "enter_belated_check_in": Call("task", frozenset({201}), reaches=_amends, body=_belated, key=True),
    "enter_belated_check_in: performed by": Call(
        "guide",
        frozenset({201}),
        missing=422,
        reaches=_amends,
        body=lambda asked: _belated_by(asked.name),
        key=True,
        path={"task_id": "{task}"},
    ),
    "list_exceptions": Call(),
    "list_exceptions: of a store": Call("store", query={"store": "{name}"}, missing=200),
    "read_timeline: plan": _history("plan", reaches=_in_campaign, seen=403),
    "read_timeline: task": _history("task"),
    "read_timeline: guide": _history("guide"),
    "read_timeline: member": _history("member"),
    "read_timeline: stream of a task": _history("stream", kind="task", name="task/{name}"),
    "read_timeline: stream of a plan": _history(
        "stream", kind="plan", name="plan/{name}", reaches=_in_campaign
    ),
    "read_timeline: account": _history("account", reaches=_audits),
    "read_timeline: stream of an account": _history(
        "stream", kind="account", name="account/{name}", reaches=_audits
    ),
    "read_root": Call(),
    "read_verification": Call(),
    "read_why": Call("task"),
    "read_plan_as_of": Call("plan", query=_THEN, reaches=_in_campaign),
    "read_guide_as_of": Call("guide", query=_THEN),
    "read_member_as_of": Call("member", query=_THEN),
    "read_task_as_of": Call("task", query=_THEN),
    "list_messages": Call(),
    "summarise_messages": Call(),
    "stop_messages": Call(body=lambda _asked: REASON),
    "start_messages": Call(body=lambda _asked: REASON),
    "retry_message": Call("message", body=lambda asked: {"purpose": asked.name, "endpoint_id": 1}),
    **{
        # Wrong codes, passwords and PINs: who may sign in is tests/api's; here, that nothing is told or done.
        name: Call(done=frozenset({401}), body=lambda _asked, told=told: told)
        for name, told in {
            "bind_device": {"code": "ABCD-EFGH"},
            "sign_in": {"login": "acc-hq", "password": "wrong"},
            "sign_in_by_pin": {"guide": "gui-iris", "pin": "0000"},
        }.items()
    },
    # No provider is set.
    **{
        name: Call(done=frozenset({404}))
        for name in ("begin_oidc", "finish_oidc", "begin_wecom", "finish_wecom")
    },
    "read_me": Call(),
    "list_sessions": Call(),
    "sign_out": Call(done=frozenset({204}), in_session=True),
    "end_session": Call("session", frozenset({204}), reaches=_owns, in_session=True),
    "end_other_sessions": Call(in_session=True),
    "change_password": Call(done=frozenset({422}), in_session=True, body=_secrets),
    "change_pin": Call(done=frozenset({422}), in_session=True, body=_secrets),
    "make_device_code": Call(
        "store",
        frozenset({201}),
        missing=422,
        reaches=_acts,
        body=lambda asked: {"store": asked.name, "name": "counter"},
    ),
    "list_devices": Call(),
    "list_devices: of a store": Call("store", query={"store": "{name}"}, missing=200),
    "end_device": Call("device", frozenset({204}), reaches=_acts),
    "give_pin": Call("guide", frozenset({201}), reaches=_gives_pin),
    "list_accounts": Call(),
    "create_account": Call(
        done=frozenset({201}), body=lambda _asked: {"login": "new.account", "name": "new", "grants": []}
    ),
    "read_account": Call("account"),
    "shut_account": _changes("account"),
    "open_account": _changes("account"),
    "reset_password": _changes("account", body=lambda _asked: None),
    "grant_role": _changes("account", 201, body=lambda _asked: {"role": "owner"}),
    "end_grant": _changes("grant"),
    "issue_token": _changes(
        "account",
        201,
        body=lambda asked: {"account_id": asked.name, "name": "till", "rights": ["plan.read"]},
    ),
    "list_tokens": Call(),
    "end_token": _changes("token"),
    "list_stores": Call(),
    "read_store_calendar": Call("store", path={"store": "{name}"}),
    "read_guide_calendar": Call("guide", path={"guide": "{name}"}),
    "explain_store_calendar": Call("store", path={"store": "{name}"}),
    "explain_guide_calendar": Call("guide", path={"guide": "{name}"}),
    "list_staff": Call(),
    "list_staff: of a store": Call("store", query={"store": "{name}"}, missing=200),
    "list_closings": Call(),
    # Nobody signs here: what a signed message does is tests/api's.
    "receive_records": Call(done=frozenset({401}), path={"source": "pbx"}, body=lambda _asked: {}),
    "list_claims": Call(query={"standing": "confirmed"}),
    "list_claims: of a guide": Call("guide", query={"guide": "{name}"}),
    "count_claims": Call(),
    "count_claims: of a guide": Call("guide", query={"guide": "{name}", "by": "store"}),
    "list_signs": Call(),
    "list_signs: of a guide": Call("guide", query={"guide": "{name}"}),
    "hire_guide": _changes(
        "store", missing=422, body=lambda asked: {"guide": "gui-new", "name": "new", "store": asked.name}
    ),
    "transfer_guide": _changes(
        "guide", missing=422, body=lambda asked: {"guide": asked.name, "store": "sto-camellia"}
    ),
    "leave_guide": _changes("guide", missing=422, body=lambda asked: {"guide": asked.name}),
    "close_store": _changes(
        "store", 200, 409, missing=422, body=lambda asked: {"store": asked.name, "to": "sto-camellia"}
    ),
    "list_consents": Call("member"),
    "set_consent": _changes(
        "member", 201, body=lambda _asked: {"purpose": "profile", "given": True, "source": "in_store"}
    ),
    "set_consent_by_item": _changes(
        "task", 201, body=lambda _asked: {"purpose": "profile", "given": True, "source": "in_store"}
    ),
    "export_member": Call("member"),
    # A key that was destroyed does not come back with the rows, so it is always the same member who is erased.
    "erase_member": _changes("member", called=lambda _world, _thing: "mem-orchid-2"),
    "reveal_phone": Call("task", reaches=_acts),
}
"""An operation may be called in several ways: `operation: way`."""


def rule_of(call: str) -> Right | Open:
    """The rule of the operation."""
    return RULES[call.partition(":")[0]]


@dataclass(frozen=True)
class Case:
    """One request and the object it is about."""

    call: str
    whose: str
    """own, foreign, unknown, seen (`Call.seen`), or empty where the operation names nothing."""
    asked: Asked

    @property
    def how(self) -> Call:
        return CALLS[self.call]

    def expected(self) -> frozenset[int]:
        """The answers the policy table allows."""
        rule = rule_of(self.call)
        if isinstance(rule, Right) and rule not in self.asked.reach.rights:
            return frozenset({403})
        if self.how.in_session and self.asked.world.shown[self.asked.reach.who.login].token:
            return frozenset({403})
        if self.whose in {"own", ""}:
            return self.how.done
        return frozenset({self.how.seen if self.whose == "seen" else self.how.missing})

    def __str__(self) -> str:
        return f"{self.asked.reach.who.login} {self.call} {self.whose} {self.asked.name}".strip()


def _stands(how: Call, reach: Reach, thing: Thing) -> str:
    if how.reaches(reach, thing):
        return "own"
    return "seen" if how.seen and reach.sees(thing) else "foreign"


def cases_of(world: World, reach: Reach) -> Iterator[Case]:
    """Every operation, for the first object of one's own, the first of somebody else's, and one that is not there."""
    for call, how in CALLS.items():
        if how.kind is None:
            yield Case(call, "", Asked(world, reach, "", None))
            continue
        things = [thing for thing in world.things if thing.kind == how.kind]
        for whose in ("own", "foreign", "seen"):
            thing = next((one for one in things if _stands(how, reach, one) == whose), None)
            if thing is not None:
                yield Case(call, whose, Asked(world, reach, how.called(world, thing), thing))
        yield Case(call, "unknown", Asked(world, reach, UNKNOWN[how.kind], None))
