"""A virtual machine with systemd, pure cgroup v2 and users, from the image of packaging/vm-image.sh.

Where the processor's own virtualization can be used it is used; otherwise the machine is emulated, and then Python
is some 20 times slower in it and starting a program some 50 times. Therefore the machine is booted once, and its
running state is kept beside the image: later starts resume it in seconds. What is written in it is forgotten.

    python -m tests.vm.machine [USER] COMMAND      run one shell command in a fresh machine
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.support.command import Result

TOP = Path(__file__).parents[2]
DIRECTORY = TOP / "build" / "vm"
USERS = ("root", "tester", "visitor")
_MEMORY = "1G"
_CONTENT_SIZE = "512M"  # a resumed machine can't be told another one
_BOOT_SECONDS = 600.0
_KERNEL_ARGUMENTS = (
    "console=ttyS0 quiet panic=-1 mitigations=off nokaslr audit=0 apparmor=0 no_timer_check tsc=reliable "
    "random.trust_cpu=on net.ifnames=0"
)
_LOOK_AROUND = "uptime; ps axfww -o pid,etimes,stat,args | grep -v ' \\['; journalctl -b -n 25 --no-pager -o short"
_OUT_OF_PATIENCE = 124
# Before each script: the first failure ends it, and `await COMMAND…` repeats a command until it succeeds.
_PRELUDE = """set -eu
await() { end=$(($(date +%s) + 90)); until "$@" >/dev/null 2>&1; do sleep 0.2
    [ "$(date +%s)" -lt "$end" ] || { echo "in vain: $*" >&2; exit 99; }; done; }
"""


class Machine:
    """One machine. `content` is a directory that it sees, read-only, at /mnt; it is copied when the machine starts.

    The scripts that it is given should be few: each `wpod` takes a second or more where there is no virtualization.
    """

    def __init__(self, content: Path | None = None) -> None:
        self._content = content
        self._run = Path(tempfile.mkdtemp(prefix="wpod-vm-"))
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Machine:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def shell(self, user: str, script: str, patience_seconds: float = 300.0) -> Result:
        """Run a script of sh (see `_PRELUDE`) as a user, in a login session that this user's other scripts share."""
        control = ("ControlMaster=auto", f"ControlPath={self._run}/{user}", "ControlPersist=yes")
        return self._ssh(user, _PRELUDE + script, patience_seconds, *control)

    def log_in(self, user: str, script: str, patience_seconds: float = 300.0) -> Result:
        """As `shell`, in a login session of its own, which ends with the script."""
        return self._ssh(user, _PRELUDE + script, patience_seconds)

    def log_out(self, user: str) -> None:
        """End the session that `shell` shares."""
        if (self._run / user).exists():
            subprocess.run(
                [*self._ssh_command(f"ControlPath={self._run}/{user}"), "-O", "exit", f"{user}@127.0.0.1"],
                capture_output=True,
                check=False,
            )

    def reset(self) -> None:
        """Cut the power and boot anew, with the disk as it was."""
        for user in USERS:
            self.log_out(user)
        self._ask("system_reset")
        time.sleep(1)  # the connection of before must not be taken for the new system's
        self._await_boot()
        self._mount()

    def stop(self) -> None:
        """Switch off; nothing on the disk is kept."""
        for user in USERS:
            self.log_out(user)
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._run, ignore_errors=True)

    def _start(self) -> None:
        subprocess.run([TOP / "packaging" / "vm-image.sh", DIRECTORY], check=True)
        warm = _Warm()
        if not warm.usable():
            _note("booting the virtual machine for the first time (minutes where it is emulated)")
            self._launch(DIRECTORY / "disk.img", warm.disk)
            self._await_boot()
            self._settle()
            warm.keep(self._ask, self._run)
            self._process.wait() if self._process else None
        self._launch(warm.disk, None, "-snapshot", "-incoming", f"exec:cat '{warm.state}'")
        _until(lambda: self._ask("query-status")["status"] != "inmigrate", "resumed")
        self._ask("cont")
        self._await_boot()
        self._mount()

    def _launch(self, disk: Path, copy: Path | None, *more: str) -> None:
        if copy is not None:
            subprocess.run(["cp", "--sparse=always", disk, copy], check=True)
        self._make_content()
        self._port = _free_port()
        network = f"user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:{self._port}-:22"
        (self._run / "qmp").unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [
                *_hardware(),
                *("-kernel", DIRECTORY / "vmlinuz", "-initrd", DIRECTORY / "initrd", "-append", _KERNEL_ARGUMENTS),
                *("-serial", f"file:{self._run}/console", "-qmp", f"unix:{self._run}/qmp,server=on,wait=off"),
                *("-drive", f"file={copy or disk},format=raw,if=virtio,cache=unsafe"),
                *("-drive", f"file={self._run}/content,format=raw,if=virtio,cache=unsafe"),
                *("-netdev", network, "-device", "virtio-net-pci,netdev=n,romfile="),
                *more,
            ],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": str(DIRECTORY)},
        )
        _until((self._run / "qmp").exists, "there")

    def _make_content(self) -> None:
        image = self._run / "content"
        image.unlink(missing_ok=True)
        if self._content is None:
            with image.open("wb") as file:
                file.truncate(512 << 20)
            return
        options = ["-q", "-t", "ext4", "-F", "-O", "^has_journal", "-m", "0", "-E", "lazy_itable_init=1,nodiscard"]
        command = ["/sbin/mke2fs", *options, "-d", self._content, image, _CONTENT_SIZE]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)

    def _await_boot(self) -> None:
        _until(lambda: self._ssh("root", "true", 30.0).status == 0, "answering", self._explain)

    def _settle(self) -> None:
        """What every later session would wait for: the boot's last jobs, and Python's files in the page cache."""
        self.shell("root", "systemctl is-system-running --wait || true; python3 -c 'import sqlite3, json, subprocess'")
        self.shell("tester", "systemctl --user is-system-running --wait")
        for user in USERS:
            self.log_out(user)
        self._ssh("root", "sync; sleep 2", 60.0)

    def _mount(self) -> None:
        """Set the clock, which stood still, and mount the content; what `local` holds is the machine's /usr/local."""
        script = [f"date --set=@{int(time.time())} >/dev/null"]
        if self._content is not None:
            script.append("blockdev --flushbufs /dev/vdb; mount -o ro /dev/vdb /mnt")
            script.append("if [ -d /mnt/local ]; then mount --bind /mnt/local /usr/local; systemctl daemon-reload; fi")
        self.shell("root", "\n".join(script)).ok()

    def _ssh_command(self, *options: str) -> list[str]:
        fixed = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes", "ConnectTimeout=60")
        words = [word for option in (*fixed, *options) for word in ("-o", option)]
        return ["ssh", "-q", "-F", "none", "-i", str(DIRECTORY / "key"), "-p", str(self._port), *words]

    def _ssh(self, user: str, script: str, patience_seconds: float, *options: str) -> Result:
        command = [*self._ssh_command(*options), f"{user}@127.0.0.1", script]
        # The shared connection's own process would keep a pipe open.
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            status, why = _OUT_OF_PATIENCE, b""
            try:
                status = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    timeout=patience_seconds,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                why = self._look_around(patience_seconds) if script != _LOOK_AROUND else b""
            out.seek(0)
            err.seek(0)
            return Result((f"as {user}:", script), status, out.read(), err.read() + why)

    def _look_around(self, patience_seconds: float) -> bytes:
        """What the machine is at, where a script has not come to its end."""
        with contextlib.suppress(OSError):
            running = self._ask("query-status")["status"]
            seen = self._ssh("root", _LOOK_AROUND, 60.0)
            answers = "answers" if seen.status == 0 else "does not answer"
            text = f"no end after {patience_seconds:g} s; the machine is {running} and {answers}\n{seen.out}"
            return (text + self._explain()).encode()
        return b"no end: the machine is gone"

    def _ask(self, command: str, arguments: Mapping[str, object] | None = None) -> Any:
        """One command of QEMU's machine protocol (QMP)."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._run / "qmp"))
            stream = connection.makefile("rw")
            stream.readline()
            answer: dict[str, Any] = {}
            for request in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": dict(arguments or {})}):
                stream.write(json.dumps(request) + "\n")
                stream.flush()
                answer = json.loads(stream.readline())
                while "event" in answer:
                    answer = json.loads(stream.readline())
            assert "return" in answer, f"{command}: {answer}"
            return answer["return"]

    def _explain(self) -> str:
        with contextlib.suppress(OSError):
            return (self._run / "console").read_text(errors="replace")[-2000:]
        return ""


class _Warm:
    """The kept state of a booted machine: it fits one image, one QEMU and one kind of processor."""

    def __init__(self) -> None:
        version = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, check=True).stdout
        image = (DIRECTORY / ".key").read_bytes()
        words = repr((version, image, _hardware(), _KERNEL_ARGUMENTS, _CONTENT_SIZE)).encode()
        self._key = hashlib.sha256(words).hexdigest()
        self._stamp = DIRECTORY / "warm.key"
        self.disk = DIRECTORY / "warm.img"
        self.state = DIRECTORY / "warm.state"

    def usable(self) -> bool:
        return self._stamp.exists() and self._stamp.read_text() == self._key

    def keep(self, ask: Callable[..., Any], run: Path) -> None:
        """Write the state of the running machine and end it."""
        self._stamp.unlink(missing_ok=True)
        written = run / "state"
        ask("stop")
        ask("migrate-set-parameters", {"max-bandwidth": 100 << 30})
        ask("migrate", {"uri": f"exec:cat > '{written}'"})
        _until(lambda: ask("query-migrate")["status"] == "completed", "written")
        ask("quit")
        shutil.move(written, self.state)
        self._stamp.write_text(self._key)


def _hardware() -> list[str]:
    """Program and options of the machine, the same for each start."""
    processor = Path("/proc/cpuinfo").read_text().split()
    virtualization = os.access("/dev/kvm", os.R_OK | os.W_OK) and ("vmx" in processor or "svm" in processor)
    # Emulated processors take turns on one thread: with a thread each, guest kernels were seen to panic at boot.
    kind = ("kvm", "host") if virtualization else ("tcg,thread=single,tb-size=256", "Nehalem")
    return [
        *("qemu-system-x86_64", "-accel", kind[0], "-cpu", kind[1], "-smp", "2", "-m", _MEMORY),
        *("-machine", "q35,usb=off,vmport=off,smbus=off,sata=off,hpet=off"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-vga", "none", "-device", "virtio-rng-pci"),
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _until(condition: Callable[[], object], what: str, explain: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + _BOOT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"the virtual machine is not {what} after {_BOOT_SECONDS} s\n{explain()}"
        time.sleep(0.1)


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    words = sys.argv[1:]
    user = words.pop(0) if words and words[0] in USERS else "root"
    with Machine() as machine:
        done = machine.shell(user, " ".join(words))
    sys.stdout.buffer.write(done.stdout)
    sys.stderr.buffer.write(done.stderr)
    return done.status


if __name__ == "__main__":
    sys.exit(main())
