"""The proof on a screen: whether the ledger verifies, and what was not verified."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from cli.layout import number
from cli.session import Session
from ledger.verify import Verification


def verified_lines(session: Session, verification: Verification) -> list[RenderableType]:
    """The proof, or a loud failure, and what it does not say: never one without the other."""
    return [_verified_line(session, verification), *_standing_lines(session, verification)]


def _verified_line(session: Session, verification: Verification) -> Text:
    """The proof, or a loud failure."""
    key, style = ("verify.ok", "bold green") if verification.ok else ("verify.failed", "bold white on red")
    return Text(
        session.words(
            key,
            events=number(verification.events),
            streams=number(verification.streams),
            differences=number(verification.found),
        ),
        style=style,
    )


def _standing_lines(session: Session, verification: Verification) -> list[str]:
    """What was taken for granted, how far it is anchored, and the notes that nobody could read."""
    words, standing, beside = session.words, verification.standing, verification.beside
    lines = []
    if verification.since:
        lines.append(words("verify.since", position=number(verification.since)))
    if standing.anchored is None:
        lines.append(words("verify.never_anchored", events=number(standing.unanchored)))
    else:
        lines.append(
            words(
                "verify.not_anchored" if standing.unanchored else "verify.anchored",
                position=number(standing.anchored.position),
                events=number(standing.unanchored),
                time=f"{standing.anchored.sealed_at:%Y-%m-%d %H:%M} UTC",
                where=standing.anchored.where,
            )
        )
    if beside.erased or beside.unread:
        lines.append(words("verify.notes", erased=number(beside.erased), unread=number(beside.unread)))
    return lines
