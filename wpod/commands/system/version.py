"""wpod version"""

from __future__ import annotations

import os
import sys
import time

from wpod import __version__, paths
from wpod.commands.options import Options
from wpod.commands.session import Session
from wpod.errors import ExitCode, StoreError, UsageError
from wpod.output import json, template
from wpod.queries import doctor
from wpod.storage import platforms

SCHEMA_VERSION = 1
ENGINE_NAME = "WAMR"
# The podman whose commands, output and JSON these are: what a script that asks for an API version wants to know.
PODMAN_VERSION = "4.3.1"


def execute(session: Session, options: Options, _arguments: tuple[str, ...]) -> int:
    """Text, JSON or a template."""
    format_ = options.text("format")
    document: dict[str, object] = {"Client": client(), "Wpod": _own(session.runtime)}
    if not format_:
        session.output.text(_text(document))
    elif template.wants_json(format_):
        session.output.line(json.document(document, json.PS_INDENT))
    else:
        session.output.text(_rendered(format_, document))
    return ExitCode.SUCCESS


def client() -> dict[str, object]:
    """Podman's keys; there is no Go and no commit to name. `Built` is when the runner was linked, 0 without one."""
    built = _built()
    platform = platforms.host()
    return {
        "APIVersion": PODMAN_VERSION,
        "Version": __version__,
        "BuiltTime": time.strftime("%a %b %e %H:%M:%S %Y", time.localtime(built)),
        "Built": built,
        "OsArch": f"{platform.os}/{platform.architecture}",
        "Os": platform.os,
    }


def _built() -> int:
    try:
        return int(os.stat(paths.part(doctor.RUNNER)).st_mtime)
    except (OSError, StoreError):
        return 0


def _own(runtime: str) -> dict[str, object]:
    engine = doctor.engine()
    return {
        "SchemaVersion": SCHEMA_VERSION,
        "Engine": {"Name": ENGINE_NAME, "Version": engine.version, "Build": engine.build, "Llvm": engine.llvm},
        "OciRuntimes": [
            {"Name": one.name, "Path": one.path, "Version": one.version} for one in doctor.runtimes(runtime)
        ],
        "Python": ".".join(str(number) for number in sys.version_info[:3]),
    }


def _rendered(format_: str, document: dict[str, object]) -> str:
    """As podman: fields of both sides, or of the client alone, and the server's are the client's without one."""
    try:
        return template.each(format_, [document])
    except UsageError as error:
        try:
            return template.each(format_.replace(".Server.", "."), [client()])
        except UsageError:
            raise error from None


def _text(document: dict[str, object]) -> str:
    lines: list[tuple[str, object]] = []
    shown, own = client(), document["Wpod"]
    assert isinstance(own, dict)
    engine = own["Engine"]
    lines += [("Client", "wpod"), ("Version", shown["Version"]), ("API Version", shown["APIVersion"])]
    lines += [("Built", shown["BuiltTime"]), ("OS/Arch", shown["OsArch"])]
    lines.append(("Engine", f"{engine['Name']} {engine['Version']}" if engine["Version"] else "not installed"))
    lines.append(("AOT compiler", f"LLVM {engine['Llvm']}" if engine["Build"] else "not usable, see: wpod info"))
    lines += [("OCI runtime", f"{one['Name']} {one['Version']}") for one in own["OciRuntimes"]]
    lines.append(("Python", own["Python"]))
    return "".join(f"{name + ':':<14}{value}\n" for name, value in lines)
