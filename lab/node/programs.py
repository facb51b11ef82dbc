"""The program of each service."""

from __future__ import annotations

from collections.abc import Callable

from lab.node import admin, https, monitor, sftp, transaction_manager
from lab.node import stub_servers as silent
from lab.node.service import Context, run

PROGRAMS: dict[str, Callable[[Context], None]] = {
    "ssh": run(sftp.serve),
    "http": run(https.serve),
    "ftp": run(silent.serve),
    "as2": run(silent.serve),
    "pesit": run(silent.serve),
    "tm": run(transaction_manager.serve),
    "admin": run(admin.serve),
    "socks": silent.idle,
    "db": silent.idle,
    "monitor": monitor.watch,
}
