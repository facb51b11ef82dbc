"""What is read of a node of Windows, in any language of Windows."""

import asyncio
from datetime import UTC, datetime

import pytest

from activities.ledger.windows_clock import Clock, parse_clock
from activities.nodes import windows_facts
from activities.nodes.operating_system import SocketFilter
from activities.nodes.windows import (
    Windows,
    parse_orphans,
    parse_pid_files,
    parse_scripts,
    parse_sockets,
)
from activities.nodes.windows_facts import parse_addresses, parse_digest, parse_free, portions
from activities.transport.ssh import Shell
from tests.support.wine import PRIVATE, Wine, needs_wine
from workflows.errors import OutcomeUnknown
from workflows.model.estate import Node

GERMAN = """
Aktive Verbindungen

  Proto  Lokale Adresse         Remoteadresse          Status
  TCP    0.0.0.0:22             0.0.0.0:0              ABHÖREN
  TCP    10.0.0.5:22            192.0.2.9:50000        HERGESTELLT
  TCP    10.0.0.5:22            192.0.2.9:50001        SCHLIESSEN_WARTEN
  TCP    10.0.0.5:22            192.0.2.9:50002        TIME_WAIT
  TCP    10.0.0.5:22            192.0.2.9:50003        WARTEND
  TCP    [::]:443               [::]:0                 ABHÖREN
  TCP    [fe80::1%4]:443        [fe80::2%4]:50004      HERGESTELLT
  TCP    [::1]:443              [::ffff:192.0.2.9]:50005  HERGESTELLT
"""


def test_sockets_are_told_apart_in_any_language() -> None:
    """A listener has no peer; a state that is not known counts as connected until it is gone."""
    sockets, every = parse_sockets(GERMAN), SocketFilter(())
    assert every.listening(sockets) == {22, 443}
    assert every.sessions(sockets, (22,)) == 3
    assert every.sessions(sockets, (443,)) == 2
    assert SocketFilter((), ("192.0.2.9",)).sessions(sockets, (22, 443)) == 1


@pytest.mark.parametrize("text", ["", "Active Connections", "  TCP  x:1  0.0.0.0:0  LISTENING"])
def test_a_table_without_sockets_is_unknown(text: str) -> None:
    """The SSH connection itself is one."""
    with pytest.raises(OutcomeUnknown):
        parse_sockets(text)


def test_a_digest_is_read_with_and_without_blanks() -> None:
    """Windows Server 2012 puts them between the bytes."""
    digest = "ab" * 32
    spaced = " ".join("ab" for _ in range(32))
    for line in (digest, spaced):
        assert parse_digest(f"SHA256-Hash von x:\n{line}\nCertUtil: fertig.\n") == digest
    for text in ("", "CertUtil: Datei nicht gefunden", f"{digest}\n{digest}"):
        with pytest.raises(OutcomeUnknown, match="not a SHA-256"):
            parse_digest(text)


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        (
            "LastBootUpTime=20261128065910.500000+060\nLocalDateTime=20261128075911.856000+060\n",
            Clock(1795845550, 1795849151),
        ),
        ("20261128055910.000000+000\n20261128065911.000000+000\n", Clock(1795845550, 1795849151)),
    ],
)
def test_the_clock_is_read_in_any_time_zone(text: str, clock: Clock) -> None:
    """Of wmic, and of PowerShell."""
    assert parse_clock(text) == clock


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20261128055910.000000+000\n",
        "20261128065911.000000+000\n20261128055910.000000+000\n",
        "20261328055910.000000+000\n20261128065911.000000+000\n",
        "20261128055910.000000+060\n20261128065911.000000+06\n",
    ],
)
def test_a_clock_that_cannot_be_read_is_unknown(text: str) -> None:
    """Also one whose time zone was cut, or that runs backwards."""
    with pytest.raises(OutcomeUnknown):
        parse_clock(text)


def test_free_bytes_are_the_second_number() -> None:
    """In any language, as the listing has no separators."""
    assert parse_free("   4 Verzeichnis(se), 73674334208 Bytes frei\n\n") == 73674334208
    with pytest.raises(OutcomeUnknown):
        parse_free("Datei nicht gefunden")


def test_addresses_are_those_between_quotes() -> None:
    """Without those of the loopback, and without the names of interfaces."""
    text = 'IPAddress\n{"10.0.0.5", "fe80::1%4", "127.0.0.1", "x"}\n'
    assert parse_addresses(text) == ("10.0.0.5", "fe80::1")
    assert parse_addresses("") == ()


def test_scripts_and_pid_files_have_the_names_of_linux() -> None:
    """Also scripts that were renamed, and files in a directory below."""
    listing = "status_sshd.com\nstart_ftpd.com.disable\ntaeh\ncygwin1.dll\n"
    assert parse_scripts(listing) == {"status_sshd", "start_ftpd.disable"}
    folder = r"C:\ST\var\run"
    found = f"{folder.lower()}\\admin\\tomcat.pid\n{folder}\\other.pid\n"
    assert parse_pid_files(found, folder, ("admin/tomcat.pid", "tm.pid")) == ("admin/tomcat.pid",)


@pytest.mark.parametrize("text", ["", "orphan 1.2 C:\\x", "orphan x C:\\x\nwhole\n"])
def test_half_a_list_of_orphans_is_none(text: str) -> None:
    """As where PowerShell is missing, or stopped in the middle."""
    with pytest.raises(OutcomeUnknown):
        parse_orphans(text)


def test_many_files_need_several_lines() -> None:
    """Each within what ``cmd.exe`` takes."""
    paths = [f"C:\\ST\\conf\\{'x' * 100}{number}" for number in range(200)]
    parts = list(portions(paths))
    assert [path for part in parts for path in part] == paths
    assert len(parts) > 1
    assert list(portions([])) == []


@needs_wine
async def test_an_installation_is_read(wine: Wine, windows_node: Node, shell: Shell) -> None:
    """Scripts, files under conf with their digests, rights, time and what outlives a session."""
    node, home = windows_node, windows_node.filedrivehome
    for name in ("status_sshd.com", "stop_all.com", "start_ftpd.com.disable"):
        wine.write(node.below(home, "bin", name), "")
    wine.write(node.below(home, "conf", "sub", "a b.xml"), "secret")
    facts = await Windows(shell).facts(node)
    assert facts.owner == facts.user
    assert {"status_monitord", "start_all"} <= set(facts.unusable)
    assert not {"status_sshd", "stop_all"} & set(facts.unusable)
    assert facts.conf == {"sub/a b.xml": "2bb80d537b1da3e3"}
    assert (facts.ledger_writable, facts.ledger_exposed) == (True, None)
    assert facts.kills_processes is False
    assert facts.pending == ()
    assert abs((await Windows(shell).now(node)) - datetime.now(UTC)).total_seconds() < 5


@needs_wine
async def test_a_process_that_ends_with_its_session_is_found(
    windows_node: Node, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where neither wmic nor PowerShell may make one, and ``start`` is left on Windows."""
    monkeypatch.setattr(windows_facts, "LIVES_WITHIN", 2)
    monkeypatch.setattr(windows_facts, "launch", lambda batch: f"call {batch}.gone")
    facts = await Windows(shell).ledger_facts(windows_node)
    assert facts.kills_processes is True
    assert facts.writable


@needs_wine
async def test_a_ledger_that_is_not_there_is_found(
    wine: Wine, windows_node: Node, shell: Shell
) -> None:
    """So is an installation, and rights that nobody can read."""
    wine.local(windows_node.ledger).rmdir()
    wine.rights(windows_node.ledger, own=PRIVATE.replace("O:", "x:"))
    wine.local(windows_node.below(windows_node.filedrivehome, "bin")).rmdir()
    facts = await Windows(shell).facts(windows_node)
    assert (facts.owner, facts.ledger_writable, facts.kills_processes) == (None, False, None)
    assert "cannot be understood" in str(facts.ledger_exposed)
    wine.write(r"C:\stand-ins\rights.txt", "")
    silent = await Windows(shell).ledger_facts(windows_node)
    assert "it cannot be read who may write" in str(silent.exposed)


@needs_wine
async def test_what_a_check_has_made_ends_by_itself(
    wine: Wine, windows_node: Node, shell: Shell
) -> None:
    """Its process does, and the next check removes the directory that is left."""
    ledger = wine.local(windows_node.ledger)
    assert (await Windows(shell).ledger_facts(windows_node)).kills_processes is False
    [place] = ledger.iterdir()
    while place.exists() and any(place.iterdir()):  # noqa: ASYNC110 - another process ends
        await asyncio.sleep(0.1)
    await Windows(shell).ledger_facts(windows_node)
    assert not place.exists()
