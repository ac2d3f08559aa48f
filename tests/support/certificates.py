"""An authority and certificates for servers on localhost, made with openssl(1) once per session."""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_VALID = ("20200101000000Z", "20991231000000Z")
_PAST = ("20200101000000Z", "20200102000000Z")
_NEW_KEY = ("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Pair:
    certificate: Path
    key: Path


def _directory() -> Path:
    place = Path(os.environ["WPOD_TESTS_SESSION"]) / "certificates"
    place.mkdir(mode=0o755, exist_ok=True)
    return place


def _run(*command: str, directory: Path) -> None:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"


def _made(name: str, make: Callable[[Path], Pair]) -> Pair:
    """The pair of this name; the first worker that needs it makes it."""
    directory = _directory()
    pair = Pair(directory / f"{name}.crt", directory / f"{name}.key")
    with (directory / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not pair.certificate.exists():
            with tempfile.TemporaryDirectory(dir=directory) as temporary:
                made = make(Path(temporary))
                made.key.rename(pair.key)
                made.certificate.chmod(0o644)
                made.certificate.rename(pair.certificate)
    return pair


def authority() -> Pair:
    """The test's own certificate authority."""

    def make(place: Path) -> Pair:
        _run(
            *_NEW_KEY, "-x509", "-days", "3650", "-subj", "/CN=authority of the tests", "-keyout", "ca.key",
            "-out", "ca.crt", "-addext", "keyUsage=critical,keyCertSign", directory=place,
        )  # fmt: skip
        return Pair(place / "ca.crt", place / "ca.key")

    return _made("authority", make)


def self_signed(host: str = "localhost") -> Pair:
    """A certificate that no authority vouches for."""

    def make(place: Path) -> Pair:
        _run(
            *_NEW_KEY, "-x509", "-days", "3650", "-subj", f"/CN={host}", "-keyout", "own.key", "-out", "own.crt",
            "-addext", f"subjectAltName=DNS:{host}", directory=place,
        )  # fmt: skip
        return Pair(place / "own.crt", place / "own.key")

    return _made(f"self-signed-{host}", make)


def issued(host: str = "localhost", *, expired: bool = False) -> Pair:
    """A certificate of the tests' authority, for a server or a client."""
    parent = authority()
    begin, end = _PAST if expired else _VALID

    def make(place: Path) -> Pair:
        (place / "index.txt").touch()
        (place / "serial").write_text("01\n")
        (place / "ca.cnf").write_text(
            f"[ca]\ndefault_ca=d\n[d]\ndatabase={place}/index.txt\nserial={place}/serial\nnew_certs_dir={place}\n"
            "default_md=sha256\npolicy=p\nx509_extensions=x\n[p]\ncommonName=supplied\n"
            f"[x]\nsubjectAltName=DNS:{host}\nbasicConstraints=CA:FALSE\n"
        )
        _run(*_NEW_KEY, "-subj", f"/CN={host}", "-keyout", "one.key", "-out", "one.csr", directory=place)
        _run(
            "openssl", "ca", "-batch", "-config", "ca.cnf", "-cert", str(parent.certificate), "-keyfile",
            str(parent.key), "-in", "one.csr", "-out", "one.crt", "-notext", "-startdate", begin, "-enddate", end,
            directory=place,
        )  # fmt: skip
        return Pair(place / "one.crt", place / "one.key")

    return _made(f"{'expired' if expired else 'issued'}-{host}", make)
