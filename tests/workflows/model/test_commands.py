"""What an estate may say of a site's own command."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.support import estates
from workflows.model.objections import objections_in

MACHINE = {"name": "lb1", "address": "192.0.2.4"}
MACHINE |= {"ssh": {"user": "st", "key": "env:ST_KEY", "known_hosts": "/known"}}  # type: ignore[dict-item]


def load_balancer(**changes: object) -> dict[str, Any]:
    """Return the key of the estate, as an operator would write it; *changes* are the host's."""
    host = {**MACHINE, "command": ["/opt/lb", "--pool"], "items": ["pool sftp"], **changes}
    probes = estates.written()["load_balancer"]["probes"]
    return {"driver": "commands", "hosts": [host], "probes": probes}


def test_a_command_is_words_and_its_items() -> None:
    """Each machine is a place; what is left out has its default."""
    balancer: Any = estates.estate(load_balancer=load_balancer()).load_balancer
    assert balancer.places == ("lb1",)
    assert balancer.host("lb1").redirect_timeout.total_seconds() == 60


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"items": ["a", "b", "a"]}, "load_balancer.hosts.lb1.items names a twice"),
        ({"items": []}, "load_balancer.hosts.0.items: "),
        ({"items": ["pool\n"]}, "load_balancer.hosts.0.items.0: write characters that can be seen"),
        ({"command": []}, "load_balancer.hosts.0.command: give at least 1"),
        ({"command": "lb --now"}, "load_balancer.hosts.0.command: "),
        ({"command": ["lb", "a\x1bb"]}, "load_balancer.hosts.0.command.1: write characters"),
        ({"redirect_timeout": 0}, "redirect_timeout: write a duration from 1 s to 2 minutes"),
        ({"redirect_timeout": 121}, "redirect_timeout: write a duration from 1 s to 2 minutes"),
        ({"redirect_timeout": 1.5}, "redirect_timeout: write whole seconds"),
        ({"reload": ["true"]}, "load_balancer.hosts.0.reload: there is no such key"),
        ({"ssh": None}, "load_balancer.hosts.0.ssh: "),
    ],
)
def test_a_mistake_is_refused_by_its_key(changes: dict[str, object], message: str) -> None:
    """Before any machine is asked."""
    with pytest.raises(ValidationError) as refused:
        estates.estate(load_balancer=load_balancer(**changes))
    assert message in objections_in(refused.value)
