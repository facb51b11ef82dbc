"""Pure parsers of the admin REST API's answers (docs/securetransport.md, section 8)."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    TypeAdapter,
    ValidationError,
)
from pydantic.dataclasses import dataclass

from activities.securetransport.service_state import ObservedState
from workflows.errors import OutcomeUnknown
from workflows.model.estate import Protocol
from workflows.model.results import State
from workflows.model.text import printable

T = TypeVar("T", bound=BaseModel)
V = TypeVar("V")


class _Response(BaseModel):
    """Reads only the needed keys: the vendor may add others with any update."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


MAX_TEXT = 200
"""Characters of a text of one field, or of the description of one item, that are kept."""


MAX_TIME = 64
"""Characters of a time."""
MAX_TOTAL = 10**9
"""Items of a list: more are not counted, but invented."""
MAX_OPTION = 1 << 16
"""Characters of an option with all of its values."""
MAX_OPTIONS_SHOWN = 50
MAX_FIELDS = 20
"""Of an item that is described."""


def short(text: str) -> str:
    """Return the start of a text, without control characters."""
    return printable(text[: 2 * MAX_TEXT], "").strip()[:MAX_TEXT]


Text = Annotated[str, AfterValidator(short)]
"""Is compared and shown, and never longer: whatever an API says, it fits into history."""


class ServiceStatus(_Response):
    """The status of a cluster service or the Transaction Manager."""

    status: Text


class OperationResult(_Response):
    """The result of an operation; HTTP status 200 is no proof of success."""

    message: Text = ""
    succeeded: bool = Field(default=True, alias="isSuccessful")


class ProtocolServer(_Response):
    """One of the servers that listen for a daemon."""

    protocol: Text
    name: Text = Field(alias="serverName", min_length=1)
    active: bool = Field(alias="isActive")


class Installed(_Response):
    """Which SecureTransport is installed, and on what, as far as the API says."""

    version: Text = Field(min_length=1)
    update_level: Text | None = Field(default=None, alias="updateLevel")
    system: Text | None = Field(default=None, validation_alias=AliasChoices("os", "osType"))
    database: Text | None = Field(default=None, alias="databaseType")

    @property
    def level(self) -> str:
        """Return version and update level in one text."""
        return " ".join(filter(None, (self.version, self.update_level)))


class Database(_Response):
    """Which database a Server uses."""

    type: Text | None = Field(default=None, alias="databaseType")


class _ResultSet(_Response):
    total: int = Field(alias="totalCount", ge=0, le=MAX_TOTAL)


class Page(_Response):
    """One page of a list."""

    result_set: _ResultSet = Field(alias="resultSet")
    result: Annotated[tuple[dict[str, Any], ...], FailFast()] = ()

    @property
    def total(self) -> int:
        """Return how many items are on all pages."""
        return self.result_set.total


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="ignore", hide_input_in_errors=True))
class Session:
    """A client's session, as the list shows it; the list may change between two calls.

    There may be a hundred thousand, so each is as small as can be.
    """

    id: Text | int
    user: Text = Field(default="", alias="userName")
    host: Text = ""
    protocol: Text = ""
    created: Any = Field(default=None, alias="sessionCreationTime")

    @property
    def began(self) -> datetime | None:
        """Return when it began by its node's clock; None if that cannot be read."""
        return moment(self.created)

    def uses(self, protocol: Protocol) -> bool:
        """Whether it uses this protocol, under any name that the API has for it."""
        return self.protocol.lower() in PROTOCOL_NAMES.get(protocol, (protocol.value,))

    def __str__(self) -> str:
        """Return user and protocol, in the estate's words: "partner001 over ssh"."""
        known = (protocol.value for protocol in Protocol if self.uses(protocol))
        spoken = next(known, self.protocol.lower() or "an unknown protocol")
        return f"{short(self.user) or 'an unknown user'} over {short(spoken)}"


_SESSION = TypeAdapter(Session)
PROTOCOL_NAMES = {Protocol.SSH: ("ssh", "sftp", "scp"), Protocol.HTTP: ("http", "https")}

_MILLISECONDS = re.compile("[0-9]{12,13}")
"""From 1973 to 2286; no shorter number of digits is a time since the epoch."""
CLOCK_TOLERANCE = timedelta(seconds=2)
"""A Date header counts whole seconds."""
_STATUSES = {
    "running": State.RUNNING,
    "stopped": State.STOPPED,
    "not running": State.STOPPED,
    "shutdown in progress": State.STOPPING,
    "disabled": State.DISABLED,
}


def read(kind: type[T], body: object, place: str) -> T:
    """Read one answer; OutcomeUnknown if it is not as the vendor documents."""
    with _documented(place):
        return kind.model_validate(body)


@contextmanager
def _documented(place: str) -> Iterator[None]:
    try:
        yield
    except ValidationError as strange:
        where = {".".join(str(part) for part in error["loc"]) for error in strange.errors()}
        raise OutcomeUnknown(
            f"{place}: the admin API's answer cannot be read: "
            f"{', '.join(sorted(where)) or 'it'} is not as documented"
        ) from strange


def operation_results(body: object, place: str) -> tuple[OperationResult, ...]:
    """Read the one result of an operation, or the list of them."""
    results = body.get("serverStatuses", [body]) if isinstance(body, dict) else []
    if not isinstance(results, list):
        raise OutcomeUnknown(f"{place}: the admin API's answer to an operation is no list")
    return tuple(read(OperationResult, result, place) for result in results)


def sessions(body: object, place: str) -> tuple[Session, ...]:
    """Read the session list, a plain array; *body* is used up, since both would be too large."""
    if not isinstance(body, list):
        raise OutcomeUnknown(f"{place}: the admin API's session list is no list")
    with _documented(place):
        for at, item in enumerate(body):
            body[at] = _SESSION.validate_python(item)
    return tuple(body)


def inactive_servers(
    items: Iterable[dict[str, Any]], protocol: Protocol, place: str
) -> tuple[str, ...]:
    """Read the names of a protocol's servers that are not active, each once."""
    servers = [read(ProtocolServer, item, place) for item in items]
    own = (server for server in servers if server.protocol.lower() == protocol.value)
    return tuple(dict.fromkeys(server.name for server in own if not server.active))


def service_status(body: object, place: str) -> ObservedState:
    """Read the status of a cluster service or the Transaction Manager; a full stop may follow."""
    text = read(ServiceStatus, body, place).status
    state = _STATUSES.get(text.strip().removesuffix(".").lower(), State.UNKNOWN)
    return ObservedState(state, text)


def described(item: dict[str, Any]) -> str:
    """Return one item of a list as text: every plain field that it has besides its id.

    The fields of an event are not documented, so none is relied on.
    """
    plain = (
        f"{short(key)} {text}"
        for key, value in item.items()
        if key != "id" and isinstance(value, str | int | float)
        if (text := short(str(value)))
    )
    fields = list(islice(plain, MAX_FIELDS))
    return ", ".join(fields)[:MAX_TEXT] or f"id {identifier(item)}"


def identifier(item: Mapping[str, Any]) -> str:
    """Return the id of one item of a list as text."""
    given = item.get("id")
    return (short(str(given)) if isinstance(given, str | int) else "") or "unknown"


def moment(given: object) -> datetime | None:
    """Read a time as RFC 2822, ISO 8601 or milliseconds since the epoch, or return None."""
    if isinstance(given, str) and _MILLISECONDS.fullmatch(given):
        given = int(given)
    if isinstance(given, int | float) and not isinstance(given, bool):
        return _parsed(_since_epoch, given)
    if not isinstance(given, str) or len(given) > MAX_TIME:
        return None
    return _parsed(datetime.fromisoformat, given) or _parsed(parsedate_to_datetime, given)


def _since_epoch(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _parsed(reader: Callable[[V], datetime], given: V) -> datetime | None:
    try:
        at = reader(given)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ArithmeticError, IndexError, OSError, TypeError, ValueError):
        return None


def options(items: Iterable[dict[str, Any]], place: str) -> dict[str, tuple[str, ...]]:
    """Read every option with its values; OutcomeUnknown without any."""
    found: dict[str, tuple[str, ...]] = {}
    for item in items:
        name, values = item.get("name"), item.get("values")
        if not isinstance(name, str) or not name:
            raise OutcomeUnknown(f"{place}: an option has no name")
        if not isinstance(values, list):
            raise OutcomeUnknown(f"{place}: option {short(name)} has no list of values")
        found[short(name)] = texts = tuple(str(value) for value in values)
        if sum(map(len, texts)) > MAX_OPTION:
            raise OutcomeUnknown(
                f"{place}: option {short(name)} has more than {MAX_OPTION} characters"
            )
    if not found:
        raise OutcomeUnknown(f"{place}: the admin API lists no options")
    return found


def option_values(options: tuple[dict[str, Any], ...], ending: str) -> dict[str, str]:
    """Read the options whose names have this ending, with values as the node prints them."""
    named = ((str(option.get("name", "")), option.get("values")) for option in options)
    found = (
        (short(name), short(", ".join(str(value) for value in values[:MAX_OPTIONS_SHOWN])))
        for name, values in named
        if name.endswith(ending) and isinstance(values, list)
    )
    return dict(islice(found, MAX_OPTIONS_SHOWN))
