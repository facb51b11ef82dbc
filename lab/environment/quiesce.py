"""Wait until everything that clients caused has been processed."""

from pathlib import Path

import psycopg

from lab.layout import Layout
from lab.polling import holds_within

SETTLE_TIMEOUT = 20.0
POLL_SECONDS = 0.2


async def settle(layout: Layout) -> None:
    """Wait until queues and inboxes are empty and the storages equal, for a limited time.

    What is not finished by then is reported by the verdict.
    """
    await holds_within(SETTLE_TIMEOUT, lambda: _at_rest(layout), POLL_SECONDS)


async def _at_rest(layout: Layout) -> bool:
    one, two = (files(cluster.storage) for cluster in layout.clusters)
    if one != two or any(path.startswith("inbox/") for path in one):
        return False
    for cluster in layout.clusters:
        async with await psycopg.AsyncConnection.connect(cluster.dsn) as connection:
            queued = await (await connection.execute("SELECT count(*) FROM event")).fetchone()
        if queued is None or queued[0]:
            return False
    return True


def files(storage: Path) -> set[str]:
    """Everything on a storage that is whole."""
    return {
        str(path.relative_to(storage))
        for path in storage.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }
