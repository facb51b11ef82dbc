"""Certificates of keys and of hosts, with a real OpenSSH server."""

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from activities.transport.secrets import Secrets
from activities.transport.ssh import Command, Shell
from tests.activities.conftest import NodeMaker
from tests.support.openssh import openssh
from tests.support.ssh_machines import CLIENT_KEY
from workflows.errors import AccessRefused

AUTHORITY = asyncssh.generate_private_key("ssh-ed25519")
STRANGER = asyncssh.generate_private_key("ssh-ed25519")
KEY = CLIENT_KEY.export_private_key("openssh").decode()
LONG_AGO = 1_000_000_000
TRUE = Command(("true",))


def certified(key: asyncssh.SSHKey = CLIENT_KEY, **given: Any) -> str:  # noqa: ANN401 - asyncssh's own arguments
    """Return a user's certificate; its principal is the account that runs the tests."""
    facts: dict[str, Any] = {"principals": [getpass.getuser()], **given}
    return AUTHORITY.generate_user_certificate(key, "worker", **facts).export_certificate().decode()


def trusting(root: Path) -> str:
    """Let a server trust the authority; return the line of its configuration."""
    AUTHORITY.write_public_key(root / "user_ca.pub")
    return f"TrustedUserCAKeys {root}/user_ca.pub"


def shell_with(certificate: str) -> Shell:
    """Return a shell whose worker has a key and this certificate."""
    return Shell(Secrets({"KEY": KEY, "CERTIFICATE": certificate}))


async def test_a_key_with_a_certificate_is_let_in(node_maker: NodeMaker, tmp_path: Path) -> None:
    """The server knows only the authority; it knows no key of the worker."""
    shell = shell_with(certified())
    async with openssh(tmp_path, trusting(tmp_path), client_key=STRANGER) as server:
        ssh = server.user()
        with pytest.raises(AccessRefused, match="check key, host_key and the account"):
            await shell.run(node_maker(ssh=ssh, host_key=server.host_key), TRUE)
        certified_access = {**ssh, "certificate": "env:CERTIFICATE"}
        node = node_maker(ssh=certified_access, host_key=server.host_key)
        assert (await shell.run(node, TRUE)).status == 0
        await shell.close()


async def test_another_principal_is_refused_by_the_server(
    node_maker: NodeMaker, tmp_path: Path
) -> None:
    """Which principals an account has, only the server knows; the message says where to look."""
    shell = shell_with(certified(principals=["somebody"]))
    async with openssh(tmp_path, trusting(tmp_path), client_key=STRANGER) as server:
        access = {**server.user(), "certificate": "env:CERTIFICATE"}
        with pytest.raises(AccessRefused, match=r"check key, certificate \(its principals too\)"):
            await shell.run(node_maker(ssh=access, host_key=server.host_key), TRUE)
        await shell.close()


async def test_a_jump_host_takes_a_certificate_too(node_maker: NodeMaker, tmp_path: Path) -> None:
    """One that has expired is refused before anything is sent, with the jump host's name."""
    async with openssh(tmp_path, trusting(tmp_path), client_key=STRANGER) as server:
        access = {**server.user(), "certificate": "env:CERTIFICATE"}
        jump = {**access, "address": "127.0.0.2", "host_key": server.host_key}
        node = node_maker(ssh={**access, "jump": jump}, host_key=server.host_key)
        shell = shell_with(certified(valid_after=0, valid_before=LONG_AGO))
        says = (
            r"^server1: the jump host 127\.0\.0\.2:\d+: the certificate env:CERTIFICATE .*expired"
        )
        with pytest.raises(AccessRefused, match=says):
            await shell.run(node, TRUE)


@pytest.mark.parametrize(
    ("certificate", "says"),
    [
        (lambda: certified(valid_after=0, valid_before=LONG_AGO), "Certificate expired.*signed"),
        (lambda: certified(valid_after=1 << 40), "not yet valid.*correct the worker's clock"),
        (lambda: certified(STRANGER), "belongs to another key"),
        (
            lambda: (
                AUTHORITY.generate_host_certificate(CLIENT_KEY, "x").export_certificate().decode()
            ),
            "Invalid certificate type.*for a user",
        ),
        (lambda: CLIENT_KEY.export_public_key("openssh").decode(), "is no certificate"),
        (lambda: "ssh-ed25519-cert-v01@openssh.com AAAA", "is no certificate"),
        (lambda: "", "is no certificate"),
    ],
)
async def test_a_certificate_that_cannot_be_used_is_refused_before_anything_is_sent(
    certificate: Callable[[], str], says: str, node_maker: NodeMaker
) -> None:
    """In one sentence, with its reference."""
    access = {"user": "st", "key": "env:KEY", "certificate": "env:CERTIFICATE", "port": 1}
    shell = shell_with(certificate())
    with pytest.raises(AccessRefused, match=f"^server1: .*env:CERTIFICATE .*{says}"):
        await shell.run(node_maker(ssh=access), TRUE)


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_host_certificate_is_verified_by_its_authority(
    trusted: bool,  # noqa: FBT001 - a parameter of the test
    node_maker: NodeMaker,
    tmp_path: Path,
    shell: Shell,
) -> None:
    """The line ``@cert-authority`` lets in every machine that the authority has signed."""
    authority = AUTHORITY if trusted else STRANGER
    known = tmp_path / "known_hosts"
    line = authority.export_public_key("openssh").decode().strip()
    known.write_text(f"@cert-authority 127.0.0.* {line}\n")
    async with openssh(tmp_path, host_authority=AUTHORITY) as server:
        node = node_maker(ssh={**server.user(), "known_hosts": str(known)}, host_key=None)
        if trusted:
            assert (await shell.run(node, TRUE)).status == 0
        else:
            with pytest.raises(AccessRefused, match="check key, host_key and the account"):
                await shell.run(node, TRUE)
        await shell.close()
