"""What an import is asked for, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ledger.member_keys import NO_KEYS, MemberKeys

LISTED = 1_000
"""How many problems a report lists; it counts them all."""

Progress = Callable[[str, int, int], None]
"""Called with stage (`read`, `check`, `stage`, `insert`), rows done and rows in all."""


class Kind(StrEnum):
    """What a file holds."""

    STORES = "stores"
    GUIDES = "guides"
    MEMBERS = "members"
    PURCHASES = "purchases"
    CALLS = "calls"
    FRIENDS = "friends"
    REDEMPTIONS = "redemptions"
    VISITS = "visits"
    RETURNS = "returns"
    CHECK_INS = "check-ins"
    """Read by `imports.check_ins`: each row goes through the door of check-ins."""
    CALENDAR = "calendar"
    """Read by `imports.calendars`, like shifts: dated decisions, each an event of its subject."""
    SHIFTS = "shifts"
    ACCOUNTS = "accounts"
    """Read by `daogou account import`; not a fact of the trade, so `import_file` does not take it."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """The brand that imports: its number, the secret its personal ids are keyed with, and its members' keys."""

    tenant_id: int
    id_secret: bytes = field(repr=False)
    keys: MemberKeys = NO_KEYS


@dataclass(frozen=True, slots=True)
class BadRow:
    """One problem of one row.

    `line` is the line of a CSV, the row of a sheet (the header is 1), the row of a Parquet file or a
    frame (the first is 1). `code` names reason and remedy in the message catalogue.
    """

    line: int
    column: str
    value: str
    code: str
    params: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import found and did.

    `rows_read` = `rows_new` + `rows_same` + `rows_bad` + `rows_erased` + `rows_outside` where it wrote; with bad rows and no leave to
    skip them nothing was written, and `rows_new` and `rows_same` are 0. `rows_erased` were kept out because their
    members were erased. For stores, guides and members
    `rows_new` counts those that are new or changed. `problems` counts every problem (a row may have
    several), `bad` lists the first `LISTED` by line.

    `batch_id` and `root` (hex SHA-256 over the rows of the batch, keyed with the brand's secret for all
    but purchases) are None where nothing was ever written; `already_imported` says that the database
    held all of it before. `ignored` are the headers nobody asked for.
    """

    kind: Kind
    rows_read: int
    rows_new: int
    rows_same: int
    rows_bad: int
    problems: int
    bad: tuple[BadRow, ...]
    batch_id: int | None
    root: str | None
    already_imported: bool
    ignored: tuple[str, ...]
    seconds: float
    rows_erased: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    """The file's own header of each of our columns it has."""
    rows_outside: int = 0
    """Of phone numbers that no member has; they were kept out."""

    @property
    def refused(self) -> bool:
        """Whether bad rows kept everything out."""
        return self.rows_bad > 0 and self.batch_id is None and not self.already_imported
