"""Connect the worker to Temporal, and register its search attributes there."""

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

from worker.payload_converter import DATA_CONVERTER
from worker.settings import Settings
from worker.startup_errors import TemporalUnavailable
from workflows.search_attributes import SEARCH_ATTRIBUTES

logger = logging.getLogger(__name__)

KEYWORD = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD

WAIT_FOR_SERVER = 60.0
"""Seconds: a server that starts together with its worker answers by then."""


async def connect(
    settings: Settings,
    interceptors: Sequence[Interceptor],
    timeout: float = WAIT_FOR_SERVER,  # noqa: ASYNC109 - seconds over several attempts
) -> Client:
    """Connect, waiting up to *timeout* seconds for a server that is still starting.

    Raises:
        TemporalUnavailable: the address is not valid, or no Temporal server answers there.
    """
    deadline = time.monotonic() + timeout
    warned = False
    while True:
        try:
            return await Client.connect(
                **settings.temporal, data_converter=DATA_CONVERTER, interceptors=interceptors
            )
        except ValueError as mistake:
            raise TemporalUnavailable(
                f"{settings.address} is not a valid address: {mistake}"
            ) from mistake
        except RuntimeError as fault:  # what the SDK raises if it cannot connect
            if time.monotonic() > deadline:
                raise TemporalUnavailable(
                    f"no Temporal server answers at {settings.address}; start one, or name "
                    f"another with TEMPORAL_ADDRESS. {fault}"
                ) from fault
        if not warned:
            logger.warning("no Temporal server answers at %s yet; waiting", settings.address)
            warned = True
        await asyncio.sleep(1)


async def register_search_attributes(client: Client) -> None:
    """Register the search attributes for estate, stage and state, unless the server has them.

    A workflow that sets an attribute the server does not know hangs in task retries, so the worker
    does not start without them. A server may refuse its operator service to a worker, as Temporal
    Cloud does: the worker starts if a search shows that the attributes are there.

    Raises:
        TemporalUnavailable: it names the command for an administrator.
    """
    try:
        await _register_missing(client)
    except RPCError as refusal:
        unusable = [name for name in SEARCH_ATTRIBUTES if not await _is_keyword(client, name)]
        if unusable:
            raise TemporalUnavailable(_advice(client.namespace, refusal, unusable)) from refusal


async def _register_missing(client: Client) -> None:
    there = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    known = there.custom_attributes
    for name in SEARCH_ATTRIBUTES:
        if known.get(name, KEYWORD) != KEYWORD:
            raise TemporalUnavailable(
                f"search attribute {name} does not have the type Keyword; have an "
                "administrator remove it with `temporal operator search-attribute remove "
                f"--namespace {client.namespace} --name {name}`"
            )
    if missing := [name for name in SEARCH_ATTRIBUTES if name not in known]:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=client.namespace, search_attributes=dict.fromkeys(missing, KEYWORD)
            )
        )


async def _is_keyword(client: Client, name: str) -> bool:
    """Whether the server accepts a search for a text in this attribute."""
    try:
        await client.count_workflows(f"{name} = 'none'")
    except RPCError:
        return False
    return True


def _advice(namespace: str, refusal: RPCError, names: Sequence[str]) -> str:
    if refusal.status is RPCStatusCode.NOT_FOUND:
        return (
            f"Temporal has no namespace {namespace}; run "
            f"`temporal operator namespace create --namespace {namespace}`, "
            "or name another with TEMPORAL_NAMESPACE"
        )
    options = " ".join(f"--name {name} --type Keyword" for name in names)
    create = f"`temporal operator search-attribute create --namespace {namespace} {options}`"
    if refusal.status is RPCStatusCode.INVALID_ARGUMENT:
        return (
            f"Temporal cannot register the search attributes {', '.join(names)} "
            f"({refusal.message}); have an administrator list all with `temporal operator "
            f"search-attribute list --namespace {namespace}`, remove those that no workflow uses "
            f"with `temporal operator search-attribute remove`, or name another namespace with "
            f"TEMPORAL_NAMESPACE; then run {create}, or start the worker again"
        )
    cloud = " ".join(f"--search-attribute {name}=Keyword" for name in names)
    return (
        f"Temporal refused to register search attributes ({refusal.message}); have an "
        f"administrator run {create}, or in Temporal Cloud "
        f"`tcld namespace search-attributes add --namespace {namespace} {cloud}`"
    )
