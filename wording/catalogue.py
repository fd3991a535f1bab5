"""The message catalogue: every sentence a person reads, Chinese first, English beside it.

`texts/zh.yaml` and `texts/en.yaml` hold the same keys with the same gaps (a test holds that), and
`imports/messages.yaml` what an import can have. A problem has two sentences: the reason and the remedy.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

import imports
from domain.errors import Problem

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
FOLDER = Path(__file__).parent / "texts"
IMPORT_MESSAGES = Path(imports.__file__).parent / "messages.yaml"
_SENTENCE_END: dict[Language, str] = {"zh": "。", "en": ". "}
_CODED_GAPS = {
    "status": "statuses",
    "state": "statuses",
    "kind": "statuses",
    "role": "roles",
    "place_kind": "places",
}
"""Gaps whose value is a code of ours, worded before it is shown, and the group of its words."""


class Catalogue:
    """The wording of one language."""

    def __init__(self, language: Language, texts: Mapping[str, str]) -> None:
        self.language: Language = language
        self.texts = texts

    def __call__(self, key: str, **gaps: object) -> str:
        """The text of `key` with its gaps filled; a key without a text is a bug (KeyError)."""
        return self.texts[key].format_map(gaps)

    def code(self, group: str, code: str) -> str:
        """The word for a code of ours, e.g. `statuses`, `running`; the code itself where there is none."""
        return self.texts.get(f"{group}.{code}", code)

    def group(self, name: str) -> dict[str, str]:
        """Every text of a group, by the rest of its key."""
        start = f"{name}."
        return {key.removeprefix(start): text for key, text in self.texts.items() if key.startswith(start)}

    def field(self, problem: Problem) -> str:
        """Where it is, as the reader calls it: a column that no header names has a word in each language."""
        return str(problem.params.get(f"field_{self.language}", problem.field))

    def reason(self, problem: Problem) -> str:
        """What is wrong."""
        return self._problem(problem, "reason")

    def remedy(self, problem: Problem) -> str:
        """What to do about it."""
        return self._problem(problem, "remedy")

    def _problem(self, problem: Problem, part: str) -> str:
        text = self.texts.get(f"problems.{problem.code}.{part}")
        if text is None:
            return problem.code if part == "reason" else self.texts["problems.not_valid.remedy"]
        gaps = {name: self._gap(name, str(value)) for name, value in problem.params.items()}
        return text.format_map(_Gaps({"value": problem.value, "field": problem.field, "nearest": ""} | gaps))

    def _gap(self, name: str, value: str) -> str:
        if name in _CODED_GAPS:
            return self.code(_CODED_GAPS[name], value)
        if name == "nearest":
            return "" if value in {"", "—"} else self("nearest", name=value)
        if name == "expected" and self.language == "zh":
            return value.replace(" or ", " 或 ")
        return value


class _Gaps(dict[str, str]):
    """A gap nobody filled is shown as "—": a message with a hole is better than none."""

    def __missing__(self, key: str) -> str:
        return "—"


@cache
def catalogue(language: Language) -> Catalogue:
    """The catalogue of a language, read once."""
    texts = dict(_flatten(_read(FOLDER / f"{language}.yaml")))
    for code, wording in _read(IMPORT_MESSAGES).items():
        reason, end, remedy = wording[language].partition(_SENTENCE_END[language])
        texts[f"problems.{code}.reason"] = f"{reason}{end.strip()}"
        texts[f"problems.{code}.remedy"] = remedy
    return Catalogue(language, texts)


def _read(path: Path) -> dict[str, Any]:
    # libyaml reads both catalogues in 60 ms rather than 440, at every start of a command; it is in PyYAML's wheels.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    read: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - both are safe
    return read


def _flatten(node: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in node.items():
        pairs += (
            _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else [(f"{prefix}{key}", value)]
        )
    return pairs
