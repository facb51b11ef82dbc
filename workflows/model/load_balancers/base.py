"""What the core knows of a load balancer, whichever driver steers it."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, model_validator

from workflows.model.base import SecretReference, Value
from workflows.model.checks import Scope
from workflows.model.machines import (
    AbsolutePath,
    Account,
    Fingerprint,
    Host,
    Name,
    Port,
    Protocol,
    PublicKey,
)


class Probe(Value):
    """A login through the load balancer that shows where traffic really goes."""

    protocol: Literal[Protocol.SSH, Protocol.HTTP]
    address: Host
    port: Port
    user: Account
    password: SecretReference | None = None
    key: SecretReference | None = None
    """For ssh: a private key, which is offered before the password."""
    passphrase: SecretReference | None = None
    """Of a private key that is encrypted."""
    host_key: PublicKey | None = None
    """For ssh: the public host key clients see, the same on both clusters."""
    ca: AbsolutePath | None = None
    fingerprint: Fingerprint | None = None
    """For http: what the certificate is verified against."""

    @model_validator(mode="after")
    def _trusts_something(self) -> Self:
        if self.protocol is Protocol.SSH and self.host_key is None:
            raise ValueError("a probe over ssh needs host_key")
        if self.protocol is Protocol.HTTP and (self.ca is None) == (self.fingerprint is None):
            raise ValueError("a probe over http needs either ca or fingerprint")
        return self

    @model_validator(mode="after")
    def _can_log_in(self) -> Self:
        if self.protocol is Protocol.HTTP and self.password is None:
            raise ValueError("a probe over http needs password: HTTPS knows no login by key")
        if self.protocol is Protocol.HTTP and self.key is not None:
            raise ValueError("a probe over http logs in by password; key is for a probe over ssh")
        if self.password is None and self.key is None:
            raise ValueError("a probe over ssh needs key, or password, or both")
        if self.passphrase is not None and self.key is None:
            raise ValueError("a probe's passphrase is that of its key; write key, too")
        return self


class LoadBalancer(Value):
    """The part of a load balancer's description that every driver has.

    A driver adds a subclass with the keys of its own and registers it (see ``registry``).
    """

    driver: str
    probes: tuple[Probe, ...] = Field(min_length=1)

    @property
    @abstractmethod
    def places(self) -> tuple[Name, ...]:
        """The names of all that is redirected, one action each: machines, appliances, zones."""

    @property
    def steps(self) -> tuple[tuple[Name, ...], ...]:
        """The places in the sequence of a redirect, and of its undo; those of a step side by side.

        A step begins when every redirect of the one before has succeeded.
        """
        return (self.places,)

    @property
    def settles_within(self) -> timedelta:
        """How long after a redirect a login may land elsewhere, besides what a reload takes."""
        return timedelta()

    def check_scopes(self, place: str) -> Iterator[Scope]:  # noqa: ARG002 - for drivers that differ by place
        """Yield the scopes of the checks that an observation of a place evaluates."""
        yield Scope.HOSTS

    def mistakes(self, clusters: Iterable[str]) -> Iterator[str]:
        """Yield what does not fit an estate with these clusters, beginning with the key."""
        del clusters
        yield from ()
