"""One business day from launch to Check, on a real engine, with or without chaos."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from bench.chaos import script as scripted
from bench.chaos.clients import ATTEMPT_S, HQ, Answered, Clients, TooSlowError
from bench.chaos.engine import Engine
from bench.chaos.evidence import Evidence, gather
from bench.chaos.kills import Kills
from bench.chaos.receiver import Receiver
from bench.chaos.script import MAIN, PAUSED, RECALLED, Hours, Pace, Report, Script
from bench.chaos.watch import (
    LOOK_S,
    cycles_started,
    days_closed,
    items_by_member,
    nothing_waits,
    plans_checked,
    slots_nudged,
    told_otherwise,
    until,
    up,
)
from bench.identity import issue_identity
from domain.identifiers import personal_id
from domain.policy import Role
from imports.loading import import_frame
from imports.report import Kind, Tenant
from infra.anchor_file import anchor_path, read_anchor_file
from infra.clock import now
from infra.databases import open_ledger
from infra.settings import Settings
from ledger.account_places import Grant
from ledger.endpoints import add_endpoint
from ledger.ledger import Ledger

READY_S = 120.0
END_S = 600.0
"""An hour that was missed is found by the reconciler five minutes later; so much and more is waited for."""
NO_REUSE = httpx.Limits(max_keepalive_connections=0)
"""A connection may die while it waits for its next request."""
READ_EVERY_S = 0.3


@dataclass
class Lived:
    """A day that is over."""

    evidence: Evidence
    clients: Clients
    acknowledged: dict[str, datetime]
    """Keys of the check-ins that were taken, with the instant the client gave."""
    surprises: list[str]
    """Answers the script does not know."""
    occurred: list[str]
    """Check-ins in the ledger that say another instant than their client."""
    seconds: float


@dataclass
class Day:
    """Plays the script on an engine."""

    engine: Engine
    receiver: Receiver
    script: Script
    zone: str
    pace: Pace
    say: Callable[[str], None]
    kills: Kills | None = None
    least_kills: int = 0
    """The kills go on until there were so many, the day being over or not."""
    tokens: dict[str, str] = field(default_factory=dict)
    """Of HQ and of every guide."""
    tasks: dict[str, str] = field(default_factory=dict)
    """Item by member."""
    acknowledged: dict[str, datetime] = field(default_factory=dict)
    surprises: list[str] = field(default_factory=list)

    async def live(self) -> Lived:
        """From the first start of the engine to the last count.

        Raises:
            TooSlowError: the machine could not keep up with the hours of the script.
        """
        began = time.monotonic()
        timeout = httpx.Timeout(ATTEMPT_S)
        async with (
            self.engine.running(),
            httpx.AsyncClient(timeout=timeout, trust_env=False, limits=NO_REUSE) as http,
        ):
            clients = Clients(self.engine.api, http, self.tokens)
            await until(lambda: up(self.engine), "the engine is up", READY_S)
            self.say("the engine is up")
            async with self.engine.ledger() as ledger:
                killing = None if self.kills is None else asyncio.create_task(self.kills.go_on())
                reading = asyncio.create_task(self._read(clients))
                try:
                    hours = self.pace.hours(now(), self.zone)
                    await self._play(clients, ledger, hours, killing)
                    while self.kills is not None and self.kills.total < self.least_kills:
                        _raise_if_ended(killing)
                        await asyncio.sleep(LOOK_S)
                finally:
                    for task in (killing, reading):
                        if task is not None:
                            task.cancel()
                            with suppress(asyncio.CancelledError):
                                await task
                await until(lambda: up(self.engine), "the engine is up again", READY_S)
                await until(lambda: nothing_waits(ledger), "nothing waits", END_S)
                anchors = await read_anchor_file(
                    anchor_path(Settings(home=self.engine.home)), ledger.tenant_id
                )
                evidence = await gather(ledger, after="now()", anchors=anchors)
                occurred = await told_otherwise(ledger, self.acknowledged)
        return Lived(evidence, clients, self.acknowledged, self.surprises, occurred, time.monotonic() - began)

    # --- before anybody comes ---------------------------------------------------------------------

    async def open_brand(self) -> None:
        """Stores, guides, members, what they have at home, and a robot for each store; before the engine starts."""
        settings = Settings(home=self.engine.home)
        day = now().astimezone(ZoneInfo(self.zone)).date()
        async with open_ledger(settings, id_secret=scripted.SECRET) as (ledger, _):
            for kind, frame in (
                (Kind.STORES, scripted.stores_frame(self.zone)),
                (Kind.GUIDES, scripted.guides_frame()),
                (Kind.MEMBERS, scripted.members_frame()),
                (Kind.PURCHASES, scripted.stock_frame(day)),
            ):
                report = await import_frame(
                    ledger.engine,
                    Tenant(ledger.tenant_id, scripted.SECRET, ledger.keys),
                    kind,
                    frame,
                    known_at=now(),
                    actor="chaos",
                )
                if report.rows_bad or report.rows_new != report.rows_read:
                    raise SystemExit(f"the brand of the script is refused: {kind.value} {report.bad[:3]}")
            self.tokens = {HQ: await issue_identity(ledger, HQ, Grant(Role.HQ), at=now())}
            for guide in scripted.guides():
                guide_id = personal_id(scripted.SECRET, "guide", guide)
                self.tokens[guide] = await issue_identity(
                    ledger, guide.lower(), Grant(Role.GUIDE), at=now(), guide_id=guide_id
                )
            for number in range(1, scripted.STORES + 1):
                await add_endpoint(
                    ledger,
                    scope="store",
                    code=f"S{number}",
                    kind="webhook",
                    address=self.receiver.address(f"S{number}"),
                    per_minute=600,
                )

    # --- the day ----------------------------------------------------------------------------------

    async def _play(
        self, clients: Clients, ledger: Ledger, hours: Hours, killing: asyncio.Task[None] | None
    ) -> None:
        self.say(f"launch; release {hours.release:%H:%M:%S}Z, close {hours.close:%H:%M:%S}Z")
        for plan in (MAIN, PAUSED, RECALLED):
            body = scripted.playbook(plan, hours)
            await self._manager(clients, "", body, by=hours.release, launch=True)
        await until(lambda: cycles_started(ledger), "the cycles have started", _left(hours.release))
        self.tasks = await until(lambda: items_by_member(ledger), "the items are read", READY_S)
        self.say(f"{len(self.tasks)} items")
        await _sleep_until(hours.release)
        await self._wave(clients, hours, 0)
        await self._manager(clients, f"/{PAUSED}/pause", {"reason": "chaos"}, by=hours.slots[0])
        goal = {"reason": "chaos", "target": self.script.goal}
        await self._manager(clients, f"/{MAIN}/goal", goal, by=hours.slots[0])
        await self._import(hours)
        await self._slot(ledger, hours, 0, killing)
        await self._wave(clients, hours, 1)
        await self._manager(clients, f"/{PAUSED}/resume", {"reason": "chaos"}, by=hours.slots[1])
        await self._manager(clients, f"/{RECALLED}/recall", {"reason": "chaos"}, by=hours.slots[1])
        await self._slot(ledger, hours, 1, killing)
        await self._wave(clients, hours, 2)
        await until(lambda: days_closed(ledger), "every day is closed", _left(hours.close) + END_S)
        self.say("every day is closed")
        for plan in (MAIN, PAUSED):
            await self._manager(clients, f"/{plan}/close", {"reason": "chaos"})
        await until(lambda: plans_checked(ledger), "every plan is checked", END_S)
        self.say("every plan is checked")

    async def _wave(self, clients: Clients, hours: Hours, number: int) -> None:
        ends = hours.ends(number)
        by = time.monotonic() + _left(ends)
        await asyncio.gather(*(self._guide(clients, hours, guide, number, by) for guide in scripted.guides()))
        if _left(ends) <= 0:
            raise TooSlowError(f"wave {number} was acknowledged {-_left(ends):.0f} s after its end")
        self.say(f"wave {number} is acknowledged, {_left(ends):.0f} s before its end")

    async def _guide(self, clients: Clients, hours: Hours, guide: str, number: int, by: float) -> None:
        if number == 0:
            at_work = await clients.send("POST", f"/v1/guides/{guide}/clock-in", by=by, who=guide)
            self._expect(at_work, {200}, f"clock-in {guide}")
            listed = await clients.send("GET", f"/v1/guides/{guide}/today", by=by, who=guide)
            self._expect(listed, {200}, f"today {guide}")
            wanted = sum(scripted.ITEMS.values())
            if listed.status == 200 and len(listed.body["items"]) != wanted:
                self.surprises.append(f"{guide}: {len(listed.body['items'])} items on the list, not {wanted}")
        for report in self.script.of(guide, number):
            await self._report(clients, hours, report, by)

    async def _report(self, clients: Clients, hours: Hours, report: Report, by: float) -> None:
        occurred_at = report.occurred_at(hours)
        await _sleep_until(occurred_at)
        body: dict[str, Any] = {
            "performed_by": report.guide,
            "occurred_at": occurred_at.isoformat(),
            "channel": "phone",
            "outcome": report.outcome,
            "grade": report.grade,
            "note": f"chaos {report.key}" if report.place == 1 else None,
        }
        if report.tomorrow:
            body["next_on"] = scripted.tomorrow(hours).isoformat()
        began = time.monotonic()
        path = f"/v1/tasks/{self.tasks[report.member]}/check-ins"
        answered = await clients.send("POST", path, by=by, who=report.guide, key=report.key, body=body)
        if report.again:
            self._expect(answered, {409}, f"again {report.key}")
            return
        clients.seconds.append(time.monotonic() - began)
        if self._expect(answered, {200, 201}, f"check-in {report.key}"):
            self.acknowledged[report.key] = occurred_at

    async def _manager(
        self,
        clients: Clients,
        path: str,
        body: dict[str, Any],
        *,
        by: datetime | None = None,
        launch: bool = False,
    ) -> None:
        key = f"launch-{body['plan']}" if launch else path.replace("/", "-")
        left = END_S if by is None else _left(by)
        answered = await clients.send(
            "POST", f"/v1/plans{path}", by=time.monotonic() + left, key=key, body=body
        )
        self._expect(answered, {200, 201}, f"plans{path} {key}")
        if by is not None and _left(by) <= 0:
            raise TooSlowError(f"plans{path}: acknowledged {-_left(by):.0f} s late")

    async def _import(self, hours: Hours) -> None:
        """What was bought meanwhile, by the command of a person, given again until it succeeds."""
        file = self.engine.home / "bought.csv"
        scripted.bought_frame(self.script, hours).write_csv(file)
        command = self.engine.command("import", "purchases", str(file), "--json")
        while True:
            done = await asyncio.to_thread(self._run, command, file.parent)
            if done.returncode == 0:
                break
            if _left(hours.slots[0]) <= 0:
                raise TooSlowError(
                    f"the import was not taken in time: {done.stdout[-500:]} {done.stderr[-500:]}"
                )
        if _left(hours.slots[0]) <= 0:
            raise TooSlowError("the import came after the slot")
        self.say(f"purchases are imported, {_left(hours.slots[0]):.0f} s before the slot")

    def _run(self, command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - ourselves
            command,
            cwd=folder,
            env=self.engine.environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    async def _slot(
        self, ledger: Ledger, hours: Hours, number: int, killing: asyncio.Task[None] | None
    ) -> None:
        """Let the slot come, and let its nudges be decided on before anybody goes on."""
        await _sleep_until(hours.slots[number])
        ends = hours.ends(number + 1)
        _raise_if_ended(killing)
        await until(lambda: slots_nudged(ledger, number + 1), f"slot {number} is nudged", _left(ends))
        self.say(f"slot {number} is nudged, {_left(ends):.0f} s before the next")

    async def _read(self, clients: Clients) -> None:
        """People who look: at lists and plans, all day."""
        asked = [(f"/v1/guides/{guide}/today", guide) for guide in scripted.guides()]
        asked += [("/v1/plans", HQ), ("/health/ready", HQ)]
        place = 0
        while True:
            with suppress(TooSlowError):
                path, who = asked[place % len(asked)]
                await clients.send("GET", path, by=time.monotonic() + 5, who=who)
            place += 1
            await asyncio.sleep(READ_EVERY_S)

    def _expect(self, answered: Answered, statuses: set[int], what: str) -> bool:
        if answered.status in statuses:
            return True
        self.surprises.append(f"{what}: {answered.status} {sorted(answered.codes)}")
        return False


def _left(instant: datetime) -> float:
    return (instant - now()).total_seconds()


async def _sleep_until(instant: datetime) -> None:
    while (left := _left(instant)) > 0:  # noqa: ASYNC110 - the wall clock is no event of this loop
        await asyncio.sleep(left)


def _raise_if_ended(task: asyncio.Task[None] | None) -> None:
    if task is not None and task.done():
        task.result()
