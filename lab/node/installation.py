"""Write the files of an installation, and compare them with what is there."""

import hashlib
import os
from collections.abc import Iterator

from lab.layout import NodeLayout
from lab.node import scripts

_LOG4J = """\
<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="WARN">
  <Appenders>
    <RollingFile name="{name}" fileName="${{sys:FILEDRIVEHOME}}/var/logs/{name}.log">
      <Policies><SizeBasedTriggeringPolicy size="10 MB"/></Policies>
    </RollingFile>
  </Appenders>
  <Loggers><Root level="info"><AppenderRef ref="{name}"/></Root></Loggers>
</Configuration>
"""
_COMMON = {
    "configuration.xml": """\
<?xml version="1.0" encoding="UTF-8"?>
<configuration>
  <edition>5.5</edition>
  <listeners backlog="128" keepAlive="true"/>
</configuration>
""",
    "log4j2.xml": _LOG4J.format(name="server"),
    "serviceConfig.properties": "service.restart.attempts=3\nservice.restart.pause=60\n",
    "ssh.properties": "cipher.suites=aes128-gcm@openssh.com\n",
}


def configuration(node: NodeLayout) -> dict[str, str]:
    """Return what lies in ``conf/``: the same on all nodes of a kind, and no host's name in it."""
    if node.kind == "edge":
        return {**_COMMON, "socks.properties": "socks.version=5\n"}
    return {**_COMMON, "tm-log4j.xml": _LOG4J.format(name="tm")}


def secret_file() -> str:
    """Return the content of ``bin/taeh``, the same on every node."""
    return hashlib.sha256(b"lab:taeh").hexdigest() * 4 + "\n"


def write(node: NodeLayout) -> None:
    """Install a node."""
    for folder in ("var/run/admin", "var/logs", "conf", "bin"):
        (node.home / folder).mkdir(parents=True, exist_ok=True)
    if not node.windows:  # there they are programs, which the machine brings
        scripts.write(node)
    taeh = node.home / "bin/taeh"
    taeh.write_text(secret_file(), encoding="utf-8")
    taeh.chmod(0o600)
    for name, content in configuration(node).items():
        (node.home / "conf" / name).write_text(content, encoding="utf-8")


def differences(node: NodeLayout) -> Iterator[str]:
    """Everything in which an installation is not what was installed."""
    if node.home.stat().st_uid != os.geteuid():
        yield f"{node.name}: another user owns its installation"
    expected = {"bin/taeh": secret_file()}
    expected |= {f"conf/{name}": content for name, content in configuration(node).items()}
    for name, content in expected.items():
        file = node.home / name
        if not file.exists() or file.read_text(encoding="utf-8") != content:
            yield f"{node.name}: {name} is not what was installed"
    for name in scripts.names(node):
        if not os.access(node.script(name), os.X_OK):
            yield f"{node.name}: bin/{node.script(name).name} cannot be run"
