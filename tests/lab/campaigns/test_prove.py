"""scripts/prove resumes: what has passed on a commit is not repeated on it; parts run alone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.subprocesses import REPOSITORY

PYTHON = f"""\
#!/bin/sh
echo "$*" | head -n 1 >>calls
case "$*" in
    *--control*) for result; do :; done
                 echo '{{"effects": {{"repeated": '$REPORTED', "misordered": 1}}}}' >"$result"
                 exit 1 ;;
    *--literal*) for result; do :; done
                 echo '{{"traffic": {{"failed": '$FAILED'}}}}' >"$result"
                 exit 1 ;;
    *"always --proven"*) for result; do :; done
                 echo '{{"invariants": {{"violations": '$OVERLAP'}}}}' >"$result"
                 exit 1 ;;
    -c*) exec {sys.executable} "$@" ;;
    *"lab readiness"*) exit "$READINESS" ;;
esac
"""
"""Records its calls, and behaves as the campaigns do."""
CAMPAIGNS = [
    *("rollback", "crash"),
    *("rollback", "crash"),  # of rejoins
    *("round-trips", "round-trips", "round-trips"),
    *(("crash", "rollback") * 4),  # with each driver
    *(("demo", "crash", "rollback") * 4),  # by a jump host, by sudo, on Windows, with near workers
    *("unkind", "readiness"),
]
CONTROLS = ["crash", "crash", "demo", "round-trips"]


def prove(
    place: Path,
    *given: str,
    readiness: int = 0,
    reported: int = 1,
    failed: int = 8,
    overlap: int = 2,
) -> tuple[int, list[str]]:
    """Run the script; return its exit code and the campaigns that it started."""
    (place / "calls").unlink(missing_ok=True)
    play = {"READINESS": readiness, "REPORTED": reported, "FAILED": failed, "OVERLAP": overlap}
    environment = {**os.environ, **{name: str(number) for name, number in play.items()}}
    ended = subprocess.run(["sh", "scripts/prove", *given], cwd=place, env=environment, check=False)
    (place / "calls").touch()
    calls = (place / "calls").read_text(encoding="utf-8").splitlines()
    return ended.returncode, [call.split()[2] for call in calls if call.startswith("-m lab ")]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A checkout with the scripts and a virtual environment whose Python only records."""
    (tmp_path / ".venv/bin").mkdir(parents=True)
    for name in ("requirements.lock", ".venv/.installed"):
        (tmp_path / name).touch()
    python = tmp_path / ".venv/bin/python"
    python.write_text(PYTHON, encoding="utf-8")
    python.chmod(0o755)
    shutil.copytree(REPOSITORY / "scripts", tmp_path / "scripts")
    (tmp_path / ".gitignore").write_text(".venv\n.prove\ncalls\n", encoding="utf-8")
    commit(tmp_path, "init", "-q")
    return tmp_path


def commit(place: Path, *first: str) -> None:
    """Commit everything."""
    identity = ("-c", "user.name=lab", "-c", "user.email=lab@localhost")
    for argv in (first, ("add", "-A"), (*identity, "commit", "-q", "-m", "a change")):
        if argv:
            subprocess.run(["git", *argv], cwd=place, check=True)


def test_an_interrupted_proof_resumes_on_the_same_commit_only(place: Path) -> None:
    """Another commit, or an uncommitted change, is proven anew."""
    assert prove(place, readiness=130) == (130, CAMPAIGNS)
    assert prove(place) == (0, ["readiness", *CONTROLS])

    everything = [*CAMPAIGNS, *CONTROLS]
    (place / "scripts/lint").write_text("changed\n", encoding="utf-8")
    assert prove(place) == (0, everything)
    commit(place)
    assert prove(place) == (0, everything)


def test_a_negative_control_that_is_not_reported_ends_the_proof(place: Path) -> None:
    """Without it, no result could be trusted; what has passed is kept."""
    assert prove(place, reported=0) == (1, [*CAMPAIGNS, "crash"])
    assert prove(place, failed=0) == (1, CONTROLS[:-1])
    assert prove(place, overlap=0) == (1, ["demo", "round-trips"])


def test_parts_that_are_named_run_alone(place: Path) -> None:
    """And they need not be repeated when everything is proven."""
    assert prove(place, "--only", "readiness,rejoin_rollback") == (0, ["rollback", "readiness"])
    others = [*CAMPAIGNS[:2], *CAMPAIGNS[3:-1]]
    assert prove(place) == (0, [*others, *CONTROLS])


@pytest.mark.parametrize("named", ["", "readines", "crash,nothing"])
def test_a_part_that_does_not_exist_is_refused(place: Path, named: str) -> None:
    """Before anything runs."""
    assert prove(place, "--only", named) == (2, [])
