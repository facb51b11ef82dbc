"""Read estate files, and store reviewed plans and outcomes, in two directories of the worker."""

import asyncio
import os
import re
import tempfile
from collections.abc import Iterable
from datetime import UTC
from pathlib import Path, PurePath

from temporalio import activity

from activities import webhook
from activities.transport.files import FILE_BYTES, read_file
from activities.transport.secrets import Secrets
from workflows.errors import BadInput
from workflows.estate_file import EstateMistakes, parse_estate
from workflows.model.estate import Estate
from workflows.model.machines import NAME
from workflows.model.outcome import Outcome
from workflows.model.request import AnyRequest
from workflows.model.stages import Procedure
from workflows.model.text import listed
from workflows.planning.diff import refusal
from workflows.planning.plan import Plan
from workflows.planning.procedures import plan_for
from workflows.ports.planning import PlanningPort
from workflows.preflight.catalogue import BY_NAME

MAX_NAMED = 20
"""Estates that a refusal names."""
ESTATE = NAME.removeprefix("^").removesuffix("$")


class EstateFiles(PlanningPort):
    """Estates as ``NAME.yaml`` in one directory, plans and outcomes as JSON in another."""

    def __init__(self, estates: Path, records: Path, secrets: Secrets) -> None:
        self._estates = estates
        self._records = records
        self._secrets = secrets

    @activity.defn
    async def make_plan(self, request: AnyRequest) -> Plan:
        estate = await usable_estate(self._estates, request.estate, self._secrets)
        plan = await asyncio.to_thread(plan_for, estate, request)
        _require_acceptable(request.accept, plan.procedure)
        if request.plan_hash not in (None, plan.hash):
            raise refusal(request.plan_hash, await self._reviewed(request.plan_hash), plan)
        return plan

    @activity.defn
    async def save_plan(self, plan: Plan) -> str:
        file = self._plan_file(plan.hash)
        await asyncio.to_thread(_replace, file, plan.model_dump_json(exclude={"seals"}) + "\n")
        return str(file)

    @activity.defn
    async def save_outcome(self, outcome: Outcome) -> str:
        started = outcome.started.astimezone(UTC)
        file = self._records / f"{outcome.estate}-{started:%Y%m%dT%H%M%SZ}-{outcome.identity}.json"
        await asyncio.to_thread(_replace, file, outcome.model_dump_json(indent=2) + "\n")
        return str(file)

    def _plan_file(self, plan_hash: str) -> Path:
        return self._records / "plans" / f"{plan_hash}.json"

    async def _reviewed(self, plan_hash: str) -> Plan | None:
        """Return the plan that was reviewed under a hash, if this worker still has it."""
        if not re.fullmatch(r"[0-9a-f]{64}", plan_hash):
            return None  # no hash, so no path is made of it
        try:
            text = await read_file(self._plan_file(plan_hash), FILE_BYTES)
            return await asyncio.to_thread(Plan.model_validate_json, text)
        except (OSError, ValueError):
            return None  # another or an older worker made it; the refusal says so


def estates_in(directory: Path) -> list[str]:
    """Return the names of the estates that have a file here, sorted.

    Raises:
        BadInput: the directory cannot be read.
    """
    try:
        with os.scandir(directory) as entries:
            files = [PurePath(entry.name) for entry in entries if _is_file(entry)]
    except FileNotFoundError:
        return []
    except OSError as refusal:
        raise BadInput(f"{directory} cannot be read: {refusal.strerror}") from None
    # A file whose name no estate can have is not listed.
    return sorted(f.stem for f in files if f.suffix == ".yaml" and re.fullmatch(ESTATE, f.stem))


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads to itself, or where this user may not look
        return False


async def usable_estate(directory: Path, name: str, secrets: Secrets) -> Estate:
    """Read one estate, and resolve its webhook if it has one.

    Raises:
        BadInput: as of :func:`read_estate`, or the webhook's references lead nowhere, which would
            otherwise be found only when the first notice is due.
    """
    estate = await read_estate(directory, name)
    if estate.webhook is not None:
        try:
            await webhook.resolved(secrets, estate.webhook)
        except BadInput as mistake:
            raise BadInput(f"{directory / name}.yaml: {mistake}") from None
    return estate


async def read_estate(directory: Path, name: str) -> Estate:
    """Read one estate.

    Raises:
        BadInput: names the file, the key and what to do; never a value, which may be a secret that
            was written in clear.
    """
    file = directory / f"{name}.yaml"
    try:
        text = await read_file(file, FILE_BYTES)
    except FileNotFoundError:
        there = listed(await asyncio.to_thread(estates_in, directory), MAX_NAMED) or "none"
        raise BadInput(
            f"there is no estate {name}: {directory} has {there}; "
            f"name one of these or write {file.name}"
        ) from None
    except OSError as refusal:
        raise BadInput(f"{file} cannot be read: {refusal.strerror}") from None
    try:
        return await asyncio.to_thread(parse_estate, text, file)
    except EstateMistakes as mistakes:
        raise BadInput(f"{file} is not a usable estate: {mistakes}") from None


def _require_acceptable(names: Iterable[str], procedure: Procedure) -> None:
    """Refuse the acceptance of what no check finds, or of what cannot be accepted."""
    for name in names:
        if name not in BY_NAME:
            raise BadInput(
                f"accept.{name}: there is no such check; `switchover check --list` shows all checks"
            )
        if not BY_NAME[name].may_be_accepted(procedure):
            raise BadInput(
                f"accept.{name}: what this check finds cannot be accepted; correct it, or give the "
                f"check another severity in the estate file, under checks.{name}"
            )


def _replace(file: Path, text: str) -> None:
    """Write a file atomically: it is complete or absent, also after a power cut."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as writing:
            writing.write(text)
            writing.flush()
            os.fsync(writing.fileno())
        Path(draft).replace(file)
    finally:
        Path(draft).unlink(missing_ok=True)
