"""Rules of the evening: how days are scored, and from when a store's day may be closed; each from a day on.

Of each part what holds on a day is the latest rule whose day has come, of one day the latest said. Days that are over keep
theirs, for a rule of the past is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time
from uuid import UUID

from domain.evening import CLOSE_FROM, STAGES, ScoreRule
from domain.events import EveningRuleSet
from ledger.board_moment import Moment, told
from ledger.door import Appended, Driver
from ledger.ledger import Command, record


@dataclass(frozen=True, slots=True)
class EveningRules:
    """What holds on a day."""

    score: ScoreRule = field(default_factory=ScoreRule)
    score_from: date | None = None
    """Since when it is scored so; None: the brand says nothing."""
    close_from: time = CLOSE_FROM
    stores: Mapping[UUID, time] = field(default_factory=dict)
    """Stores with an hour of their own."""

    def close_of(self, store: UUID) -> time:
        """From when the manager of a store may close its day."""
        return self.stores.get(store, self.close_from)


_STREAM = "'evening/' || coalesce(nullif(r.subject, ''), 'brand')"
_RULES = f"""
SELECT DISTINCT ON (r.subject, r.score IS NULL) r.subject, r.from_on, r.close_from, r.score::text AS score
FROM evening_rule r
WHERE r.tenant_id = $1 AND r.from_on <= $4 AND ($2::timestamptz IS NULL OR {told("r.decided_at", _STREAM, "r.version")})
ORDER BY r.subject, r.score IS NULL, r.from_on DESC, r.version DESC"""


def evening_stream(store: UUID | None) -> str:
    """The stream of a store's rules, or the brand's."""
    return f"evening/{store or 'brand'}"


async def read_evening_rules(
    connection: Driver, tenant_id: int, day: date, moment: Moment | None = None
) -> EveningRules:
    """What holds on a day, by what had been said at a moment; None: by now. One round trip, a row a store with its own hour.

    With a moment, of a connection that sees positions.
    """
    rows = await connection.fetch(
        _RULES,
        tenant_id,
        None if moment is None else moment.at,
        None if moment is None else moment.position,
        day,
    )
    rules = EveningRules()
    hours = {row["subject"]: row["close_from"] for row in rows if row["close_from"] is not None}
    scored = next((row for row in rows if row["score"] is not None), None)
    return EveningRules(
        score=rules.score if scored is None else rule_of(json.loads(scored["score"])),
        score_from=None if scored is None else scored["from_on"],
        close_from=hours.pop("", CLOSE_FROM),
        stores={UUID(subject): hour for subject, hour in hours.items()},
    )


def rule_of(told_rule: Mapping[str, object]) -> ScoreRule:
    """The rule that an event or a row holds."""
    points = told_rule["points"]
    if not isinstance(points, Mapping):
        raise TypeError("points: not by stage")
    numbers = {name: int(str(told_rule[name])) for name in ("reached", "success", "penalty_below", "penalty")}
    return ScoreRule(points={stage: int(points[stage]) for stage in STAGES if stage in points}, **numbers)


def rule_payload(rule: ScoreRule) -> dict[str, object]:
    """As an event holds it."""
    return {
        "reached": rule.reached,
        "success": rule.success,
        "points": {stage: rule.points.get(stage, 0) for stage in STAGES},
        "penalty_below": rule.penalty_below,
        "penalty": rule.penalty,
    }


async def set_evening_rule(
    connection: Driver, tenant_id: int, command: Command, rule: EveningRuleSet
) -> Appended:
    """Let something else hold from a day on: event and row; call it in a transaction. Done before, it changes nothing."""
    appended = await record(connection, tenant_id, command, [(evening_stream(rule.store), rule)])
    if not appended.duplicate:
        await connection.execute(
            "INSERT INTO evening_rule (tenant_id, subject, version, from_on, close_from, score, decided_at)"
            " VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7)",
            tenant_id,
            "" if rule.store is None else str(rule.store),
            appended.version,
            rule.from_on,
            None if rule.close_from is None else time.fromisoformat(rule.close_from),
            None if rule.score is None else json.dumps(rule.score),
            command.known_at,
        )
    return appended
