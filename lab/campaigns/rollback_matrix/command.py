"""Which words does ``python -m lab undo`` take?"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated, Optional

import typer

from lab.campaigns.rollback_matrix.cases import Only
from lab.campaigns.rollback_matrix.matrix import Matrix, Wishes
from lab.layout import Layout
from lab.signals import cancelled_by_sigterm

INTERRUPTED = 130
"""The exit code; with ``--json`` the same words go on from there."""

Result = Annotated[Optional[Path], typer.Option(help="Write the result to this file.")]  # noqa: UP045 - typer
Parts = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer
    typer.Option(
        "--only", metavar="STAGE[:PLACE[:KIND[:ANSWER]]]", help="A part of it; repeatable."
    ),
]


def undo(
    json: Result = None,
    only: Parts = None,
    labs: Annotated[int, typer.Option(min=1, max=8, help="Estates side by side.")] = 2,
) -> None:
    """Let every stage fail in every way; exit 1 if anything was not taken back as it must."""
    layout = Layout(Path("/"), "127.0.0")
    try:
        parts = tuple(Only.read(text, layout) for text in only or ())
    except ValueError as mistake:
        raise typer.BadParameter(str(mistake)) from mistake
    with tempfile.TemporaryDirectory(prefix="undo-", ignore_cleanup_errors=True) as place:
        wishes = Wishes(Path(place), parts, labs, json)
        try:
            good = asyncio.run(cancelled_by_sigterm(Matrix(wishes).run()))
        except asyncio.CancelledError:  # by SIGTERM
            raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(0 if good else 1)
