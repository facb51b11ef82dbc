"""Whatever a login shell is and prints, a command's answer is its own."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from activities.transport.ssh import Command, Shell, script
from tests.support.ssh_machines import SshServer
from workflows.errors import OutcomeUnknown
from workflows.model.estate import Node

SHELLS = ("sh", "dash", "bash", "ksh", "mksh", "busybox", "zsh", "csh", "tcsh", "fish")
NOISY = """\
#!/bin/sh
echo 'Welcome <answer-0123456789abcdef'
echo 'Authorized use only!' >&2
{shell} "$@"
status=$?
echo 'logout'
exit $status
"""
AWKWARD = "a b'c\"d$HOME`e`;f!g%h\\i\\061\n*\tü"
SCRIPT = r"""
printf '%s|' "$@"; echo oops! >&2
for word in one two; do printf ' %s\n' "$word"; done
exit 3
"""


def login_shell(name: str) -> str:
    """Return how such a shell is started, or skip the test."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed")
    return f"{program} sh" if name == "busybox" else program


@pytest.fixture
def log_in_by(ssh_server: SshServer, tmp_path: Path) -> Callable[[str], None]:
    """Make a script the login shell."""

    def change(text: str) -> None:
        program = tmp_path / "login"
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)
        ssh_server.sh = str(program)

    return change


@pytest.mark.parametrize("name", SHELLS)
async def test_every_login_shell_runs_the_same(
    node: Node, shell: Shell, log_in_by: Callable[[str], None], name: str
) -> None:
    """Scripts of several lines, any character in a word, and a profile that prints."""
    log_in_by(NOISY.format(shell=login_shell(name)))

    answer = await shell.run(node, script(SCRIPT, AWKWARD, ""))
    assert (answer.status, answer.out) == (3, f"{AWKWARD}|| one\n two\n")
    assert answer.err == "oops!\n"
    answer = await shell.run(node, Command(("printf", "%s", AWKWARD)))
    assert (answer.status, answer.out, answer.err) == (0, AWKWARD, "")
    # As long as the ledger's scripts, with a number of characters at each end of its words.
    long = "".join(f"{number:04x}'{'ü' * (number % 7)}" for number in range(900))
    answer = await shell.run(node, Command(("printf", "%s", long)))
    assert (answer.status, answer.out, answer.err) == (0, long, "")


@pytest.mark.parametrize(
    ("login", "printed"),
    [
        ("#!/bin/sh\necho 'This account is not available.'; exit 1\n", "account is not available"),
        ('#!/bin/sh\necho "$@"\n', "exec sh -c"),
        ("#!/bin/sh\n", "printed: nothing"),
        ('#!/bin/sh\nsh "$@" | head -c 40\n', "answer-"),
    ],
    ids=["no shell", "an echo", "silence", "a cut answer"],
)
async def test_an_answer_that_is_not_whole_is_unknown(
    node: Node, shell: Shell, log_in_by: Callable[[str], None], login: str, printed: str
) -> None:
    """It is neither an empty answer nor a refusal; what was printed instead is shown."""
    log_in_by(login)
    with pytest.raises(OutcomeUnknown) as unknown:
        await shell.run(node, script("echo hello; echo more"))
    assert "server1: a script gave no whole answer" in str(unknown.value)
    assert printed in str(unknown.value)
