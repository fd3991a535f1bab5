"""Who may do what: the one policy table. The API asks it before every route; row-level security holds the same rows.

A **right** is what may be done, a **role** is a set of rights, a **scope** is where they hold. An account has grants,
each a role in a scope; its reach is their sum. What an account reads beyond its reach does not exist for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """Who works with daogou (domain.md, *Who*)."""

    HQ = "hq"
    OWNER = "owner"
    SUPERVISOR = "supervisor"
    ORGANISER = "organiser"
    DEALER = "dealer"
    STORE_MANAGER = "store_manager"
    GUIDE = "guide"
    SERVICE_AGENT = "service_agent"
    AUDITOR = "auditor"


class Scope(StrEnum):
    """Where a role's rights hold."""

    TENANT = "tenant"
    DEALER = "dealer"
    REGION = "region"
    STORE = "store"
    CAMPAIGN = "campaign"
    SELF = "self"


SCOPES: Mapping[Role, Scope] = {
    Role.HQ: Scope.TENANT,
    Role.OWNER: Scope.TENANT,
    Role.SUPERVISOR: Scope.REGION,
    Role.ORGANISER: Scope.CAMPAIGN,
    Role.DEALER: Scope.DEALER,
    Role.STORE_MANAGER: Scope.STORE,
    Role.GUIDE: Scope.SELF,
    Role.SERVICE_AGENT: Scope.SELF,
    Role.AUDITOR: Scope.TENANT,
}
"""A role is granted in a scope of one kind: a supervisor in a region, an organiser in a plan (the campaign)."""


class Right(StrEnum):
    """What may be done."""

    CHECK_PLAN = "plan.check"
    LAUNCH_PLAN = "plan.launch"
    STEER_PLAN = "plan.steer"
    REPLACE_GUIDE = "plan.people"
    READ_PLAN = "plan.read"
    READ_REPORT = "report.read"
    READ_BOARD = "board.read"
    READ_LIST = "list.read"
    CLOCK_IN = "clock_in"
    CHECK_IN = "check_in"
    CORRECT_CHECK_IN = "check_in.correct"
    AMEND_CLOSED_DAY = "closed_day.amend"
    READ_HISTORY = "history.read"
    READ_MESSAGES = "messages.read"
    STEER_MESSAGES = "messages.steer"
    REVEAL_PHONE = "phone.reveal"
    SET_CONSENT = "consent.set"
    EXPORT_MEMBER = "member.export"
    ERASE_MEMBER = "member.erase"
    READ_ACCOUNTS = "accounts.read"
    MANAGE_ACCOUNTS = "accounts.manage"
    BIND_DEVICE = "devices.bind"
    MANAGE_TOKENS = "tokens.manage"
    CHANGE_STAFF = "staff.change"
    TELL_ABSENCE = "absence.tell"
    SET_NORM = "norm.set"
    READ_METRICS = "metrics.read"
    AUDIT = "ledger.audit"
    READ_SIGNS = "signs.read"
    URGE = "guide.urge"
    CLOSE_DAY = "day.close"
    READ_CASES = "cases.read"
    ANSWER_CASE = "case.answer"


CHANGING = frozenset({
    Right.LAUNCH_PLAN,
    Right.STEER_PLAN,
    Right.REPLACE_GUIDE,
    Right.CLOCK_IN,
    Right.CHECK_IN,
    Right.CORRECT_CHECK_IN,
    Right.AMEND_CLOSED_DAY,
    Right.STEER_MESSAGES,
    Right.REVEAL_PHONE,
    Right.SET_CONSENT,
    Right.EXPORT_MEMBER,  # every export is an event
    Right.ERASE_MEMBER,
    Right.MANAGE_ACCOUNTS,
    Right.BIND_DEVICE,
    Right.MANAGE_TOKENS,
    Right.CHANGE_STAFF,
    Right.URGE,
    Right.ANSWER_CASE,
    Right.TELL_ABSENCE,
    Right.SET_NORM,
    Right.CLOSE_DAY,
})  # fmt: skip
"""Rights that write. A token without one of them reads only, in the database too."""

_LOOKS_ON = frozenset({
    Right.READ_PLAN,
    Right.READ_REPORT,
    Right.READ_BOARD,
    Right.READ_LIST,
    Right.READ_HISTORY,
    Right.READ_CASES,
})  # fmt: skip
_AT_WORK = frozenset({
    Right.READ_BOARD,
    Right.READ_LIST,
    Right.CLOCK_IN,
    Right.CHECK_IN,
    Right.CORRECT_CHECK_IN,
    Right.READ_HISTORY,
    Right.REVEAL_PHONE,
    Right.READ_CASES,
})  # fmt: skip
_SEES_ALL = _LOOKS_ON | {Right.READ_MESSAGES, Right.READ_METRICS, Right.AUDIT, Right.READ_SIGNS}

POLICY: Mapping[Role, frozenset[Right]] = {
    Role.HQ: frozenset(Right),
    Role.OWNER: _SEES_ALL,
    Role.AUDITOR: _SEES_ALL | {Right.READ_ACCOUNTS},
    Role.SUPERVISOR: _LOOKS_ON
    | {Right.READ_SIGNS, Right.CORRECT_CHECK_IN, Right.AMEND_CLOSED_DAY, Right.URGE, Right.ANSWER_CASE},
    Role.DEALER: _LOOKS_ON,
    Role.ORGANISER: frozenset({Right.READ_PLAN, Right.READ_REPORT, Right.READ_BOARD, Right.STEER_PLAN}),
    Role.STORE_MANAGER: _LOOKS_ON
    | _AT_WORK
    | {
        Right.BIND_DEVICE,
        Right.SET_CONSENT,
        Right.READ_SIGNS,
        Right.URGE,
        Right.TELL_ABSENCE,
        Right.CLOSE_DAY,
        Right.ANSWER_CASE,
    },
    Role.GUIDE: _AT_WORK,
    Role.SERVICE_AGENT: _AT_WORK,
}
"""The table. An owner advises and an auditor audits: both see everything and change nothing."""

SEES_ALL = frozenset({Role.HQ, Role.OWNER, Role.AUDITOR})
"""Roles whose reading knows no bounds."""
CHANGES_ALL = frozenset({Role.HQ})
ACTS_FOR_GUIDES = frozenset({Role.STORE_MANAGER, Role.GUIDE, Role.SERVICE_AGENT})
"""Roles that record the work of the guides in their scope: their own, or on behalf."""
AMENDS_CLOSED_DAYS = frozenset({Role.SUPERVISOR, Role.HQ})
"""Roles that correct what the guides in their scope reported of days that are closed, always with a reason."""

ON_PHONE = frozenset({Role.GUIDE, Role.SERVICE_AGENT, Role.STORE_MANAGER})
"""Roles that count in a session on a shop's phone, by PIN: a few digits never open more than a shop's work."""
BY_MANAGER = frozenset({Role.GUIDE, Role.SERVICE_AGENT})
"""An account with no other roles gets its PIN from the store's manager; every other one from HQ."""


def rights_of(roles: frozenset[Role]) -> frozenset[Right]:
    """The rights of somebody with these roles, wherever they hold."""
    return frozenset(right for role in roles for right in POLICY[role])
