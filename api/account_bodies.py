"""What requests about accounts say; a new account is read as far as it can be, so that all that is wrong comes at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, PrivateAttr, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from activities.accounts import LONGEST_NAME, Wanted
from api.fields import STORABLE, Body, Code, Instant, Reason
from api.problems import shape_problem
from domain.errors import Problem
from domain.logins import LONGEST_LOGIN
from domain.policy import Role
from ledger.account_places import Grant

MOST_GRANTS = 50

Login = Annotated[str, Field(min_length=1, max_length=LONGEST_LOGIN), STORABLE]
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME), STORABLE]
Place = Annotated[
    str,
    Field(
        max_length=200,
        description="Region or dealer by name, store or plan by code; empty for hq, owner, auditor, guide, service_agent.",
    ),
    STORABLE,
]


class GrantBody(Body):
    """A role in a place, from now on or when it says, until it is ended or when it says."""

    role: Role
    place: Place = ""
    starts_at: Instant | None = None
    ends_at: Instant | None = None

    def grant(self) -> Grant:
        """As the ledger has it."""
        return Grant(self.role, self.place, self.starts_at, self.ends_at)


class AccountBody(Body):
    """Somebody who is to sign in."""

    login: Login
    name: Name
    guide: Code | None = Field(default=None, description="Code of the guide this account is.")
    grants: Annotated[list[GrantBody], Field(default_factory=list, max_length=MOST_GRANTS)]
    password: bool = Field(
        default=True,
        description="False: signs in with a PIN, by OpenID Connect or WeCom, or has tokens only.",
    )
    _unread: tuple[Problem, ...] = PrivateAttr(default=())
    _grants_unread: frozenset[int] = PrivateAttr(default=frozenset())

    @property
    def unread(self) -> tuple[Problem, ...]:
        """What of it could not be read; those fields are empty here."""
        return self._unread

    def partly_read(self, unread: tuple[Problem, ...], grants: frozenset[int]) -> AccountBody:
        """Note what could not be read, and the numbers of the grants among it."""
        self._unread, self._grants_unread = unread, grants
        return self

    def wanted(self) -> Wanted:
        """As it is asked for; None stands for a grant that could not be read."""
        grants = (None if at in self._grants_unread else one.grant() for at, one in enumerate(self.grants))
        return Wanted(
            login=self.login,
            name=self.name,
            guide=self.guide or "",
            grants=tuple(grants),
            with_password=self.password,
        )


def _as_far_as_readable(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """The body; of one with faults, the fields that have none, and the faults."""
    try:
        return read(value)
    except ValidationError as error:
        if not isinstance(value, Mapping):
            raise
        details = error.errors(include_url=False)
        wrong = {detail["loc"][:1] for detail in details}
        good = {
            name: value[name] for name in AccountBody.model_fields if name in value and (name,) not in wrong
        }
        told, bad = value.get("grants"), {detail["loc"][:2] for detail in details}
        unread = frozenset[int]()
        if ("grants",) in wrong and isinstance(told, list) and ("grants",) not in bad:
            unread = frozenset(at for at in range(len(told)) if ("grants", at) in bad)
            good["grants"] = [{"role": Role.HQ} if at in unread else one for at, one in enumerate(told)]
        body = AccountBody.model_validate(good | {n: "-" for n in ("login", "name") if n not in good})
        return body.partly_read(tuple(shape_problem(detail) for detail in details), unread)


AS_FAR_AS_READABLE = WrapValidator(_as_far_as_readable)
"""On a parameter of a route that refuses what is `unread` together with all else that is wrong."""


class ReasonedGrant(GrantBody):
    """A further role, and why."""

    reason: Reason = ""


class Reasoned(Body):
    """Why."""

    reason: Reason


class Ending(Reasoned):
    """Why, and when."""

    ends_at: Instant | None = Field(default=None, description="At once where left out; never in the past.")
