"""What a verification finds: differences, the first of them listed and all of them counted."""

from __future__ import annotations

from dataclasses import dataclass

MOST_LISTED = 100


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was written: which stream and version, and what kind."""

    stream: str
    version: int
    kind: str


class Findings:
    """Differences as they are found."""

    def __init__(self) -> None:
        self.count = 0
        self.listed: list[Difference] = []

    def add(self, stream: str, version: int, kind: str) -> None:
        """Count it, and list it while there is room."""
        self.count += 1
        if len(self.listed) < MOST_LISTED:
            self.listed.append(Difference(stream, version, kind))
