"""The newest seal, and whether what came since an earlier one is as it was written."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from api.answers import Answer
from api.context import AtHand
from api.problems import responses
from domain.errors import NotFound, Problem, Refused
from infra.anchor_file import anchor_path, read_anchor_file
from infra.seal_workflow import remembered_anchors
from ledger.anchors import check_value
from ledger.seals import last_seal
from ledger.sequencer import last_position
from ledger.verify import Verification, verify

MOST_EVENTS = 100_000
"""Events a request may have verified; more is for `daogou audit verify`."""

router = APIRouter(prefix="/audit", tags=["audit"])


class RootAnswer(Answer):
    """A seal: position and digests, nothing of what happened. As a file it is what `audit verify --against` reads."""

    tenant: int
    position: int
    root: str = Field(description="Of the Merkle tree (RFC 9162) over the events' hashes, in hex.")
    seal: str = Field(description="The seal's hash, over the seal before too, in hex.")
    sealed_at: datetime
    check_value: str = Field(description="The first 80 bits of the seal's hash, to be read out or printed.")


class DifferenceAnswer(Answer):
    """One thing that is not as it was written."""

    stream: str
    version: int
    kind: str


class VerificationAnswer(Answer):
    """What was verified, and how far copies outside the database say the same."""

    ok: bool
    since: int = Field(description="The position that was taken for granted, sealed then.")
    events: int
    sealed_position: int
    anchored_position: int
    anchored_at: datetime | None
    not_anchored: int = Field(description="Events after the anchored position.")
    differences_found: int
    differences: list[DifferenceAnswer]


@router.get("/root", operation_id="read_root", responses=responses(404))
async def read_root(here: AtHand) -> RootAnswer:
    """The newest seal."""
    async with here.ledger.connection() as connection:
        seal = await last_seal(connection, here.ledger.tenant_id)
    if seal is None:
        raise NotFound(Problem("seal", "", "nothing_sealed"))
    return RootAnswer(
        tenant=here.ledger.tenant_id,
        position=seal.position,
        root=seal.root.hex(),
        seal=seal.seal_hash.hex(),
        sealed_at=seal.sealed_at,
        check_value=check_value(seal),
    )


@router.get("/verification", operation_id="read_verification", responses=responses(404))
async def read_verification(
    here: AtHand,
    since: Annotated[
        int | None,
        Query(ge=0, lt=2**63, description="A position: what was sealed by then is taken for granted."),
    ] = None,
) -> VerificationAnswer:
    """Verify what came after a seal, by default the newest that leaves something, against every copy there is here."""
    tenant_id = here.ledger.tenant_id
    async with here.ledger.connection() as connection:
        highest = await last_position(connection, tenant_id)
        start = await last_seal(connection, tenant_id, up_to=max(0, highest - 1) if since is None else since)
        after = start.position if start else 0
        if highest - after > MOST_EVENTS:
            problem = Problem("since", str(after), "verification_too_long", {"most": MOST_EVENTS})
            raise Refused([problem])
    anchors = await remembered_anchors(here.settings) or []
    anchors += await read_anchor_file(anchor_path(here.settings), tenant_id)
    async with here.ledger.connection() as connection:
        return _answer(await verify(connection, tenant_id, since=after, anchors=anchors, projections=False))


def _answer(verification: Verification) -> VerificationAnswer:
    standing = verification.standing
    return VerificationAnswer(
        ok=verification.ok,
        since=verification.since,
        events=verification.events,
        sealed_position=standing.sealed.position if standing.sealed else 0,
        anchored_position=standing.anchored_position,
        anchored_at=standing.anchored.sealed_at if standing.anchored else None,
        not_anchored=standing.unanchored,
        differences_found=verification.found,
        differences=[DifferenceAnswer.model_validate(one) for one in verification.differences],
    )
