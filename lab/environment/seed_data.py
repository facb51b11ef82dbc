"""The rows of the replicated tables: what the operators of both clusters configured."""

from collections.abc import Mapping
from datetime import UTC, datetime

from lab.layout import PROBE_ACCOUNT, account

ACCOUNTS = 200
"""How many invented partners there are."""

Row = tuple[object, ...]

_PARTNERS = tuple(account(number) for number in range(1, ACCOUNTS + 1))
_UPDATED, _EXPIRES = (datetime(year, 1, 1, tzinfo=UTC) for year in (2020, 2040))

CONFIGURED: Mapping[str, tuple[Row, ...]] = {
    "account": tuple((name, "invented", _UPDATED) for name in (*_PARTNERS, PROBE_ACCOUNT)),
    "subscription": tuple((name, "inbox", "Routing") for name in _PARTNERS),
    "scheduled_task": (("task1", 1),),
    "business_unit": (
        ("Finance", "/data/finance"),
        ("Logistics", "/data/logistics"),
        ("Retail", "/data/retail"),
    ),
    "site": tuple(
        (name, title, protocol, f"{protocol}.{name}.example.com")
        for name in _PARTNERS[:4]
        for title, protocol in (("SFTP", "ssh"), ("AS2", "as2"))
    ),
    "route": (
        (1, "Archive", "TEMPLATE", "always", None),
        (2, "Incoming", "COMPOSITE", "*.edi", account(1)),
        (3, "Incoming", "COMPOSITE", "*.xml", account(2)),
        (4, "Virus scan", "SIMPLE", "always", None),
        (5, "Virus scan", "SIMPLE", "*.exe", None),
    ),
    "application": (
        ("Housekeeping", "AccountTransferRetention"),
        ("Routing", "AdvancedRouting"),
        ("Shared folders", "SharedFolder"),
    ),
    "certificate": tuple(
        (alias, f"CN={alias}, O=Example", usage, _EXPIRES)
        for alias, usage in (
            ("admind", "local"),
            ("as2-signing", "local"),
            ("httpd", "local"),
            ("partner-ca", "trusted"),
            ("sshd", "local"),
        )
    ),
}
"""By table; the same on both sides, as replication keeps them. Later columns have their default."""
