"""From what a transport saw to what became of the message. Decided by codes and kinds of failure, never by texts.

| seen | is |
| --- | --- |
| no connection: refused, no such host, timed out, certificate not trusted | not sent |
| the request left, no whole answer came | unknown |
| HTTP 2xx; for a robot with the code 0 in its answer | sent |
| a robot's code for "too many", or HTTP 429 | rate limited |
| HTTP 3xx, 4xx; any other code of a robot | refused |
| HTTP 5xx; a robot's "busy" (-1); an answer that is not the robot's | unknown: it may have been taken |
| mail: 4xx of the server | not sent |
| mail: 5xx of the server | refused |
| mail: lost while or after the mail was handed over, before the server's word | unknown |
"""

from __future__ import annotations

import json
import smtplib
import ssl
from collections.abc import Iterator

import requests
import urllib3.exceptions

from channels.facts import Facts
from domain.delivery import Delivery, End

RATE_CODES: dict[str, frozenset[int]] = {
    "wecom": frozenset({45009, 45033}),  # calls a minute, calls at once
    "dingtalk": frozenset({130101, 410100, 90030}),  # messages a minute, speed, calls of a webhook
    "feishu": frozenset(
        {11232, 99991400, 230020}
    ),  # a robot's messages, an application's calls, a chat's messages
}
"""Codes with which a robot's service says that it took nothing because it gets too much."""
TOO_MANY = 429
_CODE_FIELDS = {"wecom": ("errcode",), "dingtalk": ("errcode",), "feishu": ("code", "StatusCode")}

_NOT_CONNECTED = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.NameResolutionError,
    urllib3.exceptions.ProxyError,
    requests.exceptions.ConnectTimeout,
    requests.exceptions.ProxyError,
    requests.exceptions.InvalidURL,
)


def judge(kind: str, facts: Facts) -> Delivery:
    """What became of a message to a channel of `kind` (wecom, dingtalk, feishu, mail, webhook)."""
    if facts.mail:
        return _mail(facts)
    if facts.status is not None and facts.failure is None:
        return _answered(kind, facts.status, facts.body)
    if facts.failure is None:
        return Delivery(
            End.REFUSED, "not_attempted"
        )  # no transport was ever called: it would not be next time
    for cause in _causes(facts.failure):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Delivery(End.NOT_SENT, "certificate")
        if isinstance(cause, _NOT_CONNECTED):
            return Delivery(End.NOT_SENT, "not_connected")
    late = isinstance(facts.failure, requests.exceptions.Timeout | TimeoutError)
    return Delivery(End.UNKNOWN, "no_answer" if late else "connection_lost")


def _answered(kind: str, status: int, body: bytes) -> Delivery:
    code = _code(kind, body)
    if code in RATE_CODES.get(kind, frozenset()):
        return Delivery(End.RATE_LIMITED, f"code_{code}")
    if status == TOO_MANY:
        return Delivery(End.RATE_LIMITED, f"http_{status}")
    if 300 <= status < 500:
        return Delivery(End.REFUSED, f"http_{status}" if not code or code < 0 else f"code_{code}")
    if not 200 <= status < 300:
        return Delivery(End.UNKNOWN, f"http_{status}")
    return Delivery(End.SENT) if kind not in _CODE_FIELDS else _robot_answered(code)


def _robot_answered(code: int | None) -> Delivery:
    match code:
        case 0:
            return Delivery(End.SENT)
        case None:
            return Delivery(End.UNKNOWN, "answer_unreadable")
        case -1:  # "system busy": whether the message was taken, they don't say
            return Delivery(End.UNKNOWN, "busy")
        case _:
            return Delivery(End.REFUSED, f"code_{code}")


def _code(kind: str, body: bytes) -> int | None:
    """The code in a robot's answer; None where there is none."""
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    if not isinstance(answer, dict):
        return None
    for name in _CODE_FIELDS.get(kind, ()):
        code = answer.get(name)
        if isinstance(code, int) and not isinstance(code, bool):
            return code
    return None


def _mail(facts: Facts) -> Delivery:
    if facts.accepted:
        return Delivery(End.SENT)
    code = _mail_code(facts.failure)
    if code is not None:
        return Delivery(End.REFUSED if code >= 500 else End.NOT_SENT, f"mail_{code}")
    if facts.data_begun:
        return Delivery(End.UNKNOWN, "connection_lost")
    if isinstance(facts.failure, smtplib.SMTPNotSupportedError):
        return Delivery(End.REFUSED, "mail_unsupported")
    if isinstance(facts.failure, ssl.SSLCertVerificationError):
        return Delivery(End.NOT_SENT, "certificate")
    return Delivery(End.NOT_SENT, "not_connected")


def _mail_code(failure: BaseException | None) -> int | None:
    """What the mail server answered; None where it did not."""
    match failure:
        case smtplib.SMTPResponseException():
            return int(failure.smtp_code)
        case smtplib.SMTPRecipientsRefused():
            return max((int(code) for code, _ in failure.recipients.values()), default=None)
        case _:
            return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was made from: requests and urllib3 put it into arguments and `reason`."""
    yield error
    inner = [
        part for part in (*error.args, getattr(error, "reason", None)) if isinstance(part, BaseException)
    ]
    for part in inner:
        yield from _causes(part)
