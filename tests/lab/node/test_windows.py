"""Windows machines behave as Windows and its OpenSSH do, where a ledger relies on it."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from lab.access import shell
from lab.environment.machines import Machines, prepare
from lab.layout import Drivers, Layout
from lab.node.windows import toolchain
from lab.simulation_options import end_simulation, simulate
from tests.support.directories import fresh_directory
from tests.support.polling import eventually

pytestmark = pytest.mark.skipif(
    toolchain.missing() is not None, reason=toolchain.missing() or "everything is there"
)
LEDGER = r"C:\ProgramData\switchover"
BIN = r"C:\Program Files\Axway\SecureTransport\bin"
UNTIL = r"for /l %i in (1,1,600) do (if exist ..\go (exit) else (ping -n 2 127.0.0.1 >nul))"
"""Wait for a file beside the current directory, for some minutes at most."""
NODE, OTHER = "cluster1-server1", "cluster2-server1"


@dataclass(frozen=True)
class Answer:
    """What a command printed, line by line, and its exit code."""

    out: str
    err: str
    code: int | None

    @property
    def lines(self) -> list[str]:
        """Its lines, without what cmd.exe leaves at the end of them."""
        return [line.rstrip() for line in self.out.splitlines()]


@dataclass(frozen=True)
class WindowsLab:
    """Two Windows machines without databases."""

    layout: Layout
    machines: Machines

    async def run(self, command: str, name: str = NODE) -> Answer:
        """Run a command line on a machine."""
        async with shell(self.layout, name) as connection:
            done = await connection.run(command, encoding="latin-1")
        out, err = str(done.stdout or ""), str(done.stderr or "")
        return Answer(out, err, done.exit_status)

    def ledger(self, name: str = NODE) -> Path:
        """Return the directory of a machine's ledger."""
        return self.layout.node(name).ledger


@pytest.fixture(scope="module")
def windows() -> Iterator[WindowsLab]:
    """Machines that are made once for all tests."""
    root = fresh_directory()
    layout = Layout(root, f"127.38.{os.getpid() % 250}", 1, 0, Drivers(windows=True))
    toolchain.install(layout.windows)
    prepare(layout)
    machines = Machines(layout)
    machines.start()
    yield WindowsLab(layout, machines)
    machines.stop()
    shutil.rmtree(root)


@pytest.fixture(autouse=True)
def empty(windows: WindowsLab) -> None:
    """Empty the ledgers."""
    for name in (NODE, OTHER):
        shutil.rmtree(windows.ledger(name), ignore_errors=True)
        windows.ledger(name).mkdir()


async def test_a_command_line_reaches_cmd_exe_as_it_is(windows: WindowsLab) -> None:
    """Quotes, percent signs and blanks are not quoted once more; lines end with CR and LF."""
    done = await windows.run('echo a  "b c" %OS% %NONE% & for %i in (1 2) do @echo %i')
    assert done.lines == ['a  "b c" Windows_NT %NONE%', "1", "2"]
    assert done.out.count("\r\n") == done.out.count("\n") == 3
    failed = await windows.run("(>&2 echo oops)& exit 7")
    assert (failed.lines, failed.err.strip(), failed.code) == ([], "oops", 7)


async def test_a_long_command_line_is_refused(windows: WindowsLab) -> None:
    """cmd.exe takes 8,191 characters."""
    done = await windows.run(f"echo {'x' * 8191}")
    assert (done.out, done.code) == ("", 1)
    assert "too long" in done.err


async def test_what_exists_is_not_made_again(windows: WindowsLab) -> None:
    """A directory is made once, and a file is not renamed to one that exists."""
    made = await windows.run(rf"cd /d {LEDGER}& mkdir claim& mkdir claim& if errorlevel 1 exit 3")
    assert made.code == 3
    renamed = await windows.run(
        rf"cd /d {LEDGER}& (echo one>a)& (echo two>b)& ren a b& "
        "(if errorlevel 1 echo refused)& type b"
    )
    assert [renamed.lines[-2], renamed.lines[-1]] == ["refused", "two"]


async def test_a_directory_in_which_a_process_works_is_not_removed(windows: WindowsLab) -> None:
    """It can be removed once the process has ended."""
    works = rf"cd /d {LEDGER}\alive & (echo x>..\begun)& {UNTIL}"
    await windows.run(rf'mkdir {LEDGER}\alive & wmic process call create "cmd.exe /d /c {works}"')
    alive = windows.ledger() / "alive"
    await eventually((windows.ledger() / "begun").exists)
    await windows.run(rf"rmdir {LEDGER}\alive")
    assert alive.exists()
    (windows.ledger() / "go").touch()

    async def removed() -> bool:
        await windows.run(rf"rmdir {LEDGER}\alive")
        return not alive.exists()

    await eventually(removed)


async def test_a_process_of_a_session_ends_with_it(windows: WindowsLab) -> None:
    """OpenSSH for Windows kills what its cmd.exe has started; another process's child survives."""
    late = rf"ping -n 3 127.0.0.1 >nul & echo x>{LEDGER}"
    await windows.run(rf'start /b cmd.exe /d /c "{late}\session"')
    created = await windows.run(rf'wmic process call create "cmd.exe /d /c {late}\created"')
    assert re.search(r"ProcessId = \d+;", created.out)
    assert re.search(r"ReturnValue = 0;", created.out)
    await eventually((windows.ledger() / "created").exists)
    assert not (windows.ledger() / "session").exists()


async def test_a_command_goes_on_without_its_client(windows: WindowsLab) -> None:
    """Its connection is broken off; what it has started lives until it has ended."""
    async with shell(windows.layout, NODE) as connection:
        await connection.create_process(
            rf"(echo x>{LEDGER}\begun)& ping -n 3 127.0.0.1 >nul & echo x>{LEDGER}\ended"
        )
        await eventually((windows.ledger() / "begun").exists)
        connection.abort()
    assert not (windows.ledger() / "ended").exists()
    await eventually((windows.ledger() / "ended").exists)


async def test_machines_have_drives_of_their_own(windows: WindowsLab) -> None:
    """What one writes, the other does not see, nor anything of the machine that the lab is on."""
    await windows.run(rf"echo x>{LEDGER}\claim")
    assert (await windows.run(rf"dir /b {LEDGER}")).lines == ["claim"]
    assert (await windows.run(rf"dir /b {LEDGER}", OTHER)).lines in ([], [""])
    assert (await windows.run(r"if exist Z:\etc echo seen")).lines in ([], [""])


async def test_scripts_are_programs(windows: WindowsLab) -> None:
    """They are started by a path with a blank, and their exit codes arrive."""
    await eventually(lambda: _says(windows, "sshd is alive"))
    refused = await windows.run(rf'call "{BIN}\stop_sshd.com" -x "a b"& call echo %^errorlevel%')
    assert refused.lines == ["1"]
    assert refused.err.startswith("usage: stop_sshd")


async def test_a_script_that_starts_a_service_ends(windows: WindowsLab) -> None:
    """The service that it has started keeps nothing of it."""
    done = await windows.run(
        rf'call "{BIN}\stop_monitord.com" >nul & call "{BIN}\start_monitord.com"'
    )
    assert done.lines == ["monitord started"]


async def _says(windows: WindowsLab, text: str) -> bool:
    return text in (await windows.run(rf'"{BIN}\status_sshd.com"')).lines


@pytest.mark.parametrize(("hang", "ends"), [("before", True), ("with_session", False)])
async def test_scripts_are_killed(windows: WindowsLab, hang: str, ends: bool) -> None:  # noqa: FBT001
    """Alone, so that its caller sees it, or with its caller."""
    simulate(windows.layout, NODE, hang_status_sshd=hang)
    called = rf'call "{BIN}\status_sshd.com" & echo x>{LEDGER}\after'
    done = await windows.run(called)
    end_simulation(windows.layout, NODE)
    assert "sshd" not in done.out
    assert (windows.ledger() / "after").exists() == ends


async def test_a_reboot_shows(windows: WindowsLab) -> None:
    """The machine was booted later, and its processes have ended."""
    before = await booted(windows)
    works = rf"cd /d {LEDGER}\alive & (echo x>..\begun)& {UNTIL}"
    await windows.run(rf'mkdir {LEDGER}\alive & wmic process call create "cmd.exe /d /c {works}"')
    await eventually((windows.ledger() / "begun").exists)
    await asyncio.to_thread(windows.machines.reboot, NODE)
    assert await booted(windows) > before
    await windows.run(rf"rmdir {LEDGER}\alive")
    assert not (windows.ledger() / "alive").exists()


async def booted(windows: WindowsLab) -> datetime:
    """Return when the machine says that it was booted; its own time is later."""
    said = await windows.run("wmic os get LastBootUpTime,LocalDateTime /value")
    found = re.findall(r"=(\d{14}\.\d{6})\+000", said.out)
    boot, now = (datetime.strptime(one, "%Y%m%d%H%M%S.%f") for one in found)  # noqa: DTZ007
    assert boot < now
    return boot


async def test_files_are_digested(windows: WindowsLab) -> None:
    """A SHA-256 is printed by certutil a SHA-256, and fails for what is not there."""
    (windows.ledger() / "file").write_bytes(b"abc")
    done = await windows.run(rf"certutil -hashfile {LEDGER}\file SHA256")
    assert done.lines[1] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert (await windows.run(rf"certutil -hashfile {LEDGER}\none SHA256")).code == 2


ASKED = 'powershell -NoProfile -NonInteractive -Command "{}" <nul'


async def test_the_rights_of_a_ledger_are_those_of_its_files(windows: WindowsLab) -> None:
    """They are shown for it and for all above it; what others may write shows."""
    asked = ASKED.format(rf"$p='{LEDGER}'; (Get-Acl -LiteralPath $p).Sddl")
    account, own, *above, end = (await windows.run(asked)).lines
    assert account.startswith("user S-1-5-21-")
    assert own.startswith(f"acl {LEDGER}\tO:BAG:BAD:PAI(A;OICI;FA;;;SY)")
    assert [line.partition("\t")[0] for line in above] == [r"acl C:\ProgramData", "acl C:\\"]
    assert end == "whole"
    windows.ledger().chmod(0o777)
    assert "(A;OICI;FA;;;BU)" in (await windows.run(asked)).lines[1]


async def test_netstat_shows_the_machines_own_sockets(windows: WindowsLab) -> None:
    """Those that listen, and the connection of the session itself."""
    seen = (await windows.run("netstat -an -p TCP")).lines
    own = windows.layout.node(NODE).address
    assert any(re.match(rf"  TCP +{own}:10022 +0\.0\.0\.0:0 +LISTENING", line) for line in seen)
    assert any(re.match(rf"  TCP +{own}:10022 +127.* ESTABLISHED", line) for line in seen)
    assert not [line for line in seen if "TCP" in line and own not in line]


async def test_unfinished_files_are_found_on_the_storage(windows: WindowsLab) -> None:
    """They lie on the drive that the cluster's nodes share."""
    folder = windows.layout.node(NODE).root / "drive_s/SecureTransport/accounts"
    (folder / "one.m_inproc").write_bytes(b"four")
    found = await windows.run(ASKED.format(r"'S:\SecureTransport' *.m_inproc"))
    (folder / "one.m_inproc").unlink()
    one, end = found.lines
    assert re.fullmatch(r"orphan 4\.\d{10} S:\\SecureTransport\\accounts\\one\.m_inproc", one)
    assert end == "whole"


async def test_a_pid_file_has_a_process_while_its_service_runs(windows: WindowsLab) -> None:
    """It is found by its number, and is not younger than the file."""
    node = windows.layout.node(NODE)
    files = node.home / "var/run"
    await eventually((files / "sshd.pid").exists)
    (files / "stale.pid").write_text("1\n", encoding="ascii")
    os.utime(files / "stale.pid", (0, 0))
    asked = rf"foreach($f in 'sshd.pid','stale.pid','none.pid'){{ $p='{node.seen(files)}'"
    found = await windows.run(ASKED.format(f"{asked}; Get-Process }}"))
    assert found.lines == ["alive sshd.pid"]


def test_nothing_outlives_the_lab(tmp_path: Path, windows: WindowsLab) -> None:
    """SIGKILL of the lab's own process ends wine, too."""
    program = (
        "import sys, time; from pathlib import Path\n"
        "from lab.layout import Drivers, Layout\n"
        "from lab.environment.machines import Machines, prepare\n"
        "layout = Layout(Path(sys.argv[1]), sys.argv[2], 1, 0, Drivers(windows=True))\n"
        "prepare(layout)\n"
        "machines = Machines(layout); machines.start(); print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    (tmp_path / "windows").symlink_to(windows.layout.windows)
    argv = [sys.executable, "-c", program, str(tmp_path), f"127.37.{os.getpid() % 250}"]
    root = subprocess.Popen(argv, stdout=subprocess.PIPE)
    assert root.stdout
    with root, root.stdout:
        assert root.stdout.readline() == b"ready\n"
        assert wine_processes(tmp_path)
        os.kill(root.pid, signal.SIGKILL)
    asyncio.run(eventually(lambda: not wine_processes(tmp_path)))


def wine_processes(root: Path) -> list[int]:
    """Return the processes whose prefix lies there."""
    wanted = f"WINEPREFIX={root}".encode()
    return [
        int(process.name)
        for process in Path("/proc").iterdir()
        if process.name.isdigit() and wanted in _environment(process)
    ]


def _environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:  # it has ended
        return b""
