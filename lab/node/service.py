"""The connection between a service and its machine."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

from lab.forking import Channel, Message
from lab.layout import ClusterLayout, Layout, NodeLayout
from lab.node.services import Service
from lab.simulation_options import SimulationOptions


@dataclass(frozen=True)
class Context:
    """What a service's process is given."""

    layout: Layout
    node: NodeLayout
    service: Service
    channel: Channel
    delay: float
    """How many seconds after its start it begins to serve."""
    scheduled: dict[str, bool]
    """For a Transaction Manager: whether Scheduler and Folder Monitor were started."""

    @property
    def cluster(self) -> ClusterLayout:
        """The node's cluster."""
        return self.layout.cluster(self.node.cluster)

    @property
    def simulation(self) -> SimulationOptions:
        """The options that are in force now."""
        return SimulationOptions.read(self.layout.simulation)

    @property
    def faults(self) -> dict[str, str]:
        """The faults that this node simulates."""
        return self.simulation.faults.get(self.node.name, {})


class Line:
    """The service's end of the channel to its machine, inside an event loop."""

    def __init__(self, context: Context) -> None:
        self._channel = context.channel
        self._name = context.service.name
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._handlers: dict[str, Callable[[Message], None]] = {}
        asyncio.get_running_loop().add_reader(self._channel.fileno(), self._receive)

    def on(self, what: str, handler: Callable[[Message], None]) -> None:
        """Call *handler* whenever such a message arrives."""
        self._handlers[what] = handler

    def send(self, what: str, **body: Any) -> None:  # noqa: ANN401 - JSON
        """Send a message to the machine."""
        self._channel.send(Message(what, "machine", self._name, body=body))

    def ask(self, what: str, to: str = "machine", **body: Any) -> Awaitable[dict[str, Any]]:  # noqa: ANN401 - JSON
        """Return the answer of the machine, or of another service of it ({} where that is down)."""
        number = next(self._numbers)
        self._asked[number] = asyncio.get_running_loop().create_future()
        self._channel.send(Message(what, to, self._name, number, body))
        return self._asked[number]

    def answer(self, question: Message, **body: Any) -> None:  # noqa: ANN401 - JSON
        """Answer a message that carries a number."""
        self._channel.send(question.answered(**body))

    def _receive(self) -> None:
        message = self._channel.receive()
        if message is None:  # the machine has ended, and the kernel ends this process
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
        elif message.what == "answer":
            if not (asked := self._asked.pop(message.number)).done():
                asked.set_result(message.body)
        elif handler := self._handlers.get(message.what):
            handler(message)


class Server(Protocol):
    """A service on an event loop."""

    async def serve(self) -> None:
        """Serve until the process is ended."""


def run(server: Callable[[Context, Line], Server]) -> Callable[[Context], None]:
    """Return a program that serves on an event loop until it is ended."""

    async def main(context: Context) -> None:
        await server(context, Line(context)).serve()

    return lambda context: asyncio.run(main(context))
