"""Serves live pages to browsers: to read, and only for those who know the address."""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
import socket
import socketserver
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from besom.errors import ConfigError, reason_of
from besom.page.write_page import page_policy, script_json
from besom.serve.live_index import STUDIES, LiveIndex
from besom.serve.live_study import LiveStudy

#: Seconds after which a connection ends that is idle, or sends its request too slowly.
TIMEOUT_S = 30.0
#: Connections that are open at a time. Beyond them the oldest ends; first those that have not named
#: the token.
MOST_CONNECTIONS = 100
_LOCAL = "localhost"


class _Answer(NamedTuple):
    status: HTTPStatus
    kind: str
    text: str
    policy: str = "default-src 'none'"


class PageServer(ThreadingHTTPServer):
    """The pages of one study or of all; ``serve_forever`` serves them until it is interrupted.

    The address holds a random token, so that other users of the machine and other pages in the
    browser cannot guess it. A request must name this machine as its host: a page elsewhere whose
    own name was pointed at this machine cannot read anything.

    Args:
        results_dir: the folder of the studies' folders.
        name: the study; None: all, with an index.
        host: the address to listen at.
        port: 0 for a free one.

    Raises:
        ConfigError: it cannot listen there.
    """

    daemon_threads = True

    def __init__(self, results_dir: Path, name: str | None, host: str, port: int) -> None:
        self.root: LiveStudy | LiveIndex
        self.root = LiveIndex(results_dir) if name is None else LiveStudy(results_dir, name)
        self.token = secrets.token_urlsafe(16)
        self._host = host
        self._open: dict[socket.socket, bool] = {}  # whether it has named the token; oldest first
        self._guard = threading.Lock()
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self.address_family = found[0]
            super().__init__((str(found[4][0]), port), _Handler)
        except (OSError, UnicodeError) as error:
            raise ConfigError(
                f"Cannot listen at {host}, port {port}: {reason_of(error)}. Give a free port with "
                "--port (0 takes any), or an address of this machine with --host."
            ) from error

    def server_bind(self) -> None:
        """As in the standard library, but without asking for the machine's full name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self._host, int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for a new connection; one that is open may have to end for it."""
        with self._guard:
            if len(self._open) >= MOST_CONNECTIONS:
                strangers = (c for c, knows in self._open.items() if not knows)
                oldest = next(strangers, next(iter(self._open)))
                del self._open[oldest]
                with contextlib.suppress(OSError):  # it has ended by itself
                    oldest.shutdown(socket.SHUT_RDWR)  # its thread then closes it
            self._open[request] = False
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """The end of a connection."""
        with self._guard:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def _trust(self, request: Any) -> None:
        """A connection has named the token."""
        with self._guard:
            if request in self._open:
                self._open[request] = True

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """A browser that goes away is no error."""
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError | TimeoutError):
            print(f"besom: a request failed: {reason_of(error)}", file=sys.stderr)

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return ipaddress.ip_address(str(self.server_address[0])).is_loopback

    @property
    def url(self) -> str:
        """The address to open."""
        address = ipaddress.ip_address(str(self.server_address[0]))
        host = socket.gethostname() if address.is_unspecified else self._host
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.server_port}/{self.token}/"

    def is_own_host(self, given: str) -> bool:
        """Whether a Host header names this machine: by a number, or by a name that is its own.

        The port is not looked at: a tunnel has another one.
        """
        try:
            name = (urlsplit(f"//{given}").hostname or "").lower()
        except ValueError:
            return False
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            own = {_LOCAL, self._host.lower()}
            return name in own or (not self.is_local and name in _own_names())
        return address.is_loopback or not self.is_local

    def answer(self, path: str, query: str, request: Any) -> _Answer:
        """The answer to a GET request."""
        token, slash, rest = path.removeprefix("/").partition("/")
        page = None
        if secrets.compare_digest(token.encode(), self.token.encode()):
            self._trust(request)
            page = self._page(rest) if slash else None
        if page is None:
            return _Answer(HTTPStatus.NOT_FOUND, "text/plain", "There is no such page.\n")
        since = parse_qs(query).get("since")
        if since is None:
            return _Answer(HTTPStatus.OK, "text/html", page.page(), page_policy(is_live=True))
        news = page.news(int(since[0]) if since[0].isdecimal() and len(since[0]) < 16 else 0)
        return _Answer(HTTPStatus.OK, "application/json", str(script_json(news)))

    def _page(self, path: str) -> LiveStudy | LiveIndex | None:
        if not path:
            return self.root
        folder, _, name = path.removesuffix("/").partition("/")
        if folder != STUDIES or not path.endswith("/") or not isinstance(self.root, LiveIndex):
            return None
        return self.root.study(unquote(name))


def _own_names() -> set[str]:
    name = socket.gethostname().lower()
    return {name, name.partition(".")[0]}


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "besom", ""
    timeout = TIMEOUT_S
    server: PageServer

    def do_GET(self) -> None:
        """Answer, or say why not."""
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body, which nobody reads
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or not self.server.is_own_host(hosts[0]):
            text = "This server answers only to the address that besom serve has printed.\n"
            self._send(_Answer(HTTPStatus.FORBIDDEN, "text/plain", text))
            return
        path, _, query = self.path.partition("?")
        self._send(self.server.answer(path, query, self.connection))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """What is no GET request is refused in one line."""
        self.close_connection = True
        status = HTTPStatus(code)
        if status is HTTPStatus.NOT_IMPLEMENTED:  # there is no method for its method
            status = HTTPStatus.METHOD_NOT_ALLOWED
        self._send(_Answer(status, "text/plain", f"{status.phrase}.\n"))

    def log_message(self, format: str, *words: Any) -> None:
        """Nothing: the address holds the token."""

    def _send(self, answer: _Answer) -> None:
        body = answer.text.encode()
        self.send_response(answer.status)
        if answer.status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET")
        if self.close_connection:
            self.send_header("Connection", "close")
        for name, value in (
            ("Content-Type", f"{answer.kind}; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Content-Security-Policy", f"{answer.policy}; frame-ancestors 'none'"),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cache-Control", "no-store"),
        ):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
