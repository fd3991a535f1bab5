"""Rules of the evening, read and set: how days are scored, and from when store managers may close theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from activities.asked import Asked
from domain.calendar import business_date
from domain.errors import Problem, Refused
from domain.evening import STAGES, check_rule, not_before
from domain.events import EveningRuleSet
from ledger.door import Driver
from ledger.evening_rules import EveningRules, read_evening_rules, rule_payload, set_evening_rule
from ledger.ledger import Command, Ledger
from ledger.store_days import store_zones


@dataclass(frozen=True, slots=True)
class EveningStands:
    """What holds on a day; `codes` names the stores that the asker sees."""

    day: date
    rules: EveningRules
    codes: Mapping[UUID, str]

    def as_json(self) -> dict[str, Any]:
        """For programs and screens: hours as HH:MM, stores by code."""
        hours = {
            self.codes[store]: f"{hour:%H:%M}"
            for store, hour in self.rules.stores.items()
            if store in self.codes
        }
        return {
            "day": self.day,
            "score": rule_payload(self.rules.score),
            "score_from": self.rules.score_from,
            "close_from": f"{self.rules.close_from:%H:%M}",
            "stores": dict(sorted(hours.items())),
        }


async def evening_on(ledger: Ledger, day: date | None, now: datetime) -> EveningStands:
    """What holds on a day; None: today, as it is anywhere in the brand."""
    async with ledger.connection() as connection:
        return await _stands(
            connection, ledger.tenant_id, day or await _today(connection, ledger.tenant_id, now)
        )


async def set_score_rule(
    ledger: Ledger,
    asked: Asked,
    changes: Mapping[str, int],
    points: Mapping[str, int],
    from_on: date | None,
    reason: str,
) -> EveningStands:
    """Score days otherwise from a day on; what is not named stays as it would be then. Asked again it changes nothing.

    Raises:
        Refused: no reason, a number out of its bounds, or a day that is over or under way somewhere.
    """
    _refuse_without_reason(reason)
    tenant = ledger.tenant_id
    async with ledger.transaction() as connection:
        today = await _today(connection, tenant, asked.at)
        since = from_on or today + timedelta(days=1)
        standing = (await read_evening_rules(connection, tenant, since)).score
        rule = replace(
            standing,
            **changes,
            points={stage: points.get(stage, standing.points.get(stage, 0)) for stage in STAGES},
        )
        check_rule(rule, since, today)
        event = EveningRuleSet(from_on=since, score=rule_payload(rule), reason=reason)
        await set_evening_rule(connection, tenant, _command("score", asked), event)
        return await _stands(connection, tenant, since)


async def set_close_hour(
    ledger: Ledger,
    asked: Asked,
    close_from: str,
    *,
    store: str | None,
    from_on: date | None,
    reason: str,
) -> EveningStands:
    """Let a store's manager, or every one, close the day from another hour on. Asked again it changes nothing.

    Raises:
        Refused: no reason, no such store, or a day that is over somewhere.
    """
    _refuse_without_reason(reason)
    tenant = ledger.tenant_id
    async with ledger.transaction() as connection:
        store_id: UUID | None = None
        if store is not None:
            store_id = await connection.fetchval(
                "SELECT store_id FROM store WHERE tenant_id = $1 AND code = $2", tenant, store
            )
            if store_id is None:
                raise Refused([Problem("store", store, "unknown_store", {"nearest": "—"})])
        today = await _today(connection, tenant, asked.at)
        since = from_on or today
        if problems := not_before(since, today):
            raise Refused(problems)
        event = EveningRuleSet(store=store_id, from_on=since, close_from=close_from, reason=reason)
        await set_evening_rule(connection, tenant, _command("close-hour", asked), event)
        return await _stands(connection, tenant, since)


async def _stands(connection: Driver, tenant_id: int, day: date) -> EveningStands:
    rules = await read_evening_rules(connection, tenant_id, day)
    rows = await connection.fetch(
        "SELECT store_id, code FROM store WHERE tenant_id = $1 AND store_id = ANY($2)",
        tenant_id,
        list(rules.stores),
    )
    return EveningStands(day, rules, {row["store_id"]: row["code"] for row in rows})


async def _today(connection: Driver, tenant_id: int, now: datetime) -> date:
    """The latest date among the stores: before it a day has begun somewhere."""
    zones = await store_zones(connection, tenant_id)
    return max((business_date(now, zone) for zone in zones), default=now.date())


def _command(what: str, asked: Asked) -> Command:
    return Command(f"evening/{what}/{asked.key}", asked.at, asked.at, asked.actor)


def _refuse_without_reason(reason: str) -> None:
    if not reason.strip():
        raise Refused([Problem("reason", reason, "reason_missing")])
