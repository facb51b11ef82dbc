"""The program of each service."""

from collections.abc import Callable

from lab.node.admin import Admin
from lab.node.https import HttpServer
from lab.node.monitor import watch
from lab.node.service import Context, run
from lab.node.sftp import SftpServer
from lab.node.stub_servers import StubServer, idle
from lab.node.transaction_manager import TransactionManager

PROGRAMS: dict[str, Callable[[Context], None]] = {
    "ssh": run(SftpServer),
    "http": run(HttpServer),
    "ftp": run(StubServer),
    "as2": run(StubServer),
    "pesit": run(StubServer),
    "tm": run(TransactionManager),
    "admin": run(Admin),
    "socks": idle,
    "db": idle,
    "monitor": watch,
}
