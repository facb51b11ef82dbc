"""How a command line reaches ``cmd.exe``, and how its answer is told from all else."""

import re

import pytest

from activities.transport.commands import WindowsCommand, command_for, command_line
from activities.transport.ssh import Command, Shell
from activities.transport.windows_framing import MAX_LINE, WindowsFrame, echoed
from tests.support.wine import WindowsServer, needs_wine
from workflows.errors import NotReady, OutcomeUnknown
from workflows.model.estate import Node


def answered(frame: WindowsFrame, printed: str) -> bytes:
    """Return what a machine prints, with the frame's word in it."""
    word = re.sub(r"\^", "", re.findall(r"ans\^wer-[0-9a-f]+", frame.line("x"))[0])
    return printed.replace("WORD", word).encode()


def test_what_stands_between_the_marks_is_the_answer() -> None:
    """Lines end as elsewhere, also those of wmic, and a status may be negative."""
    frame = WindowsFrame()
    out = answered(frame, "motd\r\nWORD begin\r\na\r\r\nb\r\nWORD -1073741510 end\r\nbye")
    result = frame.result(out, answered(frame, "x\r\nWORD begin\r\nbad\r\nWORD end\r\n"))
    assert result is not None
    assert (result.status, result.out, result.err) == (-1073741510, "a\nb\n", "bad\n")


@pytest.mark.parametrize(
    "printed", ["", "WORD begin\r\n", "a\r\nWORD 0 end", "WORD begin\r\nWORD x end"]
)
def test_half_an_answer_is_none(printed: str) -> None:
    """A line that is echoed has no mark: a caret is in it."""
    frame = WindowsFrame()
    assert frame.result(answered(frame, printed), b"") is None
    assert frame.result(frame.line("dir").encode(), b"") is None


def test_a_line_that_cmd_would_cut_is_not_sent() -> None:
    """It takes 8191 characters, and says nothing of those beyond."""
    with pytest.raises(NotReady, match=r"too long for cmd\.exe"):
        WindowsFrame().line("x" * MAX_LINE)


def test_words_are_quoted_where_they_have_to_be() -> None:
    """And only there."""
    command = WindowsCommand((r"C:\Axway & Co\bin\stop_sshd.com", "-g", "-A", "a;b", ""))
    assert str(command) == r'"C:\Axway & Co\bin\stop_sshd.com" -g -A "a;b" ""'


@needs_wine
async def test_cmd_takes_lines_and_words_as_they_are(windows_node: Node, shell: Shell) -> None:
    """The exit status is the command's own; what is echoed into a file is not rewritten."""
    line = 'call "C:\\x & (y)\\z.com" -g >out 2>&1 <nul ^| (a) & b'
    result = await shell.run(windows_node, command_line(f"echo {echoed(line)}& cmd.exe /c exit 7"))
    assert (result.status, result.out) == (7, f"{line}\n")
    whoami = await shell.run(windows_node, command_for(windows_node, ("whoami", "a & b")))
    assert whoami.status == 0
    assert "\\" in whoami.out


@needs_wine
async def test_a_script_for_another_shell_is_not_sent(
    windows_node: Node, shell: Shell, windows_server: WindowsServer
) -> None:
    """``cmd.exe`` would make something else of it."""
    with pytest.raises(NotReady, match="needs a shell of linux, and the machine has windows"):
        await shell.run(windows_node, Command(("rm", "-f", "x")))
    assert not windows_server.commands


@needs_wine
async def test_a_line_whose_end_is_missing_is_unknown(windows_node: Node, shell: Shell) -> None:
    """As where the shell is another one, or was killed."""
    with pytest.raises(OutcomeUnknown, match="gave no whole answer"):
        await shell.run(windows_node, command_line("exit 3"))
