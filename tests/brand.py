"""A small brand in a test's database: stores, guides, members, purchases, and plans for them.

    brand = Brand(ledger_database.ledger)
    await brand.open_store("S1")

Everything is put in by plain SQL as the worker. Instants are given in Shanghai time, the zone of every store
that names no other; `at(2, 9, 30)` is 2 March 2026, 09:30 there. One unit of TIN lasts seven days, the lead
is five: four tins bought 23 days before a day make an item due on it (`due_on`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from activities.assignment import AssignmentActivities
from activities.check_ins import CheckInActivities
from activities.context import Context
from activities.dispatch import DispatchActivities
from activities.plans import PlanActivities
from activities.purchases import PurchaseActivities
from activities.rehearsal import RehearsalActivities
from activities.reminders import ReminderActivities
from activities.review import ReviewActivities
from domain.amending import Correction
from domain.calendar import local_instant
from domain.check_in import CheckIn
from domain.identifiers import personal_id
from domain.messages import DayStep, GuideDayStep, PlanStep
from domain.plan import Plan
from domain.playbook import parse_plan
from ledger.check_ins import check_in
from ledger.corrections import correct
from ledger.ledger import Command, Ledger
from ledger.people import NOBODY, Person, note_place, open_text, read_people, salt_place, seal_text
from ledger.plans import launch
from ledger.recorded import Recorded
from ledger.sealing import unseal

ZONE = "Asia/Shanghai"
SECRET = b"tests"
MONDAY = date(2026, 3, 2)
"""First day of every plan."""
STOCK = timedelta(days=4 * 7 - 5)
"""Four tins bought so long before a day make an item due on it."""


def at(day: int | date, hour: int = 9, minute: int = 0, *, zone: str = ZONE) -> datetime:
    """An instant by its local time; a bare number is a day of March 2026."""
    on = date(2026, 3, day) if isinstance(day, int) else day
    return local_instant(on, time(hour, minute), zone)


def written(**changes: Any) -> dict[str, Any]:
    """A playbook as it comes from YAML: ten working days from Monday, 2 March 2026."""
    playbook: dict[str, Any] = {
        "plan": "p1",
        "name": "Tins",
        "period": {"start": "2026-03-02", "working_days": 10},
        "members": {"bought_categories": ["TIN"], "within_days": 180},
        "care": {
            "strategies": [{"strategy": "reception"}, {"strategy": "round_robin"}],
            "members_per_guide": 1000,
            "items_per_day": 50,
        },
        "goal": {"measure": "completion_rate", "target": 80, "by": "2026-03-31"},
        "means": [{"name": "Reminder", "script": "Hello", "days_per_unit": {"TIN": 7, "SOAP": 7}}],
    }
    for key, value in changes.items():
        old = playbook.get(key)
        playbook[key] = {**old, **value} if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return playbook


def plan(**changes: Any) -> Plan:
    """`written(...)`, read."""
    return parse_plan(written(**changes))


@dataclass
class Brand:
    """Writes into and reads from a test's database; `now` is what the activities' clock shows."""

    ledger: Ledger
    secret: bytes = SECRET
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    baskets: int = 0
    commands: int = 0
    categories: dict[str, int] = field(default_factory=dict)

    # --- facts ------------------------------------------------------------------------------------

    async def open_store(
        self, code: str = "S1", *, zone: str = ZONE, position: tuple[float, float] | None = None
    ) -> UUID:
        store = personal_id(self.secret, "store", code)
        latitude, longitude = position or (None, None)
        await self.execute(
            "INSERT INTO store (tenant_id, store_id, code, name, latitude, longitude, time_zone, batch_id)"
            " VALUES ($1, $2, $3, $3, $4, $5, $6, 1)",
            self.ledger.tenant_id, store, code, latitude, longitude, zone,
        )  # fmt: skip
        return store

    async def hire(
        self,
        code: str = "G1",
        store: str = "S1",
        *,
        active: bool = True,
        leave: tuple[date | None, date | None] = (None, None),
    ) -> UUID:
        guide = personal_id(self.secret, "guide", code)
        await self.execute(
            "INSERT INTO guide (tenant_id, guide_id, code, store_id, active, on_leave_from, on_leave_to, batch_id)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, 1)",
            self.ledger.tenant_id, guide, code, personal_id(self.secret, "store", store), active, *leave,
        )  # fmt: skip
        return guide

    async def join(self, *codes: str, store: str = "S1", opted_out_at: datetime | None = None) -> list[UUID]:
        members = [personal_id(self.secret, "member", code) for code in codes]
        await self.execute(
            "INSERT INTO member (tenant_id, member_id, home_store_id, opted_out_at, batch_id)"
            " SELECT $1, m, $2, $3, 1 FROM unnest($4::uuid[]) AS m",
            self.ledger.tenant_id, personal_id(self.secret, "store", store), opted_out_at, members,
        )  # fmt: skip
        keys = await self.ledger.keys.make_many(members)
        texts = {
            "code": list(codes),
            "name": [f"Wang {code}" for code in codes],
            "phone": ["13800001234"] * len(codes),
        }
        sealed = [
            [
                seal_text(keys[m], self.ledger.tenant_id, m, column, text)
                for m, text in zip(members, told, strict=True)
            ]
            for column, told in texts.items()
        ]
        await self.execute(
            "INSERT INTO member_person (tenant_id, member_id, code_sealed, name_sealed, phone_sealed)"
            " SELECT $1, * FROM unnest($2::uuid[], $3::bytea[], $4::bytea[], $5::bytea[])",
            self.ledger.tenant_id, members, *sealed,
        )  # fmt: skip
        return members

    async def person(self, member: UUID) -> Person:
        """What can be read of somebody."""
        async with self.ledger.connection() as connection:
            people = await read_people(connection, self.ledger.tenant_id, self.ledger.keys, [member])
        return people.get(member, NOBODY)

    async def notes(self) -> list[tuple[str | None, bytes | None]]:
        """Every note that can be read, with its salt, by id."""
        rows = await self.rows(
            "SELECT note_id, member_id, note_sealed, salt_sealed FROM member_note ORDER BY note_id"
        )
        keys = await self.ledger.keys.get_many([row[1] for row in rows])
        tenant = self.ledger.tenant_id
        return [
            (
                open_text(keys.get(member), tenant, member, note_place(note), text),
                unseal(keys.get(member), tenant, member, salt_place(note), salt),
            )
            for note, member, text, salt in rows
        ]

    async def category(self, name: str = "TIN") -> int:
        if name not in self.categories:
            self.categories[name] = len(self.categories) + 1
            await self.execute(
                "INSERT INTO category (tenant_id, category_id, name) VALUES ($1, $2, $3)",
                self.ledger.tenant_id, self.categories[name], name,
            )  # fmt: skip
        return self.categories[name]

    async def buy(
        self,
        member: UUID,
        occurred_at: datetime,
        quantity: int = 4,
        *,
        known_at: datetime | None = None,
        category: str = "TIN",
        value: int = 100_00,
        guide: UUID | None = None,
        store: str = "S1",
        basket: str | None = None,
        return_of: str | None = None,
    ) -> str:
        """A line of a purchase, known when it occurred if nothing else is said; negative: a return."""
        self.baskets += 1
        basket = basket or f"b{self.baskets}"
        await self.execute(
            "INSERT INTO purchase (tenant_id, basket, product, is_return, member_id, store_id, category_id,"
            " guide_id, occurred_at, known_at, quantity, value_minor, return_of, batch_id)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 1)",
            self.ledger.tenant_id, basket, f"{category}-1", quantity < 0, member,
            personal_id(self.secret, "store", store), await self.category(category), guide, occurred_at,
            known_at or occurred_at, quantity, value if quantity > 0 else -value, return_of,
        )  # fmt: skip
        return basket

    async def due_on(self, day: int | date, *codes: str, **purchase: Any) -> list[UUID]:
        """Members whose item comes due on a day; they join where they have not."""
        on = date(2026, 3, day) if isinstance(day, int) else day
        known = [code for code in codes if await self.value(
            "SELECT true FROM member WHERE member_id = $1", personal_id(self.secret, "member", code)
        )]  # fmt: skip
        await self.join(*(code for code in codes if code not in known))
        members = [personal_id(self.secret, "member", code) for code in codes]
        for member in members:
            await self.buy(member, at(on - STOCK, 12), **purchase)
        return members

    # --- commands ---------------------------------------------------------------------------------

    def context(self) -> Context:
        return Context(self.ledger, lambda: self.now)

    @property
    def assignment(self) -> AssignmentActivities:
        return AssignmentActivities(self.context())

    @property
    def dispatch(self) -> DispatchActivities:
        return DispatchActivities(self.context())

    @property
    def purchases(self) -> PurchaseActivities:
        return PurchaseActivities(self.context())

    @property
    def reminders(self) -> ReminderActivities:
        return ReminderActivities(self.context())

    @property
    def review(self) -> ReviewActivities:
        return ReviewActivities(self.context())

    @property
    def plans(self) -> PlanActivities:
        return PlanActivities(self.context())

    @property
    def guides_at_work(self) -> CheckInActivities:
        return CheckInActivities(self.context())

    @property
    def rehearsal(self) -> RehearsalActivities:
        return RehearsalActivities(self.context())

    def command(self, command_id: str = "", when: datetime | None = None, actor: str = "hq") -> Command:
        """A command of HQ; its id is new where none is named."""
        self.commands += 1
        instant = when or at(1)
        return Command(command_id or f"command/{self.commands}", instant, instant, actor)

    async def launch(self, what: Plan, command_id: str = "") -> Any:
        async with self.ledger.transaction() as connection:
            return await launch(
                connection,
                self.ledger.tenant_id,
                self.command(command_id or f"plan/{what.plan}/launch"),
                what,
            )

    async def start(self, what: Plan | None = None, cycle: int = 1, when: datetime | None = None) -> Any:
        """Launch (the first time) and start a cycle at 08:30 of its first day."""
        chosen = what or plan()
        if cycle == 1:
            await self.launch(chosen)
        first = chosen.cycle_days(cycle)[0]
        return await self.assignment.start_cycle(
            PlanStep(plan_id=chosen.plan, cycle=cycle, at=when or at(first, 8, 30), rehearsal=True)
        )

    def day(self, day: int, hour: int = 9, *, slot: str = "", zone: str = ZONE) -> DayStep:
        """A step of a zone's day in March 2026."""
        return DayStep(
            day=date(2026, 3, day),
            time_zone=zone,
            release="09:00",
            at=at(day, hour, zone=zone),
            rehearsal=True,
            slot=slot,
        )

    def plan_step(self, plan_id: str, cycle: int, when: datetime) -> PlanStep:
        """A step of a plan."""
        return PlanStep(plan_id=plan_id, cycle=cycle, at=when, rehearsal=True)

    def guide_day(self, guide: UUID, day: int, hour: int = 9) -> GuideDayStep:
        """A step of a guide's day in March 2026."""
        return GuideDayStep(guide_id=guide, day=date(2026, 3, day), at=at(day, hour), rehearsal=True)

    async def morning(self, day: int, *guides: UUID) -> None:
        """Settle, cut and publish."""
        await self.purchases.settle_purchases(self.day(day))
        await self.dispatch.cut_lists(self.day(day))
        for guide in guides:
            await self.dispatch.publish_list(self.guide_day(guide, day))

    async def evening(self, day: int, *guides: UUID) -> None:
        """Close."""
        for guide in guides:
            await self.dispatch.close_day(self.guide_day(guide, day, 21))

    async def report(self, task: UUID, guide: UUID, when: datetime, outcome: str, **more: Any) -> Recorded:
        """A check-in, with a command id of its own where none is named."""
        salt = more.pop("salt", b"")
        return await check_in(self.ledger, self.report_command(task, guide, when, outcome, **more), salt=salt)

    def report_command(self, task: UUID, guide: UUID, when: datetime, outcome: str, **more: Any) -> CheckIn:
        """The command of a check-in."""
        self.commands += 1
        told = {
            "command_id": f"check-in/{self.commands}",
            "task_id": task,
            "performed_by": guide,
            "actor": f"guide:{guide}",
            "occurred_at": when,
            "known_at": when,
            "channel": "phone",
            "outcome": outcome,
        }
        return CheckIn.model_validate(told | more)

    async def correct(
        self, task: UUID, version: int, known_at: datetime, *, why: str = "", **report: Any
    ) -> Recorded:
        """A correction of a check-in: to a report (`performed_by`, `occurred_at`, `outcome` …), or a void without one."""
        self.commands += 1
        more = {name: report.pop(name) for name in ("command_id", "actor") if name in report}
        told = {
            "command_id": f"correction/{self.commands}",
            "actor": "supervisor:1",
            "known_at": known_at,
        } | more
        if report:
            report = told | {"task_id": task, "channel": "phone"} | report
        correction = Correction.model_validate(
            told | {"task_id": task, "supersedes": version, "report": report or None, "why": why}
        )
        return await correct(self.ledger, correction, salt=b"n" * 16, why_salt=b"w" * 16)

    # --- reading ----------------------------------------------------------------------------------

    async def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        async with self.ledger.connection() as connection:
            return [tuple(row) for row in await connection.fetch(query, *arguments)]

    async def value(self, query: str, *arguments: Any) -> Any:
        async with self.ledger.connection() as connection:
            return await connection.fetchval(query, *arguments)

    async def execute(self, query: str, *arguments: Any) -> None:
        async with self.ledger.connection() as connection:
            await connection.execute(query, *arguments)

    async def task(self, member: UUID, *, cycle: int = 1, category: str = "TIN") -> UUID:
        """The member's newest item of a cycle."""
        found = await self.value(
            "SELECT task_id FROM task WHERE member_id = $1 AND cycle = $2 AND category_id = $3"
            " ORDER BY bought_at DESC LIMIT 1",
            member, cycle, await self.category(category),
        )  # fmt: skip
        return UUID(str(found))

    async def standing(self, task: UUID) -> tuple[Any, ...]:
        """State, reason and due day of an item."""
        return (await self.rows("SELECT state, reason, due_on FROM task WHERE task_id = $1", task))[0]

    async def listed(self, day: int, guide: UUID) -> list[UUID]:
        """The members of a guide's list, in order."""
        rows = await self.rows(
            "SELECT t.member_id FROM list_item i JOIN task t USING (tenant_id, task_id)"
            " WHERE i.guide_id = $1 AND i.business_date = $2 ORDER BY i.rank",
            guide, date(2026, 3, day),
        )  # fmt: skip
        return [UUID(str(row[0])) for row in rows]

    async def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of every table a command may write to, in an order of their own."""
        return {table: await self.rows(f"SELECT * FROM {table} ORDER BY {key}") for table, key in TABLES}


TABLES = (
    ("stream_head", "stream"),
    ("event", "stream, version"),
    ("command", "command_id"),
    ("plan", "plan_id"),
    ("plan_cycle", "plan_id, cycle"),
    ("plan_member", "plan_id, cycle, member_id"),
    ("task", "task_id"),
    ("check_in", "task_id, version"),
    ("check_in_superseded", "task_id, version"),
    ("guide_day", "guide_id, business_date"),
    ("list_item", "guide_id, business_date, rank"),
    ("plan_check", "plan_id, cycle, kind"),
    ("outbox", "purpose"),
    ("member_note", "note_id"),
)

Step = Callable[[], Awaitable[Any]]
