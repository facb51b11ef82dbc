"""The machines of an estate that are reached over SSH, and the types of their keys."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from workflows.model.base import SecretReference, Value

NAME = r"^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$"

Name = Annotated[str, StringConstraints(pattern=NAME)]
Port = Annotated[int, Field(ge=1, le=65535)]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/[^\x00\n]*$")]
RelativePath = Annotated[str, StringConstraints(pattern=r"^[^/\x00\n][^\x00\n]*$")]
Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


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


class SshAccess(Value):
    """How a machine is reached over SSH, as the operating-system user that owns SecureTransport."""

    user: str
    key: SecretReference
    port: Port = 22
    known_hosts: AbsolutePath | None = None
    """A known_hosts file on the worker; needed for every machine without a ``host_key``."""


class AdminAccess(Value):
    """How a node's admin REST API is reached."""

    user: str
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

    start: tuple[str, ...] = ("start_monitord",)
    stop: tuple[str, ...] = ("stop_monitord",)
    status: tuple[str, ...] = ("status_monitord",)


class Machine(Value):
    """Anything that is reached over SSH and keeps a ledger."""

    name: Name
    address: str
    ssh: SshAccess
    host_key: str | None = None
    """The machine's public host key, as one line of OpenSSH."""
    system: Literal["linux"] = "linux"
    """Which driver of the operating-system port reads it."""
    ledger: AbsolutePath = "/var/lib/switchover"
    """On a local persistent disk; survives a reboot."""
    boot_id: AbsolutePath = "/proc/sys/kernel/random/boot_id"
    """The file that changes with every boot (a container shares its kernel's: name another)."""

    @model_validator(mode="after")
    def _host_key_known(self) -> Self:
        if self.host_key is None and self.ssh.known_hosts is None:
            raise ValueError(
                f"{self.name}: neither host_key nor ssh.known_hosts is given; "
                "host keys are always verified"
            )
        return self


class Node(Machine):
    """One SecureTransport machine."""

    kind: Kind
    filedrivehome: AbsolutePath = "/opt/axway/SecureTransport"
    admin: AdminAccess
    protocols: dict[Protocol, tuple[Port, ...]] = Field(min_length=1)
    """The protocol servers that serve clients here, each with the ports it listens on."""
    listen_on: tuple[str, ...] = ()
    """Local addresses whose connections count as sessions; empty means all of them."""
    alias: str | None = None
    """Aliased installations need ``-A ALIAS`` on every script (section 3)."""
    monitor: MonitorCommands = MonitorCommands()
    stop_all: tuple[str, ...] = ("stop_all",)
    """Extra arguments are a site's own: what ``-f`` means is undocumented (section 3)."""
