"""Send signed notices to the webhook of an estate."""

import asyncio
import hashlib
import hmac
import time
from dataclasses import dataclass, field
from http import HTTPStatus

import httpx
from temporalio import activity

from activities.transport.http import transport
from activities.transport.secrets import Secrets
from activities.transport.tls import trust
from workflows.errors import AccessRefused, BadInput, Refused, Unreachable
from workflows.model.outcome import Notice
from workflows.model.site_policy import Webhook
from workflows.ports.notifications import NoticeInput, NotificationPort

ANSWER_TIMEOUT = 5.0
"""Seconds."""
TIMESTAMP, SIGNATURE = "Switchover-Timestamp", "Switchover-Signature"

_TEMPORARY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
"""Refusals that concern the moment, not the notice."""


@dataclass(frozen=True)
class WebhookAccess:
    """Where notices go, and what signs them; neither is ever shown or written."""

    url: httpx.URL = field(repr=False)
    secret: bytes = field(repr=False)
    name: str
    """What an operator may see of it: the reference in the estate file."""


async def resolved(secrets: Secrets, webhook: Webhook) -> WebhookAccess:
    """Resolve the references of an estate's webhook; BadInput if it cannot be used."""
    found = {}
    for key, reference in (("secret", webhook.secret), ("url", webhook.url)):
        try:
            found[key] = await secrets.read(reference)
        except (BadInput, AccessRefused) as missing:
            raise BadInput(f"webhook.{key}: {missing}") from None
    if not found["secret"]:
        raise BadInput(
            f"webhook.secret: {webhook.secret} is empty; notices are always signed, so set a secret"
        )
    try:
        url = httpx.URL(found["url"])
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise BadInput(
            f"webhook.url: {webhook.url} holds no address of the form https://host/path; correct it"
        )
    return WebhookAccess(url, found["secret"].encode(), f"webhook {webhook.url}")


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """Sign body and time, so that a notice can be neither changed nor sent again later."""
    digest = hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"v1={digest}"


class SignedWebhook(NotificationPort):
    """Posts notices as JSON, signed with the webhook's secret."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    @activity.defn
    async def notify(self, given: NoticeInput) -> None:
        hook = await resolved(self._secrets, given.webhook)
        status = await _post(hook, given.notice)
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return
        answered = f"{hook.name}: answered {status}"
        refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
        if refused and status not in _TEMPORARY:
            raise Refused(
                f"{answered}, so the notice was not delivered; check what the address leads to"
            )
        raise Unreachable(f"{answered}, expected 2xx; redirects are not followed")


async def _post(hook: WebhookAccess, notice: Notice) -> int:
    """Return the status.

    An error never contains the client's own text: it may name the address, which may carry a token.
    """
    body, timestamp = notice.model_dump_json().encode(), str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "switchover",
        TIMESTAMP: timestamp,
        SIGNATURE: signature(hook.secret, timestamp, body),
    }
    client = httpx.AsyncClient(
        transport=transport((await trust(hook.name, None, None)).context),
        timeout=ANSWER_TIMEOUT,
        follow_redirects=False,
        trust_env=False,
    )
    try:
        # The client's limits hold for each part of a request, this one for all of it. The body of
        # the answer is never read, however long it is.
        async with (
            client,
            asyncio.timeout(ANSWER_TIMEOUT),
            client.stream("POST", hook.url, content=body, headers=headers) as response,
        ):
            return response.status_code
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as fault:
        raise Unreachable(
            f"{hook.name}: the notice was not accepted ({type(fault).__name__}); "
            "check its address, its certificate and the network to it"
        ) from None
