"""Forward a connection from a machine's own address."""

import asyncio
from typing import cast

import asyncssh
from asyncssh.constants import OPEN_CONNECT_FAILED
from asyncssh.forward import SSHForwarder
from typing_extensions import override


class _Outside(SSHForwarder):
    """The connection; what it says before there is a channel to write to is kept.

    Older versions of Python read a connection although it was paused when it was made.
    """

    def __init__(self) -> None:
        super().__init__()
        self._open = False
        self._early: list[bytes] = []
        self._ended_early = False

    def open(self) -> None:
        """Write to the channel from now on."""
        self._open = True
        for data in self._early:
            super().data_received(data)
        if self._ended_early:
            super().eof_received()

    @override
    def data_received(self, data: bytes, datatype: int | None = None) -> None:
        if self._open:
            super().data_received(data, datatype)
        else:
            self._early.append(data)

    @override
    def eof_received(self) -> bool:
        if self._open:
            return super().eof_received()
        self._ended_early = True
        return True


class _Inside(SSHForwarder):
    """The channel."""

    def __init__(self, outside: _Outside) -> None:
        super().__init__(outside)
        self._outside = outside

    @override
    def session_started(self) -> None:
        self._outside.open()


async def connect(source: str, address: str, port: int) -> asyncssh.SSHTCPSession[bytes]:
    """Connect to this address from *source*; raises ChannelOpenError.

    All machines of a lab are one, on which every address is there to connect from: the library
    would take the kernel's choice, which is the same for all. It would also lose what a server
    says before the channel is open.
    """
    connecting = asyncio.get_running_loop().create_connection(
        _Outside, address, port, local_addr=(source, 0)
    )
    try:
        _, outside = await connecting
    except OSError as fault:
        raise asyncssh.ChannelOpenError(OPEN_CONNECT_FAILED, str(fault)) from fault
    return cast(asyncssh.SSHTCPSession[bytes], _Inside(outside))
