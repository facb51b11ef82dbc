"""Operations that the admin API requests from its machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lab.node import services
from lab.node.supervisor import GRACEFUL_AT_LEAST, Control


@dataclass(frozen=True)
class Order:
    """An operation on a service, or about Scheduler or FolderMonitor."""

    verb: Literal["start", "stop", "drain"]
    service: str
    by: str
    timeout: float = 0


def carry_out(control: Control, order: Order) -> bool:
    """Do it and return whether it is accepted; a refused one changes nothing, but is recorded."""
    if order.service in services.SCHEDULING:
        control.schedule(order.service, order.by, wanted=order.verb == "start")
        return True
    if order.service in services.DISABLED:
        return False
    if order.verb == "start":
        return control.start(order.service, order.by)
    too_short = order.service == "tm" and order.timeout < GRACEFUL_AT_LEAST
    if order.verb == "drain" and not too_short:
        return control.drain(order.service, order.timeout, order.by)
    return control.stop(order.service, order.by, lambda: None)
