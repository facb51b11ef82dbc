r"""The command lines of the ledger on Windows, for plain ``cmd.exe``.

The ledger's layout, under its directory:

* ``claims\1``, ``claims\2``, ...: one line each: ``operation service began deadline completes-on
  may-change-until note word``. A claim is made by a rename of a draft that is complete, which
  Windows does at once and refuses where the number is taken; so the worker decides, on what it has
  read, and the number holds only if nothing was claimed meanwhile. ``claims\0`` is made with the
  directory: each claim's number follows one that is there.
* ``WORD\command.cmd``, ``run.cmd``, ``output``, ``status``, ``ended``, ``settled``: an attempt.
  The word is its own, is random, and stands in its claim. ``alive`` is the current directory of
  its process.

The detached process makes the claim, as on POSIX systems. If it does not within a time, the worker
takes the draft back, by a rename, too: one of the two succeeds, so nothing begins late.

These lines stay within what wine's ``cmd.exe`` does as well as that of Windows, so that the tests
can run them: neither ``&&`` nor ``||``, no redirection of a group, no quotes around wildcards, no
``%`` that has to survive an ``echo``.
"""

from collections.abc import Iterable

from activities.ledger.windows_clock import CLOCK, POWERSHELL, clock_into
from activities.ledger.windows_state import WindowsClaim
from activities.transport.windows_framing import echoed

MAX_SHOWN_OUTPUT = 65536
"""Bytes: a longer output stays on the machine, which has no program that shows its end."""
_ROOM_TURNS, _ROOM_LINE = 128, "x" * 500
ROOM = _ROOM_TURNS * len(_ROOM_LINE)
FIND = r"%SystemRoot%\System32\find.exe"
"""Cygwin, which SecureTransport brings, has another ``find``."""


def read(ledger: str) -> str:
    """Return the line that prints clock, claims and attempts."""
    # `rmdir` removes no current directory of a process. It is tried once the process is in there.
    living = r"(if exist %w\begun (rmdir %w\alive 2>nul))& (if exist %w\alive (echo living))"
    marks = r"(if exist %w\settled (echo settled))& (if exist %w\ended (echo timed))"
    attempt = rf"(echo attempt %~nxw& {living}& {marks}& (if exist %w\status (type %w\status)))"
    # A process that has gone wrote its status before: so that is read after it was tried.
    names = rf"(for /f %f in ('dir /b /a {ledger}\claims') do (echo name %f))"
    claims = rf"(for %f in ({ledger}\claims\*) do (echo claim %~nxf& type %f))"
    return "& ".join(
        (
            CLOCK,
            "echo claims",
            rf"(if exist {ledger}\claims ({names}& {claims}))",
            # The ledger itself stands for one that is empty: after a loop without a turn, wine
            # runs nothing more of the line.
            rf"(for /d %w in ({ledger} {ledger}\*) do {attempt})",
        )
    )


def read_end(place: str) -> str:
    """Return the line that prints when a command ended, and its output."""
    shown = rf"(if %~zf LEQ {MAX_SHOWN_OUTPUT} (echo output& type %f) else (echo large %~zf))"
    output = rf"{place}\output"
    return rf"(type {place}\ended 2>nul)& (if exist {output} (for %f in ({output}) do {shown}))"


def begin(ledger: str, claim: WindowsClaim, command: str) -> str:
    """Return the line that prepares an attempt at a claim, and lets its process loose."""
    place, claims = rf"{ledger}\{claim.word}", rf"{ledger}\claims"
    launched = launch(rf"{place}\run.cmd")
    new = rf"{ledger}\new.{claim.word}"
    # A directory of claims is never without its first: it is made whole, and then renamed.
    first = rf"(mkdir {new}& (>{new}\0 echo 0)& ren {new} claims)"
    room = rf"(for /l %i in (1,1,{_ROOM_TURNS}) do (>>{place}\room echo {_ROOM_LINE}))"
    whole = f"(if %~zf GEQ {ROOM} (ren %f room.whole))"
    files = {
        "command.cmd": ("@echo off", f"rem {claim.operation}", "cd /d C:\\", f"call {command}"),
        "run.cmd": _run(ledger, claim, place),
    }
    written = "& ".join(_written(rf"{place}\{name}", lines) for name, lines in files.items())
    draft = rf"(>{claims}\{claim.word}.draft echo {claim.line()})"
    made = rf"(if exist {claims}\{claim.word}.draft ({launched}))"
    return "& ".join(
        (
            rf"(if not exist {claims} {first})",
            f"mkdir {place} 2>nul",
            rf"(if not exist {place} (echo refused no directory))",
            room,
            rf"(if exist {place}\room (for %f in ({place}\room) do {whole}))",
            rf"(if not exist {place}\room.whole (echo refused no room))",
            rf"(if exist {place}\room.whole ({written}& {draft}& {made}))",
        )
    )


def launch(batch: str) -> str:
    """Return what runs a batch file in a process that outlives the session.

    OpenSSH for Windows ends what a session has started together with the session. A process that
    Windows' management service makes is not the session's; ``start``, the last resort, is. Stage 0
    finds out which it is here. Two processes of one attempt are no harm: one of them claims.
    """
    line = f"cmd.exe /d /c {batch}"
    create = (
        "if((Invoke-CimMethod -ClassName Win32_Process -MethodName Create -Arguments "
        f"@{{CommandLine='{line}'}}).ReturnValue -eq 0){{'made'}}"
    )
    return "& ".join(
        (
            f'(wmic process call create "{line}" <nul 2>nul | {FIND} "ReturnValue = 0" >nul)',
            f'(if errorlevel 1 ({POWERSHELL} "{create}" <nul 2>nul | {FIND} "made" >nul))',
            f'(if errorlevel 1 (start "" /b {line} >nul 2>&1 <nul))',
        )
    )


def withdraw(ledger: str, claim: WindowsClaim) -> str:
    """Return the line that takes a draft back."""
    return rf"ren {ledger}\claims\{claim.word}.draft {claim.word}.withdrawn"


def settle(place: str) -> str:
    """Return the line that marks an attempt as settled."""
    return rf">{place}\settled echo 0"


def discard(ledger: str, claim: WindowsClaim) -> str:
    """Return the line that removes an attempt that cannot claim any more."""
    drafts = rf"{ledger}\claims\{claim.word}"
    return rf"(del {drafts}.draft {drafts}.withdrawn 2>nul)& {_removed(ledger, claim)}"


def remove(ledger: str, claims: Iterable[WindowsClaim]) -> str:
    """Return the line that removes claims with their attempts, the oldest first."""
    # The last claim stays, so the number 0, which the first one followed, may go.
    return "& ".join(
        rf"(del {ledger}\claims\0 {ledger}\claims\{claim.number} 2>nul)& {_removed(ledger, claim)}"
        for claim in claims
    )


def _removed(ledger: str, claim: WindowsClaim) -> str:
    return rf"(rmdir /s /q {ledger}\{claim.word} 2>nul)"


def _run(ledger: str, claim: WindowsClaim, place: str) -> tuple[str, ...]:
    """Return the batch file that claims, runs the command, and records its end."""
    claims = rf"{ledger}\claims"
    before = rf"{claims}\{claim.number - 1}"
    own = rf"{claims}\{claim.number}"
    # Others read it meanwhile: so it is opened for them, too.
    opened = f"[IO.File]::Open('{own}','Open','ReadWrite','ReadWrite')"
    flush = f"$f={opened}; $f.Flush($true); $f.Close()"
    command = rf"cmd.exe /d /c {place}\command.cmd >{place}\output 2>&1 <nul"
    status = rf">{place}\status.draft echo status !errorlevel!"
    return (
        "@echo off",
        # Who is there first is the process of this attempt; a second one ends here.
        rf"mkdir {place}\alive",
        "if errorlevel 1 exit",
        rf"cd /d {place}\alive",
        "if errorlevel 1 exit",
        rf">{place}\begun echo 0",
        f"if not exist {before} exit",
        rf"ren {claims}\{claim.word}.draft {claim.number}",
        "if errorlevel 1 exit",
        # What the rename says is not enough: the claim under this number has to be this one.
        f'{FIND} "{claim.word}" {own} >nul',
        "if errorlevel 1 exit",
        # Without the one before, this reading was so old that numbers were removed since.
        f"if not exist {before} (del {own}& exit)",
        # Onto the disk, where there is PowerShell: a machine may lose its power.
        # A program may be wrapped in a batch file, from which only `call` comes back.
        f'call {POWERSHELL} "{flush}" <nul >nul 2>nul',
        rf"del {place}\room.whole",
        f'cmd.exe /d /v:on /c "{command} & {status}"',
        rf"ren {place}\status.draft status",
        *clock_into(rf"{place}\ended.draft"),
        rf"ren {place}\ended.draft ended",
        "exit",
    )


def _written(file: str, lines: Iterable[str]) -> str:
    return "& ".join(f"(>>{file} echo {echoed(line)})" for line in lines)
