"""A site's own command, as the ``commands`` driver runs it: a real script on a machine."""

import json
from pathlib import Path

SCRIPT = """\
#!/bin/sh
# Keeps where it leads in a file; what is put in its place for a test is run instead.
cd '{folder}' || exit 71
case $2 in
observe) [ ! -x ./observe ] || exec ./observe; cat answer ;;
redirect)
  echo "$0 $*" >>redirects
  [ ! -x ./redirect ] || exec ./redirect "$3"
  printf '{{"destinations": [{{"item": "pool sftp", "leads_to": "%s"}}]}}' "$3" >answer
  echo "moved to $3" ;;
*) exit 64 ;;
esac
"""


class Site:
    """The command, and what it steers."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.program = folder / "lb"
        self.argv = (str(self.program), "--pool=sftp & more")
        self._write("lb", SCRIPT.format(folder=folder))
        self.says(leads_to="one", seen="10.1.1.2:22")

    @property
    def leads_to(self) -> str:
        """The cluster that it leads to now."""
        written = json.loads((self.folder / "answer").read_text(encoding="utf-8"))
        return str(written["destinations"][0]["leads_to"])

    @property
    def redirects(self) -> tuple[str, ...]:
        """Every redirect that was begun, as the preview shows it."""
        file = self.folder / "redirects"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else ()
        return tuple(line.replace("--pool=sftp & more", "'--pool=sftp & more'") for line in lines)

    def says(self, leads_to: str | None, seen: str | None, **more: object) -> None:
        """Let it lead there."""
        destination = {"item": "pool sftp", "leads_to": leads_to, "seen": seen}
        self.prints(json.dumps({"destinations": [destination], **more}))

    def prints(self, text: str) -> None:
        """Let ``observe`` print this text."""
        (self.folder / "answer").write_text(text, encoding="utf-8")

    def observes_by(self, script: str) -> None:
        """Let ``observe`` run a script instead."""
        self._write("observe", f"#!/bin/sh\n{script}\n")

    def redirects_by(self, script: str) -> None:
        """Let ``redirect`` run a script instead, with the cluster as its word."""
        self._write("redirect", f"#!/bin/sh\n{script}\n")

    def _write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.write_text(text, encoding="utf-8")
        file.chmod(0o755)
