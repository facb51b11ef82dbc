"""Show what a Freeze has seen in the Web UI, as Markdown."""

from collections.abc import Iterable

from workflows.model.findings import Finding
from workflows.model.freeze import FreezeRequest
from workflows.views.progress_markdown import TIME, bulleted, plain


def freeze_details(request: FreezeRequest, findings: Iterable[Finding]) -> str:
    """Return the current details of a Freeze: what was changed, and what it cannot read."""
    record = request.record
    since = f", since {record.since:{TIME}}" if record.since else ""
    lines = [
        plain(f"{request.estate}: the configuration is watched while replication is suspended"),
        since,
    ]
    dark = [f"{cluster}: is shut down, so it is not read" for cluster in request.dark]
    sections = (
        [f"**{''.join(lines)}**"],
        bulleted("Configuration changes", map(plain, map(str, record.changes))),
        ["No change so far."] if not record.changes else [],
        bulleted("Not watched", map(plain, (*dark, *map(str, findings), *record.gaps))),
        ["A Rejoin takes the watch over; cancelling this ends it, and its result is this list."],
    )
    return "\n\n".join("\n".join(section) for section in sections if section)
