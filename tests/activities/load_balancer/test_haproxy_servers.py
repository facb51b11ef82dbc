"""What a reload makes of HAProxy's servers is read from its configuration; pure."""

from collections.abc import Callable
from typing import Any

import pytest

from activities.load_balancer.edited_file import Rights
from activities.load_balancer.haproxy_runtime import Runtime, RuntimeReading, Unusable, reading
from activities.load_balancer.haproxy_server_findings import Site
from activities.load_balancer.haproxy_servers import Configuration
from workflows.errors import OutcomeUnknown
from workflows.model.findings import Finding
from workflows.model.load_balancers.haproxy import HaproxyHost

OWN = {
    "sftp/edge1": {"one": "10.1.0.1:22", "two": "10.2.0.1:22"},
    "https/edge1": {"one": "10.1.0.1:443", "two": "[2001:db8::1]:8443"},
}
TEXT = """\
# Managed by nobody
global
    server-state-file /var/state/haproxy
    server-state-base /ignored
defaults
    mode tcp
    default-server inter 2s
frontend f
    bind :22
    default_backend sftp
backend sftp
\tserver  edge1   10.1.0.1:22 check # Büro 10.1.0.1:22
    server spare 10.1.0.2:22 backup
listen https
    bind :443
    server edge1 ipv4@10.1.0.1:443
"""
STATE = """\
1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state \
srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl \
srv_check_port srv_check_addr srv_agent_addr srv_agent_port
3 sftp 1 edge1 10.1.0.1 2 0 1 1 0 1 0 2 6 0 0 0 - 22 - 0 0 - - 0
3 sftp 2 spare 10.1.0.2 2 0 1 1 0 1 0 2 0 0 0 0 - 22 - 0 0 - - 0
4 https 1 edge1 10.1.0.1 2 0 1 1 0 1 0 2 0 0 0 0 - 443 - 0 0 - - 0

"""
"""As HAProxy 2.6 and 2.8 print it."""
HOST = HaproxyHost.model_validate(
    {
        "name": "lb1",
        "address": "192.0.2.1",
        "ssh": {"user": "lb", "key": "env:KEY", "known_hosts": "/etc/ssh/known"},
        "state_file": "/var/state/haproxy",
    }
)


def configuration(text: str = TEXT) -> Configuration:
    """Read a configuration."""
    return Configuration(text.encode(), OWN)


def edited(text: str, cluster: str) -> str:
    """Make the edits that lead to a cluster."""
    content = text.encode()
    for one in sorted(configuration(text).edits(cluster), key=lambda edit: -edit.start):
        after = content[one.start + one.length :]
        content = content[: one.start] + one.address.encode() + after
    return content.decode()


def test_only_the_addresses_of_our_servers_change() -> None:
    """Whatever else is in the file stays, and an edit there and back is without loss."""
    there = edited(TEXT, "two")
    assert there == TEXT.replace("edge1   10.1.0.1:22", "edge1   10.2.0.1:22").replace(
        "ipv4@10.1.0.1:443", "[2001:db8::1]:8443"
    )
    assert edited(there, "one") == TEXT.replace("ipv4@", "")
    assert not configuration().edits("one")
    assert list(configuration().objections) == []


@pytest.mark.parametrize(
    ("before", "after", "objection"),
    [
        ("10.1.0.1:22 check", "10.9.9.9:22 check", "has an address that it has on no cluster"),
        ("10.1.0.1:22 check", "10.1.0.1 check", "has an address that it has on no cluster"),
        ("10.1.0.1:22 check", "/run/socket check", "has an address that it has on no cluster"),
        ("10.1.0.1:22 check", "${EDGE1}:22 check", "has not exactly one line"),
        ("10.1.0.1:22 check", "'10.1.0.1:22' check", "has not exactly one line"),
        ("edge1   10", "edge2   10", "has not exactly one line"),
        ("spare 10.1.0.2", "edge1 10.1.0.2", "has not exactly one line"),
        ("server  edge1  ", "server-template edge 1-3", "gives all of them one address"),
    ],
)
def test_a_line_that_cannot_be_changed_is_named(before: str, after: str, objection: str) -> None:
    """A redirect would leave it as it is, and a reload bring the old address back."""
    [found] = configuration(TEXT.replace(before, after)).objections
    assert objection in found
    assert "edge1" in found


NAMED = TEXT.replace("10.1.0.1:22 check", "edge1.dmz:22 check")
LOADED = NAMED.replace("mode tcp", "mode tcp\n    load-server-state-from-file global")


@pytest.mark.parametrize(
    ("text", "undone"),
    [
        (TEXT, []),
        (NAMED, ["sftp/edge1: edge1.dmz:22 is resolved anew"]),
        (LOADED, []),
        (
            LOADED.replace("-file global", "-file none"),
            ["sftp/edge1: edge1.dmz:22 is resolved anew"],
        ),
        (LOADED.replace("check #", "init-addr last,libc check #"), []),
        (
            LOADED.replace("check #", "init-addr libc check #"),
            ["sftp/edge1: init-addr libc comes before the server state file"],
        ),
        (LOADED.replace("/var/state/haproxy", "/other"), ["takes its address from /other"]),
        (LOADED.replace("/var/state/haproxy", "haproxy"), ["takes its address from /ignored/hap"]),
        (LOADED.replace("/ignored", "/var/state").replace("/var/state/haproxy", "./haproxy"), []),
        (LOADED.replace("-file global", "-file local"), ["a state file of backend sftp alone"]),
        (
            LOADED.replace("/var/state/haproxy", "/other").replace("edge1.dmz:22", "10.1.0.1:22"),
            ["https/edge1 takes its port from /other"],
        ),
    ],
)
def test_what_a_reload_would_not_keep_is_named(text: str, undone: list[str]) -> None:
    """A name is resolved anew, and a state file that is not written has the old address."""
    found = list(configuration(text).undone("/var/state/haproxy"))
    assert all(any(part in one for one in found) for part in undone)
    assert bool(found) is bool(undone)


def test_what_keeps_an_address_from_lasting_while_haproxy_runs_is_named() -> None:
    """Name servers, also of a template, and by the defaults of a section."""
    text = TEXT.replace("10.1.0.1:22 check", "edge1.dmz:22 resolvers dns check")
    [found] = configuration(text).resolved
    assert found == "backend sftp: server edge1 edge1.dmz:22 asks the name servers of resolvers dns"
    template = "server-template edge 1-3 dmz:22 resolvers x"
    [found] = configuration(TEXT.replace("server  edge1   10.1.0.1:22", template)).resolved
    assert "server-template edge 1-3" in found


def read(state: str = STATE, level: str = "admin") -> Runtime | Unusable:
    """Read what the script prints on a host."""
    return reading(f"writable\nasked\n{level}\n\n{state}", "", "/run/s", "lb").runtime


def findings(
    text: str = TEXT, state: str = STATE, level: str = "admin", *, writable: bool = True
) -> dict[str, Finding]:
    """Return what is found, by name."""
    parsed, site = configuration(text), Site(HOST, OWN, ())
    given = RuntimeReading(writable, read(state, level))
    found = [*site.of_reading(given, parsed), *site.of_configuration(text.encode(), parsed)]
    assert all(one.place == "lb1" and one.expected and one.advice for one in found)
    return {one.name: one for one in found}


def test_a_site_without_fault_has_no_finding() -> None:
    """The backup server of a backend gets no client."""
    assert findings() == {}


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "haproxy_state_file_not_writable": ({"writable": False}, "/var/state/haproxy"),
    "haproxy_socket_read_only": ({"level": "operator"}, "has the level operator"),
    "haproxy_socket_unusable": ({"state": STATE[:-1]}, "gave no whole answer"),
    "haproxy_server_missing": ({"state": STATE.replace("3 sftp 1 edge1", "3 sftp 1 e")}, "sftp/ed"),
    "haproxy_server_not_in_estate": (
        {"text": TEXT.replace(" backup", "")},
        "sftp/spare at 10.1.0.2:22",
    ),
    "haproxy_addresses_resolved": (
        {"state": STATE.replace("- 22 -", "e.dmz 22 _sftp._tcp.dmz", 1)},
        "sftp/edge1 has a record for services",
    ),
    "haproxy_configuration_not_changeable": (
        {"text": TEXT.replace("10.1.0.1:22 c", "10.9.9.9:22 c")},
        "on no cluster",
    ),
    "haproxy_configuration_managed": ({"text": f"{TEXT}# by Ansible\n"}, "names ansible"),
    "haproxy_configuration_differs": (
        {"text": TEXT.replace("10.1.0.1:22 c", "10.2.0.1:22 c")},
        "sftp/edge1 is at 10.1.0.1:22, and the configuration says 10.2.0.1:22",
    ),
    "haproxy_reload_undoes": ({"text": NAMED}, "edge1.dmz:22 is resolved anew"),
    "haproxy_health_elsewhere": (
        {"state": STATE.replace("- 22 - 0 0 - -", "- 22 - 0 0 10.1.0.9 -", 1)},
        "sftp/edge1 at 10.1.0.9",
    ),
    "haproxy_sessions_cut": (
        {"text": TEXT.replace("check #", "on-marked-down shutdown-sessions #")},
        "sftp/edge1 has on-marked-down",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_keeps_a_redirect_from_working_or_lasting_is_found(name: str) -> None:
    """One thing wrong is one finding, which names it; two say so of an address that is no one's."""
    given, shown = CASES[name]
    found = findings(**given)
    beside = {"haproxy_configuration_differs"} if "9.9.9" in str(given) else set()
    assert found.keys() - beside - _unlisted(name) == {name}
    assert shown in found[name].seen


def _unlisted(name: str) -> set[str]:
    """A server that has another name than the estate's is one that it does not list."""
    return {"haproxy_server_not_in_estate"} if name == "haproxy_server_missing" else set()


def test_the_health_of_another_server_is_found() -> None:
    """A server that only tracks is down when the other one is."""
    text = TEXT.replace("check #", "track spare #")
    assert (
        findings(text)["haproxy_health_elsewhere"].seen == "sftp/edge1 has the health of sftp/spare"
    )
    assert not findings(TEXT.replace("check #", "track https/edge1 #"))


@pytest.mark.parametrize(
    ("editable", "writable", "name"),
    [
        (False, True, "haproxy_configuration_not_changeable"),
        (True, False, "haproxy_configuration_not_writable"),
    ],
)
def test_a_right_that_is_missing_is_found(name: str, *, editable: bool, writable: bool) -> None:
    """Whether the edit cannot be made, or not be written."""
    [found] = Site(HOST, OWN, ()).of_rights(Rights(editable, writable, runnable=True))
    assert found.name == name


Spoil = Callable[[str], str]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("1\n#", "2\n#", 1),
        lambda text: text.replace(" 22 ", " x ", 1),
        lambda text: text.replace("srv_port", "port"),
        lambda text: text.replace(" - 0 0 - - 0\n", "\n", 1),
        lambda _: "Permission denied\n\n",
        lambda _: "",
        lambda text: text.rstrip("\n"),
    ],
)
def test_an_answer_that_is_not_whole_is_never_guessed(spoil: Spoil) -> None:
    """Neither a part, nor another format, nor a refusal is a state."""
    assert isinstance(read(spoil(STATE)), Unusable)


@pytest.mark.parametrize("word", ["missing", "forbidden", "helpless"])
def test_why_nothing_was_asked_is_said(word: str) -> None:
    """With what to do about it."""
    found = reading(f"writable\n{word}\n", "", "/run/s", "lb").runtime
    assert isinstance(found, Unusable)
    assert found.advice
    assert ("/run/s" in found.seen) is (word != "helpless")


def test_what_the_script_did_not_print_is_unknown() -> None:
    """Such as the words of a shell that ran something else."""
    with pytest.raises(OutcomeUnknown, match="the script printed"):
        reading("welcome\n", "", "/run/s", "lb")


def test_maintenance_and_other_backends_share_no_clients() -> None:
    """Only a server that gets clients is one that the estate lacks."""
    row = "3 sftp 3 off 10.1.0.3 0 5 1 1 0 1 0 2 0 0 0 0 - 22 - 0 0 - - 0\n\n"
    far = "5 web 1 far 10.7.0.3 2 0 1 1 0 1 0 2 0 0 0 0 - 22 - 0 0 - - 0\n\n"
    ours = far.replace("10.7.0.3", "10.1.0.1")
    assert not findings(state=STATE[:-1] + row)
    assert not findings(state=STATE[:-1] + far)
    assert "web/far" in findings(state=STATE[:-1] + ours)["haproxy_server_not_in_estate"].seen


def test_an_address_is_written_as_haproxy_writes_it() -> None:
    """So that the two can be compared."""
    runtime = read(STATE.replace("10.1.0.1 ", "2001:db8::1 "))
    assert isinstance(runtime, Runtime)
    assert runtime.servers["sftp/edge1"].endpoint == "[2001:db8::1]:22"
