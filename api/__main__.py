"""`python -m api --port N`, or `--fd N` for a socket another process bound: the API."""

from __future__ import annotations

import click
import uvloop
from pydantic import ValidationError

from api.serve import bind, inherited, serve
from domain.errors import DaogouError, Refused
from infra.logs import configure_logs, log_file
from infra.processes import run_entry
from infra.server_errors import EmbeddedServerError
from infra.settings import read_settings
from wording.catalogue import catalogue

DEFAULT_PORT = 8400


@click.command()
@click.option(
    "--host", help="127.0.0.1 (DAOGOU_API_HOST); beyond the loopback only with TLS: docs/sign-in.md."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="0: any."
)
@click.option("--fd", type=click.IntRange(0), help="An inherited listening socket, instead of host and port.")
def main(host: str | None, port: int, fd: int | None) -> None:
    """Serve the API until SIGTERM or Ctrl-C, then drain."""
    configure_logs(to=log_file())
    try:
        settings = read_settings()
    except (ValidationError, ValueError) as error:
        raise click.ClickException(f"settings: {error}") from error
    words = catalogue(settings.language)
    try:
        edge = settings.edge
        listening = bind(host or edge.host, port, edge) if fd is None else inherited(fd, edge)
        uvloop.run(serve(settings, listening))
    except Refused as error:
        for problem in error.problems:
            click.echo(
                f"{problem.field} {problem.value}: {words.reason(problem)} {words.remedy(problem)}", err=True
            )
        raise SystemExit(2) from error
    except (DaogouError, EmbeddedServerError) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    run_entry(main)
