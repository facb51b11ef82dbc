"""The examples of docs/examples do what docs/drivers.md asks of a site's own command."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities.load_balancer import commands_driver
from activities.load_balancer.commands_driver import CommandsDriver
from activities.load_balancer.driver import PlaceState
from activities.transport.ssh import Shell
from tests.activities.load_balancer.conftest import Inputs
from tests.support.admin_api import Certificate
from tests.support.bigip import BigIp
from tests.support.ssh_machines import Attempt
from workflows.errors import CommandFailed, NotReady, OutcomeUnknown
from workflows.model.actions import ObserveTraffic, Redirect
from workflows.model.estate import Cluster
from workflows.model.load_balancers.commands import CommandsLoadBalancer
from workflows.model.results import Report

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "docs/examples"
STAND_IN = ROOT / "tests/support/stand_in_ipvsadm.py"
TO_TWO = Redirect(host="lb1", to="two", back_to="one")

SFTP, HTTPS = "/Common/vs_sftp", "/Common/vs_https"
POOLS = {
    SFTP: {"one": "/Common/sftp_one", "two": "/Common/sftp_two"},
    HTTPS: {"one": "/Common/https_one", "two": "/Common/https_two"},
}

SERVICES = """\
# the service, as ipvsadm writes it, the cluster, the real server, its weight
sftp  -t 192.0.2.10:22  one 10.1.1.61:22  1
sftp  -t 192.0.2.10:22  one 10.1.1.62:22  2

sftp  -t 192.0.2.10:22  two 10.2.1.61:22  1
sftp  -t 192.0.2.10:22  two 10.2.1.62:22  2
https -t [2001:db8::1]:443 one [2001:db8:1::61]:443 1
https -t [2001:db8::1]:443 two [2001:db8:2::61]:443 1
"""
TABLE = """\
-A -t 192.0.2.10:22 -s wlc
-a -t 192.0.2.10:22 -r 10.1.1.61:22 -m -w 1
-a -t 192.0.2.10:22 -r 10.1.1.62:22 -m -w 2
-a -t 192.0.2.10:22 -r 10.2.1.61:22 -i -w 0
-a -t 192.0.2.10:22 -r 10.2.1.62:22 -i -w 0
-A -t [2001:db8::1]:443 -s rr
-a -t [2001:db8::1]:443 -r [2001:db8:1::61]:443 -g -w 1
-a -t [2001:db8::1]:443 -r [2001:db8:2::61]:443 -g -w 0
-A -t 192.0.2.99:80 -s rr
-a -t 192.0.2.99:80 -r 10.1.1.61:80 -m -w 1
"""


class Site:
    """A machine whose command is an example."""

    def __init__(
        self, shell: Shell, balancer: CommandsLoadBalancer, clusters: tuple[Cluster, ...]
    ) -> None:
        self._shell, self._balancer, self._clusters = shell, balancer, clusters

    def runs(self, *command: str, items: tuple[str, ...]) -> None:
        """Name the command in the estate."""
        [host] = self._balancer.hosts
        changed = host.model_copy(update={"command": command, "items": items})
        self._balancer = self._balancer.model_copy(update={"hosts": (changed,)})

    async def observe(self) -> PlaceState:
        """Observe it."""
        given = Inputs(self._balancer, self._clusters).of(ObserveTraffic(host="lb1"))
        return await CommandsDriver(self._shell, self._balancer).observe(given)

    async def redirect(self, action: Redirect, identity: str = "run-1") -> Report:
        """Redirect."""
        given = Inputs(self._balancer, self._clusters).of(action, identity)
        return await Attempt().run(CommandsDriver(self._shell, self._balancer).redirect, given)


@pytest.fixture
def site(
    shell: Shell,
    commands_balancer: CommandsLoadBalancer,
    clusters: tuple[Cluster, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> Site:
    """A machine that is reached over SSH."""
    monkeypatch.setattr(commands_driver, "TAKES_EFFECT_WITHIN", commands_driver.OBSERVE_INTERVAL)
    return Site(shell, commands_balancer, clusters)


@pytest.fixture
async def bigip(certificate: Certificate) -> AsyncIterator[BigIp]:
    """A BIG-IP that sends traffic to the cluster ``one``."""
    virtual = {name: {"fullPath": name, "pool": own["one"]} for name, own in POOLS.items()}
    pools = dict.fromkeys((pool for own in POOLS.values() for pool in own.values()), "available")
    bigip = BigIp(virtual, pools)
    async with bigip.serving(certificate):
        yield bigip


@pytest.fixture
def settings(
    bigip: BigIp, certificate: Certificate, site: Site, tmp_path: Path
) -> dict[str, object]:
    """The example's file; a test may change and write it again."""
    (tmp_path / "password").write_text("invented\n")
    settings: dict[str, object] = {
        "address": f"127.0.0.1:{bigip.port}",
        "ca": str(certificate.file),
        "user": "switchover",
        "password_file": str(tmp_path / "password"),
        "virtual_servers": POOLS,
        "sync_group": "/Common/pair",
    }
    file = tmp_path / "bigip.json"
    file.write_text(json.dumps(settings))
    site.runs(sys.executable, str(EXAMPLES / "f5_bigip.py"), str(file), items=(SFTP, HTTPS))
    return settings


async def test_a_bigip_is_observed_and_redirected(
    site: Site, bigip: BigIp, settings: dict[str, object]
) -> None:
    """There and back: each virtual server gets its other pool, and the pair keeps it."""
    for action, before, after in ((TO_TWO, "one", "two"), (TO_TWO.undo, "two", "one")):
        state = await site.observe()
        assert state.findings == ()
        assert [(one.item, one.seen, one.cluster) for one in state.destinations] == [
            (name, own[before], before) for name, own in POOLS.items()
        ]
        assert bigip.changes == []
        assert (await site.redirect(action)).outcome == "changed"
        assert bigip.changes == [
            *(f"{name} {{'pool': '{own[after]}'}}" for name, own in POOLS.items()),
            "/mgmt/tm/sys/config {'command': 'save'}",
            "/mgmt/tm/cm {'command': 'run', 'utilCmdArgs': 'config-sync to-group /Common/pair'}",
        ]
        bigip.changes.clear()
    assert bigip.tokens == 0


async def test_a_bigip_that_would_not_serve_is_found(
    site: Site, bigip: BigIp, settings: dict[str, object]
) -> None:
    """A pool without members, a standby device, devices out of step: before anything is changed."""
    bigip.failover, bigip.sync = "STANDBY", "Changes Pending"
    bigip.pools["/Common/sftp_two"] = "offline"
    bigip.virtual[HTTPS].pop("pool")
    state = await site.observe()
    assert [one.seen for one in state.findings] == [
        f"127.0.0.1:{bigip.port} is STANDBY",
        "the devices' configuration is Changes Pending",
        "pool /Common/sftp_two is offline",
    ]
    assert {one.name for one in state.findings} == {"site_command_reports"}
    [_, https] = state.destinations
    assert (https.seen, https.cluster) == (None, None)


@pytest.mark.parametrize(
    ("changes", "failures", "seen"),
    [
        ({"password_file": "/dev/null"}, {}, "HTTP Error 401"),
        ({"ca": "/etc/ssl/certs/ca-certificates.crt"}, {}, "CERTIFICATE_VERIFY_FAILED"),
        ({"ca": "/nowhere"}, {}, "No such file"),
        ({"address": "127.0.0.1:1"}, {}, "Connection refused"),
        ({"virtual_servers": {"/Common/none": {}}}, {}, "was not found"),
        ({}, {"POST /mgmt/shared/authn/login": 503}, "ended with 75"),
    ],
)
async def test_a_bigip_that_cannot_be_asked_says_why(  # noqa: PLR0913, PLR0917 - the cases
    changes: dict[str, object],
    failures: dict[str, int],
    seen: str,
    site: Site,
    bigip: BigIp,
    settings: dict[str, object],
    tmp_path: Path,
) -> None:
    """Its certificate is always verified; nothing is known, and nothing is changed."""
    (tmp_path / "bigip.json").write_text(json.dumps({**settings, **changes}))
    bigip.failures = failures
    [finding] = (await site.observe()).findings
    assert finding.name == "site_command_unusable"
    assert seen in finding.seen
    with pytest.raises(OutcomeUnknown):
        await site.redirect(TO_TWO)
    assert bigip.changes == []
    assert "invented" not in finding.seen


async def test_a_bigip_that_refuses_or_does_nothing_is_no_success(
    site: Site, bigip: BigIp, settings: dict[str, object]
) -> None:
    """What is half done is seen, and done by a retry."""
    del bigip.pools["/Common/https_two"]
    with pytest.raises(CommandFailed, match=r"HTTP Error 404.*https_two"):
        await site.redirect(TO_TWO)
    state = await site.observe()
    assert [one.cluster for one in state.destinations] == ["two", "one"]
    [finding] = state.findings
    assert finding.seen == "pool /Common/https_two is unreadable (HTTP Error 404: Not Found)"
    bigip.pools["/Common/https_two"] = "available"
    assert (await site.redirect(TO_TWO, "run-1-again")).outcome == "changed"
    bigip.ignores_changes = True
    with pytest.raises(NotReady, match="ended with 0, but observe shows /Common/vs_sftp: two"):
        await site.redirect(TO_TWO.undo)


@pytest.fixture
def director(site: Site, tmp_path: Path) -> Path:
    """The folder of a director's table, and of the example's file."""
    program = tmp_path / "ipvsadm"
    program.write_text(f"#!{sys.executable}\n{STAND_IN.read_text()}")
    program.chmod(0o755)
    (tmp_path / "table").write_text(TABLE)
    (tmp_path / "services").write_text(SERVICES)
    environment = (f"IPVSADM={program}", f"IPVS_SYSCTL={tmp_path}")
    command = ("env", *environment, str(EXAMPLES / "lvs.sh"), str(tmp_path / "services"))
    site.runs(*command, items=("sftp", "https"))
    return tmp_path


async def test_a_director_is_observed_and_redirected(site: Site, director: Path) -> None:
    """The way to the target is opened first; what else a server has stays, and other services."""
    for action, before in ((TO_TWO, "one"), (TO_TWO.undo, "two")):
        state = await site.observe()
        assert state.findings == ()
        assert [(one.item, one.cluster) for one in state.destinations] == [
            ("sftp", before),
            ("https", before),
        ]
        assert (await site.redirect(action)).outcome == "changed"
    assert (director / "table").read_text() == TABLE
    calls = (director / "calls").read_text().splitlines()
    assert calls[:6] == [
        "-e -t 192.0.2.10:22 -r 10.2.1.61:22 -i -w 1",
        "-e -t 192.0.2.10:22 -r 10.2.1.62:22 -i -w 2",
        "-e -t [2001:db8::1]:443 -r [2001:db8:2::61]:443 -g -w 1",
        "-e -t 192.0.2.10:22 -r 10.1.1.61:22 -m -w 0",
        "-e -t 192.0.2.10:22 -r 10.1.1.62:22 -m -w 0",
        "-e -t [2001:db8::1]:443 -r [2001:db8:1::61]:443 -g -w 0",
    ]
    assert len(calls) == 12


@pytest.mark.parametrize(
    ("change", "sftp"),
    [
        (("10.1.1.62:22 -m -w 2", "10.1.1.62:22 -m -w 0"), ("10.1.1.61:22", None)),
        (("10.2.1.61:22 -i -w 0", "10.2.1.61:22 -i -w 1"), None),
        (("10.2.1.61:22 -i -w 0", "10.9.9.9:22 -i -w 1"), None),
        (("10.2.1.61:22 -i -w 0", "10.9.9.9:22 -i -w 0"), ("10.1.1.61:22, 10.1.1.62:22", "one")),
        (("-A -t 192.0.2.10:22 -s wlc\n", ""), ("10.1.1.61:22, 10.1.1.62:22", "one")),
    ],
)
async def test_a_director_leads_to_a_cluster_only_as_a_whole(
    change: tuple[str, str], sftp: tuple[str, str | None] | None, site: Site, director: Path
) -> None:
    """Neither where a server is missing, nor where another one serves too."""
    (director / "table").write_text(TABLE.replace(*change))
    [one, _] = (await site.observe()).destinations
    assert sftp is None or (one.seen, one.cluster) == sftp
    assert sftp is not None or one.cluster is None


async def test_a_director_that_keeps_clients_is_found(site: Site, director: Path) -> None:
    """A persistent service sends them on to a server without weight, unless the kernel forgets."""
    (director / "table").write_text(TABLE.replace("-s wlc", "-s wlc -p 360"))
    (director / "expire_quiescent_template").write_text("0\n")
    [finding] = (await site.observe()).findings
    assert finding.seen == "service sftp is persistent, and expire_quiescent_template is 0"
    (director / "expire_quiescent_template").write_text("1\n")
    assert (await site.observe()).findings == ()


async def test_a_director_that_cannot_be_read_says_why(site: Site, director: Path) -> None:
    """A table, or a line of the file, that is not understood."""
    (director / "services").write_text(f'{SERVICES}a"b -t 192.0.2.10:22 one 10.1.1.61:22 1\n')
    [finding] = (await site.observe()).findings
    assert "ended with 1: line 9 is not understood" in finding.seen
    (director / "services").write_text(SERVICES)
    (director / "table").unlink()
    [finding] = (await site.observe()).findings
    assert finding.name == "site_command_unusable"


async def test_a_director_without_the_cluster_changes_nothing(site: Site, director: Path) -> None:
    """A file without a line for it is no wish that nobody serves."""
    text = "\n".join(line for line in SERVICES.splitlines() if " two " not in line)
    (director / "services").write_text(f"{text}\n")
    with pytest.raises(CommandFailed, match="the file has no cluster two"):
        await site.redirect(TO_TWO)
    assert (director / "table").read_text() == TABLE
