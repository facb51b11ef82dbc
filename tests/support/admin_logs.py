"""File tracking and audit log of an admin API for tests: filters and sequences as documented."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from fnmatch import fnmatchcase
from typing import Any

from aiohttp import web


@dataclass
class AdminLogs:
    """What one cluster has recorded; tests change it while it is served."""

    transfers: list[dict[str, Any]] = field(default_factory=list)
    """In no sequence of their own."""
    audit: list[dict[str, Any]] = field(default_factory=list)
    ignored: set[str] = field(default_factory=set)
    """Parameters that this version does not know, and ignores without a word."""

    def add_transfer(self, number: int, at: datetime, **more: Any) -> None:  # noqa: ANN401
        """Record a transfer."""
        item = {
            "id": {"mTransferStatusId": f"t{number}", "urlrepresentation": f"dDE{number}"},
            "account": "partner001",
            "filename": f"/in/{number}.dat",
            "incoming": True,
            "protocol": "SSH",
            "status": "Processed",
            "startTime": format_datetime(at),
        }
        self.transfers.append({**item, **more})

    def add_audit(self, number: int, at: datetime, **more: Any) -> None:  # noqa: ANN401
        """Record a change of the configuration."""
        item = {
            "id": f"a{number}",
            "dateModified": format_datetime(at),
            "operationType": "UPDATE",
            "objectType": "Account",
            "objectName": "partner001",
            "userName": "admin",
        }
        self.audit.append({**item, **more})

    def listed_transfers(self, request: web.Request) -> list[dict[str, Any]]:
        """Return the transfers that a request asks for; unsorted unless it asks for a sequence."""
        asked = self._asked(request)
        account, status = asked.get("account", "*").lower(), asked.get("status")
        since = _date(asked.get("startTimeAfter"))
        found = [
            item
            for item in self.transfers
            if fnmatchcase(str(item["account"]).lower(), account)
            and status in (None, item["status"])
            and (since is None or parsedate_to_datetime(item["startTime"]) > since)
        ]
        if "sortByStartTime" in asked:
            backwards = asked["sortByStartTime"] != "ascending"
            found.sort(key=lambda item: parsedate_to_datetime(item["startTime"]), reverse=backwards)
        return found

    def listed_audit(self, request: web.Request) -> list[dict[str, Any]]:
        """Return the audit entries that a request asks for, the newest first."""
        asked = self._asked(request)
        since, until = _date(asked.get("fromDate")), _date(asked.get("endDate"))
        found = [
            item
            for item in self.audit
            if (since is None or parsedate_to_datetime(item["dateModified"]) >= since)
            and (until is None or parsedate_to_datetime(item["dateModified"]) <= until)
        ]
        return sorted(found, key=lambda i: parsedate_to_datetime(i["dateModified"]), reverse=True)

    def _asked(self, request: web.Request) -> dict[str, str]:
        return {name: value for name, value in request.query.items() if name not in self.ignored}


def _date(text: str | None) -> datetime | None:
    """Read an RFC 2822 date; any other is a bad request."""
    if text is None:
        return None
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        raise web.HTTPBadRequest(text="{}") from None
