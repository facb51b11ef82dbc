"""The page about machines says what the estate's model takes."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from activities.transport import sudo
from tests.support import estates
from workflows.model.estate import Estate
from workflows.model.machines import SshAccess

EXAMPLES_OF_FILES = Path(__file__).parents[3] / "docs/examples"
PAGE = (Path(__file__).parents[3] / "docs/machines.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(ssh:.*?)```", PAGE, re.DOTALL)
DEFAULTS = re.findall(r"```yaml\n(defaults:.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_valid_as_it_stands(example: str) -> None:
    """It can be copied into an estate file."""
    assert SshAccess.model_validate(yaml.safe_load(example)["ssh"]).account == "st"


def test_there_are_examples_of_jump_hosts_and_certificates() -> None:
    """Otherwise the test before would hold for nothing."""
    found = [SshAccess.model_validate(yaml.safe_load(example)["ssh"]) for example in EXAMPLES]
    assert [len(access.jump) for access in found] == [2, 0, 0, 0, 0]
    assert [access.certificate is not None for access in found] == [False, True, *[False] * 3]
    assert [access.agent is not None for access in found] == [False, False, True, False, False]
    assert [access.run_as for access in found] == [None, None, None, None, "st"]


def test_the_example_of_windows_is_valid_for_every_node() -> None:
    """Under the defaults of an estate."""
    [example] = DEFAULTS
    written = estates.written()
    written["defaults"] |= yaml.safe_load(example)["defaults"]
    for cluster in written["clusters"]:
        cluster["storage"] = r"\\files\SecureTransport"
    nodes = Estate.model_validate(written).nodes
    assert {node.below(node.filedrivehome, "bin") for node in nodes} == {
        r"C:\Axway\SecureTransport\bin"
    }


def test_the_rules_of_sudoers_are_those_that_are_tried() -> None:
    """The page shows the file of docs/examples, and the check words the same rule."""
    rules = EXAMPLES_OF_FILES.joinpath("sudoers").read_text(encoding="ascii")
    assert f"```\n{rules}```" in PAGE
    access = SshAccess.model_validate(yaml.safe_load(EXAMPLES[-1])["ssh"])
    assert rules.splitlines()[-1] == sudo.rule(access)


def test_the_rules_of_sudoers_are_valid() -> None:
    """As sudo's own program says."""
    if (program := shutil.which("visudo", path="/usr/sbin:/usr/bin")) is None:
        pytest.skip("sudo is not installed")
    file = EXAMPLES_OF_FILES / "sudoers"
    checked = subprocess.run([program, "-cf", file], capture_output=True, text=True, check=False)
    assert "parsed OK" in checked.stdout
