"""Edges are reached by names in a DNS zone, which takes dynamic updates (RFC 2136)."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from workflows.model.base import SecretReference, Value, between
from workflows.model.checks import Scope
from workflows.model.load_balancers.base import LoadBalancer
from workflows.model.load_balancers.machines import host_named
from workflows.model.machines import AbsolutePath, Command, HostName, IpAddress, Machine, Name, Port

MAX_NAMES = 50
MAX_ADDRESSES = 100
"""Of one name on one cluster: an answer with more is none that a resolver likes."""
LONGEST_WAIT = timedelta(minutes=5)
"""So long does a redirect wait at most until the load balancer's hosts resolve new addresses."""


class DnsServer(Value):
    """An authoritative server of the zone, by its address: DNS itself is not asked for it."""

    address: IpAddress
    port: Port = 53

    def __str__(self) -> str:
        shown = f"[{self.address}]" if ":" in self.address else self.address
        return f"{shown}:{self.port}"


class TransactionKey(Value):
    """The key that signs updates (TSIG, RFC 8945), as the server's configuration names it."""

    name: HostName
    algorithm: Literal["hmac-sha256", "hmac-sha384", "hmac-sha512"] = "hmac-sha256"
    secret: SecretReference
    """Its secret in base64, as ``tsig-keygen`` prints it."""


class ResolvingHost(Machine):
    """One load balancer machine that resolves the Edges' names."""

    reload: Command | None = None
    """The site's command that makes the load balancer resolve the names again, if it has to."""
    configuration: AbsolutePath | None = None
    """HAProxy's configuration as the site wrote it; without it the checks of it are not made."""


class DnsLoadBalancer(LoadBalancer):
    """A zone whose records give the Edges' names the addresses of one cluster."""

    driver: Literal["dns"] = "dns"
    name: Name = "dns"
    """The zone, as a place of the plan."""
    zone: HostName
    servers: tuple[DnsServer, ...] = Field(min_length=1, max_length=20)
    """Every authoritative server; the first one takes updates."""
    tsig: TransactionKey
    record: HostName | None = None
    """The name of TXT records, in which the zone remembers which operation changed it."""
    names: dict[
        HostName,
        dict[Name, Annotated[tuple[IpAddress, ...], Field(min_length=1, max_length=MAX_ADDRESSES)]],
    ] = Field(min_length=1, max_length=MAX_NAMES)
    """For each name the load balancer uses: the addresses it has on each cluster."""
    ttl_limit: Annotated[timedelta, between(timedelta(seconds=1), LONGEST_WAIT)] = timedelta(
        seconds=60
    )
    """A redirect that may take longer to reach every resolver is warned of."""
    hosts: tuple[ResolvingHost, ...] = ()
    """Machines that resolve the names for clients; none where clients resolve them themselves."""

    @property
    def places(self) -> tuple[Name, ...]:
        """The zone, and every machine that has to follow it."""
        return (self.name, *(host.name for host in self.hosts))

    @property
    def steps(self) -> tuple[tuple[Name, ...], ...]:
        """The zone first: nobody waits for what a server has refused to change."""
        machines = tuple(host.name for host in self.hosts)
        return ((self.name,), machines) if machines else ((self.name,),)

    @property
    def record_name(self) -> str:
        """The name of the TXT records, whether or not the estate names it."""
        return self.record or f"_switchover.{self.zone}"

    @property
    def settles_within(self) -> timedelta:
        """What resolved the names just before a redirect may keep them for their TTL."""
        return self.ttl_limit

    def host(self, name: str) -> ResolvingHost:
        """Return the machine of that name; BadInput where there is none."""
        return host_named(self.hosts, name)

    def cluster_with(self, name: str, addresses: Iterable[str]) -> str | None:
        """Return the cluster on which a name has exactly these addresses; None where on none."""
        found = frozenset(addresses)
        own = self.names[name].items()
        return next((cluster for cluster, given in own if frozenset(given) == found), None)

    def cluster_resolved(self, name: str, addresses: Iterable[str]) -> str | None:
        """Return the cluster whose addresses these are, as a machine resolves a name.

        One without IPv6 is given no IPv6 address, and the reverse.
        """
        found = frozenset(addresses)
        for cluster, given in self.names[name].items():
            families = (
                frozenset(one for one in given if (":" in one) is six) for six in (False, True)
            )
            if found and found in (frozenset(given), *families):
                return cluster
        return None

    def check_scopes(self, place: str) -> Iterator[Scope]:
        """Yield the scopes of a zone's checks, or of those of a machine that follows it."""
        yield from super().check_scopes(place)
        if place == self.name:
            yield Scope.ZONES
            return
        yield Scope.RESOLVING_HOSTS
        host = self.host(place)
        if host.reload is not None:
            yield from (Scope.LEDGER_HOSTS, Scope.RELOADED_HOSTS)
        if host.configuration is not None:
            yield Scope.CONFIGURED_HOSTS

    def mistakes(self, clusters: Iterable[str]) -> Iterator[str]:
        """Yield what cannot be one update of one zone, or not tell the clusters apart."""
        expected = sorted(clusters)
        for name, given in self.names.items():
            if not inside(name, self.zone):
                yield f"names.{name} is not in the zone {self.zone}"
            if sorted(given) != expected:
                yield f"names.{name} needs addresses for each of {', '.join(expected)}"
                continue
            repeated = [one for one, times in Counter(_all(given)).items() if times > 1]
            if repeated:
                yield (
                    f"names.{name} has the address {repeated[0]} twice; "
                    "the clusters cannot be told apart by it"
                )
        lower = Counter(map(normal, (*self.names, self.record_name)))
        for name, times in lower.items():
            if times > 1:
                yield f"names: {name} is given twice; the name of record counts, too"
        if not inside(self.record_name, self.zone):
            yield f"record: {self.record_name} is not in the zone {self.zone}"
        for server, times in Counter(map(str, self.servers)).items():
            if times > 1:
                yield f"servers: {server} is given twice"


def normal(name: str) -> str:
    """Write a DNS name in the one form in which it can be compared."""
    return name.lower().removesuffix(".")


def inside(name: str, zone: str) -> bool:
    """Return whether a name is the zone's own, or one below it."""
    return f".{normal(name)}".endswith(f".{normal(zone)}")


def _all(given: dict[str, tuple[str, ...]]) -> Iterator[str]:
    for addresses in given.values():
        yield from addresses
