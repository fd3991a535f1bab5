"""The newcomer's page is run as it stands: its ten commands, on real servers, in a home of their own."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    language: ROOT / "docs" / f"first-day{suffix}.md" for language, suffix in (("en", ""), ("zh", ".zh"))
}
STEP = re.compile(r"^## (\d+)\. .*?^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
AFTER = re.compile(r"^## (?!\d).*?^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAM = ".venv/bin/daogou"
NOT_OURS = ("DATABASE_URL", "DATABASE_ADMIN_URL", "TEMPORAL_ADDRESS", "DAOGOU_DATABASE", "DAOGOU_TENANT")
PATIENCE_S = 120.0


def steps(page: Path) -> list[tuple[int, list[str]]]:
    """The numbered blocks: number, and the lines that call the program."""
    found = STEP.findall(page.read_text(encoding="utf-8"))
    return [(int(number), _commands(block)) for number, block in found]


def afterwards(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return [line for block in AFTER.findall(text) for line in _commands(block)]


def _commands(block: str) -> list[str]:
    return [line.split("  #")[0].strip() for line in block.splitlines() if line.startswith(PROGRAM)]


def _without_reason(line: str) -> str:
    """Reasons are in the page's own language."""
    return re.sub(r"--reason \S+", "--reason …", line.replace('"practice done"', "done"))


class Place:
    """A folder that looks like a checkout to whoever types into it."""

    def __init__(self, folder: Path, language: str) -> None:
        self.folder = folder
        (folder / ".venv").symlink_to(ROOT / ".venv")
        clean = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
        self.environment = clean | {"DAOGOU_HOME": str(folder / ".daogou"), "DAOGOU_LANG": language}

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            shlex.split(line),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def json(self, *words: str) -> Any:
        return json.loads(self.run(shlex.join([PROGRAM, *words, "--json"])).stdout)


@contextmanager
def place(folder: Path, language: str) -> Iterator[Place]:
    here = Place(folder, language)
    try:
        yield here
    finally:
        here.run(f"{PROGRAM} down")


def seen_by_supervisor(screens: str, status: Any) -> tuple[list[str], int, int]:
    """What the page's token sees: guides, and the answers for a list in her region and for one beyond."""
    secret = re.search(r"dgt_\S+", screens)
    assert secret is not None, screens
    with httpx.Client(base_url=status["api"], headers={"Authorization": f"Bearer {secret[0]}"}) as client:
        guides = [one["guide"] for one in client.get("/v1/staff").json()["items"]]
        hers, other = (client.get(f"/v1/guides/{guide}/today").status_code for guide in ("G1", "G5"))
        return guides, hers, other


def test_both_pages_hold_the_same_ten_commands() -> None:
    english, chinese = steps(PAGES["en"]), steps(PAGES["zh"])
    assert [number for number, _ in english] == list(range(1, 11))
    assert all(len(lines) == 1 for _, lines in english)
    assert [(number, [_without_reason(line) for line in lines]) for number, lines in english] == [
        (number, [_without_reason(line) for line in lines]) for number, lines in chinese
    ]
    assert afterwards(PAGES["en"]) == afterwards(PAGES["zh"])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_readmes_lead_to_the_page(language: str) -> None:
    readme = ROOT / ("README.md" if language == "en" else "README.zh.md")
    assert f"docs/{PAGES[language].name}" in readme.read_text(encoding="utf-8")


def test_a_newcomer_gets_from_nothing_to_a_closed_and_counted_day(tmp_path: Path) -> None:
    with place(tmp_path, "zh") as here:
        for number, (line,) in steps(PAGES["zh"]):
            done = here.run(line)
            assert done.returncode == 0, f"step {number}: {line}\n{done.stdout}{done.stderr}"
            assert done.stdout.strip(), f"step {number}: {line} shows nothing"
        day, report = here.json("day"), here.json("plan", "report", "practice")
        plan, verified = here.json("plan", "status", "practice"), here.json("audit", "verify")
        *between, down = afterwards(PAGES["zh"])
        last = [here.run(line) for line in between]
        seen = seen_by_supervisor("".join(done.stdout for done in last), here.json("status"))
        last.append(here.run(down))
    assert seen == (["G1", "G2", "G3", "G4"], 200, 404)
    assert [(store["guides"], store["closed"]) for store in day["stores"]] == [(2, 2)] * 3
    assert sum(store["done"] for store in day["stores"]) == 1
    assert plan["status"] == "closed"
    assert (report["total"]["due"], report["total"]["followed_up"], report["check_ins"]) == (43, 1, 1)
    assert report["total"]["completion_rate"]["percent"] == pytest.approx(2.3)
    assert (report["assigned"], report["guide_days"]) == (54, 6)
    assert verified["ok"] is True
    assert verified["events"] > 100
    assert [done.returncode for done in last] == [0] * len(last)
