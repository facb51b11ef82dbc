"""A site's own command is run once for each operation, and believed only where it is seen."""

# ruff: noqa: ASYNC240 - the files are small, and nothing else runs

import asyncio
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from activities.load_balancer import commands_driver
from activities.load_balancer.activities import LoadBalancerActivities
from activities.load_balancer.commands_driver import CommandsDriver
from activities.load_balancer.driver import PlaceState
from activities.site_commands import commands as site_commands
from activities.site_commands.scripts import CHANGE
from activities.time_limits import LIMITS, TimeLimits
from activities.transport.ssh import Shell
from tests.activities.load_balancer.conftest import Inputs
from tests.support.ledger_tasks import SHELLS, shell_words
from tests.support.openssh import openssh
from tests.support.polling import eventually
from tests.support.site_command import Site
from tests.support.ssh_machines import Attempt
from workflows.errors import CommandFailed, Lost, NotReady, OutcomeUnknown
from workflows.model.actions import ObserveTraffic, Redirect
from workflows.model.estate import Cluster
from workflows.model.findings import Finding
from workflows.model.load_balancers.commands import CommandsLoadBalancer
from workflows.model.results import Report

TO_TWO = Redirect(host="lb1", to="two", back_to="one")
TO_ONE = TO_TWO.undo
SECOND = timedelta(seconds=1)
MOVED = '{"destinations": [{"item": "pool sftp", "leads_to": "two"}]}'
MOVE = f"echo '{MOVED}' >answer"

Attempts = Callable[..., Awaitable[Report]]


@pytest.fixture
def inputs(commands_balancer: CommandsLoadBalancer, clusters: tuple[Cluster, ...]) -> Inputs:
    """Inputs for the load balancer with a site's own command."""
    return Inputs(commands_balancer, clusters)


@pytest.fixture
def redirect(
    load_balancers: LoadBalancerActivities, inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> Attempts:
    """Make one attempt at a redirect; *seconds* is how long the command may take."""
    monkeypatch.setattr(commands_driver, "TAKES_EFFECT_WITHIN", SECOND)
    monkeypatch.setattr(commands_driver, "OBSERVE_INTERVAL", SECOND / 5)
    monkeypatch.setattr(site_commands, "PAUSE", SECOND)
    [host] = inputs.balancer.model_copy().hosts  # type: ignore[attr-defined]

    async def run(
        action: Redirect, identity: str = "run-1", *, undo: bool = False, seconds: int = 20
    ) -> Report:
        limited = host.model_copy(update={"redirect_timeout": seconds * SECOND})
        given = inputs.of(action, identity, undo=undo, hosts=(limited,))
        return await Attempt().run(load_balancers.redirect, given)

    return run


class Observer:
    """Observes the machine."""

    def __init__(self, shell: Shell, inputs: Inputs) -> None:
        self._shell, self._inputs = shell, inputs

    async def state(self, **changes: object) -> PlaceState:
        """Observe it; *changes* are keys of the host in the estate."""
        written = self._inputs.balancer.model_dump()
        hosts = [host | changes for host in written.pop("hosts")]
        balancer = CommandsLoadBalancer.model_validate({**written, "hosts": hosts})
        given = self._inputs.of(ObserveTraffic(host="lb1"), hosts=balancer.hosts)
        return await CommandsDriver(self._shell, balancer).observe(given)

    async def finding(self, **changes: object) -> Finding:
        """Return the only finding; where the site's answer is not usable, nothing is known."""
        state = await self.state(**changes)
        [found] = state.findings
        assert not state.destinations or found.name != "site_command_unusable"
        return found


@pytest.fixture
def observer(shell: Shell, inputs: Inputs) -> Observer:
    """Observes the machine."""
    return Observer(shell, inputs)


def has_ended(pid: int) -> bool:
    """Whether a process is gone; one that nobody has collected yet is."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_an_observation_runs_no_redirect(observer: Observer, site_command: Site) -> None:
    """It reads where everything leads, what the site reports, and what a redirect may do."""
    found = {"what": "no member is up", "expected": "two members", "advice": "start them"}
    site_command.says("two", "10.2.1.2:22", findings=[found])
    state = await observer.state()
    [destination] = state.destinations
    assert (destination.item, destination.seen, destination.cluster) == (
        *("pool sftp", "10.2.1.2:22"),
        "two",
    )
    [finding] = state.findings
    assert (finding.name, finding.seen, finding.expected, finding.advice) == (
        *("site_command_reports", "no member is up"),
        *("two members", "start them"),
    )
    assert site_command.redirects == ()


@pytest.mark.parametrize(
    ("script", "seen"),
    [
        ("echo not yet", "it printed no JSON document"),
        (f"echo '{MOVED[:40]}'", "it printed no JSON document"),
        ("cat answer; echo oops >&2; exit 3", "it ended with 3: "),
        ("exit 3", "it ended with 3: it printed nothing"),
        ("read word && cat answer", "it ended with 1: it printed nothing"),
        ("head -c 300000 /dev/zero", "printed more than 131072 bytes, and the rest was not read"),
        ("head -c 70000 /dev/zero | tr '\\0' ' '; cat answer", "it printed more than 65536 bytes"),
        ("kill -9 $$", "it was killed"),
        ("kill -9 0", "it was killed"),
        ("no-such-program", "it ended with 127 (not found): "),
    ],
)
async def test_an_answer_that_cannot_be_used_is_one_finding(
    script: str, seen: str, observer: Observer, site_command: Site
) -> None:
    """It names the command, and nothing is known of where traffic goes."""
    site_command.observes_by(script)
    finding = await observer.finding()
    assert finding.name == "site_command_unusable"
    assert finding.seen.startswith(f"`{site_command.program} '--pool=sftp & more' observe`: ")
    assert seen in finding.seen


async def test_a_command_that_hangs_is_ended(observer: Observer, site_command: Site) -> None:
    """On the machine, with what it has started: it does not wait for its next observation."""
    site_command.observes_by(f"sleep 3211 & echo $! >{site_command.folder}/pid; trap '' TERM; wait")
    LIMITS.set(TimeLimits(reach=2, answer=2))
    finding = await observer.finding()
    assert finding.name in {"site_command_unusable", "answers_too_slow"}
    assert "did not end within" in finding.seen
    pid = int((site_command.folder / "pid").read_text())
    await eventually(lambda: has_ended(pid))


async def test_an_answer_without_an_end_is_cut_off(
    observer: Observer, site_command: Site, tmp_path: Path
) -> None:
    """By a real SSH server: the rest is not read, and the command ends."""
    site_command.observes_by("echo $$ >pid; exec yes '{\"destinations\": ['")
    (tmp_path / "sshd").mkdir()
    async with openssh(tmp_path / "sshd") as server:
        found = {one.name: one.seen for one in (await observer.state(**server.access())).findings}
        assert "more than 131072 bytes, and the rest was not" in found["site_command_unusable"]
        pid = int((site_command.folder / "pid").read_text())
        await eventually(lambda: has_ended(pid))


async def test_a_command_has_to_be_there(
    observer: Observer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the program that ends it where it hangs."""
    missing = (await observer.state(command=("/nowhere/lb",))).findings
    assert [one.name for one in missing] == ["site_command_unusable", "site_command_not_runnable"]
    assert missing[1].seen.startswith("/nowhere/lb is missing, or ")
    assert "`/nowhere/lb redirect two`" in missing[1].seen
    (tmp_path / "bin").mkdir()
    for program in Path("/usr/bin").iterdir():
        if program.name != "timeout":
            (tmp_path / "bin" / program.name).symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    names = {one.name: one.seen for one in (await observer.state()).findings}
    assert "no program timeout" in names["site_command_not_runnable"]


async def test_a_command_by_sudo_has_to_be_allowed_for_every_word(
    observer: Observer, tmp_path: Path, site_command: Site
) -> None:
    """Without a password, as sudo itself reports."""
    sudo = tmp_path / "sudo"
    sudo.write_text(
        '#!/bin/sh\n[ "$1" = -n ] && { case "$*" in *" redirect two") exit 1;; esac; exit 0; }\n'
        'exec "$@"\n'
    )
    sudo.chmod(0o755)
    finding = await observer.finding(command=(str(sudo), *site_command.argv))
    assert finding.name == "site_command_not_runnable"
    assert finding.seen.count("`") == 2
    assert "redirect two`" in finding.seen


async def test_a_ledger_that_cannot_be_kept_is_found(observer: Observer) -> None:
    """A redirect would be refused there, with replication off."""
    finding = await observer.finding(ledger="/proc/switchover")
    assert finding.name == "host_ledger_not_usable"


async def test_a_redirect_that_changes_nothing_is_no_success(
    redirect: Attempts, site_command: Site
) -> None:
    """Whatever it prints, and although it exits 0; a retry with a new round runs it again."""
    site_command.redirects_by(f"echo '{MOVED}'")
    for attempt in ("run-1", "run-1", "run-1-again"):
        with pytest.raises(NotReady, match=r"ended with 0, but observe shows pool sftp: one"):
            await redirect(TO_TWO, attempt)
    assert len(site_command.redirects) == 2


async def test_a_redirect_may_take_effect_a_little_later(
    redirect: Attempts, site_command: Site
) -> None:
    """A load balancer may synchronise its devices first."""
    site_command.redirects_by(f"(sleep 0.5; {MOVE}) >/dev/null 2>&1 &")
    assert (await redirect(TO_TWO)).outcome == "changed"


async def test_a_redirect_that_fails_says_why(redirect: Attempts, site_command: Site) -> None:
    """In the command's own words; it is not run again before an operator says so."""
    site_command.redirects_by("echo moving; echo 'the \033[31mdevice is locked' >&2; exit 3")
    for _ in range(2):
        with pytest.raises(CommandFailed) as failed:
            await redirect(TO_TWO)
    assert str(failed.value) == (
        f"lb1: `{site_command.program} '--pool=sftp & more' redirect two`: the command ended with "
        "3: moving the  [31mdevice is locked"
    )
    assert len(site_command.redirects) == 1


async def test_a_command_that_asks_for_another_try_gets_one(
    redirect: Attempts, site_command: Site
) -> None:
    """Within the same operation, until its time is up."""
    site_command.redirects_by(f"[ -e tried ] && {MOVE} && exit; : >tried; exit 75")
    assert (await redirect(TO_TWO)).outcome == "changed"
    assert len(site_command.redirects) == 2
    site_command.redirects_by("echo another change is pending; exit 75")
    with pytest.raises(CommandFailed, match=r"it asked for another try for 2 s: .*is pending"):
        await redirect(TO_ONE, seconds=2)


@pytest.mark.parametrize("sh", SHELLS)
@pytest.mark.parametrize(
    ("script", "seconds", "status", "printed"),
    [
        ("echo said; echo more >&2; exit 3", 9, 3, "said\nmore\n"),
        ("[ -e tried ] && exit; : >tried; exit 75", 9, 0, ""),
        ("echo busy; exit 75", 1, 75, "busy\nits time is up\n"),
        ("sleep 9", 1, 124, ""),
        ("cat", 9, 0, ""),
    ],
)
def test_every_shell_runs_a_redirect_alike(  # noqa: PLR0913, PLR0917 - the cases
    sh: str, script: str, seconds: int, status: int, printed: str, tmp_path: Path
) -> None:
    """With the status of the command, and its output."""
    words = (*shell_words(sh), "-c", CHANGE, "switchover", str(seconds), "1", "3000")
    done = subprocess.run(
        (*words, "sh", "-c", script), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (status, printed)


async def test_a_redirect_that_hangs_is_ended(redirect: Attempts, site_command: Site) -> None:
    """With what it has started, so that nothing overtakes an undo; then what is seen decides."""
    site_command.redirects_by("sleep 3212 & echo $! >pid; wait")
    with pytest.raises(
        CommandFailed, match=r"did not end within 1 s, and was ended; observe shows"
    ):
        await redirect(TO_TWO, seconds=1)
    pid = int((site_command.folder / "pid").read_text())
    await eventually(lambda: has_ended(pid))
    site_command.redirects_by(f"{MOVE}; sleep 3213")
    assert (await redirect(TO_TWO, "run-2", seconds=1)).outcome == "changed"


async def test_an_endless_output_fills_no_disk(
    redirect: Attempts, site_command: Site, inputs: Inputs
) -> None:
    """Only its end is kept."""
    site_command.redirects_by("head -c 30000000 /dev/zero | tr '\\0' a; echo the end; exit 3")
    with pytest.raises(CommandFailed, match="the end"):
        await redirect(TO_TWO)
    [host] = inputs.balancer.hosts  # type: ignore[attr-defined]
    sizes = [file.stat().st_size for file in Path(host.ledger).rglob("*") if file.is_file()]
    assert max(sizes) < 20_000


async def test_an_interrupted_attempt_is_attached_to(
    redirect: Attempts, site_command: Site
) -> None:
    """The command that was begun is waited for; a killed worker repeats nothing."""
    site_command.redirects_by(f"sleep 1; {MOVE}")
    for after in (0.05, 0.4, 0.8):
        attempt = asyncio.ensure_future(redirect(TO_TWO))
        await asyncio.sleep(after)
        attempt.cancel()
        with suppress(asyncio.CancelledError):
            await attempt
    reports = [await redirect(TO_TWO) for _ in range(2)]
    assert reports[0] == reports[1]
    assert reports[0].outcome == "changed"
    assert len(site_command.redirects) == 1


async def test_a_command_whose_end_was_never_recorded_is_seen_to(
    redirect: Attempts, site_command: Site, inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts where it had its effect; otherwise an operator decides."""
    [host] = inputs.balancer.hosts  # type: ignore[attr-defined]
    monkeypatch.setattr(site_commands, "ENDING", SECOND)
    ledger = f"kill -9 $(cut -d ' ' -f 3 {host.ledger}/claims/*) 2>/dev/null; sleep 0.1"
    site_command.redirects_by(f"{MOVE}; {ledger}")
    assert (await redirect(TO_TWO, seconds=1)).outcome == "changed"
    site_command.redirects_by(ledger)
    with pytest.raises(Lost):
        await redirect(TO_ONE, seconds=1)


async def test_an_undo_waits_for_what_it_undoes(redirect: Attempts, site_command: Site) -> None:
    """A redirect whose worker was killed has its effect later than an undo would see."""
    site_command.redirects_by(f"[ $1 = one ] || sleep 1; {MOVE}; sed -i s/two/$1/ answer")
    begun = asyncio.ensure_future(redirect(TO_TWO))
    await eventually(lambda: site_command.redirects != ())
    begun.cancel()
    with suppress(asyncio.CancelledError):
        await begun
    assert (await redirect(TO_ONE, undo=True)).outcome == "changed"
    assert len(site_command.redirects) == 2
    assert site_command.leads_to == "one"


async def test_an_undo_of_what_failed_is_made_although_nothing_shows(
    redirect: Attempts, site_command: Site
) -> None:
    """What a failed command left half done need not show; so does a retry run it again."""
    site_command.redirects_by("[ $1 = one ] && exit; echo the way is saved, not loaded; exit 3")
    with pytest.raises(CommandFailed, match="saved, not loaded"):
        await redirect(TO_TWO)
    reports = [await redirect(TO_ONE, undo=True) for _ in range(2)]
    assert reports[0] == reports[1]
    assert (reports[0].outcome, reports[0].message) == (
        "unchanged",
        "lb1 led to one already, and was redirected again",
    )
    assert len(site_command.redirects) == 2


async def test_an_undo_of_what_never_began_changes_nothing(
    redirect: Attempts, site_command: Site
) -> None:
    """It is seen where traffic leads, and the ledger stays empty."""
    report = await redirect(TO_ONE, undo=True)
    assert (report.outcome, report.message) == ("unchanged", "lb1 led to one already")
    assert site_command.redirects == ()


async def test_nothing_is_redirected_where_nothing_can_be_seen(
    redirect: Attempts, site_command: Site
) -> None:
    """Before the effect: what it would do could not be verified."""
    site_command.prints("?")
    with pytest.raises(OutcomeUnknown, match="printed no JSON document"):
        await redirect(TO_TWO)
    assert site_command.redirects == ()
