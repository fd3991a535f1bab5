"""`daogou`: the command line. Errors are translated here, once, for people and for programs."""

from __future__ import annotations

import io
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import structlog
from rich.text import Text

from cli.click_words import speak, speak_option, teach_click
from cli.errors import problems_of
from cli.lazy_commands import LazyCommand, LazyGroup
from cli.session import Session, logs_to, to_json
from domain.errors import Problem, Refused
from infra.processes import run_entry, terminate_as_exit
from infra.settings import Settings, read_settings
from infra.up_state import read_running
from wording.catalogue import LANGUAGES, Language, catalogue

NAME = re.compile(r"[A-Za-z0-9_-]{1,63}")
INTERRUPTED = 130
USAGE = 2
_AS_JSON = "daogou.as_json"
LOG = Path("logs") / "cli.log"

COMMANDS = {
    "account": LazyCommand("cli.account:account"),
    "audit": LazyCommand("cli.audit:audit"),
    "backup": LazyCommand("cli.backup:backup_command"),
    "board": LazyCommand("cli.board_tables:board", ("cli.evening:add_to_board",)),
    "calendar": LazyCommand("cli.calendar:calendar"),
    "case": LazyCommand("cli.case:case_group"),
    "check-in": LazyCommand("cli.check_in:check_in_group", ("cli.check_in_before:register",)),
    "clock-in": LazyCommand("cli.check_in:clock_in_command"),
    "day": LazyCommand("cli.day:day", ("cli.evening:add_to_day",)),
    "demo": LazyCommand("cli.demo:demo"),
    "down": LazyCommand("cli.up:down"),
    "feed": LazyCommand("cli.feed:feed"),
    "guide": LazyCommand("cli.boards:guide_group", ("cli.evening:add_to_guide",)),
    "import": LazyCommand("cli.import_files:import_group"),
    "list": LazyCommand("cli.list_sheets:list_group"),
    "member": LazyCommand("cli.member:member"),
    "outbox": LazyCommand("cli.outbox:outbox"),
    "plan": LazyCommand("cli.plan:plan", ("cli.plan_act:register", "cli.boards:register")),
    "rebuild": LazyCommand("cli.rebuild:rebuild_command"),
    "rehearse": LazyCommand("cli.rehearse:rehearse_command"),
    "restart": LazyCommand("cli.up:restart"),
    "restore": LazyCommand("cli.backup:restore_command"),
    "resume": LazyCommand("cli.resume:resume_command"),
    "seed": LazyCommand("cli.seed:seed"),
    "staff": LazyCommand("cli.staff:staff"),
    "status": LazyCommand("cli.up:status"),
    "store": LazyCommand("cli.store:store"),
    "today": LazyCommand("cli.today:today"),
    "token": LazyCommand("cli.token:token"),
    "up": LazyCommand("cli.up:up"),
}

log = structlog.get_logger("cli")
teach_click()


class _Translating(LazyGroup):
    """The group whose commands' errors become messages: what, which value, why, what to do."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Read the command line and run it; click's own sentences are in our language."""
        speak(read_language())
        return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a refusal ends with exit code 1, Ctrl-C with 130, a bug is logged."""
        # What goes wrong before the command reads its options is told in the form the command was asked for.
        ctx.meta[_AS_JSON] = "--json" in ctx.args
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            _session(ctx).err.print(_session(ctx).words("error.interrupted"))
            ctx.exit(INTERRUPTED)
        except Exception as error:
            session = _session(ctx)
            problems = problems_of(error, session.settings)
            if problems is None:
                path = session.settings.home / LOG
                with suppress(OSError), logs_to(path):  # without a log there is still the message
                    log.exception("command_failed")
                problems = (Problem("daogou", type(error).__name__, "bug", {"log": str(path)}),)
            _tell(session, problems)
            ctx.exit(1)


def _session(ctx: click.Context) -> Session:
    found = ctx.find_object(Session)
    return found or Session(Settings(home=Path(".daogou")), catalogue("zh"))


@click.group(cls=_Translating, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--lang",
    type=click.Choice(LANGUAGES),
    is_eager=True,
    callback=speak_option,
    help="语言 / language (DAOGOU_LANG).",
)
@click.option("--database", metavar="NAME", help="内置数据库名 / name of the embedded database (daogou).")
@click.option(
    "--home", type=click.Path(path_type=Path, file_okay=False), help="数据目录 / data folder (DAOGOU_HOME)."
)
@click.pass_context
def root(ctx: click.Context, lang: str | None, database: str | None, home: Path | None) -> None:
    """导购计划：发布、演练、检查、行动 / Member plans for guides: launch, rehearse, check, act."""
    words = catalogue("en" if lang == "en" else "zh")
    given = {"language": lang, "database": database, "home": home}
    session = Session(Settings(home=home or Path(".daogou")), words, as_json=ctx.meta[_AS_JSON])
    ctx.obj = session
    try:
        settings = read_settings()
    except ValueError as error:  # pydantic's ValidationError is one
        tenant = os.environ.get("DAOGOU_TENANT", "")
        raise Refused([Problem("DAOGOU_TENANT", tenant, "setting_invalid")]) from error
    settings = settings.model_copy(update={name: value for name, value in given.items() if value is not None})
    if settings.temporal_address is None and (running := read_running(settings.home)) is not None:
        settings = settings.model_copy(update={"temporal_address": running.temporal})  # that of `daogou up`
    session.settings, session.words = settings, catalogue(settings.language)
    if not NAME.fullmatch(settings.database):
        raise Refused([Problem("--database", settings.database, "database_name")])
    try:
        ctx.with_resource(logs_to(settings.home / LOG))
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise Refused([Problem("--home", str(settings.home), "home_unwritable", {"why": why})]) from error


def _tell(session: Session, problems: tuple[Problem, ...]) -> None:
    """One message a problem: field, value, reason, remedy."""
    if session.as_json:
        click.echo(to_json({"error": {"problems": [problem_json(session, problem) for problem in problems]}}))
        return
    for problem in problems:
        _print_problem(session, problem)


def problem_json(session: Session, problem: Problem) -> dict[str, str]:
    """A problem for programs; `code` never changes its meaning, the sentences may."""
    return {
        "field": problem.field,
        "value": problem.value,
        "code": problem.code,
        "reason": session.words.reason(problem),
        "remedy": _remedy(session, problem),
    }


def _remedy(session: Session, problem: Problem) -> str:
    """What to do, with commands that work as typed here: `daogou status` asks for the right home, too."""
    commands = "|".join(COMMANDS)
    named = rf"(?<![\w/-])daogou (?=(?:{commands})\b)"
    return re.sub(named, lambda _: f"{session.command()} ", session.words.remedy(problem))


def _print_problem(session: Session, problem: Problem) -> None:
    console, words = session.err, session.words
    value = _printable(problem.value)
    head = Text("✗ ", style="bold red")
    head.append(words.field(problem), style="bold")
    if value:
        head.append(" = " if "\n" not in value else "\n")
        head.append(value)
    console.print(head)
    console.print(Text(f"  {words('error.reason', reason=_printable(words.reason(problem)))}"))
    console.print(Text(f"  {words('error.remedy', remedy=_printable(_remedy(session, problem)))}"))


def _printable(text: str) -> str:
    """The text without what would steer a terminal."""
    return "".join(char if char.isprintable() or char == "\n" else "�" for char in text)


def read_language() -> Language:
    """The language of the environment, for what is said before the options are read."""
    return "en" if os.environ.get("DAOGOU_LANG", "").lower().startswith("en") else "zh"


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Chinese shows "?" rather than failing
    if any(0xD800 <= ord(char) <= 0xDFFF for argument in sys.argv[1:] for char in argument):
        click.echo(catalogue(read_language())("error.not_text"), err=True)
        sys.exit(USAGE)
    with terminate_as_exit():
        run_entry(lambda: root.main(prog_name="daogou"))


if __name__ == "__main__":
    main()
