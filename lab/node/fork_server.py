"""The process from which all machines of a lab are forked.

Run it as ``python -m lab.node.fork_server ROOT FD``. It has imported
everything, so that a machine costs a fork and shares its memory. Its socket FD receives commands
from the lab; when the lab's process ends, the socket ends and everything here ends with it.
"""

import gc
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from lab.forking import Channel, Message, adopt_orphans, channel, fork, sweep
from lab.layout import Layout
from lab.node.machine import Machine, Place


class ForkServer:
    """Forks machines and passes the lab's commands on to them."""

    def __init__(self, layout: Layout, lab: Channel) -> None:
        self._layout = layout
        self._lab = lab
        self._selector = selectors.DefaultSelector()
        self._machines: dict[str, tuple[int, Channel]] = {}

    def run(self) -> None:
        """Serve until the lab has ended."""
        adopt_orphans()
        self._selector.register(self._lab, selectors.EVENT_READ, None)
        while True:
            for key, _ in self._selector.select():
                ended = self._pass_up(key.data) if key.data else not self._obey()
                if ended:
                    self._halt()
                    return

    def _obey(self) -> bool:
        message = self._lab.receive()
        if message is None:
            return False
        name = message.to
        if message.what == "boot":
            self._boot(name, message)
        elif message.what == "halt":
            self._halt()
            self._lab.send(message.answered())
        elif name in self._machines:
            self._machines[name][1].send(message)
        return True

    def _boot(self, name: str, message: Message) -> None:
        ours, theirs = channel()
        machine = Machine(Place.of(self._layout, name), theirs)
        boot, by = message.body["services"], message.body["by"]
        log = Place.of(self._layout, name).root / "var/log/machine.log"
        # Asked to end, not killed: it still has to end its detached commands.
        pid = fork(lambda: machine.run(boot, by), when_parent_dies=signal.SIGTERM, log=log)
        theirs.close()
        self._machines[name] = pid, ours
        self._selector.register(ours, selectors.EVENT_READ, name)

    def _pass_up(self, name: str) -> bool:
        message = self._machines[name][1].receive()
        if message is None:
            self._forget(name)
        else:
            self._lab.send(message)
            if message.what == "answer":  # to a crash: its last word
                self._forget(name)
                self._lab.send(Message("ended", sender=name))
        return False

    def _forget(self, name: str) -> None:
        pid, ours = self._machines.pop(name)
        self._selector.unregister(ours)
        ours.close()
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)

    def _halt(self) -> None:
        for _, ours in self._machines.values():
            ours.send(Message("halt"))
        for name in list(self._machines):
            self._forget(name)
        sweep()


def main() -> None:
    """Run the fork server."""
    root, handle = sys.argv[1:]
    layout = Layout.read(Path(root))
    gc.collect()
    gc.disable()
    gc.freeze()
    ForkServer(layout, Channel(socket.socket(fileno=int(handle)))).run()


if __name__ == "__main__":
    main()
