"""Real name servers: BIND 9, a primary and a secondary, on loopback."""

import base64
import shutil
import socket
import subprocess
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update
import pytest

ZONE = "st.example.com"
NAMED = shutil.which("named") or "/usr/sbin/named"
NEEDS_BIND = pytest.mark.skipif(
    not Path(NAMED).exists(), reason="BIND (Debian's bind9) is not installed"
)
START_TIME = 10.0
SECRET = base64.b64encode(b"switchover-tests-0123456789abcde").decode()
KEY = dns.tsig.Key("switchover", SECRET, "hmac-sha256")
SITE_KEY = dns.tsig.Key("site", SECRET, "hmac-sha256")
"""The key of an administrator, who may change everything."""

RECORDS = """\
@ SOA ns1 admin 10 3600 600 86400 30
@ NS ns1
ns1 A 127.0.0.1
sub NS ns.elsewhere.example.org.
edge1 A 10.1.0.1
other A 192.0.2.7
"""
POLICY = """\
grant site zonesub ANY;
grant switchover name edge1.st.example.com A AAAA;
grant switchover name edge2.st.example.com A AAAA;
grant switchover name _switchover.st.example.com TXT;
"""
CONFIGURATION = """\
options {{
    directory "{folder}";
    pid-file "{folder}/named.pid";
    session-keyfile "{folder}/session.key";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    recursion no;
    dnssec-validation no;
    notify-delay 0;
    min-refresh-time 1;
}};
controls {{ }};
key switchover {{ algorithm hmac-sha256; secret "{secret}"; }};
key site {{ algorithm hmac-sha256; secret "{secret}"; }};
zone "{zone}" {{
{role}
}};
"""


@dataclass
class NameServer:
    """One server, with its zone."""

    folder: Path
    role: str
    records: str = ""
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / "log"

    @property
    def key(self) -> dict[str, object]:
        """The server, as an estate writes it."""
        return {"address": "127.0.0.1", "port": self.port}

    def start(self) -> None:
        """Serve; returns when it answers."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "zone.db").write_text(f"$ORIGIN {ZONE}.\n$TTL 30\n{self.records}")
        self.port = self.port or free_port()
        text = CONFIGURATION.format(
            folder=self.folder, port=self.port, secret=SECRET, zone=ZONE, role=self.role
        )
        (self.folder / "named.conf").write_text(text)
        with self.log.open("ab") as log:
            argv = [NAMED, "-g", "-n", "1", "-c", str(self.folder / "named.conf")]
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)
        until = time.monotonic() + START_TIME
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(self.log.read_text())
            time.sleep(0.02)

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(START_TIME)
            self.process = None

    def ask(self, name: str, rdtype: str) -> set[str]:
        """Return the records of a name, each as one line."""
        owner = dns.name.from_text(name, dns.name.from_text(ZONE))
        question = dns.message.make_query(owner, rdtype)
        answer = dns.query.tcp(question, "127.0.0.1", START_TIME, self.port)
        kind = dns.rdatatype.from_text(rdtype)
        rrset = answer.get_rrset(answer.answer, owner, dns.rdataclass.IN, kind)
        return {rdata.to_text() for rdata in rrset or ()}

    @property
    def serial(self) -> int:
        """The zone's serial."""
        [soa] = self.ask("@", "SOA")
        return int(soa.split()[2])

    def change(self, *lines: str) -> None:
        """Replace the records of names by these, as its administrator does: ``NAME TYPE DATA``.

        Without data they are deleted.
        """
        update = dns.update.UpdateMessage(ZONE, keyring=SITE_KEY)
        replaced = set()
        for line in lines:
            name, rdtype, *data = line.split(maxsplit=2)
            if (name, rdtype) not in replaced:
                replaced.add((name, rdtype))
                update.delete(name, rdtype)
            if data:
                update.add(name, 30, rdtype, data[0])
        answer = dns.query.tcp(update, "127.0.0.1", START_TIME, self.port)
        assert answer.rcode() == dns.rcode.NOERROR, dns.rcode.to_text(answer.rcode())

    @property
    def added(self) -> list[str]:
        """Every record that an update of our key added: its name, type and data."""
        found = []
        for line in self.log.read_text().splitlines():
            if "/key switchover" in line and "adding an RR at '" in line:
                name, _, record = line.partition("adding an RR at '")[2].partition("' ")
                found.append(f"{name} {record}")
        return found

    @property
    def redirects(self) -> int:
        """How often an update of our key was made that the zone remembers."""
        return sum(one.startswith("_switchover") for one in self.added)

    def _answers(self) -> bool:
        question = dns.message.make_query(ZONE, "SOA")
        try:
            answer = dns.query.tcp(question, "127.0.0.1", 1, self.port)
        except (dns.exception.DNSException, OSError, EOFError):
            return False
        return bool(answer.answer)


@dataclass
class Servers:
    """A primary, and the secondary that follows it."""

    primary: NameServer
    secondary: NameServer

    @property
    def keys(self) -> list[dict[str, object]]:
        """The servers, as an estate writes them."""
        return [self.primary.key, self.secondary.key]


def primary(
    folder: Path, *, records: str = RECORDS, policy: str = POLICY, also: int | None = None
) -> NameServer:
    """Return a server that takes updates, and tells another one of changes."""
    notify = f"notify explicit; also-notify {{ 127.0.0.1 port {also}; }};" if also else "notify no;"
    role = (
        f'type primary; file "zone.db"; {notify}\n'
        f"update-policy {{\n{textwrap.indent(policy, '    ')}}};"
    )
    return NameServer(folder, role, records)


@contextmanager
def one_server(
    folder: Path, *, records: str = RECORDS, policy: str = POLICY
) -> Iterator[NameServer]:
    """Serve the zone by one server."""
    server = primary(folder, records=records, policy=policy)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def two_servers(
    folder: Path, *, notified: bool = True, records: str = RECORDS
) -> Iterator[Servers]:
    """Serve the zone by two servers; the second one may not be told of changes."""
    port = free_port()
    first = primary(folder / "primary", records=records, also=port if notified else None)
    first.folder.mkdir()
    first.start()
    follows = f'type secondary; file "copy.db"; primaries {{ 127.0.0.1 port {first.port}; }};'
    second = NameServer(folder / "secondary", follows, port=port)
    second.folder.mkdir()
    try:
        second.start()
        yield Servers(first, second)
    finally:
        first.stop()
        second.stop()


def free_port() -> int:
    """Return a port that is free for TCP and UDP."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = int(tcp.getsockname()[1])
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
