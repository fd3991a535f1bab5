"""Accounts: who can sign in, as what, from when until when. One-time passwords are told once, in the answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field

from activities.accounts import (
    Given,
    Giver,
    end_grant_of,
    grant_to,
    open_new_account,
    refuse_account,
    reset_password,
    stand_account,
)
from api.account_bodies import AS_FAR_AS_READABLE, AccountBody, Ending, Reasoned, ReasonedGrant
from api.answers import Answer
from api.context import AtHand, Here, OptionalKey, asked_by
from api.pages import After, Limit, Page, page_of, read_cursor
from api.problems import responses
from api.replayed import mark_replayed
from domain.policy import Role
from ledger.account_list import (
    AccountLine,
    CredentialLine,
    GrantLine,
    list_accounts,
    list_credentials,
    list_grants,
    read_account,
    read_grant,
)

router = APIRouter(tags=["accounts"])

Once = Annotated[
    str | None,
    Field(
        description="In clear, this once; it opens nothing but its own change. Null: none was given, or the request had"
        " been done before: an answer to a key that comes again never shows it."
    ),
]


class RoleAnswer(Answer):
    """A role that holds now."""

    role: str
    place: str


class AccountAnswer(Answer):
    """An account; `roles` are those that hold now."""

    account_id: UUID
    login: str
    name: str
    guide: str | None
    active: bool
    must_change: bool = Field(
        description="Its password was given by somebody else and opens only its change."
    )
    has_password: bool
    has_pin: bool
    locked_until: datetime | None
    created_at: datetime
    roles: list[RoleAnswer]


class GrantAnswer(Answer):
    """A grant."""

    grant_id: UUID
    role: str
    place: str
    starts_at: datetime
    ends_at: datetime | None


class CredentialAnswer(Answer):
    """A session or token by its id; what opens is never shown."""

    credential_id: UUID
    kind: Literal["session", "token"]
    name: str
    rights: list[str] | None = Field(description="Of a token: no more than these; null: all its account has.")
    created_at: datetime
    expires_at: datetime


class WholeAccount(AccountAnswer):
    """An account with every grant it ever had, and its sessions and tokens that open something now."""

    grants: list[GrantAnswer]
    credentials: list[CredentialAnswer]


class CreatedAnswer(Answer):
    """The account, and its one-time password."""

    account: AccountAnswer
    password: Once
    duplicate: bool


class StoodAnswer(Answer):
    """The account as it stands now, and whether this request changed it."""

    account: AccountAnswer
    changed: bool


class GrantedAnswer(Answer):
    """The grant as it stands now, and whether this request changed it."""

    grant: GrantAnswer
    changed: bool


@router.get("/accounts", operation_id="list_accounts", responses=responses())
async def accounts(
    here: AtHand,
    role: Annotated[Role | None, Query(description="Only who holds it now.")] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[AccountAnswer]:
    """Accounts by login."""
    place = read_cursor(after, str)
    async with here.ledger.connection() as connection:
        found = await list_accounts(
            connection,
            here.ledger.tenant_id,
            at=here.clock(),
            after=place[0] if place else None,
            role=role,
            limit=limit + 1,
        )
    return page_of(found, limit, _account, lambda account: (account.login,))


@router.post(
    "/accounts",
    operation_id="create_account",
    status_code=201,
    responses=responses(400, 409, 415) | {200: {"model": CreatedAnswer, "description": "Created before"}},
)
async def create(
    here: AtHand,
    body: Annotated[AccountBody, AS_FAR_AS_READABLE],
    response: Response,
    key: OptionalKey = None,
) -> CreatedAnswer:
    """Create an account with its first roles; its one-time password is in the answer, once.

    An answer to a key that comes again does not show the password: reset it where it was lost.
    """
    wanted, by = body.wanted(), giver(here, key)
    if body.unread:
        await refuse_account(here.ledger, wanted, by, body.unread)
    given = await open_new_account(here.ledger, wanted, by)
    if given.duplicate:
        response.status_code = 200
    return await _told(here, given, response)


@router.get("/accounts/{account_id}", operation_id="read_account", responses=responses(404))
async def show(here: AtHand, account_id: UUID) -> WholeAccount:
    """One account: its grants, and its sessions and tokens by id."""
    tenant, at = here.ledger.tenant_id, here.clock()
    async with here.ledger.connection() as connection:
        account = await read_account(connection, tenant, account_id, at=at)
        grants = await list_grants(connection, tenant, account_id)
        credentials = await list_credentials(connection, tenant, account_id, at=at)
    return WholeAccount(
        **_account(account).model_dump(),
        grants=[_grant(grant) for grant in grants],
        credentials=[_credential(credential) for credential in credentials],
    )


@router.post(
    "/accounts/{account_id}/shut", operation_id="shut_account", responses=responses(400, 404, 409, 415)
)
async def shut(
    here: AtHand, account_id: UUID, body: Reasoned, response: Response, key: OptionalKey = None
) -> StoodAnswer:
    """Shut an account: its sessions and tokens end, from the next request on."""
    given = await stand_account(here.ledger, account_id, body.reason, giver(here, key), active=False)
    return await _stood(here, given, response)


@router.post(
    "/accounts/{account_id}/open", operation_id="open_account", responses=responses(400, 404, 409, 415)
)
async def open_again(
    here: AtHand, account_id: UUID, body: Reasoned, response: Response, key: OptionalKey = None
) -> StoodAnswer:
    """Open a shut account again; it signs in anew, and tokens that ended stay ended."""
    given = await stand_account(here.ledger, account_id, body.reason, giver(here, key), active=True)
    return await _stood(here, given, response)


@router.post(
    "/accounts/{account_id}/password", operation_id="reset_password", responses=responses(400, 404, 409)
)
async def reset(here: AtHand, account_id: UUID, response: Response, key: OptionalKey = None) -> CreatedAnswer:
    """Give an account a new one-time password, in the answer, once; its sessions end and a lock-out is lifted.

    An answer to a key that comes again does not show the password: reset it anew where it was lost.
    """
    return await _told(here, await reset_password(here.ledger, account_id, giver(here, key)), response)


@router.post(
    "/accounts/{account_id}/grants",
    operation_id="grant_role",
    status_code=201,
    responses=responses(400, 404, 409, 415)
    | {200: {"model": GrantedAnswer, "description": "Granted before"}},
)
async def grant(
    here: AtHand, account_id: UUID, body: ReasonedGrant, response: Response, key: OptionalKey = None
) -> GrantedAnswer:
    """Grant a role in a place; nobody grants more than they have themselves."""
    given = await grant_to(here.ledger, account_id, body.grant(), body.reason, giver(here, key))
    if given.duplicate:
        response.status_code = 200
    return await _granted(here, given, response)


@router.post("/grants/{grant_id}/end", operation_id="end_grant", responses=responses(400, 404, 409, 415))
async def end(
    here: AtHand, grant_id: UUID, body: Ending, response: Response, key: OptionalKey = None
) -> GrantedAnswer:
    """End a grant, at once or at an instant; from the next request then it gives nothing."""
    given = await end_grant_of(here.ledger, grant_id, body.reason, giver(here, key), ends_at=body.ends_at)
    return await _granted(here, given, response)


def giver(here: Here, key: str | None) -> Giver:
    """Whoever asks, with the rights they have."""
    who = here.who
    token = who.credential_id if who.by_token else None
    return Giver(asked_by(here, key), who.rights, token, here.settings.ways)


def keep_unstored(response: Response) -> None:
    """Ask whoever passes an answer with a secret on to keep no copy."""
    response.headers["Cache-Control"] = "no-store"


async def _told(here: Here, given: Given, response: Response) -> CreatedAnswer:
    keep_unstored(response)
    if given.duplicate:
        mark_replayed(response)
    account = await _read(here, given.made)
    return CreatedAnswer(account=account, password=given.password, duplicate=given.duplicate)


async def _stood(here: Here, given: Given, response: Response) -> StoodAnswer:
    if given.duplicate:
        mark_replayed(response)
    return StoodAnswer(account=await _read(here, given.made), changed=not given.duplicate)


async def _granted(here: Here, given: Given, response: Response) -> GrantedAnswer:
    if given.duplicate:
        mark_replayed(response)
    async with here.ledger.connection() as connection:
        found = await read_grant(connection, here.ledger.tenant_id, given.made)
    return GrantedAnswer(grant=_grant(found), changed=not given.duplicate)


async def _read(here: Here, account_id: UUID) -> AccountAnswer:
    async with here.ledger.connection() as connection:
        return _account(await read_account(connection, here.ledger.tenant_id, account_id, at=here.clock()))


def _account(line: AccountLine) -> AccountAnswer:
    return AccountAnswer(
        account_id=line.account_id,
        login=line.login,
        name=line.name,
        guide=line.guide_code,
        active=line.active,
        must_change=line.must_change,
        has_password=line.has_password,
        has_pin=line.has_pin,
        locked_until=line.locked_until,
        created_at=line.created_at,
        roles=[RoleAnswer(role=role, place=place) for role, place in line.roles],
    )


def _grant(line: GrantLine) -> GrantAnswer:
    return GrantAnswer.model_validate(line)


def _credential(line: CredentialLine) -> CredentialAnswer:
    return CredentialAnswer.model_validate(line)
