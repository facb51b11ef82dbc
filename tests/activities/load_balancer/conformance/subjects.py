"""What the suite needs of each driver: a load balancer, and what really happened behind it."""

# ruff: noqa: D102 - the methods are documented in Subject

from abc import ABC, abstractmethod
from pathlib import Path

from tests.support.bind import ZONE, NameServer
from tests.support.haproxy import Haproxy
from tests.support.lab_name_server import EDGE, LabNameServer
from tests.support.site_command import Site
from tests.support.ssh_machines import SshServer
from tests.support.switches_load_balancer import Switchboard, SwitchesDriver, SwitchesLoadBalancer
from workflows.model.estate import LoadBalancer, Probe
from workflows.model.load_balancers.commands import CommandsLoadBalancer
from workflows.model.load_balancers.dns import DnsLoadBalancer
from workflows.model.load_balancers.haproxy import HaproxyLoadBalancer
from workflows.model.load_balancers.hosts_file import HostsFileLoadBalancer


class Subject(ABC):
    """A load balancer with one place, ``lb1``, that sends traffic to the cluster ``one``."""

    balancer: LoadBalancer

    @abstractmethod
    def leads_to(self) -> str:
        """Return the cluster that new connections really reach."""

    @abstractmethod
    def sent(self) -> tuple[str, ...]:
        """Return everything that was written and run so far."""

    @abstractmethod
    def lead_elsewhere(self) -> None:
        """Send traffic to an address of no cluster."""

    @abstractmethod
    def be_unclear(self) -> None:
        """No longer show where traffic leads."""

    @abstractmethod
    def be_silent(self) -> None:
        """No longer answer."""


class HostsFile(Subject):
    """The product's driver, over real SSH."""

    def __init__(self, balancer: HostsFileLoadBalancer, hosts: Path, ssh_server: SshServer) -> None:
        self.balancer = balancer
        self._hosts = hosts
        self._ssh_server = ssh_server

    def leads_to(self) -> str:
        loaded = self._hosts.with_name("loaded")
        return "two" if loaded.exists() and "10.2.0.1" in loaded.read_text() else "one"

    def sent(self) -> tuple[str, ...]:
        lines = [line for line in self._hosts.read_text().splitlines() if "edge1" in line]
        reloads = self._hosts.with_name("reloads").read_text().splitlines()
        return (*(f"{self._hosts}: {line}" for line in lines), *reloads)

    def lead_elsewhere(self) -> None:
        self._hosts.write_text("10.9.9.9 edge1\n")

    def be_unclear(self) -> None:
        self._hosts.write_text("127.0.0.1 localhost\n")

    def be_silent(self) -> None:
        self._ssh_server.sh = "/bin/false"


class Dns(Subject):
    """The product's driver, before a real name server."""

    def __init__(self, balancer: DnsLoadBalancer, server: NameServer) -> None:
        self.balancer = balancer
        self._server = server

    def leads_to(self) -> str:
        return "two" if self._server.ask("edge1", "A") == {"10.2.0.1"} else "one"

    def sent(self) -> tuple[str, ...]:
        remembered = "_switchover.st.example.com TXT: the operation and its time"
        return tuple(remembered if "TXT" in one else one for one in self._server.added)

    def lead_elsewhere(self) -> None:
        self._server.change("edge1 A 10.9.9.9")

    def be_unclear(self) -> None:
        self._server.change("edge1 A")

    def be_silent(self) -> None:
        self._server.stop()


class LabDns(Subject):
    """The product's driver, before the lab's name server."""

    def __init__(self, balancer: DnsLoadBalancer, server: LabNameServer) -> None:
        self.balancer = balancer
        self._server = server

    def leads_to(self) -> str:
        return "two" if self._server.zone.addresses(EDGE) == ["10.2.0.1"] else "one"

    def sent(self) -> tuple[str, ...]:
        addresses = (f"{EDGE} A {address}" for address in self._server.zone.addresses(EDGE))
        return (*addresses, f"_switchover.{ZONE} TXT: the operation and its time")

    def lead_elsewhere(self) -> None:
        self._server.write("edge1 30 A 10.9.9.9")

    def be_unclear(self) -> None:
        self._server.write()

    def be_silent(self) -> None:
        self._server.stop()


class HaproxyServers(Subject):
    """A real HAProxy that is told addresses, over real SSH."""

    def __init__(
        self, balancer: HaproxyLoadBalancer, haproxy: Haproxy, ssh_server: SshServer
    ) -> None:
        self.balancer = balancer
        self._haproxy = haproxy
        self._ssh_server = ssh_server
        self._start("edge1")

    def _start(self, name: str) -> None:
        self._haproxy.configure(
            "frontend clients\n bind unix@FOLDER/clients\n default_backend sftp\n"
            f"backend sftp\n server {name} 127.0.1.1:PORT\n"
        )
        self._haproxy.start()

    def leads_to(self) -> str:
        return self._haproxy.lands_on("clients").partition("-")[0]

    def sent(self) -> tuple[str, ...]:
        *_, written = self._haproxy.configuration.read_text().split()
        address, _, port = self._haproxy.addresses["sftp/edge1"].partition(":")
        return (
            f"{self._haproxy.configuration}: sftp/edge1 {written}",
            f"set server sftp/edge1 addr {address} port {port}",
        )

    def lead_elsewhere(self) -> None:
        self._haproxy.ask("set server sftp/edge1 addr 127.0.9.9 port 22")

    def be_unclear(self) -> None:
        self._haproxy.stop()
        self._start("another")

    def be_silent(self) -> None:
        self._ssh_server.sh = "/bin/false"


class Commands(Subject):
    """The product's driver of a site's own command, over real SSH."""

    def __init__(self, balancer: CommandsLoadBalancer, site: Site, ssh_server: SshServer) -> None:
        self.balancer = balancer
        self._site = site
        self._ssh_server = ssh_server

    def leads_to(self) -> str:
        return self._site.leads_to

    def sent(self) -> tuple[str, ...]:
        return self._site.redirects

    def lead_elsewhere(self) -> None:
        self._site.says(leads_to=None, seen="10.9.9.9:22")

    def be_unclear(self) -> None:
        self._site.says(leads_to=None, seen=None)

    def be_silent(self) -> None:
        self._ssh_server.sh = "/bin/false"


class Switches(Subject):
    """A driver from outside the product."""

    def __init__(self, probes: tuple[Probe, ...]) -> None:
        turn = {cluster: ("turn", "--to", cluster) for cluster in ("one", "two")}
        self.balancer = SwitchesLoadBalancer(switches=("lb1",), commands=turn, probes=probes)
        self._board = Switchboard({"lb1": "one"})

    def driver(self, load_balancer: LoadBalancer) -> SwitchesDriver:
        assert isinstance(load_balancer, SwitchesLoadBalancer)
        return SwitchesDriver(load_balancer, self._board)

    def leads_to(self) -> str:
        return self._board.turned_to["lb1"] or ""

    def sent(self) -> tuple[str, ...]:
        return tuple(self._board.commands)

    def lead_elsewhere(self) -> None:
        self._board.turned_to["lb1"] = "elsewhere"

    def be_unclear(self) -> None:
        self._board.turned_to["lb1"] = None

    def be_silent(self) -> None:
        self._board.silent = True
