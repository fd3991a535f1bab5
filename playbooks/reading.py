"""Reading a playbook from YAML or JSON, so that whatever is wrong with it is a problem with a line or a field."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from typing import Any

import yaml

from domain.errors import Problem, Refused
from domain.plan import Plan
from domain.playbook import parse_plan

MOST_BYTES = 1_000_000
MOST_DIGITS = 18
"""What fits 64 bits; longer is no number of ours."""
_LEFT_AS_TEXT = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class _Loader(yaml.SafeLoader):
    """YAML without its traps: 12:00 stays a time (not 720), a date stays text until the plan reads it,
    a key written twice is an error, and there are no aliases.
    """  # noqa: D205 - the summary is one sentence

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Refuse aliases: a playbook needs none, and a few of them can stand for gigabytes."""
        if self.check_event(yaml.AliasEvent):
            mark = self.get_mark()
            raise yaml.constructor.ConstructorError(None, None, "aliases are not used here", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Refuse a key written twice: YAML would silently keep the second."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value}: written twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep=deep)


def _whole_number(loader: _Loader, node: yaml.Node) -> int | str:
    text = str(loader.construct_scalar(node)) if isinstance(node, yaml.ScalarNode) else ""
    return int(text) if len(text) <= MOST_DIGITS else text


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _LEFT_AS_TEXT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?\d+$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+\.\d*(?:[eE][-+]?\d+)?$"), list("-+0123456789")
)
_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)


def read_yaml(data: bytes, *, field: str, value: str = "") -> object:
    """What a YAML document holds; `field` and `value` say where it came from, for problems with all of it.

    Raises:
        Refused: it is too large, not text, or not YAML.
    """
    if len(data) > MOST_BYTES:
        raise _refused(field, "not_a_text_file", value)
    try:
        text = data.decode("utf-8-sig")
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader made stricter
    except (UnicodeDecodeError, yaml.reader.ReaderError) as error:
        raise _refused(field, "not_a_text_file", value) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = error.problem or error.context or "YAML"
        raise _refused(field, "broken_yaml", value, line=line, column=column, what=what) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise _refused(field, "broken_yaml", value, line=1, column=1, what=type(error).__name__) from error


def plan_of(written: object) -> Plan:
    """The plan that parsed YAML or JSON stands for.

    Raises:
        Refused: it is not a plan: one problem for everything wrong.
    """
    _refuse_unstorable(written)
    plan = parse_plan(written)
    try:
        plan.cycle_days(plan.period.cycles)
    except (ValueError, OverflowError) as error:
        calendar = plan.calendar
        shown = f"weekdays {list(calendar.weekdays)}, opened {len(calendar.opened)}"
        raise Refused([Problem("calendar", shown, "calendar_too_few_days")]) from error
    return plan


def _refuse_unstorable(written: object) -> None:
    """Refuse text PostgreSQL cannot hold, NUL and halves of characters: YAML and JSON can both spell them."""
    problems: list[Problem] = []
    waiting: list[tuple[str, object]] = [("", written)]
    while waiting:
        field, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(f"{field}.{key}", part) for key, part in value.items()]
            waiting += [(field, key) for key in value]
        elif isinstance(value, list | tuple):
            waiting += [(f"{field}.{index}", part) for index, part in enumerate(value)]
        elif isinstance(value, str) and not storable(value):
            problems.append(Problem(field.lstrip(".") or "playbook", value[:80], "unstorable_text"))
    if problems:
        raise Refused(problems)


def storable(text: str) -> bool:
    """Whether PostgreSQL can hold the text: no NUL, no half of a surrogate pair."""
    try:
        text.encode()  # at a gigabyte a second: a request's text is looked at before its length is
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _refused(field: str, code: str, value: str, **params: str | int) -> Refused:
    return Refused([Problem(field, value, code, params)])
