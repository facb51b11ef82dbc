"""A load balancer's machine may have any POSIX shell, and busybox or few programs."""

# ruff: noqa: ASYNC240 - the files are small, and nothing else runs

from pathlib import Path

import pytest

from activities.load_balancer.commands_driver import CommandsDriver
from activities.load_balancer.dns.driver import DnsDriver
from activities.load_balancer.haproxy_driver import HaproxyDriver
from activities.load_balancer.hosts_file_driver import HostsFileDriver
from activities.nodes.operating_system import Use
from activities.transport.ssh import Shell
from tests.activities.conftest import NodeMaker
from tests.activities.load_balancer.conformance.subjects import HaproxyServers
from tests.activities.load_balancer.conftest import Inputs, dns_balancer
from tests.support.bind import NEEDS_BIND, NameServer
from tests.support.haproxy import Haproxy
from tests.support.site_command import Site
from tests.support.ssh_machines import SECRETS, Attempt, SshServer
from tests.support.unix_machines import MACHINES, UnixMachine, listed
from workflows.model.actions import ObserveTraffic, Redirect
from workflows.model.estate import Cluster, Probe
from workflows.model.load_balancers.commands import CommandsLoadBalancer
from workflows.model.load_balancers.haproxy import HaproxyLoadBalancer
from workflows.model.load_balancers.hosts_file import HostsFileLoadBalancer

OBSERVE = ObserveTraffic(host="lb1")
TO_TWO = Redirect(host="lb1", to="two", back_to="one")
TO_ONE = TO_TWO.undo


@pytest.mark.parametrize("write", ["replace", "in_place"])
@pytest.mark.parametrize("kind", MACHINES)
async def test_a_hosts_file_is_redirected(  # noqa: PLR0913, PLR0917 - fixtures
    hosts_file_balancer: HostsFileLoadBalancer,
    shell: Shell,
    ssh_server: SshServer,
    hosts: Path,
    tmp_path: Path,
    kind: str,
    write: str,
) -> None:
    """There and back, once each; the mode stays, and so does every other line."""
    machine = UnixMachine.of(tmp_path, kind)
    machine.link({"cp": "cp"})  # the test's reload needs it
    ssh_server.sh = machine.login_shell()
    [host] = hosts_file_balancer.hosts
    balancer = hosts_file_balancer.model_copy(
        update={"hosts": (host.model_copy(update={"write": write}),)}
    )
    inputs, driver = Inputs(balancer, ()), HostsFileDriver(shell, balancer)
    hosts.chmod(0o664)
    before, node_file = hosts.read_text(), hosts.stat().st_ino

    state = await driver.observe(inputs.of(OBSERVE))
    assert {one.name for one in state.findings} <= {"hosts_file_managed"}
    for action, address in ((TO_TWO, "10.2.0.1"), (TO_ONE, "10.1.0.1")):
        for _ in range(2):
            report = await Attempt().run(driver.redirect, inputs.of(action, "run-1"))
            assert report.outcome == "changed"
            assert hosts.read_text() == before.replace("10.1.0.1", address)
    assert (tmp_path / "reloads").read_text().count("--now") == 2
    assert hosts.stat().st_mode & 0o777 == 0o664
    assert (hosts.stat().st_ino == node_file) is (write == "in_place")


@pytest.mark.parametrize("kind", MACHINES)
async def test_a_sites_command_redirects(  # noqa: PLR0913, PLR0917 - fixtures
    commands_balancer: CommandsLoadBalancer,
    clusters: tuple[Cluster, ...],
    site_command: Site,
    shell: Shell,
    ssh_server: SshServer,
    tmp_path: Path,
    kind: str,
) -> None:
    """It is asked, run once, and observed."""
    ssh_server.sh = UnixMachine.of(tmp_path, kind).login_shell()
    inputs, driver = Inputs(commands_balancer, clusters), CommandsDriver(shell, commands_balancer)
    assert (await driver.observe(inputs.of(OBSERVE))).findings == ()
    for _ in range(2):
        report = await Attempt().run(driver.redirect, inputs.of(TO_TWO))
        assert report.outcome == "changed"
    assert site_command.leads_to == "two"
    assert len(site_command.redirects) == 1


@pytest.mark.parametrize("kind", ["busybox-busybox", "ksh93-others", "mksh-busybox"])
async def test_a_running_haproxy_is_told(  # noqa: PLR0913, PLR0917 - fixtures
    haproxy_balancer: HaproxyLoadBalancer,
    real_haproxy: Haproxy,
    shell: Shell,
    ssh_server: SshServer,
    tmp_path: Path,
    kind: str,
) -> None:
    """By perl, where busybox's nc cannot; its configuration is edited."""
    haproxy = HaproxyServers(haproxy_balancer, real_haproxy, ssh_server)
    machine = UnixMachine.of(tmp_path, kind)
    machine.link({"perl": "perl"})
    ssh_server.sh = machine.login_shell()
    inputs, driver = Inputs(haproxy_balancer, ()), HaproxyDriver(shell, haproxy_balancer)
    state = await driver.observe(inputs.of(OBSERVE))
    assert [one.cluster for one in state.destinations] == ["one"]
    assert "host_program_missing" not in {one.name for one in state.findings}
    report = await Attempt().run(driver.redirect, inputs.of(TO_TWO))
    assert report.outcome == "changed"
    assert haproxy.leads_to() == "two"


@NEEDS_BIND
async def test_a_machine_that_follows_a_zone_needs_its_ledgers_programs(  # noqa: PLR0913, PLR0917
    client_probes: tuple[Probe, ...],
    node_maker: NodeMaker,
    name_server: NameServer,
    shell: Shell,
    ssh_server: SshServer,
    tmp_path: Path,
) -> None:
    """Where it is reloaded; without a reload nothing is recorded there."""
    machine = UnixMachine.of(tmp_path, "dash-needed")
    machine.without(("ln",))
    ssh_server.sh = machine.login_shell()
    servers: list[dict[str, object]] = [{"address": "127.0.0.1", "port": name_server.port}]
    host = {**node_maker("lb1").model_dump(include={"address", "ssh", "host_key", "ledger"})}
    for reload, number in ((("true",), 1), (None, 0)):
        hosts = [{**host, "name": "lb1", "reload": reload}]
        balancer = dns_balancer(client_probes, servers, hosts=hosts)
        driver = DnsDriver(shell, SECRETS, balancer)
        found = (await driver.observe(Inputs(balancer, ()).of(OBSERVE))).findings
        seen = [one.seen for one in found if one.name == "host_program_missing"]
        assert len(seen) == number
        assert all("find no ln" in one for one in seen)


@pytest.mark.parametrize("missing", sorted(listed((Use.EDITED_FILE,)) - {"setsid", "nohup"}))
async def test_a_program_that_a_redirect_needs_is_found_missing(
    hosts_file_balancer: HostsFileLoadBalancer,
    shell: Shell,
    ssh_server: SshServer,
    tmp_path: Path,
    missing: str,
) -> None:
    """Before the redirect, whatever else cannot be read without it."""
    machine = UnixMachine.of(tmp_path, "dash-needed")
    machine.without((missing,))
    ssh_server.sh = machine.login_shell()
    driver = HostsFileDriver(shell, hosts_file_balancer)
    state = await driver.observe(Inputs(hosts_file_balancer, ()).of(OBSERVE))
    [finding] = [one for one in state.findings if one.name == "host_program_missing"]
    assert f"find no {missing}" in finding.seen
    assert finding.place == "lb1"


async def test_a_program_that_a_sites_command_needs_is_found_missing(
    commands_balancer: CommandsLoadBalancer,
    clusters: tuple[Cluster, ...],
    shell: Shell,
    ssh_server: SshServer,
    tmp_path: Path,
) -> None:
    """One that is too old, too."""
    machine = UnixMachine.of(tmp_path, "dash-needed")
    machine.without(("timeout",))
    (machine.path / "timeout").write_text('#!/bin/sh\nexec "$2" "$3"\n')
    (machine.path / "timeout").chmod(0o755)
    ssh_server.sh = machine.login_shell()
    driver = CommandsDriver(shell, commands_balancer)
    state = await driver.observe(Inputs(commands_balancer, clusters).of(OBSERVE))
    [finding] = [one for one in state.findings if one.name == "host_program_missing"]
    assert "find no timeout with -k (to run a site's command" in finding.seen
