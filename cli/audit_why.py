"""`daogou audit why`: how an item and the figures it is part of came about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import click
import orjson
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cli.check_screen import chain
from cli.layout import NOTHING, heading, money, number
from cli.session import Session, json_option, pass_session
from domain.cycle import GOING_COLD
from domain.effect import Effect
from domain.plan import Segment
from infra.clock import now
from ledger.timeline import TimelineEntry, told_with_codes
from ledger.why import CountedIn, ListedDay, Why, why
from wording.catalogue import Catalogue

SHORT = 8
"""So many digits of an id; `--json` has all of them."""

Line = tuple[str, TimelineEntry | None]
"""A sentence, and the event it is from."""


@click.command("why")
@click.argument("task", type=click.UUID)
@json_option
@pass_session
def why_command(session: Session, task: UUID) -> None:
    """一个任务的来龙去脉 / How a task and its figures came about."""
    told = session.run(_read(session, task))
    session.show(told, *_Screen(session.words, told).parts())


async def _read(session: Session, task: UUID) -> Why:
    async with session.ledger() as (ledger, _), ledger.connection() as connection:
        return await why(connection, ledger.tenant_id, task, now=now())


class _Screen:
    """The answer in sentences, each with its event below it."""

    def __init__(self, words: Catalogue, told: Why) -> None:
        self._words = words
        self._told = told
        self._zone = ZoneInfo(told.time_zone)

    def parts(self) -> Iterator[RenderableType]:
        told, words = self._told, self._words
        yield heading(self._say("title", task=self._short(told.task_id), category=told.category))
        yield self._say(
            "about",
            plan=told.plan,
            cycle=told.cycle,
            member=self._short(told.member),
            state=words.code("statuses", told.state),
            zone=told.time_zone,
        )
        parts: dict[str, list[Line]] = {
            "selected": list(self._selected()),
            "assigned": [(self._assigned(one), one) for one in told.assigned],
            "days": [line for day in told.days for line in self._day(day)] or [(self._say("no_list"), None)],
            "reports": [(self._event(one), one) for one in told.reports] or [(self._say("no_report"), None)],
            "effect": [(self._effect(told.effect), None)],
            "checks": [self._check(one) for one in told.checks] or [(self._say("no_check"), None)],
        }
        for name, lines in parts.items():
            yield ""
            yield heading(self._say(name))
            yield self._lines(lines)

    def _lines(self, lines: Sequence[Line]) -> Table:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for sentence, event in lines:
            text = Text(sentence)
            if event is not None:
                known = self._at(event.known_at)
                text.append(f"\n{self._stream(event)}#{event.version} {known}", style="dim")
            grid.add_row("·", text)
        return grid

    def _selected(self) -> Iterator[Line]:
        told = self._told
        for one in told.selected:
            if one.type in {"plan_launched", "plan_adjusted"}:
                yield self._rule(told.rule), one
            elif one.type == "cycle_started":
                yield self._say("started", **_numbers(one.payload, "cycle", "selected", "assigned")), one
            else:
                yield self._created(one), one
        basis = told.basis
        if basis.run_out is None:
            if told.selected[-1].payload.get("basis") != GOING_COLD:
                yield self._say("unseen"), None
            return
        worked = self._say(
            "worked",
            quantity=basis.run_out.last_quantity,
            on=f"{basis.run_out.last_purchase:%m-%d}",
            run_out=f"{basis.run_out.run_out:%m-%d}",
            lead=basis.lead_days,
        )
        if basis.run_out.own_intervals is not None:
            worked += self._say("rhythm", own=basis.run_out.own_intervals)
        yield worked + self._say("agrees" if basis.agrees else "differs"), None

    def _rule(self, rule: Segment) -> str:
        more = "".join(
            self._say(f"rule_{key}", names=", ".join(names))
            for key, names in (
                ("stores", rule.stores),
                ("with", rule.with_tags),
                ("without", rule.without_tags),
            )
            if names
        )
        return self._say(
            "rule", days=rule.within_days, categories=", ".join(rule.bought_categories), more=more
        )

    def _created(self, event: TimelineEntry) -> str:
        payload = event.payload
        expected = payload.get("expected_on")
        if payload["basis"] == GOING_COLD:
            since = self._at(datetime.fromisoformat(payload["silent_since"]))
            return self._say("created_cold", since=since, due=payload["due_on"][5:])
        return self._say(
            "created",
            bought=self._at(datetime.fromisoformat(payload["bought_at"])),
            run_out=payload["run_out_on"][5:],
            lasts=payload["days_per_unit"],
            basis=self._code("bases", payload["basis"]),
            due=payload["due_on"][5:],
        ) + (self._say("expected", on=expected[5:]) if expected else "")

    def _assigned(self, event: TimelineEntry) -> str:
        payload, words = event.payload, self._words
        tried = [(step, reason) for step, reason in payload.get("tried", ())]
        why_code = words.code("why", payload["why"])
        if payload["guide"] is None:
            said = self._say("nobody", why=why_code)
        else:
            strategy = payload["strategy"] and words.code("strategies", payload["strategy"])
            lead = words("unassigned.step", strategy=strategy, reason="") if strategy else ""
            said = self._say("given", guide=self._guide(payload["guide"]), strategy=lead, why=why_code)
        if payload.get("runner_up"):
            said += self._say("runner_up", guide=self._guide(payload["runner_up"]))
        if payload.get("full"):
            said += self._say("full", guides=", ".join(map(self._guide, payload["full"])))
        return said + (self._say("tried", chain=chain(words, tried)) if tried else "")

    def _day(self, day: ListedDay) -> Iterator[Line]:
        state = self._words.code("list_states", day.state)
        yield (
            self._say("on_list", day=day.day, guide=self._guide(str(day.guide)), rank=day.rank, state=state),
            None,
        )
        for event in day.events:
            yield self._event(event), event

    def _event(self, event: TimelineEntry) -> str:  # noqa: C901, PLR0911, PLR0912 - one answer a kind of event
        payload = event.payload
        match event.type:
            case "list_published":
                return self._say("list_published", count=len(payload["tasks"]))
            case "clocked_in":
                return self._say("clocked_in", guide=self._guide(payload["guide"]))
            case "nudged":
                return self._say("nudged", slot=payload["slot"], open=payload["open_items"])
            case "urged":
                return self._say("urged", actor=event.actor, open=len(payload["tasks"]))
            case "escalated":
                level = self._code("levels", payload["level"])
                return self._say("escalated", level=level, slot=payload["slot"], open=payload["open_items"])
            case "day_closed":
                return self._say(
                    "day_closed", **_numbers(payload, "listed", "done", "reached", "carried", "expired")
                )
            case "checked_in":
                return self._checked_in(event)
            case "check_in_corrected":
                return self._say("corrected", number=payload["supersedes"]) + self._checked_in(event)
            case "check_in_voided":
                return self._say("voided", number=payload["supersedes"], state=self._left_at(payload))
            case "task_restated":
                return self._say("restated", state=self._left_at(payload))
            case "task_left":
                state = self._words.code("statuses", payload["state"])
                return self._say("left", state=state, reason=self._code("reasons", payload["reason"]))
            case "task_reassigned":
                return self._say(
                    "moved", before=self._guide(payload["before"]), guide=self._guide(payload["guide"])
                )
            case _:
                # Kinds that are told nowhere else here: what they are called, and what stands in them.
                fields = ", ".join(f"{key}={_plain(value)}" for key, value in payload.items())
                name = self._words.code("events", event.type)
                return told_with_codes(event, f"{name}: {fields}")

    def _left_at(self, payload: dict[str, Any]) -> str:
        """Where a report left the item; one that came late or took another's place says so in full."""
        return self._words.code("statuses", (payload.get("leaves_item") or payload)["state"])

    def _checked_in(self, event: TimelineEntry) -> str:
        payload, words = event.payload, self._words
        said = self._say(
            "checked_in",
            on=self._at(event.occurred_at),
            attempt=(payload.get("leaves_item") or {}).get("attempts") or payload["attempt"],
            guide=self._guide(event.performed_by),
            channel=words.code("channels", payload["channel"]),
            outcome=words.code("outcomes", payload["outcome"]),
            reached=self._say("reached" if payload["reached"] else "not_reached"),
            state=self._left_at(payload),
        )
        if payload.get("next_on"):
            said += self._say("next_on", day=payload["next_on"][5:])
        if payload.get("late"):
            said += self._say("late")
        if payload.get("conflict"):
            said += self._say("conflict", why=self._code("conflicts", payload["conflict"]))
        kind, _, key = event.actor.rpartition("/")
        own = kind in {"guide", ""} and event.performed_by in event.actor
        return said if own else said + self._say("entered", actor=f"{kind}/{key[:SHORT]}…" if kind else key)

    def _effect(self, effect: Effect) -> str:
        bought = [line for line in effect.purchases if line.quantity > 0]
        gaps: dict[str, Any] = {"guide": self._guide(effect.guide_id), "plan": "", "winner": "", "at": ""}
        if effect.contact is not None and effect.window_ends_at is not None:
            gaps |= {
                "contact": self._at(effect.contact.occurred_at),
                "until": self._at(effect.window_ends_at),
                "days": (effect.window_ends_at - effect.contact.occurred_at).days,
            }
        if effect.winner is not None:
            gaps |= {
                "plan": effect.winner.plan_id,
                "winner": self._guide(effect.winner.guide_id),
                "at": self._at(effect.winner.occurred_at),
            }
        value = effect.figures.revenue + effect.figures.provisional_revenue
        gaps |= {"bought": ", ".join(self._at(line.occurred_at) for line in bought), "value": money(value)}
        said = self._say(f"outcomes.{effect.outcome}", **gaps)
        return said if self._told.whole else f"{said} {self._say('part')}"

    def _check(self, check: CountedIn) -> Line:
        names = self._words.group("audit_why.shares")
        counted = asdict(check.effect.figures)
        shares = ", ".join(name for key, name in names.items() if counted[key])
        kind = self._words.code("statuses", check.kind)
        said = self._say(
            "check",
            kind=kind,
            as_of=self._at(check.as_of),
            position=number(check.position),
            shares=shares or self._say("nothing"),
            guide=self._guide(check.effect.guide_id),
        )
        return said, check.event

    def _say(self, key: str, **gaps: object) -> str:
        return self._words(f"audit_why.{key}", **gaps)

    def _code(self, group: str, code: str) -> str:
        return self._words.texts.get(f"audit_why.{group}.{code}", code)

    def _at(self, instant: datetime) -> str:
        """By the plan's clocks; the year only where it is not the item's."""
        here = instant.astimezone(self._zone)
        return f"{here:%m-%d %H:%M}" if here.year == self._told.due_on.year else f"{here:%Y-%m-%d %H:%M}"

    def _guide(self, guide: str | None) -> str:
        return NOTHING if guide is None else self._told.codes.get(guide, f"{guide[:SHORT]}…")

    def _short(self, one: UUID) -> str:
        return f"{str(one)[:SHORT]}…"

    def _stream(self, event: TimelineEntry) -> str:
        """The stream, guides by their codes, other ids by their first digits."""
        parts = told_with_codes(event, event.stream).split("/")
        return "/".join(f"{part[:SHORT]}…" if len(part) == len(str(UUID(int=0))) else part for part in parts)


def _numbers(payload: dict[str, Any], *names: str) -> dict[str, str]:
    return {name: number(payload[name]) for name in names}


def _plain(value: object) -> str:
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else str(value)
