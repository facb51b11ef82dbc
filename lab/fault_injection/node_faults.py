"""Replace scripts of a machine, and restore them."""

from dataclasses import dataclass, field
from pathlib import Path

from lab.atomic import replace_file

REFUSAL = "ERROR: the operation was refused"
EXITS_1 = f"""\
#!/bin/sh
echo '{REFUSAL}' >&2
exit 1
"""
KILLS_ITSELF = """\
#!/bin/sh
# Ends its whole session, so that no process reports how it ended.
kill -9 0
"""
NOISE = "?? ERR-0x7f3a: state machine desync ??"
SCRIPT_MODE = 0o755


@dataclass
class Scripts:
    """Scripts that are replaced for a while."""

    _originals: dict[Path, str] = field(default_factory=dict)

    def replace(self, scripts: tuple[Path, ...], text: str) -> None:
        """Replace these scripts."""
        for script in scripts:
            self._originals.setdefault(script, script.read_text(encoding="utf-8"))
            replace_file(script, text, SCRIPT_MODE)

    def heal(self) -> None:
        """Put all of them back."""
        while self._originals:
            replace_file(*self._originals.popitem(), SCRIPT_MODE)
