"""What does the admin REST API say: pure readings of its answers (section 8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from activities.securetransport.service_state import ObservedState
from workflows.errors import OutcomeUnknown
from workflows.model.estate import Protocol
from workflows.model.results import State

T = TypeVar("T", bound=BaseModel)
V = TypeVar("V")


class _Answer(BaseModel):
    """Only what is needed is read: the vendor may add keys at any update."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Status(_Answer):
    """Of a cluster service or the Transaction Manager."""

    status: str


class Operated(_Answer):
    """What came of an operation: 200 is not success."""

    message: str = ""
    succeeded: bool = Field(default=True, alias="isSuccessful")


class _Version(_Answer):
    version: str = Field(min_length=1)
    update_level: str | None = Field(default=None, alias="updateLevel")
    system: str | None = Field(default=None, alias="osType")
    database: str | None = Field(default=None, alias="databaseType")


class _ResultSet(_Answer):
    total: int = Field(alias="totalCount", ge=0)


class Page(_Answer):
    """One page of a list."""

    about: _ResultSet = Field(alias="resultSet")
    result: tuple[dict[str, Any], ...] = ()

    @property
    def total(self) -> int:
        """How many there are on all pages."""
        return self.about.total


class Session(_Answer):
    """A client's session, as the list shows it; the list is not stable between calls."""

    id: str | int
    user: str = Field(default="", alias="userName")
    host: str = ""
    protocol: str = ""
    created: Any = Field(default=None, alias="sessionCreationTime")

    @property
    def began(self) -> datetime | None:
        """When it began by its node's clock, where that can be read at all."""
        return moment(self.created)

    def is_over(self, protocol: Protocol) -> bool:
        """Whether it uses this protocol, under any name that is seen for it."""
        return self.protocol.lower() in SPOKEN.get(protocol, (protocol.value,))

    def __str__(self) -> str:
        """Who is there over what, in the estate's own words: "partner001 over ssh"."""
        known = (protocol.value for protocol in Protocol if self.is_over(protocol))
        spoken = next(known, self.protocol.lower() or "an unknown protocol")
        return f"{_printable(self.user) or 'someone'} over {_printable(spoken)}"


@dataclass(frozen=True)
class Installed:
    """Which SecureTransport it is, and what it runs on, as far as it says so."""

    level: str | None = None
    """Version and update level, as one text that can be compared."""
    system: str | None = None
    database: str | None = None


SPOKEN = {Protocol.SSH: ("ssh", "sftp", "scp"), Protocol.HTTP: ("http", "https")}

_LONGEST = 200
"""Letters of what is said of one item."""

_STATUSES = {
    "running": State.RUNNING,
    "stopped": State.STOPPED,
    "not running": State.STOPPED,
    "shutdown in progress": State.STOPPING,
    "disabled": State.DISABLED,
}


def read(kind: type[T], body: object, place: str) -> T:
    """Read one answer; OutcomeUnknown where it is not what the vendor documents."""
    try:
        return kind.model_validate(body)
    except ValidationError as strange:
        where = {".".join(str(part) for part in error["loc"]) for error in strange.errors()}
        raise OutcomeUnknown(
            f"{place}: the admin API's answer cannot be read: "
            f"{', '.join(sorted(where)) or 'it'} is not as documented"
        ) from strange


def sessions(body: object, place: str) -> tuple[Session, ...]:
    """Read the session list, a plain array."""
    if not isinstance(body, list):
        raise OutcomeUnknown(f"{place}: the admin API's session list is no list")
    return tuple(read(Session, item, place) for item in body)


def service_status(body: object, place: str) -> ObservedState:
    """Read the status of a cluster service or the Transaction Manager; a full stop may follow."""
    words = read(Status, body, place).status
    state = _STATUSES.get(words.strip().removesuffix(".").lower(), State.UNKNOWN)
    return ObservedState(state, words)


def described(item: dict[str, Any]) -> str:
    """Say what one item of a list is: whatever plain fields it has beyond its id.

    Which fields an event has is not documented, so none is relied on.
    """
    plain = {
        key: words
        for key, value in item.items()
        if key != "id" and isinstance(value, str | int | float)
        if (words := _printable(str(value)))
    }
    fields = [f"{_printable(key)} {words}" for key, words in plain.items()]
    return ", ".join(fields)[:_LONGEST] or f"id {_printable(str(item.get('id', 'unknown')))}"


def _printable(text: str) -> str:
    """Leave out what a terminal would obey instead of showing."""
    return "".join(letter for letter in text if letter.isprintable()).strip()[:_LONGEST]


def installed(body: object, place: str) -> Installed:
    """Read what is installed; OutcomeUnknown where not even the version is said."""
    said = read(_Version, body, place)
    words = (word for word in (said.version, said.update_level) if word)
    return Installed(" ".join(words), said.system, said.database)


def moment(given: object) -> datetime | None:
    """Read a time as RFC 2822, ISO 8601 or milliseconds since the epoch; None if it is neither."""
    if isinstance(given, int | float) and not isinstance(given, bool):
        return _understood(_since_epoch, given)
    if not isinstance(given, str):
        return None
    return _understood(datetime.fromisoformat, given) or _understood(parsedate_to_datetime, given)


def _since_epoch(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _understood(reader: Callable[[V], datetime], given: V) -> datetime | None:
    try:
        at = reader(given)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ArithmeticError, IndexError, OSError, TypeError, ValueError):
        return None


def options(items: Iterable[dict[str, Any]], place: str) -> dict[str, tuple[str, ...]]:
    """Read every option with its values; OutcomeUnknown where there are none at all."""
    found: dict[str, tuple[str, ...]] = {}
    for item in items:
        name, values = item.get("name"), item.get("values")
        if not isinstance(name, str) or not name:
            raise OutcomeUnknown(f"{place}: an option has no name")
        if not isinstance(values, list):
            raise OutcomeUnknown(f"{place}: option {name} has no list of values")
        found[name] = tuple(str(value) for value in values)
    if not found:
        raise OutcomeUnknown(f"{place}: the admin API lists no options")
    return found


def option_values(options: tuple[dict[str, Any], ...], ending: str) -> dict[str, str]:
    """Read the options whose names end so, as the node spells their values."""
    named = ((str(option.get("name", "")), option.get("values")) for option in options)
    return {
        name: ", ".join(str(value) for value in values)
        for name, values in named
        if name.endswith(ending) and isinstance(values, list)
    }
