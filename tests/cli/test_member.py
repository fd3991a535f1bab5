"""`daogou member`: what is shown and written, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.key_copies import COPIES
from tests.cli.shop import Shop

CODE, NAME, PHONE = "ZX-1", "欧阳无忌", "13987654321"


@pytest.fixture
def known(shop: Shop) -> Shop:
    """The shop with a member of its own: the key store is the home's, and other tests' members live in it."""
    done = shop.run(
        "import", "members", shop.write("zx.csv", f"code,name,phone,store\n{CODE},{NAME},{PHONE},S1\n")
    )
    assert done.exit_code == 0, done.output
    return shop


def test_what_a_member_agrees_to_is_recorded_and_listed(known: Shop) -> None:
    assert "没有记录" in known.run("member", "consent", CODE).stdout
    said = ("member", "consent", CODE, "--purpose", "phone")
    done = known.run(*said, "--withdrawn", "--source", "in_store")
    assert (done.exit_code, "撤回同意" in done.stdout) == (0, True)
    before = known.traces()
    again = known.run(*said, "--withdrawn", "--source", "in_store")
    assert (again.exit_code, "没有改动" in again.stdout) == (0, True)
    assert known.traces() == before
    lifted = known.run(*said, "--given", "--source", "manager", "--reason", "到店签字")
    assert lifted.exit_code == 0
    told = known.json("member", "consent", CODE)["consents"]
    assert [(one["purpose"], one["given"], one["reason"]) for one in told] == [
        ("phone", True, "到店签字"),
        ("phone", False, ""),
    ]
    screen = known.run("member", "consent", CODE, lang="en").stdout
    assert "takes the consent back" in screen


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("consent", "ZX-9"), "没有这位会员"),
        (("consent", CODE, "--purpose", "phone"), "--given"),
        (("consent", CODE, "--purpose", "phone", "--given", "--withdrawn"), "--given"),
        (("consent", CODE, "--purpose", "phone", "--given", "--source", "manager"), "理由"),
        (("export", "ZX-9", "--out", "{folder}/none.json"), "没有这位会员"),
        (("export", CODE, "--out", "{folder}/no/such/folder.json"), "写不进"),
        (("erase", "ZX-9", "--reason", "x", "--yes"), "没有这位会员"),
        (("erase", CODE, "--reason", " ", "--yes"), "内容为空"),
        (("erase", CODE, "--reason", "x"), "不能恢复"),
        (("consent", CODE, "--withdrawn"), "没有写用途"),
        (("consent", "--purpose", "phone", "--given"), "--task"),
        (("consent", "--task", "6f1f7a52-3c39-4a0e-9f0c-2f3c0e4d6a11"), "没有这个任务"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(
    known: Shop, arguments: tuple[str, ...], told: str
) -> None:
    before = known.traces()
    done = known.run("member", *(one.format(folder=known.folder) for one in arguments))
    assert done.exit_code == 1
    assert told in done.output
    assert known.traces() == before
    assert not (known.folder / "none.json").exists()


def test_an_export_is_for_its_owner_alone_and_overwrites_nothing(known: Shop) -> None:
    file = known.folder / "zx.json"
    assert known.run("member", "export", CODE, "--out", str(file)).exit_code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    told = json.loads(file.read_text(encoding="utf-8"))
    assert (told["member"]["name"], told["member"]["phone"]) == (NAME, PHONE)
    again = known.run("member", "export", CODE, "--out", str(file))
    assert (again.exit_code, "不会覆盖" in again.output) == (1, True)
    assert json.loads(file.read_text(encoding="utf-8")) == told


def test_an_export_can_be_headed_in_chinese(known: Shop) -> None:
    file = known.folder / "zx-zh.json"
    known.run("member", "consent", CODE, "--purpose", "phone", "--given", "--source", "in_store")
    known.run("member", "export", CODE, "--out", str(file), "--headings", "zh")
    told = json.loads(file.read_text(encoding="utf-8"))
    assert told["会员"]["姓名"] == NAME
    assert {"同意记录", "购买记录", "分配", "待办", "签到", "事件", "消息"} <= set(told)
    assert [(one["用途"], one["来源"]) for one in told["同意记录"]] == [("电话", "到店")]
    assert {one["类型"] for one in told["事件"]} == {"同意", "导出会员资料"}


def test_an_erased_member_is_gone_and_said_to_be(known: Shop) -> None:
    # Not CODE: whose key is destroyed gets none any more, in whatever database of this home.
    code = f"ERASED-{known.database}"
    known.run("import", "members", known.write("e.csv", f"code,name,phone,store\n{code},{NAME},{PHONE},S1\n"))
    done = known.run("member", "erase", code, "--reason", "本人要求", "--yes")
    assert (done.exit_code, "密钥已销毁" in done.stdout) == (0, True)
    again = known.run("member", "erase", code, "--reason", "本人要求", "--yes")
    assert (again.exit_code, "以前已经删除" in again.stdout) == (0, True)
    assert known.run("member", "export", code, "--out", str(known.folder / "gone.json")).exit_code == 1
    report = known.json("import", "members", str(Path(known.folder) / "e.csv"))
    assert (report["rows_new"], report["rows_erased"], report["refused"]) == (0, 1, False)
    assert "1 行属于已删除的会员" in known.run("import", "members", str(Path(known.folder) / "e.csv")).stdout
    assert known.json("audit", "verify")["ok"] is True


def test_an_erasure_says_how_many_copies_of_the_keys_it_did_not_reach(known: Shop) -> None:
    code = f"COPIED-{known.database}"
    known.run("import", "members", known.write("c.csv", f"code,name,store\n{code},{NAME},S1\n"))
    listed = known.home / COPIES
    before = listed.read_text(encoding="utf-8") if listed.exists() else ""
    listed.write_text(f"{before}{known.folder}/drawer/members.db\n", encoding="utf-8")
    try:
        done = known.run("member", "erase", code, "--reason", "本人要求", "--yes")
    finally:
        listed.write_text(before, encoding="utf-8")
    assert (done.exit_code, "没有够到的密钥库副本：1 份" in done.stdout) == (0, True)
