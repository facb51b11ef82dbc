"""An estate reaches no secret of the worker's own, whatever it refers to."""

from pathlib import Path

import pytest

from activities.transport.secrets import Secrets
from worker.secret_sources import secret_directories, secret_variables
from worker.startup_errors import StartupError
from workflows.errors import BadInput

KEYS = Path("/var/lib/switchover/seal-keys")

ENVIRONMENT = {
    "ST_ADMIN_PASSWORD": "one",
    "SWITCHOVER_WEBHOOK": "two",
    "TEMPORAL_API_KEY": "hidden",
    "OTEL_EXPORTER_OTLP_HEADERS": "hidden",
    "SWITCHOVER_SEAL_KEYS": "hidden",
    "PATH": "hidden",
    "AWS_SECRET_ACCESS_KEY": "hidden",
    "VAULT_PASSWORD": "three",
}


async def test_an_estate_reads_variables_with_an_allowed_prefix_only() -> None:
    """What it may not read looks like what is not there, and the setting is named."""
    secrets = Secrets(secret_variables(ENVIRONMENT, None))
    assert await secrets.read("env:ST_ADMIN_PASSWORD") == "one"
    assert await secrets.read("env:SWITCHOVER_WEBHOOK") == "two"
    refused = [name for name, value in ENVIRONMENT.items() if value == "hidden"]
    for name in (*refused, "VAULT_PASSWORD", "NOT_THERE"):
        with pytest.raises(BadInput, match=rf"^env:{name}: .* --secret-variables \(SWITCHOVER_SEC"):
            await secrets.read(f"env:{name}")


@pytest.mark.parametrize("prefixes", [["VAULT_"], ["VAULT_:ST_"], ["VAULT_", "T", "P", "S", "O"]])
def test_the_worker_s_own_variables_are_never_offered(prefixes: list[str]) -> None:
    """Not even where the settings would allow them."""
    offered = secret_variables(ENVIRONMENT, prefixes)
    assert offered["VAULT_PASSWORD"] == "three"
    assert "hidden" not in offered.values()
    by_environment = {**ENVIRONMENT, "SWITCHOVER_SECRET_VARIABLES": ":".join(prefixes)}
    assert secret_variables(by_environment, None) == offered | {
        name: value
        for name, value in by_environment.items()
        if name == "SWITCHOVER_SECRET_VARIABLES" and name.startswith(tuple(prefixes))
    }


def test_no_prefix_allows_nothing() -> None:
    """An empty setting is not one that allows everything."""
    for prefixes in ([], [""], [":"]):
        assert secret_variables(ENVIRONMENT, prefixes) == {}


def test_a_directory_with_a_file_of_the_worker_s_own_is_refused(tmp_path: Path) -> None:
    """Also where a link leads there; the sentence names the file and the variable."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "temporal.key").touch()
    (tmp_path / "link").symlink_to(own)
    environment = {"TEMPORAL_TLS_CLIENT_KEY_PATH": str(own / "temporal.key")}
    assert secret_directories(environment, [f"{tmp_path}/secrets"], KEYS) == (tmp_path / "secrets",)
    for directory in (tmp_path, own, tmp_path / "link"):
        with pytest.raises(StartupError, match=r"holds .*temporal\.key, which is the worker's own"):
            secret_directories(environment, [f"{tmp_path}/secrets:{directory}"], KEYS)
    with pytest.raises(StartupError, match="--seal-keys"):
        secret_directories({}, [str(own)], own / "seal-keys")
    with pytest.raises(StartupError, match="no absolute path"):
        secret_directories({}, ["secrets"], KEYS)


def test_the_directories_are_named_by_the_environment_too() -> None:
    """As a list, as of PATH; without a setting it is one that holds nothing else."""
    given = {"SWITCHOVER_SECRETS": "/one:/two"}
    assert secret_directories(given, None, KEYS) == (Path("/one"), Path("/two"))
    assert secret_directories({}, None, KEYS) == (Path("/etc/switchover/secrets"),)
