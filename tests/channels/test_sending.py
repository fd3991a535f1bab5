"""Each kind of channel against a service on a real socket: what is seen decides what became of the message."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from email import message_from_string
from email.header import decode_header, make_header

import pytest

from channels.plugins import Bases, Transport, read_bases
from channels.sending import send
from channels.texts import Text
from domain.delivery import Delivery, End
from tests.channels.fakes import Answer, MailBox, Service, free_port, http_service, mail_service

TEXT = Text("标题", "【今日清单】2026-03-02 12:00：G1 还有 3 项")
HTTP_KINDS = ("wecom", "dingtalk", "feishu", "webhook")
PATHS = {
    "wecom": "/cgi-bin/webhook/send?key=secretkey",
    "dingtalk": "/robot/send?access_token=secrettoken",
    "feishu": "/open-apis/bot/v2/hook/secrettoken/",
    "webhook": "/hook",
}


@pytest.fixture
def service() -> Iterator[Service]:
    with http_service() as running:
        yield running


@pytest.fixture
def box() -> Iterator[MailBox]:
    with mail_service() as running:
        yield running


def address(kind: str, port: int) -> str:
    return {
        "wecom": "wecombot://secretkey",
        "dingtalk": "dingtalk://secrettoken",
        "feishu": "feishu://secrettoken",
        "webhook": f"json://127.0.0.1:{port}/hook",
        "mail": f"mailto://user:pw@example.com:{port}?smtp=127.0.0.1&mode=insecure&to=store@example.com&from=hq@example.com",
    }[kind]


def attempt(kind: str, port: int, *, answer: float = 5.0) -> Delivery:
    base = f"http://127.0.0.1:{port}"
    transport = Transport(connect=2.0, answer=answer, bases=Bases(base, base, base))
    return send(kind, address(kind, port), TEXT, purpose="nudge/g/2026-03-02/12:00", transport=transport)


@pytest.mark.parametrize("kind", HTTP_KINDS)
def test_a_message_that_is_taken_is_sent(kind: str, service: Service) -> None:
    assert attempt(kind, service.port) == Delivery(End.SENT)
    assert service.texts == [TEXT.body]
    assert [path for path, _ in service.requests] == [PATHS[kind]]


def test_a_webhook_gets_title_and_purpose_so_that_it_can_tell_what_it_has_had(service: Service) -> None:
    attempt("webhook", service.port)
    ((_, body),) = service.requests
    assert (body["title"], body["purpose"]) == (TEXT.title, "nudge/g/2026-03-02/12:00")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("wecom", {"errcode": 93000, "errmsg": "invalid webhook url"}),
        ("dingtalk", {"errcode": 310000, "errmsg": "keywords not in content"}),
        ("feishu", {"code": 19024, "msg": "Key Words Not Found"}),
    ],
)
def test_a_robot_that_answers_200_with_a_code_has_refused(
    kind: str, body: dict[str, object], service: Service
) -> None:
    service.answer = Answer(body=json.dumps(body).encode())
    code = body.get("errcode", body.get("code"))
    assert attempt(kind, service.port) == Delivery(End.REFUSED, f"code_{code}")


@pytest.mark.parametrize("kind", HTTP_KINDS)
def test_http_4xx_is_a_refusal(kind: str, service: Service) -> None:
    service.answer = Answer(status=403, body=b"no")
    assert attempt(kind, service.port) == Delivery(End.REFUSED, "http_403")


@pytest.mark.parametrize("kind", HTTP_KINDS)
def test_a_redirect_is_not_followed(kind: str, service: Service) -> None:
    service.answer = Answer(status=307)
    assert attempt(kind, service.port) == Delivery(End.REFUSED, "http_307")
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("kind", "answer", "why"),
    [
        ("wecom", Answer(body=b'{"errcode": 45009, "errmsg": "api freq out of limit"}'), "code_45009"),
        ("dingtalk", Answer(body=b'{"errcode": 130101, "errmsg": "send too fast"}'), "code_130101"),
        ("feishu", Answer(body=b'{"code": 11232, "msg": "frequency limited"}'), "code_11232"),
        ("feishu", Answer(status=400, body=b'{"code": 99991400, "msg": "limit"}'), "code_99991400"),
        ("webhook", Answer(status=429, body=b""), "http_429"),
    ],
)
def test_too_many_is_known_not_to_be_sent(kind: str, answer: Answer, why: str, service: Service) -> None:
    service.answer = answer
    assert attempt(kind, service.port) == Delivery(End.RATE_LIMITED, why)


@pytest.mark.parametrize("kind", HTTP_KINDS)
def test_no_answer_after_the_request_was_received_is_unknown(kind: str, service: Service) -> None:
    service.answer = Answer(silent=True)
    assert attempt(kind, service.port, answer=0.3) == Delivery(End.UNKNOWN, "no_answer")
    assert len(service.requests) == 1


@pytest.mark.parametrize("kind", HTTP_KINDS)
def test_a_connection_lost_after_the_request_was_received_is_unknown(kind: str, service: Service) -> None:
    service.answer = Answer(hang_up=True)
    assert attempt(kind, service.port) == Delivery(End.UNKNOWN, "connection_lost")
    assert len(service.requests) == 1


@pytest.mark.parametrize("kind", HTTP_KINDS)
def test_http_5xx_is_unknown(kind: str, service: Service) -> None:
    service.answer = Answer(status=502, body=b"bad gateway")
    assert attempt(kind, service.port) == Delivery(End.UNKNOWN, "http_502")


@pytest.mark.parametrize("kind", ["wecom", "dingtalk", "feishu"])
def test_an_answer_that_is_not_the_robots_is_unknown(kind: str, service: Service) -> None:
    service.answer = Answer(body=b"<html>Please sign in</html>")
    assert attempt(kind, service.port) == Delivery(End.UNKNOWN, "answer_unreadable")


def test_a_busy_robot_may_have_taken_it(service: Service) -> None:
    service.answer = Answer(body=b'{"errcode": -1, "errmsg": "system busy"}')
    assert attempt("wecom", service.port) == Delivery(End.UNKNOWN, "busy")


@pytest.mark.parametrize("kind", [*HTTP_KINDS, "mail"])
def test_a_refused_connection_is_known_not_to_be_sent(kind: str) -> None:
    assert attempt(kind, free_port()) == Delivery(End.NOT_SENT, "not_connected")


def test_what_an_address_asks_for_does_not_make_one_attempt_two(service: Service) -> None:
    service.answer = Answer(status=307)
    transport = Transport()
    where = f"json://127.0.0.1:{service.port}/hook?redirect=yes&retry=3"
    assert send("webhook", where, TEXT, purpose="p", transport=transport).end is End.REFUSED
    assert len(service.requests) == 1


def test_a_long_text_stays_one_message(service: Service) -> None:
    base = service.url
    transport = Transport(bases=Bases(base, base, base))
    text = Text("", "长" * 5000)
    assert send("wecom", "wecombot://k", text, purpose="p", transport=transport).end is End.SENT
    assert len(service.requests) == 1


# --- mail ------------------------------------------------------------------------------------------


def test_a_mail_that_the_server_takes_is_sent(box: MailBox) -> None:
    assert attempt("mail", box.port) == Delivery(End.SENT)
    (mail,) = box.mails
    read = message_from_string(mail)
    assert str(make_header(decode_header(read["Subject"]))) == TEXT.title
    payload = read.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload.decode().strip() == TEXT.body


@pytest.mark.parametrize(
    ("step", "answer", "delivery"),
    [
        ("RCPT", "550 no such user", Delivery(End.REFUSED, "mail_550")),
        ("MAIL", "553 not you", Delivery(End.REFUSED, "mail_553")),
        (".", "554 spam", Delivery(End.REFUSED, "mail_554")),
        ("RCPT", "451 come back later", Delivery(End.NOT_SENT, "mail_451")),
        (".", "452 full", Delivery(End.NOT_SENT, "mail_452")),
        ("RCPT", "", Delivery(End.NOT_SENT, "not_connected")),
        (".", "", Delivery(End.UNKNOWN, "connection_lost")),
    ],
)
def test_what_the_mail_server_says_and_where_it_hangs_up_decides(
    step: str, answer: str, delivery: Delivery, box: MailBox
) -> None:
    box.say[step] = answer
    assert attempt("mail", box.port) == delivery


def test_a_mail_server_that_is_silent_after_it_had_the_mail_leaves_it_unknown(box: MailBox) -> None:
    box.say["."] = "silent"
    assert attempt("mail", box.port, answer=0.3) == Delivery(End.UNKNOWN, "connection_lost")
    assert len(box.mails) == 1


def test_a_mail_server_that_never_greets_is_not_sent_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        delivery = attempt("mail", mute.getsockname()[1], answer=0.3)
    assert delivery == Delivery(End.NOT_SENT, "not_connected")


# --- secrets and settings ----------------------------------------------------------------------------


def test_no_address_reaches_a_log(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    service.answer = Answer(status=403)
    with caplog.at_level(logging.DEBUG):
        for kind in HTTP_KINDS:
            attempt(kind, service.port)
        send("wecom", "wecombot://not a secretkey", TEXT, purpose="p", transport=Transport())
    assert "secret" not in caplog.text


def test_robots_live_where_the_settings_say() -> None:
    bases = read_bases({"DAOGOU_WECOM_BASE": "http://gate.example.com/wecom/"})
    assert (bases.wecom, bases.feishu) == ("http://gate.example.com/wecom", "https://open.feishu.cn")
