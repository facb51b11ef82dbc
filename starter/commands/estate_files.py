"""The commands about estate files, which need no Temporal server: `validate` and `schema`."""

import os
import stat
from pathlib import Path
from typing import Annotated

import typer

from starter.client.errors import ExitCode
from starter.estate_schema import estate_schema
from starter.terminal import print_json, terminal
from workflows.estate_file import EstateMistakes, parse_estate
from workflows.estate_yaml import MAX_BYTES
from workflows.model.estate import Cluster, Estate
from workflows.model.text import printable

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="estate files")]


def add_estate_files(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command()
    def validate(files: Files) -> None:
        """Read estate files as a worker would, and name every mistake; exits 0 if there is none."""
        console, code = terminal(), ExitCode.COMPLETED
        for file in files:
            try:
                said = [_summary(parse_estate(_content(file), file))]
            except OSError as refusal:
                said, code = [f"it cannot be read: {refusal.strerror}"], ExitCode.BAD_INPUT
            except EstateMistakes as found:
                said, code = [*found.mistakes], ExitCode.BAD_INPUT
            message = "\n".join(printable(f"{file}: {sentence}") for sentence in said)
            console.print(message, markup=False, soft_wrap=True)
        raise typer.Exit(code)

    @app.command()
    def schema() -> None:
        """Print the JSON Schema of estate files."""
        print_json(estate_schema())


def _content(file: Path) -> bytes:
    """Return what a regular file holds, as far as an estate may be long; a pipe is not waited for.

    Raises:
        EstateMistakes: it is no regular file.
    """
    with open(file, "rb", opener=_without_waiting) as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise EstateMistakes(["it is no file that holds text, but a pipe or a device"])
        return opened.read(MAX_BYTES + 1)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _summary(estate: Estate) -> str:
    """Name what an operator would notice to be missing."""
    one, two = map(_cluster, estate.clusters)
    places = ", ".join(estate.load_balancer.places)
    links = ", ".join(link.name for link in estate.replication.links)
    return f"no mistake; {one}; {two}; traffic is redirected at {places}; replication: {links}"


def _cluster(cluster: Cluster) -> str:
    servers, edges = (
        ", ".join(node.name for node in nodes) or "none"
        for nodes in (cluster.servers, cluster.edges)
    )
    return f"{cluster.name} has servers {servers} and edges {edges}"
