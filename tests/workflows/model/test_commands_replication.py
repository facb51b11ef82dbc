"""What an estate may say of a site's own command for replication."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from tests.support import estates
from workflows import activity_options
from workflows.model import actions
from workflows.model.estate import Estate, Timing
from workflows.model.objections import objections_in
from workflows.model.replications.commands import CommandsReplication

MACHINE = {"name": "repl1", "address": "192.0.2.4"}
MACHINE |= {"ssh": {"user": "st", "key": "env:ST_KEY", "known_hosts": "/known"}}  # type: ignore[dict-item]


def replication(link: dict[str, object] | None = None, **changes: object) -> dict[str, Any]:
    """Return the key of the estate, as an operator would write it; *link* changes the first."""
    links: list[dict[str, object]] = [
        {
            "name": f"cluster{a}-to-cluster{b}",
            "source": f"cluster{a}",
            "target": f"cluster{b}",
            "host": "repl1",
            "command": ["/opt/repl", f"{a}{b}"],
        }
        for a, b in ((1, 2), (2, 1))
    ]
    links[0] |= link or {}
    return {"driver": "commands", "hosts": [MACHINE], "links": links, **changes}


def estate(**changes: object) -> Estate:
    """Return an estate with such a replication."""
    return Estate.model_validate(estates.written() | {"replication": replication(**changes)})  # type: ignore[arg-type]


def test_what_is_left_out_has_its_default() -> None:
    """And an attempt has time for every answer before a change."""
    described = estate().replication
    assert isinstance(described, CommandsReplication)
    assert described.links[0].change_timeout == timedelta(minutes=2)
    assert described.attempt_limit == timedelta(seconds=120)
    suspend = actions.SuspendReplication(link="cluster1-to-cluster2")
    options = activity_options.for_action(suspend, Timing(), described.attempt_limit)
    assert options["start_to_close_timeout"] == timedelta(seconds=120)
    quick = estate(reading_timeout=1).replication
    assert quick.attempt_limit == timedelta(seconds=15)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"link": {"host": "other"}}, "the host other of cluster1-to-cluster2 is not in hosts"),
        ({"hosts": [MACHINE, MACHINE]}, "hosts: repl1 is given twice"),
        ({"hosts": []}, "replication.hosts: "),
        ({"link": {"command": []}}, "replication.links.0.command: give at least 1"),
        ({"link": {"lag_limit": -1}}, "replication.links.0.lag_limit: "),
        ({"link": {"change_timeout": 601}}, "write a duration from 1 s to 10 minutes"),
        ({"link": {"change_timeout": 1.5}}, "write whole seconds"),
        ({"reading_timeout": 61}, "write a duration from 1 s to "),
        ({"reading_timeout": 2.5}, "write whole seconds"),
        ({"link": {"publication": "p"}}, "replication.links.0.publication: there is no such key"),
        ({"lag_limit": 3}, "replication.lag_limit: there is no such key"),
    ],
)
def test_a_mistake_is_refused_by_its_key(changes: dict[str, Any], message: str) -> None:
    """Before any machine is asked."""
    with pytest.raises(ValidationError) as refused:
        estate(**changes)
    assert message in objections_in(refused.value)
