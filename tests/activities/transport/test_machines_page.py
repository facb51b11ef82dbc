"""The page about machines says what the estate's model takes."""

import re
from pathlib import Path

import pytest
import yaml

from workflows.model.machines import SshAccess

PAGE = (Path(__file__).parents[3] / "docs/machines.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_valid_as_it_stands(example: str) -> None:
    """It can be copied into an estate file."""
    assert SshAccess.model_validate(yaml.safe_load(example)["ssh"]).user == "st"


def test_there_are_examples_of_jump_hosts_and_certificates() -> None:
    """Otherwise the test before would hold for nothing."""
    found = [SshAccess.model_validate(yaml.safe_load(example)["ssh"]) for example in EXAMPLES]
    assert [len(access.jump) for access in found] == [2, 0, 0]
    assert [access.certificate is not None for access in found] == [False, True, False]
