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

    def __init__(self) -> None:
        self._known: dict[str, UUID] = {}

    def known(self, code: str) -> UUID | None:
        """The guide's id, where it was looked up before."""
        return self._known.get(code)

    async def id_of(self, ledger: Ledger, code: str) -> UUID:
        """The guide's id; looked up the first time, whoever asks: reach is compared with the id.

        Args:
            ledger: the request's.
            code: the brand's own.

        Raises:
            NotFound: no guide has this code.
        """
        known = self._known.get(code)
        if known is None:
            async with ledger.for_upkeep().connection() as connection:
                known = await guide_id_of(connection, ledger.tenant_id, code)
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            self._known[code] = known
        return known
