"""The one error of the embedded servers."""

from pathlib import Path

LOG_TAIL_BYTES = 4_000


class EmbeddedServerError(RuntimeError):
    """An embedded server cannot be used; says what is wrong, where to look and what to do.

    Attributes:
        what: the fault in one sentence.
        where: the path (and, for logs, the last lines) that shows it; empty if there is none.
        remedy: what the reader can do about it.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str) -> None:
        super().__init__(
            "\n".join(part for part in (what, where and f"Where: {where}", f"Remedy: {remedy}") if part)
        )
        self.what = what
        self.where = where
        self.remedy = remedy


def log_tail(*logs: Path) -> str:
    """The end of each log file that has any text, headed by its path; at most 4 000 bytes of each."""
    parts = []
    for log in logs:
        try:
            with log.open("rb") as file:
                file.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
                text = file.read().decode("utf-8", "replace").strip()
        except FileNotFoundError:
            continue  # not every log exists at every stage of a start
        if text:
            parts.append(f"{log}\n{text}")
    return "\n".join(parts)
