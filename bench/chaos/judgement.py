"""What must hold of a campaign; each line is one requirement with what was found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from bench.chaos.campaign import Campaign
from bench.chaos.day import Lived
from bench.chaos.receiver import Receiver

PATHS: dict[str, tuple[str, ...]] = {
    "launch": ("activities.acting:launch_plan",),
    "pause": ("activities.acting:change_plan_status paused",),
    "resume": ("activities.acting:change_plan_status running",),
    "recall": ("activities.acting:change_plan_status recalled",),
    "withdraw items": ("activities.acting:withdraw_recalled",),
    "close plan": ("activities.acting:change_plan_status closed",),
    "adjust": ("activities.acting:_adjust",),
    "start cycle": ("activities.assignment:AssignmentActivities.start_cycle",),
    "settle purchases": ("activities.purchases:PurchaseActivities.settle_purchases",),
    "cut lists": ("activities.opening:cut_zone", "activities.opening:open_zone_day"),
    "clock in, publish": ("activities.opening:clock_in",),
    "nudge": ("activities.reminders:ReminderActivities.nudge_guides",),
    "check in": ("ledger.check_ins:check_in",),
    "close day": ("activities.dispatch:DispatchActivities.close_day",),
    "check": ("activities.review:_settled_snapshot",),
    "act": ("activities.review:ReviewActivities.act_on_check",),
    "claim message": ("ledger.claims:claim",),
    "end message": ("infra.outbox_sender:Sender._write_down",),
    "sequence": ("infra.worker_loops:run_sequencer",),
    "import": ("imports.batches:write_batch",),
}
"""The write paths of the scripted day, by the functions that ask for the connection: whoever comes first cuts lists."""


@dataclass(frozen=True, slots=True)
class Holds:
    """One requirement: what was found, in a word or a number, and whether that is right."""

    what: str
    found: str
    holds: bool
    more: tuple[str, ...] = ()
    """What is wrong, one a line."""


def judge(campaign: Campaign) -> list[Holds]:
    """Every requirement, held against both days."""
    calm, rough = campaign.calm, campaign.rough
    evidence = rough.evidence
    difference = calm.evidence.difference(evidence)
    missed = [name for name, ways in PATHS.items() if not any(campaign.faults[way] for way in ways)]
    keys = Counter(rough.acknowledged)
    counted = {key: times for key, times in evidence.checked_in.items() if times != 1}
    return [
        Holds("kills", str(campaign.kills.total), campaign.kills.total >= campaign.wanted.kills),
        Holds("write paths that failed after their commit", f"{len(PATHS) - len(missed)} of {len(PATHS)}", not missed, tuple(missed)),
        Holds(
            "projections as in the undisturbed day",
            evidence.checksum()[:12] if not difference else f"{len(difference)} rows differ",
            not difference and evidence.checksum() == calm.evidence.checksum(),
            tuple(difference),
        ),
        _none("commands with two events on a stream", evidence.twice),
        Holds(
            "acknowledged check-ins, each once in the ledger",
            f"{len(keys)}",
            set(keys) == set(evidence.checked_in) and not counted and len(keys) > 0,
            tuple(sorted(set(keys) ^ set(evidence.checked_in)) + sorted(counted)),
        ),
        _none("check-ins with another instant than acknowledged", rough.occurred),
        _none("answers the script does not know", [*calm.surprises, *rough.surprises]),
        _none("answers 500", [*calm.clients.bugs, *rough.clients.bugs]),
        *_messages(rough, campaign.rough_receiver),
        _none("findings of verify", [*calm.evidence.findings, *evidence.findings]),
        Holds(
            "verified against copies of the seals outside the database up to",
            f"{evidence.anchored}, not of {evidence.unanchored}; notes unread {evidence.unread}",
            not evidence.unread,
        ),
        Holds("events without a position", str(evidence.pending), evidence.pending == 0),
        Holds("guide-days open", str(evidence.open_days), evidence.open_days == 0),
        Holds("messages that wait beyond their time", str(evidence.overdue), evidence.overdue == 0),
        Holds(
            "`up` ended by itself",
            str(sum(code != -9 for code in campaign.ups)),
            all(code == -9 for code in campaign.ups),
            campaign.said,
        ),
    ]  # fmt: skip


def _messages(lived: Lived, receiver: Receiver) -> list[Holds]:
    states = lived.evidence.outbox
    twice = [name for name, times in receiver.purposes.items() if times > 1]
    sent = {name for name, state in states.items() if state == "sent"}
    perhaps = {name for name, state in states.items() if state == "unknown"}
    lost, unasked = sent - set(receiver.purposes), set(receiver.purposes) - sent - perhaps
    told = Counter(states.values())
    return [
        _none("messages received twice", [*twice, *(text for text, times in receiver.texts.items() if times > 1)]),
        Holds(
            "messages received are those sent",
            f"{len(receiver.purposes)} of {', '.join(f'{count} {state}' for state, count in sorted(told.items()))}",
            not lost and not unasked and len(receiver.purposes) > 0,
            tuple(sorted(lost | unasked)),
        ),
    ]  # fmt: skip


def _none(what: str, found: list[str]) -> Holds:
    return Holds(what, str(len(found)), not found, tuple(found))
