"""The worker's settings, from command line and environment; no other module reads these."""

import argparse
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from temporalio.envconfig import ClientConfig, ClientConnectConfig

from worker.secret_sources import DIRECTORY, PREFIXES, secret_directories, secret_variables
from worker.startup_errors import StartupError
from workflows.model.task_queues import TASK_QUEUE, own_queue

LOCAL_SERVER: ClientConnectConfig = {"target_host": "localhost:7233", "namespace": "default"}


@dataclass(frozen=True)
class Settings:
    """Everything that is configured."""

    estates: Path
    records: Path
    seal_keys: Path
    """The file with the keys that all workers of the queue share."""
    log_level: str
    temporal: ClientConnectConfig
    """With an address and a namespace."""
    traces: bool
    """Whether OpenTelemetry's environment says where to send them."""
    secrets: Mapping[str, str]
    """What ``env:NAME`` in an estate file refers to."""
    secret_directories: tuple[Path, ...] = ()
    """Below these lies what ``file:PATH`` in an estate file refers to."""
    task_queue: str = TASK_QUEUE
    """The main one, or one that estates give their clusters."""
    behind_jump_hosts: bool = False
    """Whether the cluster's nodes are reached straight, although estates name jump hosts."""

    @property
    def address(self) -> str:
        """Return the address of the Temporal server."""
        return self.temporal["target_host"]

    @property
    def namespace(self) -> str:
        """Return the Temporal namespace."""
        return self.temporal["namespace"]


def read_settings(arguments: Sequence[str] | None = None) -> Settings:
    """Read the command line, and the environment for what it omits; argparse exits 2 on errors.

    Raises:
        StartupError: a directory or Temporal's own configuration is not usable.
    """
    given = _parser().parse_args(arguments)
    if not given.estates:
        raise StartupError(
            "--estates DIR (or SWITCHOVER_ESTATES) is missing; name the directory of estate files"
        )
    estates, records = Path(given.estates).resolve(), Path(given.records).resolve()
    if not estates.is_dir():
        raise StartupError(
            f"--estates: {estates} is no directory; name the one with the estate files"
        )
    try:
        next(estates.iterdir(), None)
        records.mkdir(parents=True, exist_ok=True)
    except OSError as refusal:
        raise StartupError(f"{refusal.filename}: {refusal.strerror}") from refusal
    if not os.access(records, os.W_OK | os.X_OK):
        raise StartupError(f"--records: {records} cannot be written; outcomes are kept there")
    seal_keys = Path(given.seal_keys or records / "seal-keys").absolute()
    return Settings(
        estates=estates,
        records=records,
        seal_keys=seal_keys,
        log_level=given.log_level,
        temporal=_temporal(),
        traces=bool(
            os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
            or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        ),
        secrets=secret_variables(os.environ, given.secret_variables),
        secret_directories=secret_directories(os.environ, given.secrets, seal_keys),
        task_queue=_task_queue(given.task_queue),
        behind_jump_hosts=_behind_jump_hosts(given),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m worker",
        description="Runs switchovers. Temporal is found by TEMPORAL_ADDRESS, "
        "TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS_... or a profile "
        "(TEMPORAL_CONFIG_FILE, TEMPORAL_PROFILE), as for the temporal CLI.",
    )
    parser.add_argument(
        "--estates",
        metavar="DIR",
        default=os.environ.get("SWITCHOVER_ESTATES", ""),
        help="directory of estate files, NAME.yaml (SWITCHOVER_ESTATES)",
    )
    parser.add_argument(
        "--records",
        metavar="DIR",
        default=os.environ.get("SWITCHOVER_RECORDS", "records"),
        help="directory that outcomes are written to (SWITCHOVER_RECORDS; default: records)",
    )
    parser.add_argument(
        "--task-queue",
        metavar="NAME",
        default=os.environ.get("SWITCHOVER_TASK_QUEUE", TASK_QUEUE),
        help="task queue that estates give a cluster near this worker: it does what is done on "
        f"that cluster's nodes, and runs no workflow (SWITCHOVER_TASK_QUEUE; default: {TASK_QUEUE},"
        " the main one)",
    )
    parser.add_argument(
        "--behind-jump-hosts",
        choices=("yes", "no"),
        default=os.environ.get("SWITCHOVER_BEHIND_JUMP_HOSTS", "no"),
        help="yes where this worker stands behind the jump hosts that estates name, near the nodes "
        "of its task queue: it reaches them straight (SWITCHOVER_BEHIND_JUMP_HOSTS; default: no)",
    )
    parser.add_argument(
        "--seal-keys",
        metavar="FILE",
        default=os.environ.get("SWITCHOVER_SEAL_KEYS", ""),
        help="file of the keys by which workers of a queue believe each other; made at the first "
        "start, the same for all workers (SWITCHOVER_SEAL_KEYS; default: seal-keys in --records)",
    )
    parser.add_argument(
        "--secrets",
        metavar="DIR",
        action="append",
        help="directory of the files that estates may refer to as secrets, again for another one "
        f"(SWITCHOVER_SECRETS, separated by `:`; default: {DIRECTORY})",
    )
    parser.add_argument(
        "--secret-variables",
        metavar="PREFIX",
        action="append",
        help="how variables begin that estates may refer to as secrets, again for another one "
        f"(SWITCHOVER_SECRET_VARIABLES, separated by `:`; default: {PREFIXES})",
    )
    parser.add_argument(
        "--log-level",
        type=str.upper,
        choices=("DEBUG", "INFO", "WARNING", "ERROR"),
        default=os.environ.get("SWITCHOVER_LOG_LEVEL", logging.getLevelName(logging.INFO)),
        help="how much to log on standard error (SWITCHOVER_LOG_LEVEL; default: INFO)",
    )
    return parser


def _task_queue(name: str) -> str:
    try:
        return name if name == TASK_QUEUE else own_queue(name)
    except ValueError as mistake:
        raise StartupError(f"--task-queue: {mistake}") from mistake


def _behind_jump_hosts(given: argparse.Namespace) -> bool:
    behind: bool = given.behind_jump_hosts == "yes"
    if behind and given.task_queue == TASK_QUEUE:
        raise StartupError(
            "--behind-jump-hosts: the main worker reaches load balancers and nodes of all clusters "
            "as estates say; leave this out, or name the --task-queue of a cluster"
        )
    return behind


def _temporal() -> ClientConnectConfig:
    try:
        return LOCAL_SERVER | ClientConfig.load_client_connect_config()
    except RuntimeError as mistake:
        raise StartupError(f"Temporal's configuration cannot be read: {mistake}") from mistake
