"""Check-ins from a sheet: each row through the same door as a guide's own report, once a key of the sheet's.

What cannot be read keeps everything out, unless bad rows are skipped; what the door refuses is told row by row, and the
others stand, for each is a fact of its own. The credit is the guide's, the entry whoever imports'.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, get_args
from uuid import UUID

import polars as pl

from domain.check_in import Channel, CheckIn, Grade, Outcome
from domain.errors import Conflict, NotFound, Problem, Refused
from domain.identifiers import derived_id, personal_id
from imports import cells
from imports.checking import Findings, Rule, sift, text_rules, without_duplicates
from imports.columns import required_columns
from imports.moments import moment_rules, with_moment
from imports.reading import LINE, read_table
from imports.report import BadRow, ImportReport, Kind, Progress, Tenant
from ledger.check_ins import check_in
from ledger.feeds import check_source
from ledger.ledger import Ledger

_TEXTS = ("key", "guide", "member", "category", "plan")
_LONGEST_NOTE = 2_000
_FIELDS = {"performed_by": "guide", "task_id": "member", "known_at": "occurred_at", "command_id": "key"}
"""What a rule of the door names, as a column of the sheet."""

_DONE = """
SELECT e.cause, e.payload->>'asked' AS asked FROM command k
JOIN event e ON e.tenant_id = $1 AND e.stream = k.stream AND e.version = k.version
WHERE k.tenant_id = $1 AND k.command_id = ANY($2)"""

# The items a row may be about: made before it, on the guide's list of the day if any of them is.
_ITEMS = """
WITH asked AS (
    SELECT * FROM unnest($2::int[], $3::uuid[], $4::uuid[], $5::timestamptz[], $6::text[], $7::text[])
        AS a(line, guide_id, member_id, at, category, plan)
), item AS (
    SELECT a.line, t.task_id, EXISTS (
        SELECT FROM list_item i
        WHERE i.tenant_id = $1 AND i.guide_id = a.guide_id AND i.task_id = t.task_id
          AND i.business_date = (SELECT on_day FROM day_at(a.guide_id, a.at))) AS listed
    FROM asked a
    JOIN task t ON t.tenant_id = $1 AND t.member_id = a.member_id AND t.guide_id = a.guide_id AND t.known_at <= a.at
    JOIN category c ON c.tenant_id = $1 AND c.category_id = t.category_id
    JOIN plan_cycle p ON p.tenant_id = $1 AND p.plan_id = t.plan_id AND p.cycle = t.cycle
      AND (a.at AT TIME ZONE p.time_zone)::date BETWEEN p.starts_on AND p.ends_on
    WHERE (a.category IS NULL OR c.name = a.category) AND (a.plan IS NULL OR t.plan_id = a.plan)
)
SELECT line, array_agg(task_id ORDER BY task_id) AS tasks FROM item i
WHERE listed OR NOT EXISTS (SELECT FROM item l WHERE l.line = i.line AND l.listed)
GROUP BY line"""


@dataclass(frozen=True, slots=True)
class SheetTerms:
    """Whose sheet it is and how it is read; see `imports.loading.import_file`.

    `words` are the words people write for outcomes, channels and grades, each with its code.
    """

    known_at: datetime
    actor: str
    source: str = "sheet"
    skip_bad: bool = False
    naive_zone: str | None = None
    words: Mapping[str, str] | None = None


async def import_check_ins(
    ledger: Ledger, tenant: Tenant, path: Path, terms: SheetTerms, on_progress: Progress
) -> ImportReport:
    """Enter the check-ins of a CSV, XLSX or Parquet file.

    One round trip each for guides, for what was entered before and for the items, then two a check-in.

    Raises:
        Refused: the file cannot be read, or lacks a column; nothing was written.
    """
    check_source(terms.source, "--source")
    began = perf_counter()
    on_progress("read", 0, 1)
    table = await asyncio.to_thread(read_table, path, Kind.CHECK_INS)
    findings = Findings()
    lines = len({bad.line for bad in table.misshapen})
    findings.add(table.misshapen, rows=lines, problems=len(table.misshapen))
    rows, repeated = await _read(ledger, tenant, table.frame, terms, findings)
    new = same = 0
    if terms.skip_bad or not findings.rows:
        new, same = await _enter(ledger, tenant, rows, terms, findings, on_progress)
    return ImportReport(
        kind=Kind.CHECK_INS,
        rows_read=table.frame.height + lines,
        rows_new=new,
        rows_same=same + repeated if new or same else 0,
        rows_bad=findings.rows,
        problems=findings.problems,
        bad=findings.listed(),
        batch_id=None,
        root=None,
        already_imported=bool(same and not new),
        ignored=table.ignored,
        seconds=perf_counter() - began,
    )


async def _read(
    ledger: Ledger, tenant: Tenant, table: pl.DataFrame, terms: SheetTerms, findings: Findings
) -> tuple[pl.DataFrame, int]:
    async with ledger.connection() as connection:
        found = await connection.fetch(
            "SELECT g.code, g.guide_id::text, s.time_zone FROM guide g"
            " JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id WHERE g.tenant_id = $1",
            ledger.tenant_id,
        )
    names = ("guide", "guide_id", "zone")
    guides = pl.DataFrame([tuple(row) for row in found], schema=dict.fromkeys(names, pl.String), orient="row")
    rows, repeated = await asyncio.to_thread(_checked, table, guides, terms, findings)
    members = [str(personal_id(tenant.id_secret, "member", code)) for code in rows["member"]]
    rows = rows.with_columns(pl.Series("member_id", members, dtype=pl.String))
    async with ledger.connection() as connection:
        there = await connection.fetch(
            "SELECT member_id::text FROM member WHERE tenant_id = $1 AND member_id = ANY($2::text[]::uuid[])",
            ledger.tenant_id,
            members,
        )
    known = pl.Series([row["member_id"] for row in there], dtype=pl.String)
    unknown = Rule("member", "import.unknown_member", ~pl.col("member_id").is_in(known.implode()))
    return sift(rows, [unknown], findings), repeated


def _checked(
    table: pl.DataFrame, guides: pl.DataFrame, terms: SheetTerms, findings: Findings
) -> tuple[pl.DataFrame, int]:
    schema = table.schema
    every = (*_TEXTS, "outcome", "channel", "grade", "note")
    prepared = table.with_columns(
        *(cells.text(name, schema[name]).alias(name) for name in every if name in schema),
        *(pl.lit(None, pl.String).alias(name) for name in every if name not in schema),
    ).join(guides, on="guide", how="left", maintain_order="left")
    prepared = with_moment(prepared, "occurred_at", naive_zone=terms.naive_zone)
    required = required_columns(Kind.CHECK_INS)
    texts = [name for name in every if name in schema and name != "note"]
    rules = [
        *text_rules(texts, required),
        Rule("guide", "import.unknown_guide", pl.col("guide").is_not_null() & pl.col("guide_id").is_null()),
        Rule(
            "note",
            "import.note_too_long",
            pl.col("note").str.len_chars() > _LONGEST_NOTE,
            {"most": _LONGEST_NOTE},
        ),
        *moment_rules("occurred_at", schema["occurred_at"], latest=terms.known_at, required=required),
    ]
    words = {word.casefold(): code for word, code in (terms.words or {}).items()}
    for name, choices in (
        ("outcome", get_args(Outcome)),
        ("channel", get_args(Channel)),
        ("grade", get_args(Grade)),
    ):
        codes = {choice.casefold(): choice for choice in choices}
        codes |= {word: code for word, code in words.items() if code in choices}
        read = pl.col(name).str.to_lowercase().replace_strict(codes, default=None, return_dtype=pl.String)
        prepared = prepared.with_columns(read.alias(f"_{name}"))
        wrong = pl.col(name).is_not_null() & pl.col(f"_{name}").is_null()
        rules.append(Rule(name, "import.not_a_choice", wrong, {"expected": ", ".join(choices)}))
    if "next_on" in schema:
        day = cells.date("next_on", schema["next_on"])
        rules.append(
            Rule("next_on", "import.not_a_date", ~cells.empty("next_on", schema["next_on"]) & day.is_null())
        )
        prepared = prepared.with_columns(day.alias("_next_on"))
    else:
        prepared = prepared.with_columns(pl.lit(None, pl.Date).alias("_next_on"))
    good = sift(prepared, rules, findings)
    rows = good.select(
        LINE,
        "key",
        "guide",
        "guide_id",
        "member",
        pl.col("_at_occurred_at").alias("at"),
        pl.col("_outcome").alias("outcome"),
        pl.col("_channel").fill_null("phone").alias("channel"),
        pl.col("_grade").alias("grade"),
        pl.col("_next_on").alias("next_on"),
        "category",
        "plan",
        "note",
    )
    return without_duplicates(rows, ("key",), findings)


async def _enter(
    ledger: Ledger,
    tenant: Tenant,
    rows: pl.DataFrame,
    terms: SheetTerms,
    findings: Findings,
    on_progress: Progress,
) -> tuple[int, int]:
    """Enter what is readable, in the order it occurred; gives how many are new and how many were entered before."""
    every = rows.sort("at", "key").to_dicts()
    commands = {row["key"]: _command_id(terms.source, row["key"]) for row in every}
    async with ledger.connection() as connection:
        found = await connection.fetch(_DONE, tenant.tenant_id, list(commands.values()))
        done = {row["cause"]: row["asked"] for row in found}
        left = [row for row in every if commands[row["key"]] not in done]
        columns = ("guide_id", "member_id", "at", "category", "plan")
        items = {
            row["line"]: row["tasks"]
            for row in await connection.fetch(
                _ITEMS,
                tenant.tenant_id,
                [row[LINE] for row in left],
                *([row[name] for row in left] for name in columns),
            )
        }
    new = same = 0
    for at, row in enumerate(every):
        on_progress("insert", at, len(every))
        command_id = commands[row["key"]]
        if command_id in done:
            if done[command_id] == _asked(row):
                same += 1
            else:
                _tell(
                    findings, row, "key", row["key"], Problem("key", row["key"], "import.differs_from_before")
                )
            continue
        tasks = items.get(row[LINE], [])
        if len(tasks) != 1:
            code = "import.several_items" if tasks else "import.no_item"
            _tell(findings, row, "member", row["member"], Problem("member", row["member"], code))
            continue
        try:
            taken = await check_in(ledger, _command(row, tasks[0], terms), salt=secrets.token_bytes(16))
        except Refused as refused:
            for problem in refused.problems:
                column = _FIELDS.get(problem.field, problem.field)
                _tell(findings, row, column, str(row.get(column, problem.value)), problem)
            continue
        except (NotFound, Conflict):
            _tell(findings, row, "member", row["member"], Problem("member", row["member"], "conflict"))
            continue
        new, same = new + (not taken.duplicate), same + taken.duplicate
    on_progress("insert", len(every), len(every))
    return new, same


def _command(row: Mapping[str, Any], task: object, terms: SheetTerms) -> CheckIn:
    return CheckIn(
        command_id=_command_id(terms.source, row["key"]),
        task_id=UUID(str(task)),
        performed_by=UUID(row["guide_id"]),
        actor=terms.actor,
        occurred_at=row["at"],
        known_at=terms.known_at,
        channel=row["channel"],
        outcome=row["outcome"],
        grade=row["grade"],
        next_on=row["next_on"],
        note=row["note"],
        asked=_asked(row),
    )


def _command_id(source: str, key: str) -> str:
    """From the sheet's key, which may be anything and is not kept."""
    return f"check-in/sheet/{derived_id('check-in', source, key)}"


def _asked(row: Mapping[str, Any]) -> str:
    """Digest of the row without its note, which must be erasable: the same key with another content is told."""
    names = ("guide_id", "member_id", "outcome", "channel", "grade", "category", "plan")
    told = {name: row[name] for name in names}
    told |= {"at": row["at"].isoformat(), "next_on": _day(row["next_on"])}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _tell(findings: Findings, row: Mapping[str, Any], column: str, value: str, problem: Problem) -> None:
    findings.add([BadRow(row[LINE], column, value, problem.code, problem.params)], rows=1, problems=1)
