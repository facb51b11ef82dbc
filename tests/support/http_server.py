"""An HTTP or HTTPS server on loopback, in this process."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler


@asynccontextmanager
async def serving_http(
    handler: Handler, certificate: Path | None = None, method: str = "*", path: str = "/{path:.*}"
) -> AsyncIterator[int]:
    """Answer requests by the handler, over TLS if there is a certificate; yield the port."""
    application = web.Application()
    application.router.add_route(method, path, handler)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if certificate else None
    if tls is not None and certificate is not None:
        await asyncio.to_thread(tls.load_cert_chain, certificate)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
