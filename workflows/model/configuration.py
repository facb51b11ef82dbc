"""What a watch knows of both clusters' configuration while replication is suspended."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from workflows.model.base import Value
from workflows.model.findings import Finding, Severity
from workflows.model.text import listed

MAX_CHANGES = 100
"""That one record lists: it goes into history, into the outcome and onto pages."""
MAX_GAPS = 20
TIME = "%Y-%m-%d %H:%M:%S UTC"
"""How a sentence names a time."""
Change = Literal["added", "removed", "changed"]


class ConfigurationChange(Value):
    """One thing of the configuration that is not as it was when replication was suspended."""

    place: str
    """The node that it was read from, or the database."""
    item: str
    """An option, an account, a file, a table: "option Ssh.Port"."""
    what: Change
    seen_at: datetime
    """When the watch saw it."""
    by: str = ""
    """Who made it, as the audit log says; empty where it does not say."""
    at: datetime | None = None
    """When it was made, as the audit log says, by that node's clock."""

    @property
    def key(self) -> tuple[str, str]:
        """What it is about: each is listed once, however often it changes."""
        return self.place, self.item

    def __str__(self) -> str:
        by = f" by {self.by}" if self.by else ""
        at = f" at {self.at:%Y-%m-%d %H:%M:%S} UTC" if self.at else ""
        return f"{self.place}: {self.item} {self.what}{by}{at}"


class PartDigest(Value):
    """Digests of one kind of items at one place: small, however many items there are."""

    items: int
    digest: str
    """Over all of them."""
    buckets: str
    """Four digits over the items of each bucket, by a digest of their names: which item changed can
    be told from the names that are there now, without a digest of each."""


class AuditMark(Value):
    """Up to where a node's audit log was read."""

    at: datetime
    """The newest entry's time, by the node's clock."""
    ids: tuple[str, ...] = ()
    """Digests of the ids of entries that were there and are about as new: later ones may bear an
    earlier time."""


class ConfigurationReport(Value):
    """What a watch has read, as far as it is new; its heartbeat has no parts."""

    at: datetime
    parts: dict[str, PartDigest] = {}
    """By place and kind of item, such as "cluster1-server1 option"."""
    audited: dict[str, AuditMark] = {}
    """By node."""
    changes: tuple[ConfigurationChange, ...] = ()
    unread: dict[str, str] = {}
    """By place: why it could not be read for several readings in a row."""


class ConfigurationRecord(Value):
    """What the configuration was when replication was suspended, and what has changed since."""

    since: datetime | None = None
    """When it was first read; None where it was not read yet."""
    watched_until: datetime | None = None
    """When it was last read, as far as the record says."""
    parts: dict[str, PartDigest] = {}
    audited: dict[str, AuditMark] = {}
    changes: tuple[ConfigurationChange, ...] = ()
    unread: dict[str, str] = {}
    gaps: tuple[str, ...] = ()
    """From when to when nobody watched, or not everything could be read, in sentences."""

    @property
    def is_full(self) -> bool:
        """Whether there may be more changes than it lists."""
        return len(self.changes) >= MAX_CHANGES

    def after(self, report: ConfigurationReport) -> "ConfigurationRecord":
        """Return the record with what a watch has reported; a change again only says by whom."""
        changes: dict[tuple[str, str], ConfigurationChange] = {c.key: c for c in self.changes}
        for change in report.changes:
            known = changes.setdefault(change.key, change)
            if not known.by and change.by:
                author = {"by": change.by, "at": change.at}
                changes[change.key] = known.model_copy(update=author)
        record = self.model_copy(
            update={
                "since": self.since or report.at,
                "watched_until": report.at,
                "parts": {**self.parts, **report.parts},
                "audited": {**self.audited, **report.audited},
                "changes": tuple(changes.values())[:MAX_CHANGES],
                "unread": report.unread,
            }
        )
        for place, kinds in _first_read(self, report).items():
            record = record.with_gap(
                f"{place}: {listed(kinds)} not read before {report.at:{TIME}}: what was changed "
                "there until then is not known"
            )
        return record

    def with_gap(self, sentence: str) -> "ConfigurationRecord":
        """Return the record with one more time in which nobody watched."""
        gaps = tuple(dict.fromkeys((*self.gaps, sentence)))
        return self.model_copy(update={"gaps": gaps[-MAX_GAPS:]})


def _first_read(record: ConfigurationRecord, report: ConfigurationReport) -> dict[str, list[str]]:
    """Return by place the kinds of items that could not be read when the record began."""
    late: defaultdict[str, list[str]] = defaultdict(list)
    for part in sorted(report.parts.keys() - record.parts.keys()) if record.since else ():
        place, kind = part.split(" ", 1)
        late[place].append(kind)
    return late


def unread_findings(unread: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return what the operator should know of places whose configuration cannot be read."""
    return tuple(
        Finding(
            name="configuration_not_watched",
            place=place,
            seen=why,
            expected="its configuration, read again and again while replication is suspended",
            advice="a change that is made there now is seen only once it can be read again",
            severity=Severity.WARNS,
        )
        for place, why in unread.items()
    )
