"""Services that are told messages: an HTTP server and a mail server on real sockets of this machine."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

OK = b'{"errcode": 0, "code": 0, "errmsg": "ok"}'


@dataclass
class Answer:
    """What the service says; `silent`: it takes the request and says nothing; `late`: it says so when it is `over`."""

    status: int = 200
    body: bytes = OK
    silent: bool = False
    late: bool = False
    hang_up: bool = False


@dataclass
class Service:
    """What a fake received and how it answers; `answers` are used up one a request, then `answer`."""

    port: int = 0
    answer: Answer = field(default_factory=Answer)
    answers: list[Answer] = field(default_factory=list)
    requests: list[tuple[str, Any]] = field(default_factory=list)
    received: threading.Condition = field(default_factory=threading.Condition)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def texts(self) -> list[str]:
        """The texts it received, in order."""
        return [_text(body) for _, body in self.requests]

    def take(self, path: str, body: Any) -> Answer:
        with self.received:
            self.requests.append((path, body))
            answer = self.answers.pop(0) if self.answers else self.answer
            self.received.notify_all()
        if answer.silent or answer.late:
            self.over.wait(30)
        return answer

    def wait_for(self, requests: int, within: float = 20.0) -> None:
        with self.received:
            assert self.received.wait_for(lambda: len(self.requests) >= requests, within)


def _text(body: Any) -> str:
    if "msgtype" in body:
        return str(body["text"]["content"])
    if "msg_type" in body:
        return str(body["content"]["text"])
    return str(body["message"])


@contextmanager
def http_service(port: int = 0) -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            answer = service.take(self.path, json.loads(self.rfile.read(length)))
            if answer.silent or answer.hang_up:
                self.close_connection = True
                return
            self.send_response(answer.status)
            if 300 <= answer.status < 400:
                self.send_header("Location", f"{service.url}/elsewhere")
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    with _running(server, service):
        yield service


USUAL = {"DATA": "354 go on", "EHLO": "250-fake\r\n250 AUTH PLAIN", "AUTH": "235 welcome"}


@dataclass
class MailBox(Service):
    """A mail server; `say` replaces its answer to a step (`RCPT`, `.`), empty: it hangs up there."""

    say: dict[str, str] = field(default_factory=dict)
    mails: list[str] = field(default_factory=list)


class _MailServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    box: MailBox


class _MailDialogue(socketserver.StreamRequestHandler):
    server: _MailServer

    def handle(self) -> None:
        say = self.server.box.say
        self.tell("220 fake ready")
        while line := self.rfile.readline().decode().strip():
            step = line.split()[0].upper()
            goes_on = self.tell(say.get(step, USUAL.get(step, "250 ok")))
            if goes_on and step == "DATA" and step not in say:
                goes_on = self.mail()
            if step == "QUIT" or not goes_on:
                return

    def mail(self) -> bool:
        box, lines = self.server.box, []
        while (line := self.rfile.readline().decode()).strip() != ".":
            lines.append(line)
        with box.received:
            box.mails.append("".join(lines))
            box.received.notify_all()
        if box.say.get(".") == "silent":
            box.over.wait(30)
            return False
        return self.tell(box.say.get(".", "250 taken"))

    def tell(self, line: str) -> bool:
        if line:
            self.wfile.write(f"{line}\r\n".encode())
        return bool(line)


@contextmanager
def mail_service() -> Iterator[MailBox]:
    box = MailBox()
    server = _MailServer(("127.0.0.1", 0), _MailDialogue)
    server.box = box
    with _running(server, box):
        yield box


@contextmanager
def _running(server: socketserver.TCPServer, service: Service) -> Iterator[None]:
    service.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        service.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
