"""The distribution API (OCI distribution-spec 1.1): the one module that imports `oras`, and requests with it.

Theory of operation. oras gives the session (cookies off), the API's URLs and the parsing of names. What it
leaves open is closed here, in one method, `_send`: it trusts any token server with the password, follows
redirects wherever they lead, retries for minutes, and never checks a digest. So: redirects are followed by
hand, at most ten, to http(s) only, never from https to http, and without Authorization once the host
changes, whose wish for a password is then not heard either; timeouts on connect and on every read, and a
least speed (`patience`); 429 and 5xx and resets are retried with a growing pause (Retry-After up to a minute
is obeyed); all bodies are bounded; ~/.netrc is not read. Blobs resume with Range where a writer has bytes
already, and are verified by the writer (`storage/blobs.py`), manifests here.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import oras.defaults
import oras.provider
import requests
import requests.adapters
import urllib3
import urllib3.exceptions

from wpod.errors import AccessDenied, DigestMismatch, InvalidImage, NotThere, RegistryError
from wpod.model.image import Descriptor
from wpod.storage import documents, strict_json
from wpod.storage.blobs import BlobWriter
from wpod.storage.digests import digest_of
from wpod.storage.registry import challenge as challenges
from wpod.storage.registry import failures, patience, redirects, tls
from wpod.storage.registry.auth import Credentials
from wpod.storage.registry.patience import MAX_ATTEMPTS
from wpod.storage.registry.policy import Endpoint

MAX_REDIRECTS = 10
MAX_TAGS = 100_000
MAX_TAG_PAGES = 1000
_MAX_ANSWER_BYTES = 1 << 20
_CHUNK_BYTES = 256 << 10
_RETRIED = (429, 500, 502, 503, 504)
_ACCEPT = ", ".join((*documents.MANIFEST_TYPES, *documents.INDEX_TYPES))
# What a plain file server says of a manifest; then the document alone tells what it is.
_VAGUE_TYPES = ("", "application/json", "application/octet-stream", "binary/octet-stream", "text/plain")


class Cancelled(RegistryError):
    """The transfer was stopped because another part of it failed or the user interrupted."""


@dataclass(frozen=True)
class Connection:
    """How to talk to registries. `certificates` is --cert-dir: *.crt, and pairs of *.cert and *.key."""

    credentials: Credentials | None = None
    certificates: str = ""


@dataclass(frozen=True)
class FetchedManifest:
    """A manifest as it came, with the media type that it was checked against and its digest."""

    data: bytes
    media_type: str
    digest: str


class _Adapter(requests.adapters.HTTPAdapter):
    """TLS by a context of our own: the system's certificates and the registry's own ones."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(pool_maxsize=16)

    def init_poolmanager(self, *positional: Any, **named: Any) -> None:
        super().init_poolmanager(*positional, **named, ssl_context=self._context)

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        return super().proxy_manager_for(proxy, **named, ssl_context=self._context)

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """The context has said it all."""


class RegistryClient:
    """One repository of one registry. Methods may be called from several threads; `cancel` stops them all.

    Raises RegistryError (its message names the registry), NotThere for what the registry doesn't have,
    DigestMismatch for content that isn't what was asked for.
    """

    def __init__(self, endpoint: Endpoint, connection: Connection, cancel: threading.Event | None = None) -> None:
        self._reference = endpoint.reference
        self._insecure = endpoint.insecure
        if endpoint.insecure:  # the user asked for it; a warning for each request says nothing new
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._credentials = connection.credentials
        self._cancel = cancel or threading.Event()
        self._patience = patience.load()
        self._authorization = ""
        self._lock = threading.Lock()
        self._oras = oras.provider.Registry(endpoint.reference.registry, insecure=False, tls_verify=True)
        self._container = self._oras.get_container(endpoint.reference.name)
        session = self._oras.session
        session.auth = lambda request: request  # else requests would read ~/.netrc
        # Else requests would prepare the next request of a redirect, and read all of the answer's body for it.
        session.get_redirect_target = lambda response: None
        session.headers.update({"User-Agent": "wpod", "Accept-Encoding": "identity"})
        session.mount(
            "https://", _Adapter(tls.context(endpoint.reference.registry, endpoint.insecure, connection.certificates))
        )
        self._scheme = ""

    @property
    def host(self) -> str:
        """The registry, as in the reference."""
        return self._reference.registry

    def ping(self) -> None:
        """Ask for the API's root, which also proves the credentials (`login`)."""
        with self._request("GET", f"{self.host}/v2/") as response:
            self._expect(response, (200,), "the registry")

    def manifest(self, reference: str) -> FetchedManifest:
        """A manifest or index by tag or digest, verified. At most 4 MiB."""
        with self._request("GET", self._manifest_url(reference), {"Accept": _ACCEPT}) as response:
            self._expect(response, (200,), f"{self._reference.name}:{reference}")
            media_type = response.headers.get("Content-Type", "")
            self._check_manifest_type(media_type, reference)
            data = self._body(response, documents.MAX_MANIFEST_BYTES, "manifest")
            stated = response.headers.get("Docker-Content-Digest", "")
        found = digest_of(data)
        wanted = reference if ":" in reference else stated
        if wanted and found != wanted:
            raise DigestMismatch(f"manifest {self._reference.name}:{reference} has the digest {found}, not {wanted}")
        return FetchedManifest(data, media_type, found)

    def _check_manifest_type(self, said: str, reference: str) -> None:
        media_type = said.partition(";")[0].strip().lower()
        if media_type in _VAGUE_TYPES or media_type in _ACCEPT.split(", ") or media_type in documents.OLD_TYPES:
            return
        raise RegistryError(
            f"registry {self.host} answered {media_type!r:.100} for {self._reference.name}:{reference},"
            " which is no manifest of an image"
        )

    def manifest_digest(self, reference: str) -> str:
        """What the registry says the digest is now; "" where it doesn't say."""
        with self._request("HEAD", self._manifest_url(reference), {"Accept": _ACCEPT}) as response:
            self._expect(response, (200,), f"{self._reference.name}:{reference}")
            return str(response.headers.get("Docker-Content-Digest", ""))

    def fetch_blob(self, descriptor: Descriptor, writer: BlobWriter, progress: Any = None) -> None:
        """Fill the writer, going on where it stands; broken transfers are resumed a few times."""
        attempt, furthest = 0, writer.offset
        while writer.offset < descriptor.size_bytes or descriptor.size_bytes == 0:
            try:
                self._fetch_once(descriptor, writer, progress)
                return
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                # Against the furthest point: a server that lets it start anew each time doesn't get on.
                attempt = 1 if writer.offset > furthest + _CHUNK_BYTES else attempt + 1
                furthest = max(furthest, writer.offset)
                if attempt >= MAX_ATTEMPTS:
                    raise self._translate(error, f"blob {descriptor.digest}") from error
                self._pause(attempt, "")

    def _fetch_once(self, descriptor: Descriptor, writer: BlobWriter, progress: Any) -> None:
        headers = {"Range": f"bytes={writer.offset}-"} if writer.offset else {}
        url = self._container.get_blob_url(descriptor.digest)
        with self._request("GET", url, headers) as response:
            if response.status_code == 416 or (
                response.status_code == 206
                and not response.headers.get("Content-Range", "").startswith(f"bytes {writer.offset}-")
            ):
                writer.restart()
                raise requests.ConnectionError("the server answered another range")
            self._expect(response, (200, 206), f"blob {descriptor.digest}")
            if response.status_code == 200:
                writer.restart()
            self._copy(response, descriptor, writer, progress)
        if writer.offset < descriptor.size_bytes:
            raise requests.ConnectionError("the connection was closed early")

    def _copy(self, response: requests.Response, descriptor: Descriptor, writer: BlobWriter, progress: Any) -> None:
        for chunk in self._received(response):
            writer.write(chunk)  # raises past the expected size
            if progress is not None:
                progress(writer.offset)

    def _received(self, response: requests.Response) -> Iterator[bytes]:
        """The body piece by piece. Raises Cancelled, and requests.ConnectionError where it trickles."""
        pace = self._patience.pace()
        for chunk in _chunks(response):
            if self._cancel.is_set():
                raise Cancelled("stopped")
            yield chunk
            if pace.is_too_slow(len(chunk)):
                raise requests.ConnectionError("the server sends too slowly")

    def has_blob(self, digest: str) -> bool:
        """Whether the repository has this blob."""
        with self._request("HEAD", self._container.get_blob_url(digest)) as response:
            if response.status_code == 404:
                return False
            self._expect(response, (200,), f"blob {digest}")
            return True

    def upload_blob(self, descriptor: Descriptor, path: str, progress: Any = None) -> None:
        """Put a blob in one request (POST, then PUT); a broken one starts again."""
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                self._upload_once(descriptor, path, progress)
                return
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                if attempt == MAX_ATTEMPTS:
                    raise self._translate(error, f"blob {descriptor.digest}") from error
                self._pause(attempt, "")

    def _upload_once(self, descriptor: Descriptor, path: str, progress: Any) -> None:
        with self._request("POST", self._container.upload_blob_url(), body=b"") as response:
            self._expect(response, (202,), f"an upload to {self._reference.name}")
            base = str(response.url)
            location = redirects.join(base, response.headers.get("Location", ""), self.host)
        target, origin = redirects.split(location, self.host), urlsplit(base)
        if target.scheme not in ("http", "https") or (origin.scheme == "https" and target.scheme == "http"):
            raise RegistryError(f"{self.host} answered an upload with the location {location[:200]!r}: refused")
        location += ("&" if target.query else "?") + urlencode({"digest": descriptor.digest})
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(descriptor.size_bytes)}
        with open(path, "rb") as stream:
            body = _Reader(stream, descriptor.size_bytes, self._cancel, progress)
            with self._request("PUT", location, headers, body) as response:
                self._expect(response, (201, 204), f"blob {descriptor.digest}")

    def put_manifest(self, reference: str, data: bytes, media_type: str) -> None:
        """Store a manifest under a tag or digest; from then on the image is there."""
        with self._request("PUT", self._manifest_url(reference), {"Content-Type": media_type}, data) as response:
            self._expect(response, (201, 202), f"{self._reference.name}:{reference}")
            stated = response.headers.get("Docker-Content-Digest", "")
        if stated and stated != digest_of(data):
            raise DigestMismatch(f"{self.host} stored the manifest as {stated[:100]}, not as {digest_of(data)}")

    def tags(self) -> list[str]:
        """All tags, in the registry's order; bounded, and a Link that comes back to a page seen is refused."""
        url = f"{self._container.tags_url()}?n=1000"
        seen: set[str] = set()
        found: list[str] = []
        while url:
            if url in seen or len(seen) >= MAX_TAG_PAGES or len(found) > MAX_TAGS:
                raise RegistryError(f"{self.host} lists tags without end")
            seen.add(url)
            with self._request("GET", url) as response:
                self._expect(response, (200,), self._reference.name)
                data = self._body(response, 16 << 20, "tag list")
                fields = strict_json.Fields(strict_json.parse(data, "tag list"), "tag list")
                found.extend(fields.texts("tags", MAX_TAGS))
                link = response.links.get("next", {}).get("url", "")
                url = redirects.join(str(response.url), link, self.host) if link else ""
                if url and redirects.split(url, self.host).netloc != urlsplit(str(response.url)).netloc:
                    raise RegistryError(f"{self.host} continues its tag list on another host: refused")
        return found

    def _manifest_url(self, reference: str) -> str:
        return str(self._container.manifest_url(reference))

    @contextlib.contextmanager
    def _request(
        self, method: str, url: str, headers: dict[str, str] | None = None, body: Any = None
    ) -> Iterator[requests.Response]:
        """One request with authentication, redirects and retries; the response is closed at the end."""
        response = self._send_retrying(method, url, dict(headers or {}), body)
        try:
            yield response
        finally:
            response.close()

    def _send_retrying(self, method: str, url: str, headers: dict[str, str], body: Any) -> requests.Response:
        streamed = isinstance(body, _Reader)
        attempt = 1
        while True:
            last = attempt >= MAX_ATTEMPTS or streamed  # a stream can't be sent twice: its caller tries again
            try:
                response = self._send_authenticated(method, self._absolute(url), headers, body)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                if self._fall_back_to_http(url, error):
                    continue
                if last or not _worth_retrying(error):
                    if streamed:
                        raise
                    raise self._translate(error, _asked(url)) from error
                wait = ""
            else:
                if response.status_code not in _RETRIED or last:
                    return response
                wait = response.headers.get("Retry-After", "")
                response.close()
            self._pause(attempt, wait)
            attempt += 1

    def _absolute(self, url: str) -> str:
        if "://" in url:
            return url
        return f"{self._scheme or 'https'}://{url}"

    def _fall_back_to_http(self, url: str, error: Exception) -> bool:
        """Plain http is tried only where the user or registries.conf allows it, and nothing came by https."""
        if self._scheme or not self._insecure or "://" in url:
            return False
        if not isinstance(error, requests.exceptions.SSLError | requests.ConnectionError):
            return False
        self._scheme = "http"
        return True

    def _send_authenticated(self, method: str, url: str, headers: dict[str, str], body: Any) -> requests.Response:
        used = self._authorization
        response = self._follow(method, url, headers, body)
        self._scheme = self._scheme or urlsplit(url).scheme
        if response.status_code != 401 or not self._is_home(str(response.url)):
            return response
        header = response.headers.get("WWW-Authenticate", "")
        response.close()
        with self._lock:
            if self._authorization == used:
                self._authorize(challenges.parse(header), url)
        if isinstance(body, _Reader):
            body.rewind()
        return self._follow(method, url, headers, body)

    def _authorize(self, challenge: challenges.Challenge, url: str) -> None:
        if challenge.scheme == "basic":
            if self._credentials is None:
                raise self._denied("wants a user and a password")
            self._authorization = self._credentials.basic
            return
        realm = challenges.check_realm(challenge, url)
        parameters = {"service": challenge.service, "scope": challenge.scope}
        self._authorization = f"Bearer {self._token(realm, {k: v for k, v in parameters.items() if v})}"

    def _token(self, realm: str, parameters: dict[str, str]) -> str:
        known = self._credentials
        arguments: dict[str, Any] = {"params": parameters}
        method = "GET"
        if known is not None and known.identity_token:
            method = "POST"
            form = {"grant_type": "refresh_token", "refresh_token": known.identity_token, "client_id": "wpod"}
            arguments = {"data": {**parameters, **form}}
        elif known is not None:
            arguments["headers"] = {"Authorization": known.basic}
        response = self._oras.session.request(
            method, realm, stream=True, allow_redirects=False, timeout=self._patience.timeouts, **arguments
        )
        with contextlib.closing(response):
            if response.status_code in (401, 403):
                raise self._denied("refused the user or the password")
            self._expect(response, (200,), "a token")
            data = self._body(response, _MAX_ANSWER_BYTES, "token")
        fields = strict_json.Fields(strict_json.parse(data, "token answer"), "token answer")
        token = fields.text("token") or fields.text("access_token")
        if not token or not token.isascii() or not token.isprintable():
            raise RegistryError(f"the token server of {self.host} sent no token")
        return token

    def _is_home(self, url: str) -> bool:
        return urlsplit(url).netloc == urlsplit(f"//{self.host}").netloc

    def _follow(self, method: str, url: str, headers: dict[str, str], body: Any) -> requests.Response:
        origin = urlsplit(url)
        at_home = self._is_home(url)
        for _ in range(MAX_REDIRECTS + 1):
            if self._cancel.is_set():
                raise Cancelled("stopped")
            sent = dict(headers)
            if at_home and self._authorization:
                sent["Authorization"] = self._authorization
            response: requests.Response = self._oras.session.request(
                method, url, headers=sent, data=body, stream=True, allow_redirects=False,
                timeout=self._patience.timeouts,
            )  # fmt: skip
            if response.status_code not in (301, 302, 303, 307, 308) or "Location" not in response.headers:
                return response
            response.close()
            target = redirects.join(url, response.headers["Location"], self.host)
            redirects.check(url, target, self.host, self._insecure)
            at_home = at_home and urlsplit(target)[:2] == origin[:2]
            url = target
            if isinstance(body, _Reader):
                body.rewind()
        raise RegistryError(f"{self.host} redirects more than {MAX_REDIRECTS} times")

    def _expect(self, response: requests.Response, codes: tuple[int, ...], what: str) -> None:
        status = response.status_code
        if status in codes:
            return
        reason = self._reason(response)
        if status == 404:
            raise NotThere(f"{what} is not in the registry {self.host}{reason}")
        if status in (401, 403):
            raise self._denied(f"denies access to {what}{reason}")
        if status == 429:
            raise RegistryError(f"registry {self.host}: too many requests{reason}", hint="wait, or log in")
        raise RegistryError(f"registry {self.host} answered {status} for {what}{reason}")

    def _denied(self, reason: str) -> AccessDenied:
        return AccessDenied(f"registry {self.host} {reason}", hint=f"wpod login {self.host}")

    def _reason(self, response: requests.Response) -> str:
        """The registry's own words, as one short line of printable characters."""
        if response.request is not None and response.request.method == "HEAD":
            return ""
        try:
            document = strict_json.parse(self._body(response, 64 << 10, "answer"), "answer")
            words = str(document["errors"][0]["message"])
        except (InvalidImage, RegistryError, KeyError, IndexError, TypeError, OSError, requests.RequestException):
            return ""
        shown = "".join(character if character.isprintable() else " " for character in words)[:200].strip()
        return f": {shown}" if shown else ""

    def _body(self, response: requests.Response, limit_bytes: int, what: str) -> bytes:
        data = bytearray()
        try:
            for chunk in self._received(response):
                data += chunk
                if len(data) > limit_bytes:
                    raise InvalidImage(f"{what} from {self.host} is larger than {limit_bytes} bytes")
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise self._translate(error, what) from error
        return bytes(data)

    def _pause(self, attempt: int, retry_after: str) -> None:
        if self._cancel.wait(self._patience.pause_seconds(attempt, retry_after)):
            raise Cancelled("stopped")

    def _translate(self, error: Exception, what: str) -> RegistryError:
        return RegistryError(f"registry {self.host}: {what} failed: {failures.cause(error)}", hint=failures.hint(error))


class _Reader:
    """A file as a request's body of known length."""

    def __init__(self, stream: Any, size: int, cancel: threading.Event, progress: Any) -> None:
        self._stream = stream
        self._cancel = cancel
        self._progress = progress
        self.len = size  # where requests looks for it

    def read(self, size: int = -1) -> bytes:
        if self._cancel.is_set():
            raise Cancelled("stopped")
        chunk: bytes = self._stream.read(_CHUNK_BYTES if size < 0 else size)
        if self._progress is not None:
            self._progress(self._stream.tell())
        return chunk

    def rewind(self) -> None:
        self._stream.seek(0)


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """The body as it comes, never decoded: `Content-Encoding` of a stranger could be a bomb."""
    if response.raw.chunked:
        yield from response.raw.stream(4096, decode_content=False)
        return
    while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=False):
        yield chunk


def _asked(url: str) -> str:
    """What a request of the API is about, in words."""
    above, _, last = urlsplit(url).path.rpartition("/")
    kinds = {"blobs": "the request for blob", "manifests": "the request for manifest"}
    kind = kinds.get(above.rpartition("/")[2], "")
    return f"{kind} {last}" if kind else "the request"


def _worth_retrying(error: Exception) -> bool:
    if isinstance(error, requests.exceptions.SSLError | requests.exceptions.InvalidURL):
        return False
    text = str(error)
    return not any(word in text for word in ("refused", "NameResolution", "Name or service", "unreachable"))
