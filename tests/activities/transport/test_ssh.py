"""A failing connection becomes an error that says what the operator can do."""

import asyncio
import inspect
import time
from contextvars import ContextVar
from pathlib import Path

import asyncssh
import pytest
from asyncssh.constants import OPEN_REQUEST_SESSION_FAILED

from activities.time_limits import TimeLimits
from activities.transport import ssh as module
from activities.transport import ssh_errors as errors
from activities.transport.ssh import Command, Shell, script
from tests.activities.conftest import NodeMaker
from tests.support.ssh_machines import HOST_KEY_LINE, SshServer
from workflows.errors import AccessRefused, OutcomeUnknown, SwitchoverError, Unreachable
from workflows.model.estate import JumpHost, Node

JUMP_HOST = JumpHost(address="192.0.2.9", user="jump", key="env:KEY", host_key=HOST_KEY_LINE)


async def test_words_arrive_as_they_were(node: Node, shell: Shell) -> None:
    """Whatever stands in a word, the remote shell takes it for that word."""
    word = "a b'c\"d$HOME`e`;f\n*"
    answer = await shell.run(node, Command(("printf", "%s", word)))
    assert (answer.status, answer.out) == (0, word)


async def test_a_script_travels_whole(node: Node, shell: Shell, ssh_server: SshServer) -> None:
    """Nothing is sent on standard input, where a cut would leave half a script to be run."""
    answer = await shell.run(node, script('echo "$1"; echo oops >&2; exit 3', "hello"))
    assert (answer.status, answer.out, answer.text) == (3, "hello\n", "hello\noops")
    assert len(ssh_server.commands) == 1


async def test_one_connection_serves_everyone(
    node: Node, shell: Shell, ssh_server: SshServer
) -> None:
    """Many commands side by side share it; after it is lost the next one makes another."""
    await asyncio.gather(*(shell.run(node, Command(("true",))) for _ in range(20)))
    assert len(ssh_server.connections) == 1
    ssh_server.cut()
    with pytest.raises((Unreachable, OutcomeUnknown)):
        await shell.run(node, Command(("true",)))
    assert (await shell.run(node, Command(("true",)))).status == 0


async def test_a_connection_lost_during_a_command_settles_nothing(
    node: Node, shell: Shell, ssh_server: SshServer, tmp_path: Path
) -> None:
    """Its end is unknown: neither success nor failure."""
    begun = tmp_path / "begun"
    running = asyncio.create_task(shell.run(node, script(f": >{begun}; sleep 2")))
    while not await asyncio.to_thread(begun.exists):  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.01)
    ssh_server.cut()
    with pytest.raises(OutcomeUnknown, match="server1"):
        await running


async def test_a_machine_that_does_not_answer_is_unreachable(
    node_maker: NodeMaker, shell: Shell
) -> None:
    """Nothing was sent, so trying again is safe."""
    node = node_maker(ssh={"user": "st", "key": "env:KEY", "port": 1})
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1 does not answer"):
        await shell.run(node, Command(("true",)))


async def test_another_host_key_is_refused(node_maker: NodeMaker, shell: Shell) -> None:
    """Another machine answers there."""
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key("openssh").decode()
    with pytest.raises(AccessRefused, match="check key, host_key and the account"):
        await shell.run(node_maker(host_key=other), Command(("true",)))


async def test_a_key_that_is_none_is_refused(node_maker: NodeMaker, shell: Shell) -> None:
    """And what was taken for one is not repeated."""
    node = node_maker(ssh={"user": "st", "key": "env:ADMIN", "port": 22})
    with pytest.raises(AccessRefused) as refusal:
        await shell.run(node, Command(("true",)))
    assert "admin-secret" not in str(refusal.value)


async def test_known_hosts_verify_too(
    node_maker: NodeMaker, shell: Shell, ssh_server: SshServer, tmp_path: Path
) -> None:
    """A known_hosts file does for many machines; a missing one, or another host key, is refused."""
    file = tmp_path / "known_hosts"
    access = {"user": "st", "key": "env:KEY", "port": ssh_server.port, "known_hosts": str(file)}
    node = node_maker(host_key=None, ssh=access)
    with pytest.raises(AccessRefused, match="without it no host key can be verified"):
        await shell.run(node, Command(("true",)))
    file.write_text("")
    with pytest.raises(AccessRefused):
        await shell.run(node, Command(("true",)))
    file.write_text(f"[127.0.0.1]:{ssh_server.port} {HOST_KEY_LINE}\n")
    assert (await shell.run(node, Command(("true",)))).status == 0


async def test_a_command_that_never_ends_is_given_up(
    node: Node, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silent machine does not hold an attempt for ever."""
    limits = ContextVar("limits", default=TimeLimits(reach=10, answer=0.3))  # noqa: B039 - it is frozen
    monkeypatch.setattr(module, "LIMITS", limits)
    began = time.monotonic()
    with pytest.raises(OutcomeUnknown, match=r"sleep did not end within 0\.3 s"):
        await shell.run(node, Command(("sleep", "3")))
    assert time.monotonic() - began < 2


def _made(kind: type[Exception]) -> Exception:
    """Return some error of a kind, whatever its constructor wants."""
    error = kind.__new__(kind)
    Exception.__init__(error, "broken")
    error.__dict__.update(code=0, reason="broken", lang="", env=None, command="", subsystem="")
    error.__dict__.update(exit_status=None, exit_signal=None, returncode=None, stdout="", stderr="")
    return error


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in vars(asyncssh).values()
        if inspect.isclass(kind)
        and issubclass(kind, Exception)
        # These are shown to a server's session, or are about keys and configuration: ours are
        # read before anything is sent, which has a test of its own above.
        and not issubclass(kind, asyncssh.BreakReceived | asyncssh.SignalReceived)
        and kind is not asyncssh.TerminalSizeChanged
        and not issubclass(kind, ValueError)
    ],
)
@pytest.mark.parametrize("border", ["before_sending", "after_sending", "at_jump_host"])
def test_every_foreign_error_has_a_meaning(kind: type[Exception], border: str, node: Node) -> None:
    """No error of the library gets past the border as it is."""
    place = JUMP_HOST if border == "at_jump_host" else node
    with pytest.raises(SwitchoverError), getattr(errors, border)(place):
        raise _made(kind)


def test_a_request_without_an_answer_settles_nothing(node: Node) -> None:
    """The library reports a lost connection as a refusal; the command may have begun."""
    refusal = asyncssh.ChannelOpenError(OPEN_REQUEST_SESSION_FAILED, "Session request failed")
    with (
        pytest.raises(OutcomeUnknown, match="unknown whether a command began"),
        errors.after_sending(node),
    ):
        raise refusal
