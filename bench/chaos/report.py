"""A campaign as a screen and as figures."""

from __future__ import annotations

from statistics import median

from rich.console import Console
from rich.table import Table

from bench.chaos.campaign import Campaign
from bench.chaos.judgement import PATHS, Holds

MOST_SHOWN = 40


def show(campaign: Campaign, judged: list[Holds], console: Console) -> None:
    """One table: what was done to it, how fast it was, and each requirement."""
    names = {way: name for name, ways in PATHS.items() for way in ways}
    table = Table("what", "found", "holds", title=f"seed {campaign.wanted.seed}")
    for kind, count in sorted(campaign.kills.count.items()):
        back = campaign.kills.recovery.get(kind, [])
        table.add_row(f"kill -9 {kind}", f"{count}, back after {_median(back)}, at most {_most(back)}", "")
    for path, count in sorted(campaign.faults.items(), key=lambda item: names.get(item[0], item[0])):
        table.add_row(f"committed, then timed out: {names.get(path, path)}", str(count), "")
    table.add_row("reads that timed out", str(campaign.reads), "")
    answers = campaign.rough.clients.answers
    table.add_row(
        "attempts by answer", ", ".join(f"{name} {count}" for name, count in sorted(answers.items())), ""
    )
    for day, lived in (("undisturbed", campaign.calm), ("disturbed", campaign.rough)):
        seconds = sorted(lived.clients.seconds)
        table.add_row(
            f"check-in acknowledged, {day}",
            f"p50 {_share(seconds, 50):.2f} s, p99 {_share(seconds, 99):.2f} s",
            "",
        )
    table.add_section()
    for one in judged:
        table.add_row(one.what, one.found, "yes" if one.holds else "NO")
    console.print(table)
    for one in judged:
        if not one.holds and one.more:
            console.print(f"{one.what}:")
            for line in one.more[:MOST_SHOWN]:
                console.print(f"  {line}", soft_wrap=True)
            if len(one.more) > MOST_SHOWN:
                console.print(f"  … and {len(one.more) - MOST_SHOWN} more")


def results(campaign: Campaign, judged: list[Holds]) -> list[dict[str, object]]:
    """The figures for bench/results."""
    seconds = sorted(campaign.rough.clients.seconds)
    figures: list[dict[str, object]] = [
        _figure("chaos_seed", campaign.wanted.seed, ""),
        *(
            _figure(f"chaos_kills_{kind}", count, "kills")
            for kind, count in sorted(campaign.kills.count.items())
        ),
        *(
            _figure(f"chaos_recovery_{kind}_p50", round(median(times), 2), "s")
            for kind, times in sorted(campaign.kills.recovery.items())
        ),
        _figure("chaos_faults_after_commit", sum(campaign.faults.values()), "faults"),
        _figure("chaos_ack_p50", round(_share(seconds, 50), 3), "s"),
        _figure("chaos_ack_p99", round(_share(seconds, 99), 3), "s"),
    ]
    return figures + [
        {"figure": one.what, "value": one.found, "unit": "", "goal": "holds", "holds": one.holds}
        for one in judged
    ]


def _figure(figure: str, value: float, unit: str) -> dict[str, object]:
    return {"figure": figure, "value": value, "unit": unit, "goal": None, "holds": None}


def _share(ordered: list[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0.0


def _median(seconds: list[float]) -> str:
    return f"{median(seconds):.1f} s" if seconds else "—"


def _most(seconds: list[float]) -> str:
    return f"{max(seconds):.1f} s" if seconds else "—"
