"""Under which headings people find the checks; in the order of the one list of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from workflows.model.checks import CHECKS, Check

HEADINGS = {
    "no_reading": "How places are reached",
    "ssh_user_not_owner": "The machine",
    "version_differs": "Both sides are the same",
    "service_unreadable": "What runs",
    "database_unreachable": "Replication and databases",
    "storage_differs": "Files",
    "load_balancer_unreachable": "Traffic",
    "switchover_running": "Temporal",
    "half_switched": "A switchover that was interrupted",
}
"""For each heading: the check that comes first under it."""


def areas(checks: Sequence[Check] = CHECKS) -> Iterator[tuple[str, tuple[Check, ...]]]:
    """Yield each heading with the checks under it."""
    heading, some = "", list[Check]()
    for check in checks:
        if check.name in HEADINGS and some:
            yield heading, tuple(some)
            some = []
        heading = HEADINGS.get(check.name, heading)
        some.append(check)
    yield heading, tuple(some)
