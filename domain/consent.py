"""What a member agrees to, per purpose, and who may say so."""

from __future__ import annotations

from enum import StrEnum

from domain.errors import Problem


class Purpose(StrEnum):
    """What a consent is about."""

    CONTACT = "contact"
    """Any contact at all: taken back, the member is do-not-contact and leaves every list."""
    PHONE = "phone"
    WECOM = "wecom"
    PROFILE = "profile"
    """What is noted of needs and traits at check-ins."""


class Source(StrEnum):
    """How it was heard. Files say `import`; `manager` is a manager's own decision and needs a reason."""

    IN_STORE = "in_store"
    PHONE = "phone"
    WECOM = "wecom"
    MINI_PROGRAM = "mini_program"
    FORM = "form"
    IMPORT = "import"
    MANAGER = "manager"


HEARD = tuple(source for source in Source if source is not Source.IMPORT)
"""Sources that somebody may name; `import` is a file's own."""


def objection(source: Source, reason: str) -> Problem | None:
    """Why a consent cannot be recorded so; None: it can.

    A do-not-contact is lifted by the member, or by a manager with a reason: a manager says why, whatever the purpose.
    """
    if source is Source.MANAGER and not reason.strip():
        return Problem("reason", reason, "reason_of_manager_missing")
    return None
