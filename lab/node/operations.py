"""Operations that the admin API requests from its machine."""

from dataclasses import dataclass
from typing import Literal

from lab.node import services
from lab.node.supervisor import GRACEFUL_AT_LEAST, Supervisor


@dataclass(frozen=True)
class ServiceOperation:
    """An operation on a service, or about Scheduler or FolderMonitor."""

    verb: Literal["start", "stop", "drain"]
    service: str
    by: str
    timeout: float = 0


def carry_out(supervisor: Supervisor, operation: ServiceOperation) -> bool:
    """Do it and return whether it is accepted; a refused one changes nothing, but is recorded."""
    if operation.service in services.SCHEDULING:
        supervisor.schedule(operation.service, operation.by, started=operation.verb == "start")
        return True
    if operation.service in services.DISABLED:
        return False
    if operation.verb == "start":
        return supervisor.start(operation.service, operation.by)
    too_short = operation.service == "tm" and operation.timeout < GRACEFUL_AT_LEAST
    if operation.verb == "drain" and not too_short:
        return supervisor.drain(operation.service, operation.timeout, operation.by)
    return supervisor.stop(operation.service, operation.by, lambda: None)
