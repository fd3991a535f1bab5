"""Rules over a whole frame at once: which rows are good, and what is wrong with the others.

A rule is an expression that is true where a row breaks it. All rules of a kind are evaluated in one
pass; a clean file costs that pass and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import polars as pl

from imports import cells
from imports.reading import LINE
from imports.report import LISTED, BadRow

LONGEST_CODE = 200
"""Characters; longer ones would not fit an index row and are never codes."""
_CONTROL = r"[\x00-\x1f\x7f]"


@dataclass(frozen=True, slots=True)
class Rule:
    """`when` is true where a cell of `column` breaks the rule that `code` names."""

    column: str
    code: str
    when: pl.Expr
    params: dict[str, str | int] = field(default_factory=dict)


@dataclass(slots=True)
class Findings:
    """What was found wrong so far: `rows` distinct rows with `problems` problems, the first of them kept."""

    rows: int = 0
    problems: int = 0
    kept: list[BadRow] = field(default_factory=list)

    def add(self, found: Sequence[BadRow], *, rows: int, problems: int) -> None:
        """Count rows that no earlier call counted, and keep what is to be listed."""
        self.rows += rows
        self.problems += problems
        self.kept.extend(found)

    def listed(self) -> tuple[BadRow, ...]:
        """The first problems by line and column."""
        return tuple(sorted(self.kept, key=lambda bad: (bad.line, bad.column, bad.code))[:LISTED])


def sift(frame: pl.DataFrame, rules: Iterable[Rule], findings: Findings) -> pl.DataFrame:
    """The rows that break no rule; the others go to `findings`."""
    ordered = list(rules)
    masks = frame.select(rule.when.fill_null(value=False).alias(str(n)) for n, rule in enumerate(ordered))
    counts = masks.sum().row(0) if frame.height else (0,) * len(ordered)
    if not any(counts):
        return frame
    found: list[BadRow] = []
    for n, (rule, count) in enumerate(zip(ordered, counts, strict=True)):
        if count:
            hit = frame.filter(masks[str(n)]).head(LISTED)
            shown = hit.select(pl.col(LINE), pl.col(rule.column).cast(pl.String).fill_null("").alias("shown"))
            found += [
                BadRow(line, rule.column, value, rule.code, rule.params) for line, value in shown.iter_rows()
            ]
    bad = masks.select(pl.any_horizontal(pl.all())).to_series()
    findings.add(found, rows=int(bad.sum()), problems=sum(counts))
    return frame.filter(~bad)


def text_rules(columns: Iterable[str], required: Iterable[str]) -> list[Rule]:
    """Rules for text (String) columns: there where required, without control characters, not endless."""
    must = set(required)
    rules: list[Rule] = []
    for name in columns:
        cell = pl.col(name)
        if name in must:
            rules.append(Rule(name, "import.required", cell.is_null()))
        rules.append(Rule(name, "import.control_character", cell.str.contains(_CONTROL)))
        too_long = cell.str.len_chars() > LONGEST_CODE
        rules.append(Rule(name, "import.too_long", too_long, {"most": LONGEST_CODE}))
    return rules


def amount_rules(
    column: str, dtype: pl.DataType, amount: cells.Amount, *, decimals: int, below: int
) -> list[Rule]:
    """Rules for an amount: a number, no finer than `decimals`, its size below `below` (in scaled units)."""
    there = ~cells.empty(column, dtype)
    return [
        Rule(column, "import.not_a_number", there & amount.scaled.is_null()),
        Rule(
            column,
            "import.too_many_decimals",
            amount.scaled.is_not_null() & ~amount.precise,
            {"decimals": decimals},
        ),
        Rule(column, "import.too_large", amount.scaled.abs() >= below, {"below": below // 10**decimals}),
    ]


def without_duplicates(
    frame: pl.DataFrame, key: Sequence[str], findings: Findings
) -> tuple[pl.DataFrame, int]:
    """Each key once, sorted by it; and how many rows repeated another one exactly.

    Rows that share a key and differ are all bad: nothing says which of them is right.
    """
    ordered = frame.sort(*key, LINE)
    again = pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in key).fill_null(value=False)
    if not ordered.select(again.any()).item():
        return ordered, 0
    content = pl.struct(pl.exclude(LINE))
    marked = ordered.with_columns(
        (content.n_unique().over(key) > 1).alias("_differ"),
        pl.col(LINE).min().over(key).alias("_first"),
        pl.col(LINE).max().over(key).alias("_last"),
    )
    differing = marked.filter("_differ")
    other = pl.when(pl.col(LINE) == pl.col("_first")).then("_last").otherwise("_first")
    shown = differing.head(LISTED).select(
        LINE, pl.concat_str(pl.col(key[:2]), separator=" / "), other.alias("other")
    )
    found = [
        BadRow(line, key[0], value, "import.twice_in_file", {"other_line": other_line})
        for line, value, other_line in shown.iter_rows()
    ]
    findings.add(found, rows=differing.height, problems=differing.height)
    agreeing = marked.filter(~pl.col("_differ")).drop("_differ", "_first", "_last")
    once = agreeing.unique(subset=list(key), keep="first", maintain_order=True)
    return once, agreeing.height - once.height
