"""Keys, certificates and secrets of one lab.

In ``layout.keys``, made once per lab:

* ``sftp_host_key``: the one host key of all SFTP servers of both clusters
* ``NAME_host_key``: of the operating system's shell on machine NAME, ``loadbalancer1`` included
* ``operator``: the client key that every shell accepts; ``jump``: the one of the jump host
* ``ca.pem``; ``NAME.pem``: certificate and key of NAME's admin API; ``https.pem``: the one
  certificate and key of all HTTPS servers, valid for the load balancer's and all nodes' addresses
* ``admin_password``, ``probe_password``, ``database_password``, ``api_key``
* ``tsig``: the secret that signs updates of the lab's zone, in base64

Each SSH key has its public half beside it, ending in ``.pub``.
"""

import os
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.layout import ADMIN_PASSWORD, DATABASE_PASSWORD, JUMP_HOST, PROBE_ACCOUNT, Layout, password

_LIFETIME = timedelta(days=3650)


def api_key() -> str:
    """The key that the admin API accepts instead of a password."""
    return password("api-key")


def tsig_secret() -> str:
    """The secret of the key that signs updates of the zone."""
    return b64encode(password("tsig").encode()).decode()


def machine_names(layout: Layout) -> tuple[str, ...]:
    """Every machine with an SSH server of its operating system."""
    jump_host = (JUMP_HOST,) if layout.drivers.jump_host else ()
    return (*(node.name for node in layout.nodes), "loadbalancer1", *jump_host)


def make_keys(layout: Layout) -> None:
    """Make what is not there yet."""
    layout.keys.mkdir(parents=True, exist_ok=True)
    if (layout.keys / "api_key").exists():
        return
    hosts = (f"{name}_host_key" for name in machine_names(layout))
    for name in ("sftp_host_key", "operator", "jump", *hosts):
        _make_ssh_key(layout.keys / name)
    _make_certificates(layout)
    secrets = {
        "admin_password": ADMIN_PASSWORD,
        "probe_password": password(PROBE_ACCOUNT),
        "database_password": DATABASE_PASSWORD,
        "api_key": api_key(),
        "tsig": tsig_secret(),
    }
    for name, secret in secrets.items():
        _write(layout.keys / name, f"{secret}\n".encode())


def _write(file: Path, content: bytes) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(content)


def _make_ssh_key(file: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    form = serialization.PrivateFormat.OpenSSH
    _write(file, _pem(key, form))
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    _write(file.with_suffix(".pub"), public + b"\n")


def _pem(
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey, form: serialization.PrivateFormat
) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


@dataclass(frozen=True)
class _Authority:
    key: ec.EllipticCurvePrivateKey
    name: x509.Name

    def builder(self, subject: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + _LIFETIME)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
        )

    def certificate(self) -> bytes:
        """The authority's own certificate."""
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        use = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        return (
            self.builder("lab authority", self.key)
            .add_extension(constraints, critical=True)
            .add_extension(use, critical=True)
            .sign(self.key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )

    def issue(self, subject: str, addresses: tuple[str, ...]) -> bytes:
        """Return a server's certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(a)) for a in addresses])
        certificate = (
            self.builder(subject, key)
            .add_extension(names, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM) + _pem(
            key, serialization.PrivateFormat.PKCS8
        )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _make_certificates(layout: Layout) -> None:
    authority = _Authority(ec.generate_private_key(ec.SECP256R1()), _name("lab authority"))
    _write(layout.keys / "ca.pem", authority.certificate())
    for node in layout.nodes:
        # The SSH connection forwards to localhost, too, and a client checks the name it asked for.
        addresses = (node.address, "127.0.0.1")
        _write(layout.keys / f"{node.name}.pem", authority.issue(node.name, addresses))
    everywhere = (layout.load_balancer, *(node.address for node in layout.nodes))
    _write(layout.keys / "https.pem", authority.issue("lab https", everywhere))
