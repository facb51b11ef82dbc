"""Read when a machine of Windows was booted, and its time, without its language or time zone.

``wmic`` answers at once where it is installed; newer systems have only PowerShell, which is asked
if ``wmic`` failed. Both give CIM's notation, ``20261128065910.844000+060``: local time, and minutes
from UTC.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from workflows.errors import OutcomeUnknown

POWERSHELL = "powershell -NoProfile -NonInteractive -Command"
# It reads its standard input, and may wait for it.
_WMIC = "wmic os get LastBootUpTime,LocalDateTime /value <nul 2>nul"
_ASKED = (
    "$o=Get-CimInstance Win32_OperatingSystem; foreach($t in $o.LastBootUpTime,$o.LocalDateTime)"
    "{ $t.ToUniversalTime().ToString('yyyyMMddHHmmss')+'.000000+000' }"
)
CLOCK = f'({_WMIC})& (if errorlevel 1 ({POWERSHELL} "{_ASKED}" <nul 2>nul))'
"""The line that prints both."""
# wine's wmic cuts its last column; what is cut of any other time zone than UTC is not understood.
_TIME = re.compile(r"\b([0-9]{14})\.[0-9]{6}([+-][0-9]{3}|\+00\b)")


def clock_into(file: str) -> tuple[str, str]:
    """Return the lines of a batch file that write both into a file."""
    wmic = _WMIC.replace(",", "^,").replace("<", "^<").replace(">", "^>")
    return (
        # Straight into a file, wmic would write two bytes for each character.
        f"for /f \"delims=\" %%a in ('{wmic}') do >>{file} echo %%a",
        f'if not exist {file} call {POWERSHELL} "{_ASKED}" <nul 2>nul >{file}',
    )


@dataclass(frozen=True)
class Clock:
    """Seconds since the epoch, by the machine's own clock."""

    booted: int
    now: int


def parse_clock(text: str) -> Clock:
    """Read both times; OutcomeUnknown unless there are two, one after the other."""
    # The properties come in the sequence of the alphabet, also where wmic prints a table.
    times = [_seconds(*found) for found in _TIME.findall(text)]
    if len(times) != 2 or times[0] > times[1]:  # noqa: PLR2004 - boot and now
        raise OutcomeUnknown(
            "the time of the machine and of its boot cannot be read: neither wmic nor PowerShell "
            f"answers as expected: {text.strip()[-200:]!r}"
        )
    return Clock(*times)


def _seconds(digits: str, minutes: str) -> int:
    try:
        local = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError as strange:
        raise OutcomeUnknown(f"not a time: {digits}") from strange
    return int((local - timedelta(minutes=int(minutes))).timestamp())
