"""What an estate may say of a node of Windows."""

from typing import Any

import pytest

from tests.support import estates
from tests.support.clean_readings import PLAN
from tests.workflows.model.test_estate import refusal
from workflows.model.estate import Estate

WINDOWS = {
    "system": "windows",
    "filedrivehome": r"C:\Axway & Co (5.5)\SecureTransport",
    "ledger": r"D:\switchover\ledger.1",
}


def estate(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever an operator wrote
    """Return a written estate whose first node is one of Windows."""
    given = estates.written()
    nodes = given["clusters"][0]["nodes"]
    nodes[0] = {key: v for key, v in (nodes[0] | WINDOWS | changes).items() if v is not None}
    return given


def test_a_node_of_windows_has_its_own_paths() -> None:
    """With backslashes, spaces and what else ``cmd.exe`` takes between quotes."""
    node = Estate.model_validate(estate()).nodes[0]
    path = node.below(node.filedrivehome, "bin", "taeh")
    assert path == r"C:\Axway & Co (5.5)\SecureTransport\bin\taeh"
    assert node.is_path(r"C:\monitor.cmd")
    assert not node.is_path("start_monitord")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"filedrivehome": None}, r"is no path on a drive of Windows; write one such as C:\Axway"),
        ({"ledger": None}, r"is no path on a drive of Windows; write one such as C:\ProgramData"),
        ({"filedrivehome": r"\\files\ST"}, "is no path on a drive of Windows"),
        ({"filedrivehome": "C:\\50%\\ST"}, 'without " % ! ^'),
        ({"filedrivehome": "C:\\Übertragung"}, "write ASCII characters"),
        ({"filedrivehome": "C:\\Axway\\"}, "no backslash at the end"),
        ({"alias": "a!b"}, "alias: on Windows write ASCII characters"),
        ({"stop_all": ["stop_all", '"']}, "stop_all: on Windows write ASCII characters"),
        ({"monitor": {"start": ["start^"]}}, "monitor.start: on Windows write ASCII characters"),
        ({"ledger": r"C:\Program Files\ledger"}, "without blanks"),
        ({"ledger": r"C:\a\..\b"}, "without blanks"),
        ({"ledger": "C:\\" + "a" * 80}, "at most 80 characters"),
        ({"system": "linux"}, "is a path of Windows; write `system: windows`"),
        ({"system": "linux", "ledger": None}, "is a path of Windows; write `system: windows`"),
        ({"ssh": {"user": "a", "key": "env:K", "run_as": "st"}}, "ssh.run_as needs sudo"),
        ({"system": "os2"}, "clusters.0.nodes.0.system"),
    ],
)
def test_what_cmd_would_rewrite_is_refused(changes: dict[str, Any], words: str) -> None:
    """One clear sentence, before anything is sent."""
    assert words in refusal(estate(**changes))


def test_a_storage_may_be_a_share() -> None:
    """It is quoted as any path; a session of SSH has no mapped drive."""
    given = estates.written()
    given["defaults"] |= WINDOWS
    for cluster in given["clusters"]:
        cluster["storage"] = r"\\files\SecureTransport"
    assert Estate.model_validate(given).clusters[0].storage == r"\\files\SecureTransport"
    given["clusters"][1]["storage"] = r'\\files\"ST"'
    assert 'cluster2: storage: on Windows write ASCII characters without "' in refusal(given)


def test_only_nodes_may_be_machines_of_windows() -> None:
    """What is done on a load balancer's machine are POSIX shell scripts."""
    given = estates.written()
    given["load_balancer"]["hosts"][0] |= {"system": "windows", "ledger": WINDOWS["ledger"]}
    assert "system windows is for nodes only" in refusal(given)


def test_an_estate_without_windows_is_written_as_before() -> None:
    """Its seals and its plan's hash stay the same."""
    node = PLAN.estate.nodes[0].model_dump(mode="json")
    assert node["system"] == "linux"
    assert "systems" not in node
