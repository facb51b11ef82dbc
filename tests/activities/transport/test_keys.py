"""A key that the worker cannot use is refused with the reason and the remedy."""

import asyncio
import logging
import shutil
from importlib.util import find_spec
from pathlib import Path

import asyncssh
import pytest

from activities.transport.keys import known_hosts, private_key
from activities.transport.secrets import Secrets, readable_by_others
from activities.transport.ssh import Command, Shell
from tests.activities.conftest import NodeMaker
from tests.support.ssh_machines import CLIENT_KEY, HOST_KEY, HOST_KEY_LINE, SshServer
from workflows.errors import AccessRefused

ENCRYPTED = CLIENT_KEY.export_private_key("pkcs8-pem", passphrase="open sesame").decode()
VARIABLES = {"LOCKED": ENCRYPTED, "PASS": "open sesame", "WRONG": "open barley"}
SECRETS = Secrets(VARIABLES)


async def test_an_encrypted_key_is_opened_with_its_passphrase(
    node_maker: NodeMaker, ssh_server: SshServer
) -> None:
    """The estate holds a reference to each of the two."""
    access = {"user": "st", "key": "env:LOCKED", "passphrase": "env:PASS", "port": ssh_server.port}
    shell = Shell(SECRETS)
    answer = await shell.run(node_maker(ssh=access), Command(("true",)))
    await shell.close()
    assert answer.status == 0


@pytest.mark.parametrize(
    ("passphrase", "says"),
    [
        (None, "LOCKED is encrypted, and the estate gives no passphrase .* beside `key`"),
        ("env:WRONG", "the passphrase env:WRONG does not decrypt the private key env:LOCKED"),
    ],
)
async def test_without_its_passphrase_an_encrypted_key_is_refused(
    passphrase: str | None, says: str, node_maker: NodeMaker
) -> None:
    """In one sentence that names both references, and no secret."""
    shell = Shell(SECRETS)
    node = node_maker(ssh={"user": "st", "key": "env:LOCKED", "passphrase": passphrase})
    with pytest.raises(AccessRefused, match=f"^server1: .*{says}") as refusal:
        await shell.run(node, Command(("true",)))
    assert "open" not in str(refusal.value)


async def test_a_key_in_openssh_format_is_opened_or_the_missing_package_is_named(
    tmp_path: Path,
) -> None:
    """What ssh-keygen writes by default is encrypted with bcrypt, which is a package of its own."""
    if (program := shutil.which("ssh-keygen")) is None:
        pytest.skip("OpenSSH's ssh-keygen is not installed")
    file = tmp_path / "key"
    options = ("-q", "-t", "ed25519", "-a", "1", "-N", "open sesame", "-f", str(file))
    made = await asyncio.create_subprocess_exec(program, *options)
    assert await made.wait() == 0
    secrets = Secrets(VARIABLES, [tmp_path])
    if find_spec("bcrypt") is None:
        with pytest.raises(AccessRefused, match=r"the Python package bcrypt; install it, or"):
            await private_key(secrets, f"file:{file}", "env:PASS")
    else:
        await private_key(secrets, f"file:{file}", "env:PASS")
        with pytest.raises(AccessRefused, match="does not decrypt"):
            await private_key(secrets, f"file:{file}", "env:WRONG")


async def test_lines_of_known_hosts_that_cannot_be_read_are_skipped_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Another encoding, half a line, an unknown marker, a damaged hash: the rest still counts."""
    file = tmp_path / "known_hosts"
    own = f"127.0.0.1 {HOST_KEY_LINE}".encode()
    strange = (b"# K\xf6ln", b"half", b"@sun 127.0.0.1 ssh-rsa A", b"|1|no|", b"\xff\xfe\x00")
    file.write_bytes(b"\n".join((*strange, own + b" Z\xfcrich", b"")))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            keys = (await known_hosts(str(file))).match("server1", "127.0.0.1", None)[0]
            assert [key.public_data for key in keys] == [HOST_KEY.public_data]
    assert [record.message for record in caplog.records] == [
        f"{file}: skipped what cannot be read: line 2, 3, 4, 5"
    ]


async def test_a_line_that_revokes_is_never_skipped(tmp_path: Path) -> None:
    """The key that it is about must not be trusted by mistake."""
    file = tmp_path / "known_hosts"
    file.write_text(f"127.0.0.1 {HOST_KEY_LINE}\n@revoked half\n")
    with pytest.raises(AccessRefused, match=r"line 2 of .* revokes a key, and cannot be read"):
        await known_hosts(str(file))


async def test_a_secret_file_that_everyone_may_read_is_known(tmp_path: Path) -> None:
    """The group may: a site gives its worker a key that way."""
    public, group = tmp_path / "public", tmp_path / "group"
    for file, mode in ((public, 0o644), (group, 0o640)):
        file.write_text("secret")
        file.chmod(mode)
    references = (f"file:{public}", f"file:{group}", "env:KEY", f"file:{tmp_path}/none", None)
    assert await readable_by_others(*references) == (str(public),)


async def test_what_is_no_key_at_all_is_refused() -> None:
    """A public key, for example."""
    secrets = Secrets({"PUBLIC": HOST_KEY_LINE})
    with pytest.raises(AccessRefused, match="env:PUBLIC is no private key"):
        await private_key(secrets, "env:PUBLIC", None)
    assert isinstance(asyncssh.import_public_key(HOST_KEY_LINE), asyncssh.SSHKey)
