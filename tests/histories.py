"""Random histories of a small brand through the real commands: what a rebuild, a comparison or a look back must survive.

A history is a list of steps; a step names a command and two small numbers that choose whom and how. What the rules
refuse at that point is refused, and the history goes on. Time goes on by itself, a little with every step.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from activities.absence import tell_absent
from activities.accounts import Giver, Wanted, end_grant_of, grant_to, open_new_account, stand_account
from activities.acting import (
    adjust_goal_of,
    change_plan_status,
    confirm_canary,
    launch_plan,
    recall_plan,
    replace_guide_in,
)
from activities.asked import Asked
from activities.evening_rules import set_close_hour, set_score_rule
from activities.handing_over import settle_staff_changes
from activities.members import erase_member, set_consent
from activities.opening import clock_in
from activities.staff import close_store, leave, transfer
from domain.calendar_facts import CalendarFacts, Scope
from domain.consent import Purpose, Source
from domain.errors import DaogouError
from domain.events import ContactLimitsSet, DayNormSet
from domain.messages import PlanStep
from domain.policy import Right, Role
from ledger.account_places import Grant
from ledger.calendar_facts import hold_calendars, write_facts
from ledger.cases import Answer, answer_case
from ledger.consents import Heard
from ledger.contact_limits import set_limits
from ledger.day_norms import set_day_norm
from ledger.outbox import resume_messages, stop_messages
from ledger.pictures import NewPicture, keep_picture
from ledger.sequencer import sequence
from ledger.snoozing import snooze
from ledger.urging import urge
from tests.brand import ZONE, Brand, at, plan

MEMBERS = 6
PLAN = plan(
    period={"start": "2026-03-02", "working_days": 2, "cycles": 3},
    members={"bought_categories": ["TIN", "SOAP"]},
    care={"items_per_day": 3, "cold_after_days": 1},
    day={"open_items": "expire"},
    act={"raise_at": "90", "lower_at": "50"},
)
STEPS = (
    "report", "report", "report", "report", "morning", "morning", "next_day", "next_day", "buy", "evening", "clock_in",
    "late_report", "late_report", "correct", "correct", "void", "former", "pause", "resume", "replace", "transfer", "leave", "close_store", "consent", "erase", "check",
    "check", "settle", "adjust", "confirm", "close", "recall", "nudge", "urge", "switch", "account", "account", "sequence", "calendar",
    "snooze", "snooze", "absent", "norm", "evening_rule", "limits", "case", "picture",
)  # fmt: skip
"""Every command a history may hold; what matters most comes more often."""

Step = tuple[str, int, int]
steps = st.tuples(st.sampled_from(STEPS), st.integers(0, 11), st.integers(0, 11))
OUTCOMES = ("interested", "no_answer", "refused", "bought", "unreachable", "came", "complaint")
GRADES = (None, "A", "B", "D")


@dataclass
class History:
    """A brand and the hour it has come to."""

    brand: Brand
    day: int = 2
    now: datetime = field(default_factory=lambda: at(2, 8, 30))
    cycle: int = 0
    accounts: list[UUID] = field(default_factory=list)
    grants: list[UUID] = field(default_factory=list)

    async def begin(self, *, canary: bool = False, apart: bool = False) -> None:
        """Two stores, `apart` in two time zones, three guides, six members, and a plan whose first cycle has begun."""
        brand = self.brand
        await brand.open_store("S1")
        await brand.open_store("S2", zone="America/Los_Angeles" if apart else ZONE)
        for code, store in (("G1", "S1"), ("G2", "S1"), ("G3", "S2")):
            await brand.hire(code, store)
        await brand.category("TIN")
        await brand.category("SOAP")
        for number in range(MEMBERS):
            await brand.due_on(2 + number % 4, f"M{number}")
            if number % 2:
                await brand.due_on(3, f"M{number}", category="SOAP")
        await launch_plan(brand.ledger, PLAN, self.asked(at(1, 10)), canary=("S1",) if canary else ())
        await self._start_cycle()

    async def go(self, history: list[Step]) -> None:
        """Take the steps one after another."""
        for name, first, second in history:
            self.now += timedelta(minutes=7)
            step: Callable[[int, int], Awaitable[Any]] = getattr(self, f"_{name}")
            try:
                await step(first, second)
            except DaogouError:
                continue  # a rule stands against it: nothing has changed

    def asked(self, when: datetime | None = None) -> Asked:
        self.brand.commands += 1
        return Asked(f"asked/{self.brand.commands}", when or self.now, "hq")

    @property
    def on(self) -> date:
        return date(2026, 3, self.day)

    async def _guides(self) -> list[UUID]:
        return [row[0] for row in await self.brand.rows("SELECT guide_id FROM guide ORDER BY code")]

    async def _items(self, where: str) -> list[tuple[UUID, UUID]]:
        found = await self.brand.rows(f"SELECT task_id, guide_id FROM task WHERE {where} ORDER BY task_id")
        return [(row[0], row[1]) for row in found]

    async def _calendar(self, first: int, second: int) -> None:
        """A date is closed or opened by one of the scopes, or a guide is off."""
        guide = (await self._guides())[first % 3]
        store = await self.brand.value("SELECT store_id FROM store ORDER BY code LIMIT 1")
        scopes: tuple[tuple[Scope, str], ...] = (("brand", ""), ("store", str(store)), ("guide", str(guide)))
        scope, subject = scopes[first % len(scopes)]
        day = {"on": date(2026, 3, 2 + second)}
        facts = CalendarFacts.model_validate(
            {"closed": [day]} if first % 2 else {"opened": [day], "weekdays": [1, 2, 3, 4, 5]}
        )
        async with self.brand.ledger.transaction() as connection:
            await hold_calendars(connection, 1)
            await write_facts(connection, 1, self.brand.command("", self.now), scope, {subject: facts})

    async def _morning(self, first: int, _: int) -> None:
        self.now = max(self.now, at(self.day, 9))  # nothing is decided at nine of what is known at ten
        step = self.brand.day(self.day).model_copy(update={"at": self.now})
        await self.brand.purchases.settle_purchases(step)
        await self.brand.dispatch.cut_lists(step)
        for number, guide in enumerate(await self._guides()):
            # Not everybody's list is published: some days are closed as they were cut.
            if first >> number & 1 == 0:
                hers = self.brand.guide_day(guide, self.day).model_copy(update={"at": self.now})
                await self.brand.dispatch.publish_list(hers)

    async def _clock_in(self, first: int, _: int) -> None:
        await clock_in(self.brand.ledger, f"G{1 + first % 3}", at=self.now, actor=f"guide:{first}")

    async def _snooze(self, first: int, second: int) -> None:
        items = await self._items("state = 'open'")
        if items:
            task, guide = items[first % len(items)]
            until = (
                (self.now + timedelta(minutes=30 * second)).time() if second % 2 else self.on + timedelta(1)
            )
            zoned = until.replace(tzinfo=None) if isinstance(until, time) else until
            await snooze(self.brand.ledger, self.brand.command("", self.now), task, guide, zoned, "other")

    async def _absent(self, first: int, _: int) -> None:
        await tell_absent(self.brand.ledger, f"G{1 + first % 3}", self.asked())

    async def _norm(self, first: int, second: int) -> None:
        norm = DayNormSet(calls=first, invitations=second, invitations_a_visit=5, reason="because")
        async with self.brand.ledger.transaction() as connection:
            await set_day_norm(connection, 1, self.brand.command("", self.now), norm)

    async def _evening_rule(self, first: int, second: int) -> None:
        if first % 2:
            points = {"calls": second, "reached": first}
            await set_score_rule(self.brand.ledger, self.asked(), {"reached": first}, points, None, "because")
        else:
            hour, store = f"{second + 8:02}:30", "S1" if second % 2 else None
            await set_close_hour(
                self.brand.ledger, self.asked(), hour, store=store, from_on=None, reason="because"
            )

    async def _limits(self, first: int, second: int) -> None:
        """At times one more contact a day than a week has: refused, and nothing is written."""
        said = ContactLimitsSet(
            from_on=self.on + timedelta(second % 3), day=1 + first % 4, week=3, month=8 + second, reason="why"
        )
        async with self.brand.ledger.transaction() as connection:
            await set_limits(connection, 1, self.brand.command("", self.now), said)

    async def _report(self, first: int, second: int, *, earlier: timedelta = timedelta()) -> None:
        items = await self._items("state IN ('open', 'expired')")
        if items:
            task, guide = items[first % len(items)]
            outcome = OUTCOMES[second % len(OUTCOMES)]
            grade = GRADES[first % 4] if outcome not in {"no_answer", "unreachable"} else None
            later = date(2026, 3, self.day + 1) if grade == "B" else None
            await self.brand.report(
                task, guide, self.now - earlier, outcome, known_at=self.now, grade=grade, next_on=later
            )

    async def _late_report(self, first: int, second: int) -> None:
        await self._report(first, second, earlier=timedelta(hours=1 + second * 3))

    async def _former(self, first: int, second: int) -> None:
        """Somebody whose item went to another guide reports what she did before."""
        moved = await self.brand.rows(
            "SELECT split_part(stream, '/', 2)::uuid, (payload->>'before')::uuid, occurred_at FROM event"
            " WHERE type = 'task_reassigned' ORDER BY stream, version"
        )
        if moved:
            task, guide, when = moved[first % len(moved)]
            outcome = OUTCOMES[second % len(OUTCOMES)]
            await self.brand.report(task, guide, when - timedelta(minutes=3), outcome, known_at=self.now)

    async def _correct(self, first: int, second: int, *, void: bool = False) -> None:
        reports = await self.brand.rows(
            "SELECT task_id, version, guide_id, occurred_at FROM check_in ORDER BY known_at, task_id, version"
        )
        if reports:
            task, version, guide, when = reports[-1 - first % len(reports)]
            outcome = OUTCOMES[second % len(OUTCOMES)]
            grade = GRADES[(first + second) % 4] if outcome not in {"no_answer", "unreachable"} else None
            report = {
                "performed_by": guide,
                "occurred_at": when - timedelta(minutes=second % 3),
                "outcome": outcome,
            }
            told = {} if void else report | {"grade": grade}
            await self.brand.correct(task, version, self.now, why="why", **told)

    async def _void(self, first: int, second: int) -> None:
        await self._correct(first, second, void=True)

    async def _evening(self, first: int, _: int) -> None:
        self.now = max(self.now, at(self.day, 21))
        for number, guide in enumerate(await self._guides()):
            if first >> number & 1 == 0:
                hers = self.brand.guide_day(guide, self.day).model_copy(update={"at": self.now})
                await self.brand.dispatch.close_day(hers)

    async def _next_day(self, _: int, __: int) -> None:
        self.day += 1
        self.now = at(self.day, 8, 45)

    async def _buy(self, first: int, second: int) -> None:
        (members,) = await self.brand.rows("SELECT array_agg(member_id ORDER BY member_id) FROM member")
        late = timedelta(hours=second * 5)
        await self.brand.buy(
            members[0][first % MEMBERS], self.now - late, 1 + second % 3, known_at=self.now,
            category=("TIN", "SOAP")[second % 2],
        )  # fmt: skip

    async def _pause(self, _: int, __: int) -> None:
        await change_plan_status(self.brand.ledger, "p1", "paused", "why", self.asked())

    async def _resume(self, _: int, __: int) -> None:
        await change_plan_status(self.brand.ledger, "p1", "running", "why", self.asked())

    async def _close(self, first: int, _: int) -> None:
        if first == 0:
            await change_plan_status(self.brand.ledger, "p1", "closed", "why", self.asked())

    async def _recall(self, first: int, _: int) -> None:
        if first == 0:
            await recall_plan(self.brand.ledger, "p1", "why", self.asked())

    async def _confirm(self, _: int, __: int) -> None:
        await confirm_canary(self.brand.ledger, "p1", "why", self.asked())

    async def _adjust(self, first: int, _: int) -> None:
        await adjust_goal_of(self.brand.ledger, "p1", Decimal(50 + first), "why", self.asked())

    async def _replace(self, first: int, second: int) -> None:
        await replace_guide_in(
            self.brand.ledger, "p1", f"G{1 + first % 3}", f"G{1 + second % 3}", "why", self.asked()
        )

    async def _transfer(self, first: int, second: int) -> None:
        await transfer(
            self.brand.ledger, f"G{1 + first % 3}", f"S{1 + second % 2}", date(2026, 3, self.day + second // 6),
            self.asked(),
        )  # fmt: skip
        await settle_staff_changes(self.brand.ledger, self.now)

    async def _leave(self, first: int, second: int) -> None:
        if second < 4:
            await leave(self.brand.ledger, f"G{1 + first % 3}", None, None, self.asked())
            await settle_staff_changes(self.brand.ledger, self.now)

    async def _close_store(self, first: int, second: int) -> None:
        if second < 3:
            await close_store(self.brand.ledger, "S2", self.on, "S1" if first % 2 else None, self.asked())

    async def _urge(self, first: int, _: int) -> None:
        guides = await self._guides()
        guide = guides[first % len(guides)]
        await urge(self.brand.ledger, self.brand.command(when=self.now), guide_id=guide, guide_code="G")

    async def _case(self, first: int, second: int) -> None:
        """A complaint is answered or closed."""
        cases = await self.brand.rows("SELECT case_id FROM complaint_case ORDER BY case_id")
        if cases:
            answer = Answer(
                cases[first % len(cases)][0], "explained" if second % 2 else None, "why", bytes(16)
            )
            await answer_case(self.brand.ledger, self.brand.command("", self.now), answer)

    async def _picture(self, first: int, second: int) -> None:
        """Evidence of an item, or a sheet of a day."""
        items = await self._items("true")
        if items:
            task, guide = items[first % len(items)]
            content = b"\xff\xd8\xff" + bytes([second])
            new = NewPicture(content, guide, "G", self.on, task if second % 2 else None)
            await keep_picture(self.brand.ledger, new, at=self.now, actor="hq")

    async def _consent(self, first: int, second: int) -> None:
        heard = Heard(
            (Purpose.CONTACT, Purpose.CONTACT, Purpose.PHONE)[second % 3], second >= 6, Source.PHONE, "why"
        )
        await set_consent(
            self.brand.ledger, f"M{first % MEMBERS}", heard, self.asked(),
            occurred_at=self.now - timedelta(hours=second),
        )  # fmt: skip

    async def _erase(self, first: int, second: int) -> None:
        if second < 4:
            await erase_member(self.brand.ledger, f"M{first % MEMBERS}", "asked for", self.asked())

    async def _start_cycle(self) -> None:
        self.cycle += 1
        self.now = max(self.now, at(PLAN.cycle_days(self.cycle)[0], 8, 30))
        self.day = max(self.day, PLAN.cycle_days(self.cycle)[0].day)
        await self.brand.assignment.start_cycle(self._plan_step(self.now))

    def _plan_step(self, when: datetime) -> PlanStep:
        return PlanStep(plan_id="p1", cycle=self.cycle, at=when, rehearsal=True)

    async def _check(self, first: int, _: int) -> None:
        if not await self.brand.value("SELECT true FROM plan_cycle WHERE cycle = $1", self.cycle):
            return
        self.day = max(self.day, PLAN.cycle_days(self.cycle)[-1].day)
        self.now = max(self.now, at(self.day, 21, 5))
        await self.brand.review.check_cycle(self._plan_step(self.now))
        if first % 4:
            await self.brand.review.act_on_check(self._plan_step(self.now))
        if self.cycle < 3:
            await self._start_cycle()

    async def _settle(self, _: int, __: int) -> None:
        await self.brand.review.settle_cycles(self._plan_step(self.now + timedelta(days=20)))

    async def _nudge(self, _: int, __: int) -> None:
        await self.brand.reminders.nudge_guides(self.brand.day(self.day, 12, slot="12:00"))

    async def _switch(self, first: int, _: int) -> None:
        throw = resume_messages if first % 3 == 0 else stop_messages
        await throw(self.brand.ledger, self.brand.command(when=self.now), "why")

    async def _account(self, first: int, second: int) -> None:
        by = Giver(self.asked(), frozenset(Right))
        ledger = self.brand.ledger
        if not self.accounts or first < 2:
            who = f"a{len(self.accounts)}"
            made = await open_new_account(ledger, Wanted(who, who, with_password=False), by)
            self.accounts.append(made.made)
        elif not self.grants or first < 6:
            role = (Grant(Role.OWNER), Grant(Role.STORE_MANAGER, "S1"))[second % 2]
            given = await grant_to(ledger, self.accounts[second % len(self.accounts)], role, "why", by)
            self.grants.append(given.made)
        elif first < 9:
            await end_grant_of(ledger, self.grants[second % len(self.grants)], "why", by)
        else:
            account = self.accounts[second % len(self.accounts)]
            await stand_account(ledger, account, "why", by, active=second % 2 == 0)

    async def _sequence(self, _: int, __: int) -> None:
        async with self.brand.ledger.connection() as connection:
            await sequence(connection, self.brand.ledger.tenant_id)
