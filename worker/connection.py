"""How the worker reaches Temporal, and what it makes sure of there before it works."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.client import Client, Interceptor
from temporalio.service import RPCError, RPCStatusCode

from worker.payload_converter import CONVERTER
from worker.settings import Settings
from worker.startup_errors import TemporalUnavailable
from workflows.search_attributes import SEARCH_ATTRIBUTES

logger = logging.getLogger(__name__)

KEYWORD = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD

WAIT_FOR_SERVER = 60.0
"""Seconds: a server that is started together with its worker is up by then."""


async def connect(
    settings: Settings, interceptors: Sequence[Interceptor], patience: float = WAIT_FOR_SERVER
) -> Client:
    """Connect, waiting *patience* seconds for a server that is still starting.

    Raises:
        TemporalUnavailable: nobody answered, or not as Temporal does.
    """
    give_up = time.monotonic() + patience
    told = False
    while True:
        try:
            return await _connect(settings, interceptors)
        except ValueError as mistake:
            raise TemporalUnavailable(f"{settings.address} is no address: {mistake}") from mistake
        except RuntimeError as silence:  # what the SDK raises where it cannot connect
            if time.monotonic() > give_up:
                raise TemporalUnavailable(
                    f"no Temporal server answers at {settings.address}; start one, or name "
                    f"another with TEMPORAL_ADDRESS. {silence}"
                ) from silence
        if not told:
            logger.warning("no Temporal server answers at %s yet; waiting", settings.address)
            told = True
        await asyncio.sleep(1)


async def register_search_attributes(client: Client) -> None:
    """Make sure that runs can be found by estate, stage and state.

    A workflow that sets an attribute the server does not know hangs in task retries, so a worker
    that cannot make sure does not start.

    Raises:
        TemporalUnavailable: naming the command for someone who may.
    """
    try:
        there = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
        known = there.custom_attributes
        for name in SEARCH_ATTRIBUTES:
            if known.get(name, KEYWORD) != KEYWORD:
                raise TemporalUnavailable(
                    f"search attribute {name} is there with another type than Keyword; have "
                    "someone remove it with `temporal operator search-attribute remove "
                    f"--namespace {client.namespace} --name {name}`"
                )
        if missing := [name for name in SEARCH_ATTRIBUTES if name not in known]:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(
                    namespace=client.namespace, search_attributes=dict.fromkeys(missing, KEYWORD)
                )
            )
    except RPCError as refusal:
        raise TemporalUnavailable(_advice(client.namespace, refusal)) from refusal


async def _connect(settings: Settings, interceptors: Sequence[Interceptor]) -> Client:
    config = settings.temporal.to_client_connect_config()
    return await Client.connect(
        settings.address,
        namespace=settings.namespace,
        api_key=config.get("api_key"),
        tls=config.get("tls"),
        rpc_metadata=config.get("rpc_metadata", {}),
        data_converter=CONVERTER,
        interceptors=interceptors,
    )


def _advice(namespace: str, refusal: RPCError) -> str:
    if refusal.status is RPCStatusCode.NOT_FOUND:
        return (
            f"Temporal has no namespace {namespace}; run "
            f"`temporal operator namespace create --namespace {namespace}`, "
            "or name another with TEMPORAL_NAMESPACE"
        )
    words = " ".join(f"--name {name} --type Keyword" for name in SEARCH_ATTRIBUTES)
    return (
        f"Temporal did not let us register search attributes ({refusal.message}); have someone "
        f"who may run `temporal operator search-attribute create --namespace {namespace} {words}`"
    )
