"""The lab's own record of what really happened, one JSON object a line, appended atomically.

Effects (``effects.jsonl``): ``{"at", "place", "service", "effect", ...}`` with ``at`` in seconds
since the epoch. The process that causes an effect writes it at that instant.

On a node, services ``monitor ssh http ftp as2 pesit tm admin socks db``:

* ``start``: began to run
* ``stop``: ended at once, by command
* ``drain``: a graceful stop was accepted and is pending (``timeout``, in seconds)
* ``stopped``: the pending stop completed (``cut``: how many transfers it ended)
* ``died``: ended without a command

On a node, services ``scheduler folder_monitor``: ``start``, ``stop``; also a server's name, such as
``Ssh Default``, where the admin API started or stopped what listens for a daemon.
On ``loadbalancer1``, or of its zone ``dns``, service ``traffic``: ``redirect`` (``to``: a cluster).
On ``database1`` and ``database2``, the subscription's name as service: ``disable``, ``enable``.

An action that finds its service in that state already is recorded all the same, with
``"changed": false``: the record exists to find actions that reach a node twice. ``by`` is the
actor: the script's or API call's name, ``monitord``, or ``start_sshd`` where that started
another service.
Services that start with the lab or its reset leave no record: that is the baseline.

Sessions (``sessions.jsonl``): ``{"at", "node", "protocol", "account", "peer", "id", "what"}`` with
``what`` one of ``begin`` and ``end``.

Work (``work.jsonl``): ``{"at", "cluster", "node", "kind", "key"}`` with ``kind`` one of ``event``
(an EVENT row was processed), ``pickup`` (the Folder Monitor took a file), ``schedule`` (the
Scheduler ran a task for a slot of time). The same (kind, key) twice is work done twice.

Ways (``ways.jsonl``), where machines are behind a jump host: ``{"at", "user"}``, a login to the
jump host; ``{"at", "to", "port"}``, a connection that it led on to a machine; ``{"at", "to",
"past_by"}``, an address that came to a machine past the jump host, and was not let in.

Logins (``logins.jsonl``), where the owner of the machines has no login: ``{"at", "place", "kind",
"real", "sent"}`` for each command of the account that logs in, with ``kind`` one of ``command``
(through sudo, as the owner), ``question`` (about what sudo allows) and ``other``.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def append(file: Path, **entry: Any) -> None:  # noqa: ANN401 - JSON
    """Append one entry, stamped with the time; O_APPEND and one write keep lines whole."""
    line = json.dumps({"at": time.time(), **entry}) + "\n"
    handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)


def read(file: Path) -> Iterator[dict[str, Any]]:
    """Yield every entry written so far, the oldest first."""
    if not file.exists():
        return
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):
                yield json.loads(line)
