"""PostgreSQL's own tools (pg_basebackup, pg_verifybackup, pg_waldump), run as the user we are."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.postgres_process import ENVIRONMENT
from infra.server_errors import EmbeddedServerError

TOLD_BYTES = 2_000


def run_program(
    program: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    keep_open: Sequence[int] = (),
    may_fail: bool = False,
) -> str:
    """Run it to its end and give what it printed on stdout. Files it makes are for us alone.

    Args:
        program: path of the program.
        arguments: its words.
        environment: added to the little it is given; secrets go here, for words are seen by everybody.
        keep_open: descriptors it inherits, and with them the locks they hold.
        may_fail: its exit code says nothing (pg_waldump fails at the end of every log that was cut).

    Raises:
        EmbeddedServerError: it failed; the end of what it said is in the message.
    """
    done = subprocess.run(  # noqa: S603 - our own wheel's program
        [str(program), *arguments],
        cwd="/",
        env={**ENVIRONMENT, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        pass_fds=tuple(keep_open),
        umask=0o077,
        check=False,
    )
    if done.returncode and not may_fail:
        told = (done.stderr or done.stdout)[-TOLD_BYTES:].decode("utf-8", "replace").strip()
        raise EmbeddedServerError(
            f"{program.name} failed.",
            where=told,
            remedy="What it says tells why (no room on the disk is the usual reason); mend that and try again.",
        )
    return done.stdout.decode("utf-8", "replace")
