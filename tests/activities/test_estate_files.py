"""Estate files are read strictly, and outcomes are kept whole."""

import os
from datetime import UTC, datetime
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from activities.estate_files import EstateFiles, estates_in, read_estate
from activities.transport.secrets import Secrets
from tests.support import estates
from workflows.errors import BadInput
from workflows.model.outcome import Outcome
from workflows.planning.plan import Plan


def write(directory: Path, given: dict[str, Any], name: str = "lab") -> Path:
    """Write an estate file as an operator would."""
    file = directory / f"{name}.yaml"
    file.write_text(yaml.safe_dump(given, sort_keys=False), encoding="utf-8")
    return file


@pytest.fixture
def files(tmp_path: Path) -> EstateFiles:
    """The activities, with an estate file and a directory of records."""
    write(tmp_path, estates.written())
    return EstateFiles(tmp_path, tmp_path / "records", Secrets({}))


def plans_in(directory: Path) -> dict[str, Plan]:
    """Every file of a directory, by its name, as the plan that it has to be."""
    return {
        file.name: Plan.model_validate_json(file.read_text(encoding="utf-8"))
        for file in directory.iterdir()
    }


async def test_a_file_becomes_the_plan_it_describes(files: EstateFiles) -> None:
    """The plan's snapshot is the estate of the file."""
    plan = await files.make_plan(estates.request())
    assert plan.estate == estates.estate()


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, "webhook.secret: env:SECRET: the worker's environment has no SECRET"),
        ({"SECRET": "hunter2"}, "webhook.url: env:HOOK: the worker's environment has no HOOK"),
        ({"SECRET": "", "HOOK": "https://x/"}, "webhook.secret: env:SECRET is empty"),
        ({"SECRET": "hunter2", "HOOK": "ftp://hunter2/"}, "webhook.url: env:HOOK holds no address"),
        ({"SECRET": "hunter2", "HOOK": "hunter2/x"}, "webhook.url: env:HOOK holds no address"),
        ({"SECRET": "hunter2", "HOOK": "https:///x"}, "webhook.url: env:HOOK holds no address"),
        ({"SECRET": "hunter2", "HOOK": "https://h:hunter2"}, "webhook.url: env:HOOK holds no"),
    ],
)
async def test_a_webhook_that_leads_nowhere_is_refused_before_anything_happens(
    tmp_path: Path, environment: dict[str, str], sentence: str
) -> None:
    """Not when the first notice is due; and neither address nor secret is shown."""
    hook = {"url": "env:HOOK", "secret": "env:SECRET"}
    write(tmp_path, estates.written(webhook=hook))
    files = EstateFiles(tmp_path, tmp_path, Secrets(environment))
    with pytest.raises(BadInput) as refusal:
        await files.make_plan(estates.request())
    assert str(refusal.value).startswith(f"{tmp_path / 'lab.yaml'}: {sentence}")
    assert "hunter2" not in str(refusal.value)
    assert refusal.value.__suppress_context__
    resolvable = Secrets({"HOOK": "http://hook.example.com/token", "SECRET": "hunter2"})
    plan = await EstateFiles(tmp_path, tmp_path, resolvable).make_plan(estates.request())
    assert "token" not in plan.model_dump_json()


async def test_an_unknown_estate_is_answered_with_those_there_are(tmp_path: Path) -> None:
    """A typing mistake is answered by the right names."""
    write(tmp_path, estates.written())
    with pytest.raises(BadInput, match=r"no estate lap: .* has lab; name one of these"):
        await read_estate(tmp_path, "lap")


async def test_an_empty_directory_says_so(tmp_path: Path) -> None:
    """Nothing there is an answer, too."""
    assert estates_in(tmp_path) == []
    with pytest.raises(BadInput, match="has none"):
        await read_estate(tmp_path, "lab")


async def test_a_file_and_its_estate_share_one_name(tmp_path: Path) -> None:
    """A copied file cannot switch the estate it was copied from."""
    write(tmp_path, estates.written(), "copy")
    with pytest.raises(BadInput, match="name is lab"):
        await read_estate(tmp_path, "copy")


async def test_only_a_check_that_exists_can_be_adjusted(tmp_path: Path) -> None:
    """A typing mistake in its name would leave the check as it is."""
    write(tmp_path, estates.written(checks={"sun_is_up": {"severity": "warns", "reason": "so"}}))
    with pytest.raises(BadInput, match=r"checks.sun_is_up: there is no such check; .* --list"):
        await read_estate(tmp_path, "lab")


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("clusters.0.nodes.0.kind", "edge", "cluster1 has no node of kind server"),
        ("clusters.0.nodes", [], "clusters.0.nodes: "),
        ("clusters.0.nodes.0.name", "cluster2-server1", "the name cluster2-server1 is given twice"),
        ("clusters.0.nodes.0.address", "203.0.113.101", "clusters share no node"),
        ("defaults.admin.password", "hunter2", "admin.password: a secret in clear does not belong"),
        ("load_balancer.timeout", 5, "load_balancer.timeout: "),
        ("clusters.0.nodes.0.kind", "hunter2", "clusters.0.nodes.0.kind: "),
    ],
)
async def test_a_mistake_is_named_by_its_key(
    tmp_path: Path, path: str, value: object, sentence: str
) -> None:
    """One sentence names the file and the key, and never repeats a value."""
    given: Any = estates.written(servers=1)
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    reduce(getitem, parents, given)[last] = value
    file = write(tmp_path, given)
    with pytest.raises(BadInput) as refusal:
        await read_estate(tmp_path, "lab")
    message = str(refusal.value)
    assert str(file) in message
    assert sentence in message
    assert "hunter2" not in message
    assert "\n" not in message
    # Temporal sends causes along: what pydantic knew of the input must not be among them.
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name: lab\nname: other\n", "line 2: the key name is given twice"),
        ("name: lab\ntiming: {grace: 1, grace: 2}\n", "line 2: the key grace is given twice"),
        ("password: *hunter2\n", "line 1, column 11: this is not YAML"),
        ("password: !hunter2 x\n", "line 1: a tag, which begins with !"),
        ("name: [hunter2\n", "this is not YAML"),
        ("name: 2026-13-45\n", "this is not YAML"),
        ("? [hunter2]\n: x\n", "line 1: a key is a text"),
        ("hunter2\n", "holds no estate"),
        ("", "holds no estate"),
    ],
)
async def test_what_is_no_yaml_is_refused_by_line(tmp_path: Path, text: str, sentence: str) -> None:
    """PyYAML's own message may repeat a secret: only the place is shown."""
    (tmp_path / "lab.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as refusal:
        await read_estate(tmp_path, "lab")
    assert sentence in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


async def test_merged_mappings_may_be_overridden(tmp_path: Path) -> None:
    """YAML's own way to say a thing once is no duplicate key."""
    text = "base: &base {a: 1}\nother: &other {b: 2}\nboth: {<<: *base, <<: *other, a: 3}\n"
    (tmp_path / "lab.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match="not a usable estate"):
        await read_estate(tmp_path, "lab")


async def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """A file in another encoding, or no text at all, is one sentence."""
    (tmp_path / "lab.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(BadInput, match="not UTF-8"):
        await read_estate(tmp_path, "lab")


async def test_an_outcome_is_kept_as_one_file(files: EstateFiles, tmp_path: Path) -> None:
    """A second attempt replaces the file of the first, and there is no other file."""
    started = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    outcome = Outcome(
        outcome="completed",
        message="done",
        estate="lab",
        source="cluster1",
        target="cluster2",
        reason="",
        identity="0c6d",
        plan_hash="f" * 64,
        started=started,
        ended=started,
        seconds=0,
        drain_seconds=0,
        stages=(),
    )
    records = tmp_path / "records"
    kept = [await files.save_outcome(outcome) for _ in range(2)]
    assert kept == [str(records / "lab-20260102T030405Z-0c6d.json")] * 2
    assert [str(file) for file in records.iterdir()] == kept[:1]
    assert [Outcome.model_validate_json(file.read_bytes()) for file in records.iterdir()] == [
        outcome
    ]


async def test_a_reviewed_plan_is_kept_under_its_hash(files: EstateFiles, tmp_path: Path) -> None:
    """Written again it is the same file; a later start lists what has changed since."""
    plan = await files.make_plan(estates.request())
    kept = {await files.save_plan(plan) for _ in range(2)}
    assert kept == {f"{tmp_path}/records/plans/{plan.hash}.json"}
    assert plans_in(tmp_path / "records/plans") == {f"{plan.hash}.json": plan}
    assert await files.make_plan(estates.request(plan_hash=plan.hash)) == plan
    write(tmp_path, estates.written(timing={"grace": 60}))
    change = r'\n-estate.timing.grace: "PT2M"\n\+estate.timing.grace: "PT1M"\n'
    with pytest.raises(BadInput, match=change):
        await files.make_plan(estates.request(plan_hash=plan.hash))


@pytest.mark.parametrize("text", ["", "no JSON", "{}", '{"estate": 1}'])
async def test_a_kept_plan_that_cannot_be_read_is_none(
    files: EstateFiles, tmp_path: Path, text: str
) -> None:
    """The start is refused all the same, without a list of differences."""
    plans = tmp_path / "records/plans"
    plans.mkdir(parents=True)
    (plans / f"{'0' * 64}.json").write_text(text)
    for pinned in ("0" * 64, "1" * 64):
        with pytest.raises(BadInput, match="does not have the reviewed plan"):
            await files.make_plan(estates.request(plan_hash=pinned))


async def test_a_hash_that_is_none_is_no_file_name(files: EstateFiles, tmp_path: Path) -> None:
    """An operator who may start runs must not be able to search the worker's files."""
    plan = await files.make_plan(estates.request())
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text(plan.model_dump_json())
    (tmp_path / "records/plans").mkdir(parents=True)
    for name in ("../../elsewhere", str(elsewhere.with_suffix(""))):
        with pytest.raises(ValidationError, match="plan_hash"):
            estates.request(plan_hash=name)
        asked = estates.request().model_copy(update={"plan_hash": name})
        with pytest.raises(BadInput, match="does not have the reviewed plan"):
            await files.make_plan(asked)


def test_what_is_no_file_of_an_estate_is_not_listed(tmp_path: Path) -> None:
    """Whatever lies in the directory, the other estates can be used."""
    write(tmp_path, estates.written())
    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "gone.yaml").symlink_to("nowhere")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    for name in (b"a\nb.yaml", b"\x1b[2J.yaml", b"\xff\xfe.yaml", b"A.yaml", b".yaml"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).touch()
    assert estates_in(tmp_path) == ["lab"]


def test_a_directory_that_is_none_is_said(tmp_path: Path) -> None:
    """In a sentence, at the worker's start and to whoever asks for an estate."""
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="file cannot be read"):
        estates_in(tmp_path / "file")
