"""API tokens for machines: with scopes and an end, shown once, taken back at once."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field

from activities.tokens import LONGEST_DAYS, WantedToken, end_token, issue_token
from api.account_bodies import Name, Reasoned
from api.accounts import giver, keep_unstored
from api.answers import Answer
from api.context import AtHand, OptionalKey
from api.fields import Body, Whole
from api.pages import After, Limit, Page, page_of, read_cursor
from api.problems import responses
from api.replayed import mark_replayed
from domain.policy import Right
from ledger.account_list import CredentialLine, list_tokens

router = APIRouter(prefix="/tokens", tags=["tokens"])

DAYS = 90


class TokenBody(Body):
    """A token to be."""

    account_id: UUID | None = Field(default=None, description="Whose; your own where left out.")
    name: Name = Field(description="What it is for; no secret, no name of a person.")
    rights: Annotated[list[Right], Field(min_length=1, max_length=len(Right))] = Field(
        description="Its scopes: no more than these, and no more than its account has at the moment of each request."
    )
    days: Annotated[Whole, Field(ge=1, le=LONGEST_DAYS)] = DAYS


class TokenAnswer(Answer):
    """A token by its id; never its secret."""

    token_id: UUID
    account_id: UUID
    login: str
    name: str
    rights: list[str] | None = Field(description="Null: all its account has.")
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None


class IssuedAnswer(Answer):
    """The token, and its secret."""

    token: TokenAnswer
    secret: str | None = Field(
        description="In clear, this once. Null: the request had been done before; an answer to a key that comes again"
        " never shows it."
    )
    duplicate: bool


@router.post(
    "",
    operation_id="issue_token",
    status_code=201,
    responses=responses(400, 404, 409, 415) | {200: {"model": IssuedAnswer, "description": "Issued before"}},
)
async def issue(here: AtHand, body: TokenBody, response: Response, key: OptionalKey = None) -> IssuedAnswer:
    """Issue a token; its secret is in the answer, once. Send it as `Authorization: Bearer dgt_…`.

    An answer to a key that comes again does not show the secret: where it was lost, take the token back and issue another.
    """
    wanted = WantedToken(body.account_id or here.who.account_id, body.name, body.rights, body.days)
    issued = await issue_token(here.ledger, wanted, giver(here, key))
    keep_unstored(response)
    if issued.duplicate:
        response.status_code = 200
        mark_replayed(response)
    return IssuedAnswer(token=_token(issued.token), secret=issued.secret, duplicate=issued.duplicate)


@router.get("", operation_id="list_tokens", responses=responses())
async def tokens(
    here: AtHand,
    account: Annotated[UUID | None, Query(description="Only of this account.")] = None,
    ended: Annotated[bool, Query(description="Those too that were taken back or have run out.")] = False,
    after: After = None,
    limit: Limit = 50,
) -> Page[TokenAnswer]:
    """Tokens, newest first."""
    place = read_cursor(after, datetime, str)
    async with here.ledger.connection() as connection:
        found = await list_tokens(
            connection,
            here.ledger.tenant_id,
            at=here.clock(),
            account_id=account,
            ended=ended,
            after=place and (place[0], place[1]),
            limit=limit + 1,
        )
    return page_of(found, limit, _token, lambda token: (token.created_at, str(token.credential_id)))


@router.post("/{token_id}/end", operation_id="end_token", responses=responses(400, 404, 409, 415))
async def end(here: AtHand, token_id: UUID, body: Reasoned) -> TokenAnswer:
    """Take a token back: from the next request on it opens nothing. Taken back already, nothing changes."""
    return _token(await end_token(here.ledger, token_id, body.reason, giver(here, None)))


def _token(line: CredentialLine) -> TokenAnswer:
    return TokenAnswer(
        token_id=line.credential_id,
        account_id=line.account_id,
        login=line.login,
        name=line.name,
        rights=None if line.rights is None else list(line.rights),
        created_at=line.created_at,
        expires_at=line.expires_at,
        ended_at=line.ended_at,
    )
