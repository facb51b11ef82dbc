"""Which faults can the operator's description of the estate have, and how are they planted?

The file is changed in place: whatever else a test has written there stays.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from lab.campaigns.preflight_faults.fault import InjectedFault
from lab.layout import Layout

OTHER_HOME = "SecureTransport-5.5"


@contextmanager
def edited_estate(layout: Layout) -> Iterator[dict[str, Any]]:
    """Let the estate file be changed; nobody ever reads half of it."""
    file = layout.estate_file
    estate = yaml.safe_load(file.read_text(encoding="utf-8"))
    yield estate
    fresh = file.with_suffix(f".{os.getpid()}")  # no estate file, to a worker that looks now
    fresh.write_text(yaml.safe_dump(estate, sort_keys=False, width=100), encoding="utf-8")
    fresh.replace(file)


def _describe_home(layout: Layout, place: str, home: Path) -> None:
    with edited_estate(layout) as estate:
        for cluster in estate["clusters"]:
            for node in cluster["nodes"]:
                if node["name"] == place:
                    node["filedrivehome"] = str(home)


def _other_home(layout: Layout, place: str) -> Path:
    return layout.node(place).home.with_name(OTHER_HOME)


async def _install_elsewhere(layout: Layout, place: str) -> None:
    other = _other_home(layout, place)
    other.unlink(missing_ok=True)
    other.symlink_to(layout.node(place).home.name)
    _describe_home(layout, place, other)


async def _install_where_it_was(layout: Layout, place: str) -> None:
    _describe_home(layout, place, layout.node(place).home)
    _other_home(layout, place).unlink(missing_ok=True)


FAULTS = (
    InjectedFault(
        "installation_path_differs",
        "cluster2-server1",
        "The estate file gives another FILEDRIVEHOME for it than for the others.",
        _install_elsewhere,
        _install_where_it_was,
    ),
)
