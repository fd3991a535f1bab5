"""Guide codes to ids, remembered: a check-in names its guide by code and is not to pay a round trip for it."""

from __future__ import annotations

from uuid import UUID

from ledger.guides import guide_id_of
from ledger.ledger import Ledger

MOST_KEPT = 50_000


class GuideCodes:
    """Kept for the life of the process: an id is derived from its code and never changes.

    Codes nobody has are not kept, so a guide who was imported a moment ago is found.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[str, UUID] = {}

    async def id_of(self, code: str) -> UUID:
        """The guide's id; one round trip the first time.

        Raises:
            NotFound: no guide has this code.
        """
        known = self._known.get(code)
        if known is None:
            async with self._ledger.connection() as connection:
                known = await guide_id_of(connection, self._ledger.tenant_id, code)
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            self._known[code] = known
        return known
