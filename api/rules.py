"""Which right every operation asks for: the route table's other half. An operation without a rule cannot be served."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import Enum

from fastapi import APIRouter

from domain.policy import Right


class Open(Enum):
    """What asks for no right."""

    ANYBODY = "anybody"
    """Not even signed in: signing in itself, and whether the process lives."""
    SIGNED_IN = "signed in"
    """Oneself: one's own sessions and secrets, whatever one's role; also while the password must be changed."""
    SIGNATURE = "signature"
    """A system of record: not signed in either, each message proves itself (`api.feeds`)."""


Rule = Right | Open

RULES: Mapping[str, Rule] = {
    "live": Open.ANYBODY,
    "begin_oidc": Open.ANYBODY,
    "finish_oidc": Open.ANYBODY,
    "begin_wecom": Open.ANYBODY,
    "finish_wecom": Open.ANYBODY,
    "ready": Open.ANYBODY,
    "metrics": Right.READ_METRICS,
    "sign_in": Open.ANYBODY,
    "sign_in_by_pin": Open.ANYBODY,
    "bind_device": Open.ANYBODY,
    "sign_out": Open.SIGNED_IN,
    "list_sessions": Open.SIGNED_IN,
    "end_session": Open.SIGNED_IN,
    "end_other_sessions": Open.SIGNED_IN,
    "read_me": Open.SIGNED_IN,
    "change_password": Open.SIGNED_IN,
    "change_pin": Open.SIGNED_IN,
    "make_device_code": Right.BIND_DEVICE,
    "list_devices": Right.BIND_DEVICE,
    "end_device": Right.BIND_DEVICE,
    "give_pin": Right.BIND_DEVICE,
    "check_plan": Right.CHECK_PLAN,
    "launch_plan": Right.LAUNCH_PLAN,
    "list_plans": Right.READ_PLAN,
    "read_plan": Right.READ_PLAN,
    "read_report": Right.READ_REPORT,
    "read_plan_board": Right.READ_REPORT,
    "read_forecast": Right.READ_REPORT,
    "read_leaderboard": Right.READ_BOARD,
    "read_lost_orders": Right.READ_REPORT,
    "read_funnel": Right.READ_REPORT,
    "list_funnel_members": Right.READ_REPORT,
    "read_invitations": Right.READ_REPORT,
    "read_successes": Right.READ_REPORT,
    "read_summary": Right.READ_REPORT,
    "read_month_sheet": Right.READ_REPORT,
    "read_day_summary": Right.READ_REPORT,
    "read_score_sheet": Right.READ_REPORT,
    "read_day_rates": Right.READ_REPORT,
    "read_resources": Right.READ_LIST,
    "read_day_sheet": Right.READ_LIST,
    "enter_sheet": Right.CHECK_IN,
    "keep_evidence": Right.CHECK_IN,
    "keep_sheet": Right.CHECK_IN,
    "list_pictures": Right.READ_HISTORY,
    "read_picture": Right.READ_HISTORY,
    "pause_plan": Right.STEER_PLAN,
    "resume_plan": Right.STEER_PLAN,
    "close_plan": Right.STEER_PLAN,
    "recall_plan": Right.STEER_PLAN,
    "confirm_canary": Right.STEER_PLAN,
    "adjust_goal": Right.STEER_PLAN,
    "tune_means": Right.STEER_PLAN,
    "replace_guide": Right.REPLACE_GUIDE,
    "read_todays_list": Right.READ_LIST,
    "read_guide_month": Right.READ_LIST,
    "read_pool": Right.READ_LIST,
    "claim_task": Right.CHECK_IN,
    "snooze_task": Right.CHECK_IN,
    "tell_absence": Right.TELL_ABSENCE,
    "read_day_norm": Right.READ_LIST,
    "set_day_norm": Right.SET_NORM,
    "close_store_day": Right.CLOSE_DAY,
    "read_evening_rules": Right.READ_LIST,
    "set_score_rule": Right.SET_NORM,
    "set_close_hour": Right.SET_NORM,
    "read_guide_score": Right.READ_LIST,
    "read_contact_limits": Right.READ_LIST,
    "set_contact_limits": Right.SET_NORM,
    "read_contact_account": Right.READ_HISTORY,
    "read_contact_account_by_item": Right.READ_HISTORY,
    "clock_in": Right.CLOCK_IN,
    "urge_guide": Right.URGE,
    "list_cases": Right.READ_CASES,
    "answer_case": Right.ANSWER_CASE,
    "close_case": Right.ANSWER_CASE,
    "check_in": Right.CHECK_IN,
    "enter_belated_check_in": Right.AMEND_CLOSED_DAY,
    "correct_check_in": Right.CORRECT_CHECK_IN,
    "list_exceptions": Right.READ_HISTORY,
    "read_timeline": Right.READ_HISTORY,
    "read_root": Right.AUDIT,
    "read_verification": Right.AUDIT,
    "read_why": Right.READ_HISTORY,
    "read_plan_as_of": Right.READ_HISTORY,
    "read_guide_as_of": Right.READ_HISTORY,
    "read_member_as_of": Right.READ_HISTORY,
    "read_task_as_of": Right.READ_HISTORY,
    "list_consents": Right.SET_CONSENT,
    "set_consent": Right.SET_CONSENT,
    "set_consent_by_item": Right.SET_CONSENT,
    "export_member": Right.EXPORT_MEMBER,
    "erase_member": Right.ERASE_MEMBER,
    "reveal_phone": Right.REVEAL_PHONE,
    "list_messages": Right.READ_MESSAGES,
    "summarise_messages": Right.READ_MESSAGES,
    "stop_messages": Right.STEER_MESSAGES,
    "start_messages": Right.STEER_MESSAGES,
    "retry_message": Right.STEER_MESSAGES,
    "list_accounts": Right.READ_ACCOUNTS,
    "read_account": Right.READ_ACCOUNTS,
    "create_account": Right.MANAGE_ACCOUNTS,
    "shut_account": Right.MANAGE_ACCOUNTS,
    "open_account": Right.MANAGE_ACCOUNTS,
    "reset_password": Right.MANAGE_ACCOUNTS,
    "grant_role": Right.MANAGE_ACCOUNTS,
    "end_grant": Right.MANAGE_ACCOUNTS,
    "issue_token": Right.MANAGE_TOKENS,
    "list_tokens": Right.MANAGE_TOKENS,
    "end_token": Right.MANAGE_TOKENS,
    "list_stores": Right.READ_LIST,
    "read_store_calendar": Right.READ_LIST,
    "read_guide_calendar": Right.READ_LIST,
    "explain_store_calendar": Right.READ_LIST,
    "explain_guide_calendar": Right.READ_LIST,
    "list_staff": Right.READ_LIST,
    "receive_records": Open.SIGNATURE,
    "list_claims": Right.READ_SIGNS,
    "count_claims": Right.READ_SIGNS,
    "list_signs": Right.READ_SIGNS,
    "list_closings": Right.READ_LIST,
    "hire_guide": Right.CHANGE_STAFF,
    "transfer_guide": Right.CHANGE_STAFF,
    "leave_guide": Right.CHANGE_STAFF,
    "close_store": Right.CHANGE_STAFF,
}


def check_rules(routers: Iterable[APIRouter]) -> None:
    """Hold the route table against the rules.

    Raises:
        ValueError: an operation has no name or no rule, a rule no operation, or two routes share one.
    """
    routes = [route for router in routers for route in router.routes]
    named = Counter(str(getattr(route, "operation_id", None)) for route in routes)
    if set(named) != set(RULES) or named.total() > len(named):
        raise ValueError(
            f"api/rules.py: operations without a rule {sorted(set(named) - set(RULES))}, rules of nothing"
            f" {sorted(set(RULES) - set(named))}, names of two {[name for name, many in named.items() if many > 1]}"
        )
