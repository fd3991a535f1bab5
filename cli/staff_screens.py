"""What `daogou staff` shows: who stands where, and what a change moves."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType

from activities.staff_answers import StaffChanged
from cli.check_screen import unassigned
from cli.layout import NOTHING, heading, number, table
from ledger.staff import ClosingStore, StaffMember
from wording.catalogue import Catalogue


def changed_screen(words: Catalogue, told: StaffChanged, line: str, *, dry_run: bool) -> list[RenderableType]:
    """A change as it was decided, and what it moves."""
    parts: list[RenderableType] = [line]
    if not dry_run:
        parts.append(words("staff.in_force" if told.in_force else "staff.ahead"))
    moves = [one for one in told.moves if one.members or one.tasks or one.unassigned]
    if moves:
        made = table(
            words("staff.plan"),
            words("staff.members"),
            words("staff.tasks"),
            words("staff.unassigned"),
            words("staff.to"),
            right=(1, 2, 3),
            fold=(4,),
        )
        for one in moves:
            given = (words("staff.to_guide", guide=guide, tasks=number(n)) for guide, n in one.to.items())
            made.add_row(
                one.plan_id,
                number(one.members),
                number(one.tasks),
                number(len(one.unassigned)),
                " · ".join(given) or NOTHING,
            )
        foreseen = dry_run or not told.in_force
        parts += [heading(words("staff.would_move" if foreseen else "staff.moved")), made]
        short = [one for one in moves if one.unassigned]
        for one in short:
            parts += [heading(words("staff.nobody_of", plan=one.plan_id)), unassigned(words, one.reasons)]
        if short:
            parts += [words("staff.nobody"), words("staff.nobody_todo")]
    else:
        parts.append(words("staff.nothing_moves"))
    if told.keeps_roles:
        roles = ", ".join(told.keeps_roles)
        parts.append(words("staff.keeps_roles", roles=roles))
    if dry_run:
        parts.append(words("staff.dry_run"))
    return parts


def staff_screen(
    words: Catalogue, guides: Sequence[StaffMember], closings: Sequence[ClosingStore]
) -> list[RenderableType]:
    """Guides with the store they stand in, and stores that close."""
    made = table(
        words("staff.guide"),
        words("staff.name"),
        words("staff.store"),
        words("staff.state"),
        words("staff.next"),
    )
    for one in guides:
        state = words("staff.working" if one.active else "staff.gone")
        made.add_row(one.guide, one.name or NOTHING, one.store, state, _next(words, one))
    parts: list[RenderableType] = [made]
    if closings:
        shut = table(
            words("staff.store"),
            words("staff.last_on"),
            words("staff.goes_to"),
            words("staff.members_at"),
            right=(3,),
        )
        for store in closings:
            shut.add_row(store.store, f"{store.last_on}", store.to or NOTHING, number(store.members))
        parts += [heading(words("staff.closings")), shut]
    return parts


def _next(words: Catalogue, guide: StaffMember) -> str:
    if guide.next_on is None:
        return NOTHING
    if guide.next_store is None:
        return words("staff.next_leaves", day=guide.next_on)
    return words("staff.next_store", day=guide.next_on, store=guide.next_store)
