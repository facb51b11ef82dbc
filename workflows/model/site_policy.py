"""What a site wants of every switchover: who approves, when changes are made, who is notified."""

from datetime import datetime, time, timedelta
from typing import Annotated, Literal, Self, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from workflows.model.base import Person, SecretReference, Value, between

Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
DAYS: tuple[Day, ...] = get_args(Day)


TIME_ZONE = r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$"


def _quoted(given: object) -> object:
    if isinstance(given, int | float):  # YAML reads 02:00 as the number 120
        raise ValueError('write a time of day in quotes, as in "02:00"')  # noqa: TRY004 - pydantic's
    return given


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as unknown:  # Europe is a directory
        raise ValueError(f"{name} is no time zone; write one such as Europe/Berlin") from unknown
    return name


Expiry = Annotated[timedelta, between(timedelta(seconds=1), timedelta(days=365))]
TimeOfDay = Annotated[time, BeforeValidator(_quoted)]


class ChangeWindow(Value):
    """When changes may be made without being asked; it may reach over midnight."""

    days: tuple[Day, ...] = Field(default=DAYS, min_length=1)
    """On which days it begins."""
    begins: TimeOfDay
    ends: TimeOfDay
    timezone: Annotated[
        str, StringConstraints(pattern=TIME_ZONE, max_length=64), AfterValidator(_zone)
    ] = "UTC"

    def is_open(self, at: datetime) -> bool:
        """Whether changes may be made at this moment."""
        now = at.astimezone(ZoneInfo(self.timezone))
        of_day = now.time().replace(tzinfo=None)
        today = DAYS[now.weekday()] in self.days
        if self.begins < self.ends:
            return today and self.begins <= of_day < self.ends
        yesterday = DAYS[now.weekday() - 1] in self.days
        return (today and of_day >= self.begins) or (yesterday and of_day < self.ends)

    def opens(self, after: datetime) -> datetime:
        """When it opens next."""
        zone = ZoneInfo(self.timezone)
        local = after.astimezone(zone)
        candidates = (
            datetime.combine(local.date() + timedelta(days=days), self.begins, zone)
            for days in range(8)
        )
        return next(at for at in candidates if at > after and DAYS[at.weekday()] in self.days)

    def __str__(self) -> str:
        days = "every day" if self.days == DAYS else ", ".join(self.days)
        return f"{self.begins:%H:%M} to {self.ends:%H:%M} {self.timezone}, {days}"


class Approvals(Value):
    """Who has to approve here, whatever a request says; a request may only ask for more."""

    approvers: tuple[Person, ...] = ()
    """Who may approve; empty means anyone."""
    needed: int = Field(default=1, ge=1, le=10)
    """By how many different people."""
    expires_after: Expiry | None = None
    """How long a gate waits; without it, for ever."""
    on_expiry: Literal["reject", "keep_waiting"] = "keep_waiting"

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.approvers and len(set(self.approvers)) < self.needed:
            raise ValueError(
                f"needed is {self.needed}, but approvers names only {len(set(self.approvers))}"
            )
        return self


class Webhook(Value):
    """Who is notified when a run begins to wait for an operator, and when it has ended."""

    url: SecretReference
    """A reference: an address often carries a token."""
    secret: SecretReference
    """What notices are signed with."""
