"""How a claim stands, by what systems of record say and how far they have told everything."""

from __future__ import annotations

from dataclasses import fields
from itertools import product
from typing import get_args

import pytest

from domain.check_in import Channel, Outcome
from domain.confirmation import Claim, Claims, Evidence, Standing, Told, add_claims, stand
from domain.phones import dialled

ALL = Told(calls=True, friends=True, purchases=True, visits=True)
ANSWERED, SHORT, UNANSWERED = Evidence(answered=True), Evidence(short=True), Evidence(unanswered=True)
BOTH = Evidence(answered=True, unanswered=True)
BY_PHONE = [
    ("interested", ANSWERED, Standing.CONFIRMED),
    ("refused", ANSWERED, Standing.CONFIRMED),
    ("interested", SHORT, Standing.CONTRADICTED),
    ("interested", UNANSWERED, Standing.CONTRADICTED),
    ("interested", BOTH, Standing.CONFIRMED),
    ("interested", Evidence(), Standing.UNCONFIRMED),
    ("no_answer", UNANSWERED, Standing.CONFIRMED),
    ("no_answer", SHORT, Standing.CONFIRMED),
    ("unreachable", BOTH, Standing.CONFIRMED),
    ("no_answer", ANSWERED, Standing.CONTRADICTED),
    ("no_answer", Evidence(), Standing.UNCONFIRMED),
    ("wrong_number", ANSWERED, Standing.CONFIRMED),
    ("wrong_number", UNANSWERED, Standing.CONFIRMED),
]


@pytest.mark.parametrize(("outcome", "evidence", "standing"), BY_PHONE)
def test_a_contact_by_phone_stands_by_the_calls_around_it(
    outcome: str, evidence: Evidence, standing: Standing
) -> None:
    assert stand(Claim("phone", outcome), evidence, ALL) is standing
    # As long as more may be told, only what agrees counts.
    early = stand(Claim("phone", outcome), evidence, Told())
    assert early is (standing if standing is Standing.CONFIRMED else Standing.NOT_CHECKABLE)


@pytest.mark.parametrize(
    ("outcome", "evidence"),
    [
        ("added_friend", Evidence(friend=True)),
        ("bought", Evidence(bought=True)),
        ("came", Evidence(came=True)),
    ],
)
def test_an_effect_is_confirmed_by_the_system_that_tells_of_it(outcome: str, evidence: Evidence) -> None:
    assert stand(Claim("wecom", outcome), evidence, Told()) is Standing.CONFIRMED
    assert stand(Claim("wecom", outcome), Evidence(), ALL) is Standing.UNCONFIRMED
    assert stand(Claim("wecom", outcome), Evidence(), Told()) is Standing.NOT_CHECKABLE


def test_a_call_and_its_effect_are_both_looked_up() -> None:
    claim = Claim("phone", "bought")
    assert stand(claim, Evidence(answered=True, bought=True), ALL) is Standing.CONFIRMED
    assert stand(claim, Evidence(answered=True), ALL) is Standing.UNCONFIRMED
    assert stand(claim, Evidence(unanswered=True, bought=True), ALL) is Standing.CONTRADICTED
    assert stand(claim, Evidence(bought=True), Told(purchases=True)) is Standing.CONFIRMED


def test_what_no_system_tells_of_is_held_against_nobody() -> None:
    for outcome in ("interested", "joined_group", "left_contact", "refused"):
        for channel in ("wecom", "group"):
            assert stand(Claim(channel, outcome), Evidence(), ALL) is Standing.NOT_CHECKABLE


def test_more_evidence_never_unconfirms_and_more_data_never_unfinds() -> None:
    """Every channel, outcome and piece of evidence: what agrees confirms, however far the data goes."""
    bits = [
        Evidence(**dict(zip([one.name for one in fields(Evidence)], on, strict=True)))
        for on in product((False, True), repeat=6)
    ]
    for channel, outcome in product(get_args(Channel), get_args(Outcome)):
        claim = Claim(channel, outcome)
        for evidence in bits:
            early, late = stand(claim, evidence, Told()), stand(claim, evidence, ALL)
            assert early in {Standing.CONFIRMED, Standing.NOT_CHECKABLE}
            if early is Standing.NOT_CHECKABLE and late is Standing.CONFIRMED:
                pytest.fail(f"{claim} {evidence}: told everything it is confirmed, before it was not")


def test_counts_of_the_standings_add_up() -> None:
    parts = [Claims.of(standing, 2, outcome=outcome) for standing in Standing for outcome in (True, False)]
    total = add_claims(parts)
    assert total.claimed == 16
    assert total.confirmed + total.contradicted + total.unconfirmed + total.not_checkable == total.claimed
    assert (total.outcome, total.confirmed_outcome) == (6, 2)  # what is contradicted led to nothing


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("138 0000-1234", "13800001234"),
        ("+86 138-0000-1234", "13800001234"),
        ("008613800001234", "13800001234"),
        ("(021) 6200 1234", "02162001234"),
        ("+44 20 7946 0000", "442079460000"),
        ("1234", None),
        ("１３８００００１２３４", None),
    ],
)
def test_one_number_written_in_several_ways_is_one(written: str, number: str | None) -> None:
    assert dialled(written) == number
