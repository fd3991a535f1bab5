"""Signs of faking (domain.md, *The day*): listed for the supervisor, who judges them; a sign is no verdict."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum


class SignCode(StrEnum):
    """What is odd."""

    EVIDENCE_TWICE = "evidence_twice"
    """One call, or one piece of evidence, serves check-ins of different items."""
    SHORT_CALL = "short_call"
    """A contact is claimed, and the call lasted two seconds."""
    LIST_IN_A_MINUTE = "list_in_a_minute"
    """A list was cleared faster than anybody can call."""
    ONE_DEVICE = "one_device"
    """Several guides' check-ins come from one phone, right after each other."""
    SELF_DEALING = "self_dealing"
    """The guide is her own member: she called herself, or served her own purchase or redemption."""


IN_A_MINUTE = 5
"""So many items and more …"""
A_MINUTE = timedelta(seconds=60)
"""… reported as having occurred within so long."""
ONE_TALK = timedelta(minutes=5)
"""Check-ins of one member this near each other may be of one conversation: about two products, say (ours)."""
ONE_HAND = timedelta(minutes=5)
"""Check-ins of two guides on one phone this near each other are listed: a shared phone changes hands, too, but by signing
out and in (ours)."""
