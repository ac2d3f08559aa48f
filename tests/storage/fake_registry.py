"""A registry that misbehaves on request: good by itself, with rules for what to answer instead.

A rule is a regular expression over `METHOD PATH` and an action, which writes what it likes to the socket. The
first fitting rule counts; one with `times` is used up. Every request is recorded with its headers.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.support.certificates import Pair
from tests.support.content import Content, digest_of

Action = Callable[["Handler"], None]


@dataclass(frozen=True)
class Seen:
    """One request as it came."""

    line: str
    headers: dict[str, str]
    at_seconds: float

    @property
    def authorization(self) -> str:
        return self.headers.get("authorization", "")


@dataclass
class Rule:
    pattern: str
    action: Action
    times: int | None = None


@dataclass
class FakeRegistry:
    """What it serves, what it was asked, and how it is to misbehave."""

    host: str
    scheme: str = "http"
    content: Content = field(default_factory=Content)
    tags: dict[str, str] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"

    def name(self, repository: str = "image", tag: str = "latest") -> str:
        return f"{self.host}/{repository}:{tag}"

    def publish(self, content: Content, tag: str = "latest") -> Content:
        """Serve an image, in every repository, under this tag."""
        self.content.add(content)
        self.tags[tag] = content.top
        return content

    def on(self, pattern: str, action: Action, times: int | None = None) -> None:
        self.rules.append(Rule(pattern, action, times))

    def behave(self) -> None:
        """Good from now on."""
        with self.lock:
            self.rules.clear()

    def asked(self, pattern: str) -> list[Seen]:
        return [one for one in self.seen if re.search(pattern, one.line)]

    def action_for(self, line: str) -> Action | None:
        with self.lock:
            for rule in self.rules:
                if re.search(rule.pattern, line) and rule.times != 0:
                    if rule.times is not None:
                        rule.times -= 1
                    return rule.action
        return None


class Handler(BaseHTTPRequestHandler):
    """Also what actions write with."""

    protocol_version = "HTTP/1.1"
    registry: FakeRegistry

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class's own name
        """Quiet: the requests are recorded."""

    def _handle(self) -> None:
        self.registry.seen.append(
            Seen(
                f"{self.command} {self.path}",
                {key.lower(): value for key, value in self.headers.items()},
                time.monotonic(),
            )
        )
        action = self.registry.action_for(f"{self.command} {self.path}")
        with contextlib.suppress(OSError):  # the client has gone
            (action or good)(self)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _handle  # noqa: N815

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """A well-formed answer."""
        head = {"Content-Length": str(len(body)), **(headers or {})}
        lines = [f"HTTP/1.1 {status} Answer", *(f"{key}: {value}" for key, value in head.items()), "", ""]
        self.raw("\r\n".join(lines).encode("latin-1") + (b"" if self.command == "HEAD" else body))

    def raw(self, data: bytes) -> None:
        self.wfile.write(data)

    def close(self) -> None:
        self.close_connection = True

    def reset(self) -> None:
        """End the connection with RST."""
        self.close()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def stall(self) -> None:
        """Say nothing more until the client gives up."""
        self.close()
        while not self.registry.stopped.is_set():
            with contextlib.suppress(TimeoutError):
                self.connection.settimeout(0.1)
                if not self.connection.recv(1):
                    return


def good(handler: Handler) -> None:
    """What the distribution specification asks for."""
    registry, path = handler.registry, urlsplit(handler.path).path
    manifest = re.fullmatch(r"/v2/(.+)/manifests/([^/]+)", path)
    blob = re.fullmatch(r"/v2/(.+)/blobs/([^/]+)", path)
    if path == "/v2/":
        handler.answer(200, b"{}")
    elif manifest and registry.tags.get(manifest[2], manifest[2]) in registry.content.manifests:
        digest = registry.tags.get(manifest[2], manifest[2])
        media_type, data = registry.content.manifests[digest]
        handler.answer(200, data, {"Content-Type": media_type, "Docker-Content-Digest": digest})
    elif blob and blob[2] in registry.content.blobs:
        _ranged(handler, registry.content.blobs[blob[2]])
    else:
        handler.answer(404, b'{"errors":[{"code":"UNKNOWN","message":"not here"}]}')


def _ranged(handler: Handler, data: bytes) -> None:
    found = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    if found is None:
        handler.answer(200, data)
    elif int(found[1]) < len(data):
        first = int(found[1])
        handler.answer(206, data[first:], {"Content-Range": f"bytes {first}-{len(data) - 1}/{len(data)}"})
    else:
        handler.answer(416)


def says(status: int, body: bytes = b"", **headers: str) -> Action:
    """An answer of this status; `Content_Type="x"` is the header Content-Type."""
    return lambda handler: handler.answer(status, body, {key.replace("_", "-"): text for key, text in headers.items()})


def sends(data: bytes) -> Action:
    """These bytes instead of an answer, then the end of the connection."""

    def action(handler: Handler) -> None:
        handler.raw(data)
        handler.close()

    return action


def redirects(location: str, status: int = 307) -> Action:
    return says(status, b"", Location=location)


def stalls(handler: Handler) -> None:
    handler.stall()


def breaks_off(data: bytes, count: int, how: Action) -> Action:
    """The head of a good answer, `count` bytes of its body (behind the asked range), then `how`."""

    def action(handler: Handler) -> None:
        found = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        first = int(found[1]) if found else 0
        status = f"206 Answer\r\nContent-Range: bytes {first}-{len(data) - 1}/{len(data)}" if found else "200 Answer"
        handler.raw(f"HTTP/1.1 {status}\r\nContent-Length: {len(data) - first}\r\n\r\n".encode())
        handler.raw(data[first : first + count])
        how(handler)

    return action


def endlessly(head: bytes, piece: bytes, pause_seconds: float = 0.0) -> Action:
    """`head`, then `piece` again and again until the client has enough."""

    def action(handler: Handler) -> None:
        handler.close()
        handler.raw(head)
        while not handler.registry.stopped.is_set():
            handler.raw(piece)
            if pause_seconds:
                handler.registry.stopped.wait(pause_seconds)

    return action


def wants_password(creds: str, challenge: str = 'Basic realm="registry"') -> Action:
    """401 unless the request carries these credentials (or this bearer token)."""
    basic = "Basic " + base64.b64encode(creds.encode()).decode()

    def action(handler: Handler) -> None:
        if handler.headers.get("Authorization") in (basic, f"Bearer {creds}"):
            good(handler)
        else:
            handler.answer(401, b"{}", {"WWW-Authenticate": challenge})

    return action


def gives_token(token: str) -> Action:
    return says(200, json.dumps({"token": token}).encode(), Content_Type="application/json")


def other_manifest(content: Content) -> Action:
    """A good manifest that isn't the one asked for, with the digest that was asked for in the header."""

    def action(handler: Handler) -> None:
        media_type, data = content.manifests[content.top]
        asked = handler.path.rpartition("/")[2]
        digest = asked if asked.startswith("sha256:") else digest_of(data)
        handler.answer(200, data, {"Content-Type": media_type, "Docker-Content-Digest": digest})

    return action


@contextmanager
def serve(tls: Pair | None = None, client_authority: Pair | None = None) -> Iterator[FakeRegistry]:
    """A server of its own on a free port of localhost; with `client_authority` it wants certificates of clients."""
    handler = type("OwnHandler", (Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads, server.block_on_close = True, False
    server.handle_error = lambda *_: None  # type: ignore[method-assign] - clients that go away are the point
    registry = FakeRegistry(f"localhost:{server.server_port}")
    handler.registry = registry  # type: ignore[attr-defined]
    if tls is not None:
        registry.scheme = "https"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
        if client_authority is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(client_authority.certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        registry.stopped.set()
        server.shutdown()
        server.server_close()
