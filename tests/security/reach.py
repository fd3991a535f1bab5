"""How far somebody reaches, worked out again from the policy table and the world's facts: the independent rule.

It shares nothing with the database's policies but `domain/policy.py`, which both are held against.
"""

from __future__ import annotations

from dataclasses import dataclass

from domain.policy import (
    ACTS_FOR_GUIDES,
    AMENDS_CLOSED_DAYS,
    CHANGES_ALL,
    CHANGING,
    POLICY,
    SCOPES,
    SEES_ALL,
    Right,
    Role,
    Scope,
)
from tests.security.world import GUIDES, PAST, PLANS, STORES, Thing, Who


@dataclass(frozen=True)
class Reach:
    """What somebody may do, and to whom."""

    who: Who
    rights: frozenset[Right]
    sees_all: bool
    changes_all: bool
    stores: frozenset[str]
    """Whose members are theirs."""
    guides: frozenset[str]
    """Whose days and items are theirs."""
    acts_for: frozenset[str]
    amends: frozenset[str]
    """Stores whose closed days may be changed."""
    binds: frozenset[str]
    writes: bool
    """Whether anything at all: a token that reads only changes not even its own account."""
    plans: frozenset[str]
    """Whole campaigns that are theirs."""
    steers: frozenset[str]

    @property
    def myself(self) -> str:
        """The guide one is; empty: none, or not at work as one."""
        is_guide = self.who.role is not None and SCOPES[self.who.role] is Scope.SELF
        return (is_guide and self.who.guide) or ""

    @property
    def _in_campaign(self) -> frozenset[str]:
        return frozenset(code for code, guide in GUIDES.items() if guide.plan in self.plans)

    @property
    def known_guides(self) -> frozenset[str]:
        """Guides known by name: one's own, those who once stood in one's stores, those in one's campaign."""
        return (
            self.guides | self._in_campaign | {g for g, stood in PAST.items() if stood.store in self.stores}
        )

    @property
    def known_stores(self) -> frozenset[str]:
        """Stores that are known by name: one's own, and those of one's guides and campaign."""
        return self.stores | {GUIDES[code].store for code in self.guides | self._in_campaign}

    @property
    def known_plans(self) -> frozenset[str]:
        """Campaigns one's guides take part in, or took where they stood, or that are one's own."""
        past = {stood.plan for code, stood in PAST.items() if self.did(code, stood.store)}
        return self.plans | {GUIDES[code].plan for code in self.guides} | past

    def did(self, guide: str, store: str) -> bool:
        """Whether what a guide did is theirs: their own doing, or done in a store of theirs."""
        return guide == self.myself != "" or store in self.stores

    def sees(self, thing: Thing) -> bool:  # noqa: C901, PLR0911 - one answer a kind of thing
        """Whether a thing of the world exists for them."""
        if self.sees_all:
            return True
        match thing.kind:
            case "store":
                return thing.name in self.known_stores
            case "guide":
                return thing.name in self.known_guides
            case "member":
                # Their personal data is their store's and their guide's; a campaign knows them by id.
                return thing.store in self.stores or thing.guide in self.guides
            case "plan":
                return thing.name in self.known_plans
            case "task":
                return self.did(thing.guide, thing.store) or thing.plan in self.plans
            case "picture":
                return self.did(thing.guide, thing.store)
            case "case":
                # Of who reported it, and of whoever sees the member.
                mine = thing.store in self.stores or thing.guide in self.guides
                return mine or self.did(thing.guide, thing.store)
            case "account":
                return thing.owner == self.who.login or thing.guide in self.acts_for
            case "session":
                # Whoever gives a guide a PIN ends the guide's sessions with it.
                return thing.owner == self.who.login or bool(self.binds and thing.guide in self.guides)
            case "token" | "grant":
                return thing.owner == self.who.login
            case "device":
                return thing.store in self.binds
        return False

    def acts_on(self, thing: Thing) -> bool:  # noqa: PLR0911 - one answer a kind of thing
        """Whether they may change it or record what is done to it, where they have the right at all."""
        if self.changes_all:
            return True
        match thing.kind:
            case "plan":
                return thing.name in self.steers
            case "guide":
                return thing.name in self.acts_for
            case "task":
                mine = thing.guide == self.myself or thing.store in self.binds
                return mine and thing.guide in self.acts_for
            case "member":
                return thing.store in self.binds or thing.guide in self.acts_for
            case "session":
                return thing.owner == self.who.login
            case "device" | "store":
                return (thing.store or thing.name) in self.binds
        return False


def reach_of(who: Who) -> Reach:
    """By the policy table: the role's scope laid over the world."""
    role = who.role
    rights = POLICY[role] if role else frozenset()
    if who.rights is not None:
        rights &= frozenset(who.rights)
    writes = who.rights is None or bool(frozenset(who.rights) & CHANGING)
    scope = SCOPES[role] if role else None
    stores = frozenset(
        store.code
        for store in STORES.values()
        if (scope is Scope.REGION and store.region == who.place)
        or (scope is Scope.DEALER and store.dealer == who.place)
        or (scope is Scope.STORE and store.code == who.place)
    )
    guides = frozenset(code for code, guide in GUIDES.items() if guide.store in stores)
    if scope is Scope.SELF and who.guide:
        guides |= {who.guide}
    plans = frozenset({who.place} & set(PLANS)) if scope is Scope.CAMPAIGN else frozenset[str]()
    acts = writes and role in ACTS_FOR_GUIDES
    return Reach(
        who=who,
        rights=rights,
        sees_all=role in SEES_ALL,
        changes_all=role in CHANGES_ALL and writes,
        stores=stores,
        guides=guides,
        acts_for=guides if acts else frozenset(),
        amends=stores if Right.AMEND_CLOSED_DAY in rights and role in AMENDS_CLOSED_DAYS else frozenset(),
        binds=stores if writes and role is Role.STORE_MANAGER else frozenset(),
        writes=writes,
        plans=plans,
        steers=plans if writes else frozenset(),
    )
