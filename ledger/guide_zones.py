"""In which time zones the guides of a plan stand, without going through all guides for every plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from domain.plan import Plan
from ledger.door import Driver


@dataclass(frozen=True, slots=True)
class GuideAt:
    """An active guide's code and the time zone of her store."""

    code: str
    time_zone: str


@dataclass(frozen=True)
class GuideZones:
    """The guides that were read: all that a plan names, and at least one a zone."""

    guides: tuple[GuideAt, ...]

    @cached_property
    def _everywhere(self) -> tuple[str, ...]:
        return tuple(sorted({guide.time_zone for guide in self.guides}))

    def of(self, plan: Plan) -> tuple[str, ...]:
        """Zones in which a guide takes part in the plan, sorted."""
        if not plan.care.guides and not plan.care.without_guides:
            return self._everywhere
        return tuple(sorted({guide.time_zone for guide in self.guides if plan.care.takes_part(guide.code)}))


async def guide_zones(connection: Driver, tenant_id: int, plans: Sequence[Plan]) -> GuideZones:
    """Read what the plans need: every active guide where one names guides, else one a zone."""
    named = any(plan.care.guides or plan.care.without_guides for plan in plans)
    rows = await connection.fetch(
        f"""
        SELECT {"" if named else "DISTINCT ON (s.time_zone)"} g.code, s.time_zone
        FROM guide g JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id
        WHERE g.tenant_id = $1 AND g.active ORDER BY s.time_zone, g.code""",
        tenant_id,
    )
    return GuideZones(tuple(GuideAt(row["code"], row["time_zone"]) for row in rows))
