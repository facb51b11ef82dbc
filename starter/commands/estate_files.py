"""The commands about estate files, which need no Temporal server: `validate` and `schema`."""

from pathlib import Path
from typing import Annotated

import typer

from starter.client.errors import ExitCode
from starter.estate_schema import estate_schema
from starter.terminal import print_json, terminal
from workflows.estate_file import EstateMistakes, parse_estate
from workflows.model.estate import Cluster, Estate

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="estate files")]


def add_estate_files(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command()
    def validate(files: Files) -> None:
        """Read estate files as a worker would, and name every mistake; exits 0 if there is none."""
        console, code = terminal(), ExitCode.COMPLETED
        for file in files:
            try:
                message = f"{file}: {_summary(parse_estate(file.read_bytes(), file))}"
            except OSError as refusal:
                message, code = f"{file}: it cannot be read: {refusal.strerror}", ExitCode.BAD_INPUT
            except EstateMistakes as found:
                message = "\n".join(f"{file}: {mistake}" for mistake in found.mistakes)
                code = ExitCode.BAD_INPUT
            console.print(message, markup=False, soft_wrap=True)
        raise typer.Exit(code)

    @app.command()
    def schema() -> None:
        """Print the JSON Schema of estate files."""
        print_json(estate_schema())


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
