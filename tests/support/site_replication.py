"""A site's own command for replication, as the ``commands`` driver runs it: a real script."""

import json
from pathlib import Path
from typing import Any

from workflows.model.replications.commands import CommandsReplication

SCRIPT = """\
#!/bin/sh
# Keeps links, rows and what is to be delivered in files; a script in the place of a word is run
# instead. Usage: repl LINK WORD [POSITION]
cd '{folder}' || exit 71
link=$1 word=$2 back=${{1##*-}}-to-${{1%%-*}}
quoted() {{ sed 's/.*/"&"/' | paste -s -d , -; }}
if [ -e "enabled.$link" ] && [ ! -e "blocked.$link" ] && [ -e "pending.$link" ]; then
  cat "pending.$link" >>"rows.${{link##*-}}" && rm "pending.$link"
fi
case $word in suspend | resume) echo "$0 $*" >>changes ;; esac
[ ! -x "./$word" ] || exec "./$word" "$@"
[ -e "link.$link" ] || {{ echo '{{"exists": false}}'; exit; }}
case $word in
observe)
  on=false
  [ ! -e "enabled.$link" ] || on=true
  printf '{{"exists": true, "enabled": %s, "running": %s, "tables": [%s], "compares": true,
    "lag": {{"amount": 0, "unit": "rows"}}}}' $on $on "$(quoted <tables)" ;;
position) echo '{{"position": "now"}}' ;;
missing)
  rows=$(cat "pending.$link" 2>/dev/null | wc -l)
  if [ "$rows" -eq 0 ]; then echo '{{"missing": ""}}'
  else printf '{{"missing": "%s rows"}}' "$((rows))"; fi ;;
compare)
  : >>"pending.$link"; : >>"pending.$back"
  printf '{{"conflicts": [%s]}}' "$(grep -Fxf "pending.$link" "pending.$back" | quoted)" ;;
suspend) rm -f "enabled.$link" ;;
resume) : >"enabled.$link" ;;
*) exit 64 ;;
esac
"""


class Site:
    """The command, and the databases ``one`` and ``two`` that it steers."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.program = folder / "repl"
        self._write("repl", SCRIPT.format(folder=folder))
        self.set("tables", "st.Account\nst.Site\n")
        for link in ("one-to-two", "two-to-one"):
            self.set(f"link.{link}")
            self.set(f"enabled.{link}")

    @property
    def changes(self) -> list[str]:
        """Every change that was begun, as the preview shows it."""
        file = self.folder / "changes"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        return [f"repl1: {line}" for line in lines]

    def enabled(self, link: str) -> bool:
        """Whether a link is on."""
        return (self.folder / f"enabled.{link}").exists()

    def set(self, name: str, text: str = "") -> None:
        """Write a file of its state."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def clear(self, name: str) -> None:
        """Remove a file of its state."""
        (self.folder / name).unlink(missing_ok=True)

    def add(self, name: str, row: str) -> None:
        """Add a line to a file of its state."""
        with (self.folder / name).open("a", encoding="utf-8") as file:
            file.write(f"{row}\n")

    def rows(self, side: str) -> list[str]:
        """Return the rows that a side has."""
        file = self.folder / f"rows.{side}"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def says(self, word: str, document: object) -> None:
        """Let a word print this document."""
        self.runs(word, f"cat <<'END'\n{json.dumps(document)}\nEND")

    def runs(self, word: str, script: str) -> None:
        """Let a word run this script instead, with the link as its first word."""
        self._write(word, f"#!/bin/sh\n{script}\n")

    def _write(self, name: str, text: str) -> None:
        self.set(name, text)
        (self.folder / name).chmod(0o755)


def links(site: Site, machine: dict[str, Any], **changes: object) -> CommandsReplication:
    """Return both links of the site, whose command runs on that machine; *changes* are a link's."""
    described = [
        {
            "name": f"{a}-to-{b}",
            "source": a,
            "target": b,
            "host": "repl1",
            "command": [str(site.program), f"{a}-to-{b}"],
            **changes,
        }
        for a, b in (("one", "two"), ("two", "one"))
    ]
    hosts = [{**machine, "name": "repl1"}]
    return CommandsReplication.model_validate({"hosts": hosts, "links": described})
