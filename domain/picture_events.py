"""What happens to pictures: kept beside the ledger, which holds their digest; erased for good.

No event holds anything of what is on one.
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar
from uuid import UUID

from domain.events import Event

# --- stream picture/{picture} ---------------------------------------------------------------------


class PictureKept(Event):
    """A picture was kept: evidence of a check-in (`task`, `member`), or a photographed sheet of a guide's day."""

    type: ClassVar[str] = "picture_kept"
    picture: UUID
    kind: str
    sha256: str
    media_type: str
    size: int
    guide: UUID
    business_date: date
    task: UUID | None = None
    member: UUID | None = None


class PictureErased(Event):
    """Its content is gone, with a member who was on it."""

    type: ClassVar[str] = "picture_erased"
    picture: UUID
