"""Usage and option errors, which click words, are in the language of the screens."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.click_words import MODULES
from cli.main import root
from wording.catalogue import catalogue

TO_DEVELOPERS = {
    "Name '{name}' defined twice",
    "Value must be an iterable.",
    "(dynamic)",
    "deprecated",
    "Choice({choices})",
    "Invalid start character for option ({option})",
    "Do you want to continue?",
    "Confirm the action without prompting.",
    "%(prog)s, version %(version)s",
    "Show the version and exit.",
}
"""What daogou's own commands never make click say."""
TO_DEVELOPERS_BEGIN = (
    "DeprecationWarning",
    "Could not determine",
    "No options defined",
    "Arguments take",
    "Boolean option",
    "{len_type}",
)
ENGLISH = {"DAOGOU_LANG": "en"}


def sentences() -> set[str]:
    """What click says through gettext in the modules that are taught."""
    return {
        word.value
        for module in MODULES
        for node in ast.walk(ast.parse(Path(inspect.getsourcefile(module) or "").read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"_", "ngettext"}
        for word in node.args
        if isinstance(word, ast.Constant) and isinstance(word.value, str)
    }


def test_every_sentence_of_click_is_worded() -> None:
    said, worded = sentences(), set(catalogue("en").group("click").values())
    missing = {one for one in said - worded - TO_DEVELOPERS if not one.startswith(TO_DEVELOPERS_BEGIN)}
    assert (missing, worded - said) == (set(), set()), (
        "wording/texts: the English texts of the group `click` are click's own, word for word"
    )


@pytest.mark.parametrize(
    ("line", "chinese", "english"),
    [
        (("account", "create", "li"), "缺少选项 '--name'", "Missing option '--name'"),
        (("account", "list", "--no-such"), "没有选项 --no-such。", "No such option '--no-such'."),
        (("acount",), "没有命令 acount。", "No such command 'acount'."),
        (("audit", "timeline", "shop", "x"), "不在可选范围内", "is not one of"),
        (("account", "list", "--limit", "0"), "0 不在范围 1<=x<=1000 内。", "is not in the range"),
        (("account", "list", "--limit", "x"), "不是有效的数字", "is not a valid integer"),
        (("account", "end-grant", "1", "--reason", "x"), "不是编号（UUID）", "is not a valid UUID"),
        (("staff", "transfer", "G1"), "缺少参数 'STORE'", "Missing argument 'STORE'"),
        (("staff", "list", "G1"), "多了参数（G1）", "unexpected extra argument (G1)"),
        (("--lang", "fr", "status"), "'zh'", "'zh'"),
        (("account", "list", "-h"), "选项", "Options"),
    ],
)
def test_what_is_wrong_with_a_command_line_is_told_in_the_language_of_the_screens(
    line: tuple[str, ...], chinese: str, english: str
) -> None:
    told = {
        "zh": CliRunner(env={"DAOGOU_LANG": None}).invoke(root, line).output,
        "en": CliRunner(env=ENGLISH).invoke(root, line).output,
        "zh by option": CliRunner(env=ENGLISH).invoke(root, ["--lang", "zh", *line]).output,
        "en by option": CliRunner(env={"DAOGOU_LANG": None}).invoke(root, ["--lang", "en", *line]).output,
    }
    assert [chinese in told["zh"], english in told["en"]] == [True, True], told
    assert "用法:" in told["zh"]
    assert "Usage:" in told["en"]
    if line[0] != "--lang":
        assert [chinese in told["zh by option"], english in told["en by option"]] == [True, True], told
