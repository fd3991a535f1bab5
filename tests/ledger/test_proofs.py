"""A proof of one event is checked by the program in docs/audit.md, which shares nothing with this one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from domain.errors import NotFound
from ledger.anchors import anchor_line
from ledger.ledger import Ledger
from ledger.proofs import proof_fields, prove
from ledger.seals import Seal
from tests.ledger.test_seals import note, sealed

__all__ = ["sealed"]

DOCS = Path(__file__).resolve().parent.parent.parent / "docs" / "audit.md"


def checked(tmp_path: Path, proof: dict[str, object], seals: list[Seal]) -> subprocess.CompletedProcess[str]:
    """What the documented program says of a proof and a file of anchors."""
    (program,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)
    for name, text in (
        ("check.py", program),
        ("proof.json", json.dumps(proof)),
        ("anchors.jsonl", "".join(anchor_line(seal, 1) + "\n" for seal in seals)),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-I", "check.py", "proof.json", "anchors.jsonl"],
        cwd=tmp_path, env={"PYTHONIOENCODING": "utf-8"}, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip


@pytest.mark.parametrize(("stream", "version"), [("a", 1), ("b", 2), ("a", 3), ("c", 2)])
async def test_the_documented_program_takes_a_proof_and_shows_the_event(
    sealed: tuple[Ledger, list[Seal]], tmp_path: Path, stream: str, version: int
) -> None:
    ledger, seals = sealed
    async with ledger.connection() as connection:
        proof = proof_fields(await prove(connection, 1, stream, version), 1)
    done = checked(tmp_path, proof, seals)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:3] == [stream, str(version)]
    assert '"text":"一"' in done.stdout


async def test_it_takes_no_proof_of_anything_else(sealed: tuple[Ledger, list[Seal]], tmp_path: Path) -> None:
    ledger, seals = sealed
    async with ledger.connection() as connection:
        proof = proof_fields(await prove(connection, 1, "c", 1), 1)
    for field, other in (
        ("body", str(proof["body"]).replace("6e6f746564", "6e6f746664")),
        ("position", 7),
        ("before", "00" * 32),
        ("path", list(proof["path"])[:-1]),
    ):
        assert proof[field] != other
        done = checked(tmp_path, proof | {field: other}, seals)
        assert "is not in the ledger" in done.stderr, field


async def test_what_is_not_there_or_not_sealed_has_no_proof(sealed: tuple[Ledger, list[Seal]]) -> None:
    ledger, _ = sealed
    await note(ledger, "d")
    async with ledger.connection() as connection:
        for stream, version, code in (("d", 1, "not_sealed_yet"), ("a", 9, "unknown_event")):
            with pytest.raises(NotFound) as refused:
                await prove(connection, 1, stream, version)
            assert refused.value.problem.code == code
