"""The error tree. Every edge (CLI, workflow, API) translates it once.

    DaogouError
    ├── Refused        the request breaks a rule: one or more problems, nothing was changed
    ├── Conflict       somebody else changed the stream first: read again and retry
    ├── NotFound       the named thing does not exist
    └── Unavailable    a server the work needs does not answer: the same call may succeed later

A message is never branched on; `Problem.code` is, and the catalogue words it for people.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence


class DaogouError(Exception):
    """Root of everything daogou raises on purpose."""


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a request.

    `field` is the path as the user wrote it (`goal.target`), `value` what stood there, `code` names
    reason and remedy in the message catalogue, `params` fills their gaps.
    """

    field: str
    value: str
    code: str
    params: Mapping[str, str | int] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.field} = {self.value!r}: {self.code} {dict(self.params) or ''}".rstrip()


class Refused(DaogouError):
    """The request breaks one or more rules; nothing was written."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))


class NotFound(DaogouError):
    """The named thing does not exist."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


class Conflict(DaogouError):
    """Another command changed the stream between read and write; nothing was written."""


class Unavailable(DaogouError):
    """A server the work needs does not answer; nothing was written, the same call may succeed later."""
