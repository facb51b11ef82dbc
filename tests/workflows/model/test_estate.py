"""A wrong estate is refused by the key that is wrong, and never repeats a secret."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.support import estates
from workflows.model.estate import Estate
from workflows.model.objections import objections_in


def refusal(given: Any) -> str:  # noqa: ANN401 - whatever an operator wrote
    """Return the message with which an estate is refused."""
    with pytest.raises(ValidationError) as refused:
        Estate.model_validate(given)
    return objections_in(refused.value)


def changed(path: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever an operator wrote
    """Return a written estate with the value at a dotted path replaced."""
    given = estates.written()
    *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
    place: Any = given
    for part in parents:
        place = place[part]
    place[last] = value
    return given


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("clusters.0.nodes", [], "clusters.0.nodes"),
        ("clusters.0.nodes.0.kind", "router", "clusters.0.nodes.0.kind"),
        ("clusters.0.nodes.1.name", "cluster1-server1", "cluster1-server1 is given twice"),
        ("clusters.1.nodes.0.address", "203.0.113.1", "clusters share no node"),
        (
            "clusters.0.storage",
            "S:\\ST",
            "storage S:\\ST is no path on cluster1-server1, whose system",
        ),
        ("clusters.0.task_queue", "dmz frankfurt", "clusters.0.task_queue: write the name of a"),
        ("clusters.0.task_queue", "", "clusters.0.task_queue: write the name of a task queue"),
        ("clusters.1.task_queue", "switchover", "clusters.1.task_queue: switchover is the main"),
        ("clusters.0.colour", "red", "clusters.0.colour: there is no such key here"),
        ("defaults.admin.password", "hunter2", "clusters.0.nodes.0.admin.password: a secret in"),
        ("defaults.host_key", None, "host keys are always verified"),
        ("load_balancer.names", {"edge1": {"cluster1": "192.0.2.1"}}, "needs one address for each"),
        ("load_balancer.probes.1.protocol", "ssh", "http needs"),
        ("replication.links.0.target", "cluster1", "must lead from one cluster to the other"),
        ("timing", {"transaction_manager_grace": 20}, "timing.transaction_manager_grace"),
        ("clusters.0.nodes.0.name", "Not A Name", "clusters.0.nodes.0.name"),
        ("defaults", ["x"], "defaults: expected the keys of a node"),
    ],
)
def test_a_wrong_estate_names_its_key(path: str, value: Any, words: str) -> None:  # noqa: ANN401
    """One clear sentence for each mistake."""
    if path.endswith("probes.1.protocol"):
        given = changed("load_balancer.probes", estates.written()["load_balancer"]["probes"][:1])
        words = "has none for http"
    else:
        given = changed(path, value)
    assert words in refusal(given)


JUMP = {"address": "192.0.2.7", "user": "jump", "key": "env:KEY", "host_key": estates.HOST_KEY}


@pytest.mark.parametrize(
    ("jump", "words"),
    [
        ([{**JUMP, "host_key": None}], "jump host 192.0.2.7:22: neither host_key nor known_hosts"),
        ([JUMP, {**JUMP, "user": "other"}], "jump: 192.0.2.7:22 is given twice"),
        ([{**JUMP, "port": port} for port in range(1, 6)], "ssh.jump"),
        ([{**JUMP, "address": "203.0.113.1"}], "ssh.jump names 203.0.113.1:22, which is the mach"),
        ([{**JUMP, "key": "-----BEGIN"}], "ssh.jump.0.key: a secret in clear does not belong here"),
        ([{**JUMP, "jump": []}], "ssh.jump.0.jump: there is no such key here"),
        ("bastion.example.com", "ssh.jump"),
    ],
)
def test_a_wrong_jump_host_is_named(jump: object, words: str) -> None:
    """Each mistake in one sentence, with the key or the address."""
    ssh = {"user": "st", "key": "file:/keys/operator", "jump": jump}
    assert words in refusal(changed("defaults.ssh", ssh))


def test_one_jump_host_needs_no_list_and_a_node_may_do_without() -> None:
    """Defaults give it to all nodes, ``jump: []`` takes it from one."""
    given = changed("defaults.ssh", {"user": "st", "key": "env:KEY", "jump": JUMP})
    given["clusters"][0]["nodes"][0]["ssh"] = {"jump": []}
    first, *others = Estate.model_validate(given).nodes
    assert first.ssh.jump == ()
    assert others
    assert {node.ssh.jump[0].place for node in others} == {"192.0.2.7:22"}


def test_the_same_address_behind_two_jump_hosts_is_two_machines() -> None:
    """Two sites may number their machines alike."""
    given = changed("clusters.1.nodes.0.address", "203.0.113.1")
    given["clusters"][1]["nodes"][0]["ssh"] = {"jump": JUMP}
    assert Estate.model_validate(given).nodes


@pytest.mark.parametrize(
    ("number", "changes", "words"),
    [
        (0, {"password": None}, "a probe over ssh needs key, or password, or both"),
        (0, {"passphrase": "env:PASS"}, "passphrase is that of its key; write key, too"),
        (1, {"password": None}, "a probe over http needs password"),
        (1, {"key": "env:KEY"}, "a probe over http logs in by password"),
        (0, {"key": "-----BEGIN"}, "a secret in clear does not belong here"),
        (0, {"password": None, "key": "env:KEY", "passphrase": "file:/run/pass"}, None),
    ],
)
def test_a_probe_has_what_it_logs_in_with(
    number: int, changes: dict[str, object], words: str | None
) -> None:
    """By key or by password over ssh, by password over http."""
    probes = estates.written()["load_balancer"]["probes"]
    probes[number] |= changes
    given = changed("load_balancer.probes", probes)
    if words is None:
        assert Estate.model_validate(given).load_balancer.probes[number].password is None
    else:
        assert words in refusal(given)


def test_a_secret_in_clear_is_not_repeated() -> None:
    """The refusal names the key and keeps the value to itself."""
    given = changed("defaults.admin.password", "hunter2")
    with pytest.raises(ValidationError) as refused:
        Estate.model_validate(given)
    assert "hunter2" not in objections_in(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_cluster_needs_a_server() -> None:
    """Without a Transaction Manager nothing can be transferred."""
    given = estates.written()
    for node in given["clusters"][0]["nodes"]:
        node["kind"] = "edge"
    assert "cluster1 has no node of kind server" in refusal(given)


def test_defaults_lie_under_every_node() -> None:
    """A node says only what is different about it."""
    given = changed("clusters.0.nodes.0.ssh", {"port": 2222})
    node = Estate.model_validate(given).node("cluster1-server1")
    assert (node.ssh.port, node.ssh.user) == (2222, "st")
    assert Estate.model_validate(given).node("cluster1-server2").ssh.port == 22


def test_an_estate_survives_its_journey() -> None:
    """The snapshot in the plan is the estate that was read."""
    estate = estates.estate()
    assert Estate.model_validate_json(estate.model_dump_json()) == estate


def test_an_estate_without_own_task_queues_is_written_as_before() -> None:
    """So seals and plan hashes of earlier versions stay true."""
    assert "task_queue" not in estates.estate().model_dump_json()
    near = Estate.model_validate(changed("clusters.0.task_queue", "near"))
    assert Estate.model_validate_json(near.model_dump_json()) == near
    assert [near.task_queue_of(f"cluster{n}-edge1") for n in (1, 2)] == ["near", None]


def test_a_task_queue_of_both_clusters_is_one() -> None:
    """One worker may be near both."""
    given = changed("clusters.0.task_queue", "near")
    given["clusters"][1]["task_queue"] = "near"
    assert Estate.model_validate(given).task_queues == ("near",)


def test_an_estate_without_jump_hosts_is_written_as_before() -> None:
    """Or the seals of a run that is open during an upgrade would no longer hold."""
    written = estates.estate().model_dump_json()
    assert "jump" not in written
    assert "certificate" not in written
    assert "run_as" not in written
    assert "agent" not in written
    assert "public_key" not in written
    assert "via" not in Estate.model_validate_json(written).clusters[0].database.model_dump()


def test_a_database_may_be_behind_jump_hosts() -> None:
    """Written as those of a machine, and checked as they are."""
    estate = Estate.model_validate(changed("clusters.0.database.via", JUMP))
    assert estate.clusters[0].database.via[0].place == "192.0.2.7:22"
    assert "via: 192.0.2.7:22 is given twice" in refusal(
        changed("clusters.0.database.via", [JUMP, JUMP])
    )


AGENT = {"user": "st", "agent": "env:AGENT", "public_key": estates.HOST_KEY}


@pytest.mark.parametrize(
    ("ssh", "words"),
    [
        ({"user": "st"}, "give either key or agent"),
        ({**AGENT, "key": "env:KEY"}, "give either key or agent"),
        ({**AGENT, "public_key": None}, "agent and public_key go together"),
        ({"user": "st", "key": "env:KEY", "public_key": estates.HOST_KEY}, "go together"),
        ({**AGENT, "passphrase": "env:PASS"}, "leave passphrase out"),
        ({**AGENT, "agent": "/run/agent.sock"}, "ssh.agent: a secret in clear does not belong"),
        ({**AGENT, "public_key": "mine"}, "ssh.public_key"),
    ],
)
def test_a_login_has_one_key_or_one_of_an_agent_s(ssh: object, words: str) -> None:
    """Not both, and not any of the agent's."""
    assert words in refusal(changed("defaults.ssh", ssh))


def test_a_login_with_an_agent_is_written_with_it() -> None:
    """And without a key; a node of its own kind does without what the defaults give."""
    given = changed("defaults.ssh", AGENT)
    one = {"key": "env:KEY", "agent": None, "public_key": None}
    given["clusters"][0]["nodes"][0]["ssh"] = one
    first, second, *_ = Estate.model_validate(given).nodes
    assert "agent" not in first.ssh.model_dump()
    assert (second.ssh.agent, "key" in second.ssh.model_dump()) == ("env:AGENT", False)


@pytest.mark.parametrize("account", ["#0", "-u", "st st", "st;id", "st'", "", "ALL=(x)", 0])
def test_an_account_that_sudo_or_a_shell_would_read_otherwise_is_refused(account: object) -> None:
    """It stands in a command line."""
    ssh = {"user": "switchover", "key": "env:KEY", "run_as": account}
    assert "ssh.run_as" in refusal(changed("defaults.ssh", ssh))


def test_who_logs_in_needs_no_sudo_to_himself() -> None:
    """A rule for it would be needed all the same."""
    ssh = {"user": "st", "key": "env:KEY", "run_as": "st"}
    assert "run_as: st is the account that logs in" in refusal(changed("defaults.ssh", ssh))


def test_a_node_may_do_without_the_sudo_of_the_defaults() -> None:
    """``run_as: null`` takes it from one."""
    given = changed("defaults.ssh", {"user": "switchover", "key": "env:KEY", "run_as": "st"})
    given["clusters"][0]["nodes"][0]["ssh"] = {"user": "st", "run_as": None}
    first, *others = Estate.model_validate(given).nodes
    assert (first.ssh.run_as, first.ssh.account) == (None, "st")
    assert {node.ssh.account for node in others} == {"st"}
    assert {node.ssh.run_as for node in others} == {"st"}
