"""Notices arrive complete and signed; errors about them contain no secret."""

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from activities import webhook
from activities.transport.secrets import Secrets
from activities.webhook import SignedWebhook
from tests.support.admin_api import Certificate
from tests.support.http_server import serving_http
from tests.support.ssh_machines import Attempt
from workflows.errors import PERMANENT, BadInput, Refused, SwitchoverError, Unreachable
from workflows.model.outcome import Notice
from workflows.model.site_policy import Webhook
from workflows.model.stages import StageName
from workflows.ports.notifications import NoticeInput

SECRET = "a shared secret"
NOTICE = Notice(
    kind="waiting",
    at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    estate="lab",
    source="cluster1",
    target="cluster2",
    workflow_id="switchover-lab",
    run_id="0c6d",
    stage=StageName.REDIRECT_TRAFFIC,
    message="waits for an approval, <as> üsual",
    answers=("approve", "reject"),
)
GIVEN = NoticeInput(webhook=Webhook(url="env:HOOK", secret="env:SECRET"), notice=NOTICE)


@dataclass
class Receiver:
    """A receiver of notices."""

    url: str = ""
    answers: int = 200
    hangs: float = 0
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    taken: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Take one notice."""
        self.bodies.append(await request.read())
        self.headers.append(dict(request.headers))
        self.taken.set()
        await asyncio.sleep(self.hangs)
        return web.Response(status=self.answers, headers={"Location": self.url}, text="x" * 9999)

    def is_genuine(self, number: int) -> bool:
        """Verify a notice, as the documentation tells receivers to."""
        body, headers = self.bodies[number], self.headers[number]
        signed = headers["Switchover-Timestamp"].encode() + b"." + body
        expected = "v1=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        fresh = abs(time.time() - int(headers["Switchover-Timestamp"])) < 300
        return fresh and hmac.compare_digest(expected, headers["Switchover-Signature"])


@asynccontextmanager
async def receiving(certificate: Path | None = None) -> AsyncIterator[Receiver]:
    """Serve a receiver on loopback, at an address that carries a token."""
    receiver = Receiver()
    path = "/token-0815/hook"
    async with serving_http(receiver.take, certificate, "POST", path) as port:
        receiver.url = f"http{'s' if certificate else ''}://127.0.0.1:{port}{path}"
        yield receiver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver of notices."""
    async with receiving() as receiver:
        yield receiver


async def post(url: str) -> None:
    """Have the notice posted."""
    notices = SignedWebhook(Secrets({"HOOK": url + "\n", "SECRET": SECRET}))
    await Attempt().run(notices.notify, GIVEN)


async def test_a_notice_arrives_and_can_be_verified(receiver: Receiver) -> None:
    """Exactly the notice, as JSON, signed with what both sides know."""
    await post(receiver.url)
    assert Notice.model_validate_json(receiver.bodies[0]) == NOTICE
    assert receiver.headers[0]["Content-Type"] == "application/json"
    assert receiver.is_genuine(0)


async def test_a_notice_that_was_changed_on_its_way_is_found_out(receiver: Receiver) -> None:
    """So are a notice that is sent again later, and one with another signature."""
    await post(receiver.url)
    receiver.bodies[0] += b" "
    assert not receiver.is_genuine(0)
    receiver.bodies[0] = receiver.bodies[0][:-1]
    assert receiver.is_genuine(0)
    receiver.headers[0]["Switchover-Timestamp"] = str(int(time.time()) - 60)
    assert not receiver.is_genuine(0)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_success_will_do(receiver: Receiver, status: int) -> None:
    """The body of the answer is not read."""
    receiver.answers = status
    await post(receiver.url)
    assert len(receiver.bodies) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
async def test_a_refusal_is_for_good(receiver: Receiver, status: int) -> None:
    """The same notice would be refused again."""
    receiver.answers = status
    with pytest.raises(
        Refused, match=f"webhook env:HOOK: answered {status}, so the notice was not delivered"
    ):
        await post(receiver.url)
    assert "Refused" in PERMANENT


@pytest.mark.parametrize("status", [301, 307, 408, 425, 429, 500, 503])
async def test_what_may_pass_is_tried_again(receiver: Receiver, status: int) -> None:
    """By the engine, not by us; and a redirect is not followed: it may lead anywhere."""
    receiver.answers = status
    with pytest.raises(Unreachable, match=f"answered {status}, expected 2xx"):
        await post(receiver.url)
    assert len(receiver.bodies) == 1


async def test_https_is_verified_against_what_the_machine_trusts(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server with an unknown certificate receives nothing."""
    async with receiving(certificate.file) as receiver:
        with pytest.raises(Unreachable, match=r"the notice was not accepted \(ConnectError\)"):
            await post(receiver.url)
        assert receiver.bodies == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
        await post(receiver.url)
        assert receiver.is_genuine(0)


async def failures(receiver: Receiver) -> list[SwitchoverError]:
    """Return the errors of notices that are not accepted: down, hanging, no TLS, no such name."""
    async with receiving() as gone:
        down = gone.url
    receiver.hangs = 60
    urls = [
        down,
        receiver.url,
        receiver.url.replace("http:", "https:"),
        "http://token-0815.invalid/hook",
    ]
    found = await asyncio.gather(*map(post, urls), return_exceptions=True)
    assert all(isinstance(fault, SwitchoverError) for fault in found), found
    return [fault for fault in found if isinstance(fault, SwitchoverError)]


async def test_a_hook_that_takes_nothing_is_unreachable_soon(
    receiver: Receiver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within seconds; neither address nor secret is in a message, a cause or a log line."""
    monkeypatch.setattr(webhook, "ANSWER_TIMEOUT", 1.0)
    caplog.set_level(logging.WARNING)
    began = time.monotonic()
    faults = await failures(receiver)
    assert time.monotonic() - began < 4
    assert [type(fault) for fault in faults] == [Unreachable] * 4
    for fault in faults:
        assert "webhook env:HOOK: the notice was not accepted" in str(fault)
        assert fault.__cause__ is None
        assert fault.__suppress_context__
    shown = " ".join([*map(str, faults), *(record.getMessage() for record in caplog.records)])
    for secret in ("0815", SECRET, "127.0.0.1", "token"):
        assert secret not in shown


async def test_a_hook_that_was_taken_away_meanwhile_is_bad_input(receiver: Receiver) -> None:
    """References are resolved when they are used: so they must exist then."""
    notices = SignedWebhook(Secrets({"SECRET": SECRET}))
    with pytest.raises(BadInput, match=r"webhook\.url: env:HOOK"):
        await Attempt().run(notices.notify, GIVEN)


async def test_a_hook_does_not_show_what_it_holds() -> None:
    """Not in a debugger or a log either."""
    secrets = Secrets({"HOOK": "https://hook.example.com/token-0815", "SECRET": SECRET})
    shown = repr(await webhook.resolved(secrets, GIVEN.webhook))
    assert shown == "WebhookAccess(name='webhook env:HOOK')"
