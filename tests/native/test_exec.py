"""`exec`: a second process in a running container."""

from __future__ import annotations

import os
import pty

from tests.native.conftest import PATIENCE_SECONDS, Box, read_until


def _run(box: Box, *arguments: str, stdin: bytes = b"", **wanted: object) -> tuple[int, bytes, bytes]:
    return box.call("exec", {"arguments": arguments, **wanted}, stdin)


def _end(box: Box) -> None:
    assert box.call("kill", {"signal": 9})[1] == b"True\n"
    assert box.wait_end()["status"] == 137


def test_status_streams_environment_directory_and_user(box: Box) -> None:
    assert box.start("sleep", "1000") == "R"
    status, out, err = _run(
        box, "sh", "-c", "cat; echo $NAME; echo $PWD; id; hostname; echo err >&2; exit 42", stdin=b"input\n",
        environment=["NAME=value"], directory="/etc", user={"user_id": 33, "group_id": 44},
    )  # fmt: skip
    assert (status, err) == (42, b"err\n")
    assert out == b"input\nvalue\n/etc\nuid=33 gid=44\nbox\n"
    # The same process IDs, so the same container: the first one is its sleep.
    status, out, _ = _run(box, "cat", "/proc/1/cmdline")
    assert (status, out) == (0, b"sleep\x001000\x00")
    _end(box)


def test_a_program_that_cannot_run(box: Box) -> None:
    (box.base / "lower" / "plain").write_text("#!/bin/sh\n")
    assert box.start("sleep", "1000") == "R"
    for program, code in (("nosuch", 127), ("/nosuch", 127), ("/plain", 126)):
        status, out, err = _run(box, program)
        assert (status, out) == (code, b""), (program, err)
        assert err.startswith(b"error: "), err
        assert err.count(b"\n") == 1, err
    _end(box)


def test_a_failing_guest_is_not_taken_for_the_runtime(box: Box) -> None:
    assert box.start("sleep", "1000") == "R"
    for code in (1, 125, 126, 127, 255):
        status, _, err = _run(box, "sh", "-c", f"exit {code}")
        assert (status, err) == (code, b"")
    assert _run(box, "sh", "-c", "kill -9 $$")[0] == 137
    _end(box)


def test_a_terminal(box: Box) -> None:
    assert box.start("sleep", "1000") == "R"
    main, other = pty.openpty()
    wanted = {"arguments": ["sh", "-c", "test -t 0 && echo tty; read line; echo got $line; exit 6"], "terminal": True}
    process = box.popen("exec", wanted, stdin=other, stdout=other, stderr=other)
    read_until(main, b"tty\r\n")
    os.write(main, b"hello\n")
    read_until(main, b"got hello\r\n")
    assert process.wait(PATIENCE_SECONDS) == 6
    os.close(other)
    os.close(main)
    _end(box)


def test_no_capability_beyond_the_container_s(box: Box) -> None:
    assert box.start("sleep", "1000", capabilities_dropped=["ALL"], no_new_privileges=True) == "R"
    status, out, _ = _run(box, "sh", "-c", "while read -r line; do echo $line; done </proc/self/status")
    lines = dict(line.split(":", 1) for line in out.decode().splitlines() if ":" in line)
    assert status == 0
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(lines[name], 16) == 0, name
    assert (lines["NoNewPrivs"].strip(), lines["Seccomp"].strip()) == ("1", "2")
    _end(box)
