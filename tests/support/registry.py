"""A real registry server, Debian's docker-registry: plain, with TLS, with a password; filled over its HTTP API."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.support import certificates
from tests.support.content import Content, digest_of

_START_SECONDS = 30.0


@dataclass(frozen=True)
class Options:
    """How a registry is served. `user` and `password` belong together."""

    tls: bool = False
    user: str = ""
    password: str = ""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def expect(self, *statuses: int) -> Answer:
        assert self.status in statuses, f"registry answered {self.status}: {self.body[:500]!r}"
        return self


@dataclass(frozen=True)
class Registry:
    """A running registry. `host` is `localhost:PORT`, as it stands in a reference."""

    host: str
    directory: Path
    options: Options
    authority: Path | None = None

    def name(self, repository: str, tag: str = "latest") -> str:
        return f"{self.host}/{repository}:{tag}"

    @property
    def creds(self) -> str:
        return f"{self.options.user}:{self.options.password}"

    def request(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        """One request to the API, authenticated."""
        connection: http.client.HTTPConnection
        if self.options.tls:
            context = ssl.create_default_context(cafile=str(self.authority))
            connection = http.client.HTTPSConnection(self.host, timeout=60, context=context)
        else:
            connection = http.client.HTTPConnection(self.host, timeout=60)
        sent = dict(headers or {})
        if self.options.user:
            sent["Authorization"] = "Basic " + base64.b64encode(self.creds.encode()).decode()
        with contextlib.closing(connection):
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def publish(self, repository: str, content: Content, *tags: str) -> str:
        """Upload an image under these tags (`latest` where none is given); returns the digest of the top."""
        for data in content.blobs.values():
            self.put_blob(repository, data)
        for digest, (media_type, data) in content.manifests.items():
            for reference in (tags or ("latest",)) if digest == content.top else (digest,):
                self.put_manifest(repository, reference, data, media_type)
        return content.top

    def put_blob(self, repository: str, data: bytes) -> str:
        digest = digest_of(data)
        started = self.request("POST", f"/v2/{repository}/blobs/uploads/").expect(202)
        location = urlsplit(started.headers["location"])
        query = location.query + ("&" if location.query else "") + urlencode({"digest": digest})
        headers = {"Content-Type": "application/octet-stream"}
        self.request("PUT", f"{location.path}?{query}", data, headers).expect(201)
        return digest

    def put_manifest(self, repository: str, reference: str, data: bytes, media_type: str) -> str:
        self.request("PUT", f"/v2/{repository}/manifests/{reference}", data, {"Content-Type": media_type}).expect(201)
        return digest_of(data)

    def manifest(self, repository: str, reference: str, *media_types: str) -> Answer:
        """A manifest as the registry has it; 404 where it hasn't."""
        return self.request(
            "GET", f"/v2/{repository}/manifests/{reference}", headers={"Accept": ", ".join(media_types)}
        )

    def blob(self, repository: str, digest: str) -> bytes:
        return self.request("GET", f"/v2/{repository}/blobs/{digest}").expect(200).body

    def tags(self, repository: str) -> list[str]:
        found: Any = json.loads(self.request("GET", f"/v2/{repository}/tags/list").expect(200).body)
        return list(found["tags"] or [])


def _configuration(directory: Path, options: Options) -> str:
    lines = [
        "version: 0.1",
        "log: {level: info}",
        f"storage: {{filesystem: {{rootdirectory: {directory}/data}}, delete: {{enabled: true}}}}",
        "http:",
        "  addr: localhost:0",
        "  secret: none",
    ]
    if options.tls:
        lines.append(f"  tls: {{certificate: {directory}/server.crt, key: {directory}/server.key}}")
    if options.user:
        words = ["htpasswd", "-Bbn", "-C", "4", options.user, options.password]
        (directory / "htpasswd").write_bytes(subprocess.run(words, check=True, capture_output=True).stdout)
        lines.append(f"auth: {{htpasswd: {{realm: registry, path: {directory}/htpasswd}}}}")
    return "\n".join(lines) + "\n"


@contextmanager
def serve(options: Options | None = None) -> Iterator[Registry]:
    """A registry on a free port of localhost, with storage of its own that goes with it."""
    wanted = options or Options()
    with tempfile.TemporaryDirectory(prefix="registry-") as temporary:
        directory = Path(temporary)
        authority = None
        if wanted.tls:
            authority = directory / "authority.crt"
            pair = certificates.issued("localhost")
            (directory / "server.crt").write_bytes(pair.certificate.read_bytes())
            (directory / "server.key").write_bytes(pair.key.read_bytes())
            authority.write_bytes(certificates.authority().certificate.read_bytes())
        (directory / "config.yml").write_text(_configuration(directory, wanted))
        log = directory / "log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                ["docker-registry", "serve", str(directory / "config.yml")],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        try:
            yield Registry(f"localhost:{_port(process, log)}", directory, wanted, authority)
        finally:
            process.kill()
            process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        text = log.read_text(errors="replace")
        found = re.search(r"listening on [^\"\n]*:(\d+)", text)
        if found:
            return int(found[1])
        assert process.poll() is None and time.monotonic() < deadline, f"docker-registry did not start:\n{text}"
        time.sleep(0.02)
