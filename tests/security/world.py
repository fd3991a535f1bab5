"""A brand of two dealers, two regions and three stores, in which every object can be told by its name.

Whatever there is has a word of its own in everything that is written about it (`Thing.marks`), so that an answer which
says anything of it gives it away. Who may see which thing is for `policy_reach` to say, by the policy table and these
facts alone: nothing there knows how the database decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from uuid import UUID

from activities.sessions import digest
from domain.identifiers import derived_id
from domain.messages import DayStep, GuideDayStep, PlanStep
from domain.policy import Right, Role
from ledger.account_places import Grant
from ledger.cases import Followed, follow_report
from ledger.people import seal_plain
from ledger.phone_index import members_of_phones
from ledger.plans import launch
from ledger.seals import seal_new
from tests.brand import ZONE, Brand, at, plan
from tests.identities import account_id_of, identity

DAY = 2
"""Monday, 2 March 2026: lists are published at nine, the API's clock shows ten."""
NOW = at(DAY, 10)

READING = tuple(right for right in Right if right.value.endswith(".read"))
"""Rights of a token that reads only."""


@dataclass(frozen=True)
class StoreOf:
    """A store of the world."""

    code: str
    region: str
    dealer: str


STORES = {
    store.code: store
    for store in (
        StoreOf("sto-azalea", "reg-north", "dea-alpha"),
        StoreOf("sto-begonia", "reg-north", "dea-beta"),
        StoreOf("sto-camellia", "reg-south", "dea-beta"),
    )
}


@dataclass(frozen=True)
class GuideOf:
    """A guide of the world: its store, its campaign, and the first character of its members' names."""

    code: str
    store: str
    plan: str
    first: str
    tail: str


GUIDES = {
    guide.code: guide
    for guide in (
        GuideOf("gui-iris", "sto-azalea", "pla-c1", "甲", "7101"),
        GuideOf("gui-jasmine", "sto-azalea", "pla-c1", "乙", "7201"),
        GuideOf("gui-lotus", "sto-begonia", "pla-c2", "丙", "7301"),
        GuideOf("gui-mallow", "sto-begonia", "pla-c2", "丁", "7401"),
        GuideOf("gui-nerine", "sto-camellia", "pla-c2", "戊", "7501"),
        GuideOf("gui-orchid", "sto-camellia", "pla-c2", "己", "7601"),
    )
}
PLANS = {"pla-c1": ("sto-azalea",), "pla-c2": ("sto-begonia", "sto-camellia")}
"""Campaigns and the stores they run in."""


@dataclass(frozen=True)
class Stood:
    """Where a guide stood until the day she was transferred, and the campaign she worked for there."""

    store: str
    until: date
    plan: str


PAST = {"gui-orchid": Stood("sto-azalea", date(2026, 3, 1), "pla-past")}
"""Guides who stand with another dealer now; their campaigns there have ended."""
PAST_DAY = date(2026, 2, 23)


@dataclass(frozen=True)
class Who:
    """Somebody who asks: a role where the policy grants it."""

    login: str
    role: Role | None
    place: str = ""
    guide: str | None = None
    rights: tuple[Right, ...] | None = None
    """Of the token; None: all that its account has."""


ASKERS = {
    who.login: who
    for who in (
        Who("acc-hq", Role.HQ),
        Who("acc-owner", Role.OWNER),
        Who("acc-auditor", Role.AUDITOR),
        Who("acc-supervisor", Role.SUPERVISOR, "reg-north"),
        Who("acc-dealer", Role.DEALER, "dea-alpha"),
        Who("acc-organiser", Role.ORGANISER, "pla-c1"),
        Who("acc-manager", Role.STORE_MANAGER, "sto-azalea"),
        Who("acc-guide", Role.GUIDE, guide="gui-iris"),
        Who("acc-service", Role.SERVICE_AGENT, guide="gui-mallow"),
        Who("acc-hq-reads", Role.HQ, rights=READING),
        Who("acc-guide-reads", Role.GUIDE, guide="gui-jasmine", rights=READING),
    )
}
"""Who asks in the tests; the last two show tokens that read only."""
OTHERS = {
    who.login: who
    for who in (
        Who("acc-manager-begonia", Role.STORE_MANAGER, "sto-begonia"),
        Who("acc-manager-camellia", Role.STORE_MANAGER, "sto-camellia"),
        Who("acc-guide-lotus", Role.GUIDE, guide="gui-lotus"),
        Who("acc-organiser-c2", Role.ORGANISER, "pla-c2"),
        Who("acc-nobody", None),
    )
}
"""Second identities: what is theirs is nobody else's. The last one is signed in and was granted nothing."""


@dataclass(frozen=True)
class Thing:
    """An object, what gives it away in an answer, and to whom it belongs."""

    kind: str
    name: str
    marks: tuple[str, ...]
    store: str = ""
    guide: str = ""
    plan: str = ""
    owner: str = ""
    """Of an account's sessions, tokens and grants: its login."""


@dataclass(frozen=True)
class Shown:
    """What somebody shows to sign on: a token, or a session with what its changing requests repeat."""

    token: str = ""
    session: str = ""
    csrf: str = ""


@dataclass
class World:
    """The brand, its things, and what everybody shows to sign on."""

    brand: Brand
    things: list[Thing] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)
    shown: dict[str, Shown] = field(default_factory=dict)
    """By login: people show a session, machines and the second identities a token."""
    tasks: dict[str, UUID] = field(default_factory=dict)
    """By guide: the item that is still open."""
    done: dict[str, UUID] = field(default_factory=dict)
    """By guide: the item that was checked in, with a note, and corrected since: version 3 holds."""
    guides: dict[str, UUID] = field(default_factory=dict)
    stores: dict[str, UUID] = field(default_factory=dict)
    members: dict[str, tuple[UUID, UUID]] = field(default_factory=dict)
    """By guide: the members she serves."""
    past: list[UUID] = field(default_factory=list)
    """Members whom guides served where they stood before."""


async def build(brand: Brand) -> World:
    """Put all of it into an empty brand."""
    world = World(brand)
    await _open(world)
    await _hire(world)
    await _sell(world)
    before = await _work_before(world)
    await _run(world)
    await _admit(world)
    await _fill(world)
    world.things += before  # last: what is asked for by name is what goes on, where there is such a thing
    return world


async def _open(world: World) -> None:
    await world.brand.category()
    await world.brand.category("SOAP")
    await world.brand.execute(
        "INSERT INTO endpoint (tenant_id, endpoint_id, scope, code, kind, address, per_minute)"
        " VALUES (1, 1, 'brand', '', 'webhook', 'json://127.0.0.1/', 20)"
    )
    for store in STORES.values():
        world.stores[store.code] = await world.brand.open_store(store.code)
        await world.brand.execute(
            "UPDATE store SET region = $2, dealer = $3, name = $4 WHERE code = $1",
            store.code, store.region, store.dealer, f"name of {store.code}",
        )  # fmt: skip
        marks = (store.code, str(world.stores[store.code]))
        world.things.append(Thing("store", store.code, marks, store=store.code))


async def _hire(world: World) -> None:
    for guide in GUIDES.values():
        world.guides[guide.code] = await world.brand.hire(guide.code, guide.store)
        await world.brand.execute(
            "INSERT INTO guide_person (tenant_id, guide_id, name, phone) VALUES (1, $1, $2, $3)",
            world.guides[guide.code], f"name of {guide.code}", f"1390000{guide.tail}",
        )  # fmt: skip
        marks = (guide.code, str(world.guides[guide.code]), f"1390000{guide.tail}")
        world.things.append(Thing("guide", guide.code, marks, guide.store, guide.code, guide.plan))


async def _sell(world: World) -> None:
    for guide in GUIDES.values():
        codes = [f"{guide.code.replace('gui', 'mem')}-{number}" for number in (1, 2)]
        members = await world.brand.join(*codes, store=guide.store)
        world.members[guide.code] = (members[0], members[1])
        for number, (code, member) in enumerate(zip(codes, members, strict=True)):
            phone = f"1380000{int(guide.tail) + number}"
            await world.brand.execute(
                "UPDATE member_person SET code = $2, name = $3, phone = $4, code_sealed = NULL, name_sealed = NULL,"
                " phone_sealed = NULL WHERE member_id = $1",
                member, code, f"{guide.first}{code}", phone,
            )  # fmt: skip
            await world.brand.buy(
                member, at(date(2026, 3, DAY) - timedelta(days=23), 12), guide=world.guides[guide.code], store=guide.store,
            )  # fmt: skip
            marks = (code, phone, f"尾号{phone[-4:]}", f"{guide.first}＊＊")
            world.things.append(Thing("member", code, marks, guide.store, guide.code, guide.plan))
    await seal_plain(world.brand.ledger)


async def _work_before(world: World) -> list[Thing]:
    """What guides did where they stood before: a campaign that has ended, of members who stayed there."""
    brand, things = world.brand, list[Thing]()
    for code, stood in PAST.items():
        guide, home = world.guides[code], world.stores[GUIDES[code].store]
        await brand.execute(
            "UPDATE guide SET store_id = $2 WHERE guide_id = $1", guide, world.stores[stood.store]
        )
        codes = [f"{code.replace('gui', 'old')}-{number}" for number in (1, 2)]
        members = await brand.join(*codes, store=stood.store)
        for member, name in zip(members, codes, strict=True):
            await brand.buy(
                member, at(PAST_DAY - timedelta(days=23), 12), category="TEA", guide=guide, store=stood.store
            )
            things.append(Thing("member", name, (name,), stood.store, plan=stood.plan))
        world.past += members
        await brand.start(
            plan(
                plan=stood.plan,
                name=f"name of {stood.plan}",
                period={"start": PAST_DAY.isoformat(), "working_days": 5},
                goal={"by": "2026-02-27"},
                members={"stores": [stood.store], "bought_categories": ["TEA"]},
                means=[{"name": "Reminder", "script": "Hello", "days_per_unit": {"TEA": 7}}],
            )
        )
        day = DayStep(day=PAST_DAY, time_zone=ZONE, release="09:00", at=at(PAST_DAY, 9), rehearsal=True)
        await brand.dispatch.cut_lists(day)
        hers = GuideDayStep(guide_id=guide, day=PAST_DAY, at=at(PAST_DAY, 9), rehearsal=True)
        await brand.dispatch.publish_list(hers)
        for member in members:
            task, note = await brand.task(member, category="TEA"), code.replace("gui", "was")
            when = at(PAST_DAY, 9, 30)
            await brand.report(task, guide, when, "interested", note=note, salt=b"0" * 16)
            marks = (note, str(task), str(member))
            things.append(Thing("task", str(task), marks, stood.store, code, stood.plan))
        await brand.dispatch.close_day(hers.model_copy(update={"at": at(PAST_DAY, 21)}))
        await brand.execute(
            "UPDATE plan SET status = 'closed', ended_at = $2 WHERE plan_id = $1",
            stood.plan, at(PAST_DAY + timedelta(days=4), 21),
        )  # fmt: skip
        await brand.execute("UPDATE guide SET store_id = $2 WHERE guide_id = $1", guide, home)
        things.append(Thing("plan", stood.plan, (stood.plan,), plan=stood.plan))
    return things


async def _run(world: World) -> None:
    brand = world.brand
    for name, stores in PLANS.items():
        wanted = plan(
            plan=name,
            name=f"name of {name}",
            members={"stores": list(stores)},
            means=[{"name": "Reminder", "script": f"script of {name}", "days_per_unit": {"TIN": 7}}],
        )
        async with brand.ledger.transaction() as connection:
            canary = stores if name == "pla-c1" else ()
            command = brand.command(f"plan/{name}/launch")
            await launch(connection, brand.ledger.tenant_id, command, wanted, canary=canary)
        await brand.assignment.start_cycle(PlanStep(plan_id=name, cycle=1, at=at(DAY, 8, 30), rehearsal=True))
        world.things.append(Thing("plan", name, (name,), plan=name))
    await brand.morning(DAY, *world.guides.values())
    for code, guide in world.guides.items():
        first, second = world.members[code]
        world.done[code], world.tasks[code] = await brand.task(first), await brand.task(second)
        note = code.replace("gui", "not")
        await brand.report(
            world.done[code],
            guide,
            at(DAY, 9, 30),
            "interested",
            grade="A",
            note=note,
            salt=b"0" * 16,
            evidence="a" * 64,
        )
        why = code.replace("gui", "why")
        await brand.correct(
            world.done[code], 2, at(DAY, 9, 40), why=why, performed_by=guide, occurred_at=at(DAY, 9, 30),
            outcome="interested", grade="B",
        )  # fmt: skip
        of = GUIDES[code]
        # A campaign knows members by id, so their ids go with the items.
        marks = (note, why, str(world.done[code]), str(world.tasks[code]), str(first), str(second))
        world.things.append(Thing("task", str(world.tasks[code]), marks, of.store, code, of.plan))
        purpose = f"nudge/{code}"
        await brand.execute(
            "INSERT INTO outbox (tenant_id, purpose, kind, guide_id, content, created_at, expires_at, state,"
            " endpoint_id) VALUES (1, $1, 'nudge', $2, '{}', $3, $4, 'unknown', 1)",
            purpose, guide, at(DAY, 9, 40), at(DAY, 20),
        )  # fmt: skip
        world.things.append(Thing("message", purpose, (purpose,)))
    for name in PLANS:
        await brand.review.check_cycle(PlanStep(plan_id=name, cycle=1, at=at(DAY, 9, 45), rehearsal=True))


async def _admit(world: World) -> None:
    for who in (ASKERS | OTHERS).values():
        grants = () if who.role is None else (Grant(who.role, who.place),)
        guide = world.guides[who.guide] if who.guide else None
        world.tokens[who.login] = await identity(
            world.brand.ledger, who.login, *grants, guide=guide, rights=who.rights
        )
        account = account_id_of(who.login)
        marks = (str(account), f'"{who.login.upper()}"', f'"{who.login}"')
        owned = {"guide": who.guide or "", "owner": who.login}
        world.things.append(Thing("account", str(account), marks, **owned))
        world.shown[who.login] = Shown(token=world.tokens[who.login])
        token = await world.brand.value("SELECT credential_id FROM credential WHERE account_id = $1", account)
        world.things.append(Thing("token", str(token), (str(token),), **owned))
        if grants:
            grant = await world.brand.value("SELECT grant_id FROM role_grant WHERE account_id = $1", account)
            world.things.append(Thing("grant", str(grant), (str(grant),), **owned))
        if who.login in ASKERS and who.rights is None:
            world.shown[who.login] = await _sign_in(world, who, "current")
            await _sign_in(world, who, "another")
    # A second one at HQ who can sign in, so that the first may go.
    await world.brand.execute("UPDATE account SET password = 'no hash' WHERE login = 'acc-hq-reads'")
    for code, store in world.stores.items():
        secret = f"phone of {code}"
        device = derived_id("device", code)
        await world.brand.execute(
            "INSERT INTO device (tenant_id, device_id, store_id, name, hash, bound_at) VALUES (1, $1, $2, $3, $4, $5)",
            device, store, secret, digest(secret), at(1),
        )  # fmt: skip
        await world.brand.execute(
            "INSERT INTO device_code (tenant_id, hash, store_id, made_by, name, expires_at)"
            " VALUES (1, $1, $2, $3, $4, $5)",
            digest(f"code of {code}"), store, account_id_of("acc-hq"), f"new {secret}", at(3),
        )  # fmt: skip
        world.things.append(Thing("device", str(device), (str(device), secret), store=code))


async def _sign_in(world: World, who: Who, which: str) -> Shown:
    shown = Shown(session=f"{which} session of {who.login}".replace(" ", "-"), csrf=f"csrf-of-{who.login}")
    session = derived_id("session", shown.session)
    await world.brand.execute(
        "INSERT INTO credential (tenant_id, hash, credential_id, account_id, kind, csrf, created_at, expires_at)"
        " VALUES (1, $1, $2, $3, 'session', $4, $5, $6)",
        digest(shown.session), session, account_id_of(who.login), digest(shown.csrf), at(1), at(3),
    )  # fmt: skip
    if which != "current":
        world.things.append(
            Thing("session", str(session), (str(session),), guide=who.guide or "", owner=who.login)
        )
    return shown


async def _fill(world: World) -> None:
    """A row in every table that is still empty, so that none is held against the rules without one."""
    for code, guide in world.guides.items():
        login = next((who.login for who in (ASKERS | OTHERS).values() if who.guide == code), None)
        if login is not None:
            await world.brand.execute(
                "INSERT INTO credential (tenant_id, hash, credential_id, account_id, kind, device_id, created_at,"
                " expires_at) VALUES (1, $1, $2, $3, 'session', $4, $5, $6)",
                digest(code), derived_id("phone", code), account_id_of(login),
                derived_id("device", GUIDES[code].store), at(1), at(3),
            )  # fmt: skip
        stood = PAST.get(code)
        await world.brand.execute(
            "INSERT INTO guide_posting (tenant_id, posting_id, guide_id, before_store_id, store_id, from_on, from_at,"
            " decided_at, applied_at, settled_at, version) VALUES (1, $1, $2, $3, $4, $5, $6, $7, $6, $6, 1)",
            derived_id("posting", code), guide, world.stores[stood.store] if stood else None,
            world.stores[GUIDES[code].store], date(2026, 3, 1), at(1, 0), at(date(2026, 2, 20), 9),
        )  # fmt: skip
        await world.brand.execute(
            "INSERT INTO system_record (tenant_id, source, kind, key, revision, voided, guide_id, member_id,"
            " also, occurred_at, seconds, answered, known_at, message)"
            " VALUES (1, 'pbx', 'calls', $1, 0, false, $2, $3, ARRAY[$4::uuid], $5, 60, true, $5, 'm')",
            f"call of {code}", guide, world.members[code][0], derived_id("shares the number", code), at(DAY, 9, 29),
        )  # fmt: skip
        await world.brand.execute(
            "INSERT INTO guide_urge (tenant_id, guide_id, business_date, version, urged_at, actor, tasks)"
            " VALUES (1, $1, $2, 9, $3, 'hq', '{}')",
            guide, date(2026, 3, DAY), at(DAY, 9, 40),
        )  # fmt: skip
        await world.brand.execute(
            "INSERT INTO cold_item (tenant_id, task_id, silent_since) VALUES (1, $1, $2)",
            world.tasks[code], at(1),
        )  # fmt: skip
        picture = derived_id("picture of", code)
        await world.brand.execute(
            "INSERT INTO picture (tenant_id, picture_id, kind, sha256, media_type, size, guide_id, business_date, kept_at)"
            " VALUES (1, $1, 'sheet', $2, 'image/png', 3, $3, $4, $5)",
            picture, "b" * 64, guide, date(2026, 3, DAY), at(DAY, 9, 40),
        )  # fmt: skip
        await world.brand.execute(
            "INSERT INTO picture_content (tenant_id, picture_id, sealed) VALUES (1, $1, 'x')", picture
        )
        world.things.append(Thing("picture", str(picture), (str(picture),), GUIDES[code].store, code))
        complained = Followed(
            world.done[code], 3, GUIDES[code].plan, world.members[code][0], guide, date(2026, 3, DAY),
            complains=True, supersedes=None, answer_hours=24,
        )  # fmt: skip
        async with world.brand.ledger.transaction() as connection:
            told = world.brand.command(f"complaint of {code}", at(DAY, 9, 40))
            await follow_report(connection, 1, told, complained)
        case = str(derived_id("case", str(world.done[code]), "3"))
        world.things.append(Thing("case", case, (case,), GUIDES[code].store, code, GUIDES[code].plan))
        for member in (*world.members[code], *(world.past if stood else ())):
            await world.brand.execute(
                "INSERT INTO consent (tenant_id, member_id, purpose, given, source, occurred_at, known_at)"
                " VALUES (1, $1, 'contact', true, 'import', $2, $2)",
                member, at(1),
            )  # fmt: skip
        await world.brand.execute(
            "INSERT INTO guide_absence (tenant_id, guide_id, business_date, told_at) VALUES (1, $1, $2, $3)",
            guide, date(2026, 2, 28), at(1),
        )  # fmt: skip
    for store in world.stores.values():
        await world.brand.execute(
            "INSERT INTO store_closing (tenant_id, store_id, last_on, from_at, decided_at)"
            " VALUES (1, $1, $2, $3, $4)",
            store, date(2026, 12, 31), at(date(2027, 1, 1)), at(1),
        )  # fmt: skip
    said = [("brand", ""), ("region", "reg-north")]
    said += [("store", str(store)) for store in world.stores.values()]
    said += [("guide", str(guide)) for guide in world.guides.values()]
    for scope, subject in said:
        await world.brand.execute(
            "INSERT INTO calendar_layer (tenant_id, scope, subject, facts, version, decided_at)"
            " VALUES (1, $1, $2, '{}', 1, $3)",
            scope, subject, at(1),
        )  # fmt: skip
    for statement in (
        (
            "INSERT INTO day_norm (tenant_id, calls, invitations, invitations_a_visit, changed_at, version)"
            " VALUES (1, 50, 30, 5, $1, 1)"
        ),
        # At ten a store's day may be closed, so that somebody who may does close one.
        (
            "INSERT INTO evening_rule (tenant_id, subject, version, from_on, close_from, decided_at)"
            " VALUES (1, '', 9, '2026-03-01', '08:00', $1)"
        ),
        (
            "INSERT INTO contact_limit (tenant_id, version, from_on, day, week, month, decided_at)"
            " VALUES (1, 99, '2026-01-01', 1, 3, 8, $1)"
        ),
        "INSERT INTO feed (tenant_id, source, created_at) VALUES (1, 'pbx', $1)",
        (
            "INSERT INTO feed_secret (tenant_id, secret_id, source, created_at)"
            " VALUES (1, '00000000-0000-0000-0000-000000000001', 'pbx', $1)"
        ),
        "INSERT INTO staff_answer (tenant_id, command_id, answer, known_at) VALUES (1, 'staff/key/k/leave', '{}', $1)",
        (
            "INSERT INTO feed_terms (tenant_id, source, number, known_at, kinds)"
            " VALUES (1, 'pbx', 1, $1, '{calls}')"
        ),
        (
            "INSERT INTO feed_message (tenant_id, source, message, body, root, answer, known_at)"
            " VALUES (1, 'pbx', 'm', '', '', '{}', $1)"
        ),
        (
            "INSERT INTO feed_watermark (tenant_id, source, kind, complete_until, known_at)"
            " VALUES (1, 'pbx', 'calls', $1, $1)"
        ),
    ):
        await world.brand.execute(statement, at(1))
    await members_of_phones(world.brand.ledger, ["13800001234"])
    await world.brand.execute(
        "INSERT INTO sign_in_window (tenant_id, subject, opened_at, attempts) VALUES (1, $1, $2, 1)",
        b"x",
        at(1),
    )
    await world.brand.execute(
        "INSERT INTO message_stop (tenant_id, stopped, reason, changed_at, version) VALUES (1, false, '', $1, 1)",
        at(1),
    )
    await seal_new(world.brand.ledger, at(1))


def named(marks: Mapping[str, str], text: str) -> list[str]:
    """The marks that stand in a text, with what they belong to."""
    return [f"{mark} ({what})" for mark, what in marks.items() if mark in text]
