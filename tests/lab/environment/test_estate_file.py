"""The estate file of a lab, and the example of every key."""

import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from lab.environment.estate_file import describe
from lab.keys import make_keys
from lab.layout import Drivers, Layout, LoadBalancerDriver, ReplicationDriver
from workflows.model.estate import Estate, Kind

EXAMPLE = Path(__file__).parents[3] / "docs/estate.example.yaml"


@pytest.mark.parametrize(("servers", "edges"), [(1, 0), (2, 2), (20, 20)])
def test_every_size_of_lab_is_a_valid_estate(tmp_path: Path, servers: int, edges: int) -> None:
    """The lab describes itself as an operator would, without any secret in clear."""
    layout = Layout(tmp_path, "127.9.8", servers, edges)
    make_keys(layout)

    estate = Estate.model_validate(yaml.safe_load(yaml.safe_dump(describe(layout))))

    assert len(estate.nodes) == 2 * (servers + edges)
    assert {node.kind for node in estate.nodes} == {Kind.SERVER, *([Kind.EDGE] if edges else [])}
    assert "lab-admin" not in estate.model_dump_json()


@pytest.mark.parametrize("driver", get_args(LoadBalancerDriver))
def test_every_load_balancer_of_a_lab_is_described(
    tmp_path: Path, driver: LoadBalancerDriver
) -> None:
    """As the estate names it, with the one machine that a lab has for it."""
    layout = Layout(tmp_path, "127.9.8", drivers=Drivers(driver))
    make_keys(layout)
    layout.write()
    balancer = Estate.model_validate(describe(Layout.read(tmp_path))).load_balancer
    assert (balancer.driver, "loadbalancer1" in balancer.places) == (driver, True)


@pytest.mark.parametrize("driver", get_args(ReplicationDriver))
def test_every_replication_of_a_lab_is_described(tmp_path: Path, driver: ReplicationDriver) -> None:
    """In both directions."""
    layout = Layout(tmp_path, "127.9.8", drivers=Drivers(replication=driver))
    make_keys(layout)
    layout.write()
    replication = Estate.model_validate(describe(Layout.read(tmp_path))).replication
    assert (replication.driver, len(replication.links)) == (driver, 2)


def test_a_lab_of_windows_is_described(tmp_path: Path) -> None:
    """By paths of Windows, one with a blank; its nodes share a drive."""
    layout = Layout(tmp_path, "127.9.8", drivers=Drivers(windows=True))
    make_keys(layout)
    layout.write()
    estate = Estate.model_validate(describe(Layout.read(tmp_path)))
    assert {node.system for node in estate.nodes} == {"windows"}
    assert {node.filedrivehome for node in estate.nodes} == {
        r"C:\Program Files\Axway\SecureTransport"
    }
    assert {cluster.storage for cluster in estate.clusters} == {r"S:\SecureTransport"}
    assert str(Drivers(windows=True)) == " --windows"


def test_a_lab_whose_owner_has_no_login_is_described(tmp_path: Path) -> None:
    """On every machine, the load balancer's included."""
    layout = Layout(tmp_path, "127.9.8", drivers=Drivers("commands", "commands", run_as=True))
    make_keys(layout)
    layout.write()
    estate = Estate.model_validate(describe(Layout.read(tmp_path)))
    described = estate.model_dump_json()
    assert described.count('"run_as":"st"') == len(estate.nodes) + 2
    assert described.count('"user":"switchover"') == len(estate.nodes) + 2


def test_the_example_is_an_estate() -> None:
    """What operators start from is valid as it stands."""
    estate = Estate.model_validate(yaml.safe_load(EXAMPLE.read_text()))

    assert estate.name == "production"
    assert all(cluster.servers and cluster.edges for cluster in estate.clusters)


def test_the_example_explains_every_key() -> None:
    """Every key of the model has a comment in the example, on its line or before it."""
    explained = set(keys_explained(EXAMPLE.read_text()))

    assert {"defaults", *keys_of(Estate)} - explained == set()


@pytest.mark.parametrize(
    "driver", re.findall(r"^  # driver: (\w+)$", EXAMPLE.read_text(), re.MULTILINE)
)
def test_another_driver_of_the_example_is_valid_too(driver: str) -> None:
    """Its keys stand in a comment, and have no other use than to be copied."""
    written = EXAMPLE.read_text()
    below = written[written.index(f"  # driver: {driver}\n") :].splitlines()
    # The comment that follows begins with a capital letter.
    block = [line[4:] for line in takewhile(re.compile("  # +[^A-Z]").match, below)]
    described = yaml.safe_load(written)
    probes = described["load_balancer"]["probes"]
    described["load_balancer"] = {**yaml.safe_load("\n".join(block)), "probes": probes}
    balancer = Estate.model_validate(described).load_balancer
    assert balancer.driver == driver
    keys = set(keys_of(type(balancer))) - set(keys_of(Estate))
    assert keys <= set(keys_explained("\n".join(block)))


def keys_of(model: type[BaseModel]) -> Iterator[str]:
    """Every key of a model and of the models inside it."""
    for name, field in model.model_fields.items():
        yield name
        for inner in models_in(field.annotation):
            yield from keys_of(inner)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - any annotation
    """The models that an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def keys_explained(text: str) -> Iterator[str]:
    """Keys with a comment behind them or on the line before, commented-out keys too."""
    before = ""
    for line in text.splitlines():
        found = re.match(r"[ #-]*([a-z_]+):(?!\S)", line)
        if found and (before.lstrip().startswith("#") or " #" in line.strip("# ")):
            yield found[1]
        before = line
