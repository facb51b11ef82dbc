"""The machines of an estate that are reached over SSH, and the types of their keys."""

import re
from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from workflows.model.base import OneLine, SecretReference, Value
from workflows.model.windows import WINDOWS_PATH, unfit_ledger, unfit_path, unfit_word

NAME = r"^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$"
HOST_NAME = r"(?![0-9.]*$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?"
HOST_NAME_LENGTH = 253
MAX_WORD = 4096
MAX_JUMP_HOSTS = 4
"""On the way to one machine."""
ABSOLUTE_PATH = r"^/"
NODE_PATH = rf"{ABSOLUTE_PATH}|{WINDOWS_PATH}"
RELATIVE_PATH = r"^[^/]"
FINGERPRINT = r"^[0-9a-f]{64}$"
WORD = r"^."
ACCOUNT = r"^\S(.*\S)?$"
PUBLIC_KEY = r"^[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,3}( .*)?$"
RUN_AS = r"^[A-Za-z_][A-Za-z0-9_.@-]{0,63}$"
ALIAS = r"^[A-Za-z0-9_]"


def _ip_address(text: str) -> str:
    """Write an address as the sockets of a node are written, so that the two can be compared."""
    try:
        address = ip_address(text)
    except ValueError:
        raise ValueError(
            "write one IP address such as 192.0.2.61 or 2001:db8::61, without a prefix length; "
            "what a name stands for can change"
        ) from None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            raise ValueError("write the IPv6 address without the name of an interface")
        return str(address.ipv4_mapped or address)
    return str(address)


def _own_address(text: str) -> str:
    address = _ip_address(text)
    if ip_address(address).is_unspecified:
        raise ValueError("leave this key out where a node listens on all of its addresses")
    return address


def _network(text: str) -> str:
    try:
        return str(ip_network(text, strict=False)) if "/" in text else _ip_address(text)
    except ValueError:
        raise ValueError(
            "write an IP address such as 192.0.2.9, or a network such as 192.0.2.0/24"
        ) from None


def _host_name(text: str) -> str:
    if not re.fullmatch(HOST_NAME, text) or len(text) > HOST_NAME_LENGTH:
        raise ValueError("write a host name such as edge1 or edge1.example.com")
    return text


def _host(text: str) -> str:
    try:
        return _ip_address(text) if re.fullmatch("[0-9.]+|.*:.*", text) else _host_name(text)
    except ValueError:
        raise ValueError(
            "write a host name such as edge1.example.com, or one IP address; "
            "a port has a key of its own"
        ) from None


def _directory(text: str) -> str:
    if re.match(WINDOWS_PATH, text):  # whether the machine is one of Windows, the machine knows
        return text
    parts = [part for part in text.split("/") if part not in {"", "."}]
    if not parts or ".." in parts:
        raise ValueError("write the path of a directory below /, without ..")
    return "/" + "/".join(parts)


Name = Annotated[str, StringConstraints(pattern=NAME)]
IpAddress = Annotated[str, AfterValidator(_ip_address)]
OwnAddress = Annotated[str, AfterValidator(_own_address)]
Network = Annotated[str, AfterValidator(_network)]
"""An IP address, or a network of them."""
HostName = Annotated[str, AfterValidator(_host_name)]
Host = Annotated[str, AfterValidator(_host)]
"""A host name or an IP address."""
Account = Annotated[str, StringConstraints(pattern=ACCOUNT, max_length=256), OneLine]
RunAs = Annotated[str, StringConstraints(pattern=RUN_AS)]
"""An account as sudo takes it: a name, and no number."""
Word = Annotated[str, StringConstraints(pattern=WORD, max_length=MAX_WORD), OneLine]
Command = Annotated[tuple[Word, ...], Field(min_length=1)]
"""A program and its arguments, without a shell."""
Port = Annotated[int, Field(ge=1, le=65535)]
AbsolutePath = Annotated[str, StringConstraints(pattern=ABSOLUTE_PATH, max_length=1000), OneLine]
NodePath = Annotated[str, StringConstraints(pattern=NODE_PATH, max_length=1000), OneLine]
"""An absolute path on a node, of the node's own system."""
RelativePath = Annotated[str, StringConstraints(pattern=RELATIVE_PATH, max_length=1000), OneLine]
Directory = Annotated[NodePath, AfterValidator(_directory)]
"""A path to a directory, written in one way."""
System = Literal["linux", "windows"]
"""An operating system that has a driver."""
PublicKey = Annotated[
    str, StringConstraints(strip_whitespace=True, pattern=PUBLIC_KEY, max_length=MAX_WORD), OneLine
]
"""A public key, as one line of OpenSSH."""
Alias = Annotated[str, StringConstraints(pattern=ALIAS, max_length=100), OneLine]
Fingerprint = Annotated[str, StringConstraints(pattern=FINGERPRINT)]


class Protocol(StrEnum):
    """A protocol server, by its name in the admin REST API (docs/securetransport.md, section 3)."""

    FTP = "ftp"
    HTTP = "http"
    AS2 = "as2"
    SSH = "ssh"
    PESIT = "pesit"


class Kind(StrEnum):
    """What a node is: a back-end Server or an Edge in the DMZ."""

    SERVER = "server"
    EDGE = "edge"


class SshLogin(Value):
    """As whom the worker logs in to an SSH server, and with what."""

    user: Account
    key: SecretReference | None = Field(default=None, exclude_if=lambda one: one is None)
    """A private key; without it an agent's is used."""
    passphrase: SecretReference | None = None
    """Of a private key that is encrypted."""
    certificate: SecretReference | None = Field(default=None, exclude_if=lambda one: one is None)
    """Of the key, in OpenSSH's format: signed by an authority that the server trusts.

    Without it, and without jump hosts, an estate is written as before there were these keys: its
    seals and its plan's hash stay the same.
    """
    agent: SecretReference | None = Field(default=None, exclude_if=lambda one: one is None)
    """The socket of an SSH agent, or a variable of the worker that has its path."""
    public_key: PublicKey | None = Field(default=None, exclude_if=lambda one: one is None)
    """Which of the agent's keys is used, as one line of OpenSSH."""
    port: Port = 22
    known_hosts: AbsolutePath | None = None
    """A known_hosts file on the worker; needed for every server without a ``host_key``."""

    @model_validator(mode="after")
    def _has_one_key(self) -> Self:
        if (self.key is None) == (self.agent is None):
            raise ValueError("give either key or agent: the worker logs in with one of them")
        if (self.agent is None) != (self.public_key is None):
            raise ValueError("agent and public_key go together: it names one of the agent's keys")
        if self.agent is not None and self.passphrase is not None:
            raise ValueError("leave passphrase out: what an agent has is not encrypted")
        return self


class JumpHost(SshLogin):
    """A machine through whose SSH server others are reached; nothing is run on it."""

    address: Host
    host_key: PublicKey | None = None
    """Its public host key, as one line of OpenSSH."""

    @property
    def place(self) -> str:
        """Return its address and port, as messages name it."""
        return f"{self.address}:{self.port}"

    @model_validator(mode="after")
    def _host_key_known(self) -> Self:
        if self.host_key is None and self.known_hosts is None:
            raise ValueError(
                f"jump host {self.place}: neither host_key nor known_hosts is given; "
                "host keys are always verified"
            )
        return self


JumpHosts = Annotated[tuple[JumpHost, ...], Field(max_length=MAX_JUMP_HOSTS)]


def _hops(given: object) -> object:
    """Take one jump host without the dashes of a list."""
    return (given,) if isinstance(given, dict) else given


def _each_once(hops: tuple[JumpHost, ...]) -> tuple[JumpHost, ...]:
    for place, count in Counter(hop.place for hop in hops).items():
        if count > 1:
            raise ValueError(f"{place} is given twice; name each jump host once")
    return hops


Way = Annotated[
    JumpHosts,
    BeforeValidator(_hops, json_schema_input_type=JumpHost | JumpHosts),
    AfterValidator(_each_once),
]
"""Jump hosts, the first of which is reached from the worker, others from the one before; one needs
no list."""


class SshAccess(SshLogin):
    """How a machine is reached over SSH, and as whom commands run there.

    On a node that is the operating-system user that owns SecureTransport.
    """

    run_as: RunAs | None = Field(default=None, exclude_if=lambda account: account is None)
    """The account that sudo runs every command as; None where ``user`` itself runs them."""
    jump: Way = Field(default=(), exclude_if=lambda hops: not hops)
    """The jump hosts on the way to it."""

    @property
    def account(self) -> str:
        """Return the account that commands run as."""
        return self.run_as or self.user

    def session_of(self, user: str) -> str:
        """Return whose session a command is in that runs as *user*: sudo begins none."""
        return user if self.run_as is None else self.user

    @model_validator(mode="after")
    def _runs_as_another(self) -> Self:
        if self.run_as == self.user:
            raise ValueError(
                f"run_as: {self.user} is the account that logs in; leave run_as out, or write "
                "`run_as: null` where defaults give it"
            )
        return self


class AdminAccess(Value):
    """How a node's admin REST API is reached."""

    user: Account
    password: SecretReference
    port: Port = 444
    via: Literal["ssh", "direct"] = "ssh"
    """Through the node's SSH connection, or straight from the worker."""
    ca: AbsolutePath | None = None
    """A file of CA certificates on the worker."""
    fingerprint: Fingerprint | None = None
    """SHA-256 of the certificate in hexadecimal digits, pinned instead of a CA."""

    @model_validator(mode="after")
    def _trusts_something(self) -> Self:
        if (self.ca is None) == (self.fingerprint is None):
            raise ValueError("admin needs either ca or fingerprint: TLS is always verified")
        return self


class MonitorCommands(Value):
    """The Monitor Server's scripts; configurable, since 5.4 ran it from cron (section 6)."""

    start: Command = ("start_monitord",)
    stop: Command = ("stop_monitord",)
    status: Command = ("status_monitord",)


class Machine(Value):
    """Anything that is reached over SSH and keeps a ledger."""

    name: Name
    address: Host
    ssh: SshAccess
    host_key: PublicKey | None = None
    """The machine's public host key, as one line of OpenSSH."""
    system: System = "linux"
    """Which driver of the operating-system port reads it."""
    ledger: Directory = "/var/lib/switchover"
    """On a local persistent disk; survives a reboot."""
    boot_id: AbsolutePath = "/proc/sys/kernel/random/boot_id"
    """The file that changes with every boot (a container shares its kernel's: name another).

    Windows has none: it says itself when it was booted.
    """
    systems: ClassVar[tuple[System, ...]] = ("linux",)
    """On which systems such a machine may be: what else is done there are POSIX shell scripts."""

    def below(self, directory: str, *names: str) -> str:
        """Return a path below a directory of this machine."""
        return ("\\" if self.system == "windows" else "/").join((directory, *names))

    def is_path(self, name: str) -> bool:
        """Whether a command's name is an absolute path on this machine."""
        pattern = WINDOWS_PATH if self.system == "windows" else ABSOLUTE_PATH
        return re.match(pattern, name) is not None

    @model_validator(mode="after")
    def _system_fits(self) -> Self:
        if self.system not in self.systems:
            raise ValueError(
                f"{self.name}: system {self.system} is for nodes only; what is done on this "
                "machine needs a POSIX shell"
            )
        for objection in self._objections():
            raise ValueError(f"{self.name}: {objection}")
        return self

    def _objections(self) -> Iterator[str]:
        """Yield what its system cannot have."""
        if self.system == "windows":
            yield from unfit_ledger(self.ledger)
            if self.ssh.run_as is not None:
                yield "ssh.run_as needs sudo, which Windows has not; set ssh.user to the account"
        elif not re.match(ABSOLUTE_PATH, self.ledger):
            yield f"ledger {self.ledger} is a path of Windows; write `system: windows`"

    @model_validator(mode="after")
    def _host_key_known(self) -> Self:
        if self.host_key is None and self.ssh.known_hosts is None:
            raise ValueError(
                f"{self.name}: neither host_key nor ssh.known_hosts is given; "
                "host keys are always verified"
            )
        return self

    @model_validator(mode="after")
    def _is_no_jump_host_of_its_own(self) -> Self:
        own = f"{self.address}:{self.ssh.port}"
        if own in (hop.place for hop in self.ssh.jump):
            raise ValueError(
                f"{self.name}: ssh.jump names {own}, which is the machine itself; leave it out "
                "there, or write `jump: []` where defaults give it"
            )
        return self


class Node(Machine):
    """One SecureTransport machine."""

    systems: ClassVar[tuple[System, ...]] = ("linux", "windows")
    kind: Kind
    filedrivehome: NodePath = "/opt/axway/SecureTransport"
    admin: AdminAccess
    protocols: dict[Protocol, Annotated[tuple[Port, ...], Field(min_length=1)]] = Field(
        min_length=1
    )
    """The protocol servers that serve clients here, each with the ports it listens on."""
    listen_on: tuple[OwnAddress, ...] = ()
    """Local addresses whose connections count as sessions; empty means all of them."""
    alias: Alias | None = None
    """Aliased installations need ``-A ALIAS`` on every script (section 3)."""
    monitor: MonitorCommands = MonitorCommands()
    stop_all: Command = ("stop_all",)
    """Extra arguments are a site's own: what ``-f`` means is undocumented (section 3)."""

    def _objections(self) -> Iterator[str]:
        yield from super()._objections()
        if self.system == "windows":
            yield from unfit_path("filedrivehome", self.filedrivehome)
            monitor = self.monitor
            words = {"alias": (self.alias or "",), "stop_all": self.stop_all}
            words |= {
                f"monitor.{name}": getattr(monitor, name) for name in type(monitor).model_fields
            }
            for key, given in words.items():
                yield from (why for word in given for why in unfit_word(key, word))
        elif not re.match(ABSOLUTE_PATH, self.filedrivehome):
            path = self.filedrivehome
            yield f"filedrivehome {path} is a path of Windows; write `system: windows`"
