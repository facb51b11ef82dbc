"""Refuse what no run of ours has asked for, before anything is read, resolved or contacted.

An activity does what its input says, and whoever may write to the namespace may start one. So
whatever an input holds of an estate carries seals, which a worker makes when it has read the estate
file, for the run that asked for the plan.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_jsonable_python
from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from worker.failure_converter import NotOurs
from worker.result_seals import SEAL_RESULT
from worker.seal_keys import SealKeys, UnknownKey
from workflows.errors import Unreachable
from workflows.freeze import Freeze
from workflows.logs import Logs
from workflows.model.freeze import freeze_id
from workflows.model.logs import LogQuery
from workflows.model.outcome import Outcome
from workflows.model.request import BaseRequest
from workflows.model.seals import Seals
from workflows.model.task_queues import TASK_QUEUE
from workflows.plan_review import PlanReview
from workflows.planning.plan import Plan
from workflows.ports.configuration import WatchInput
from workflows.ports.inputs import ActionInput, parts_of
from workflows.ports.notifications import NoticeInput
from workflows.preflight.report import Direction
from workflows.readiness import Readiness
from workflows.rejoin import Rejoin
from workflows.switchover import Switchover

WORKFLOWS = tuple(one.__name__ for one in (Switchover, Rejoin, Readiness, PlanReview, Freeze, Logs))
WHOLE = "estate"
"""The name of the seal over a whole estate."""
MAX_RUNS = 1000
"""Runs whose first run is remembered."""


class AuthorityInterceptor(Interceptor):
    """Lets activities do only what a run of ours asks, on what an estate of this queue names."""

    def __init__(self, client: Client, keys: SealKeys) -> None:
        self._client, self._keys = client, keys
        self._first_runs: dict[str, str] = {}

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Wrap every activity."""
        return _Guarded(next, self)

    async def identity(self) -> str:
        """Return the first run of the workflow that asks, which a reset does not change.

        Raises:
            NotOurs: no workflow of ours asks.
            Unreachable: Temporal does not say.
        """
        info = activity.info()
        run = info.workflow_run_id
        if info.workflow_id is None or run is None or info.workflow_type not in WORKFLOWS:
            raise NotOurs(
                f"{info.activity_type} was asked for by no run of {', '.join(WORKFLOWS)}; "
                "it was not carried out"
            )
        if run not in self._first_runs:
            handle = self._client.get_workflow_handle(info.workflow_id, run_id=run)
            try:
                there = await handle.describe()
            except RPCError as refusal:
                if refusal.status is RPCStatusCode.NOT_FOUND:
                    raise NotOurs(f"Temporal has no run {run}; nothing was carried out") from None
                raise Unreachable(f"Temporal: {refusal.message}") from refusal
            if there.task_queue != TASK_QUEUE:
                raise NotOurs(f"the run's task queue is {there.task_queue}, not {TASK_QUEUE}")
            if len(self._first_runs) >= MAX_RUNS:
                self._first_runs.clear()
            self._first_runs[run] = there.raw_info.first_run_id
        return self._first_runs[run]

    def seals(self, parts: Mapping[str, object], identity: str) -> Seals:
        """Seal parts of an estate for a run."""
        codes = {name: self._keys.code(*_text(identity, name, of)) for name, of in parts.items()}
        return Seals(key=self._keys.current, codes=codes)

    def require(self, parts: Mapping[str, object], seals: Seals, identity: str) -> None:
        """Refuse where a part is not as a worker has read it for this run."""
        for name, part in parts.items():
            try:
                known = self._keys.made(
                    seals.codes.get(name, ""), *_text(identity, name, part), key=seals.key
                )
            except UnknownKey:
                raise NotOurs(
                    f"this worker has no seal key {seals.key or 'at all'} of the worker that made "
                    "the plan; give all workers of the queue the same file of seal keys"
                ) from None
            if not known:
                raise NotOurs(
                    f"{name} is not what an estate file of this queue says for this run; "
                    "nothing was carried out; find out who sends such activities to Temporal"
                )

    def seal_result(self, identity: str, activity_id: str) -> None:
        """Have what the activity returns sealed."""
        SEAL_RESULT.set((self._keys, identity, activity_id))


class _Guarded(ActivityInboundInterceptor):
    def __init__(
        self, following: ActivityInboundInterceptor, authority: AuthorityInterceptor
    ) -> None:
        super().__init__(following)
        self._authority = authority

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401 - the SDK's
        authority, info = self._authority, activity.info()
        identity = await authority.identity()
        given = input.args[0] if input.args else None
        match given:
            case ActionInput():
                _require_own(given.operation.identity == identity, "another run")
                authority.require(given.parts, given.seals, identity)
            case NoticeInput() | WatchInput():
                authority.require(given.parts, given.seals, identity)
            case Plan():
                authority.require({WHOLE: given.estate}, given.seals, identity)
            case Outcome():
                _require_own(given.identity == identity, "another run")
                _require_own(info.workflow_id == f"switchover-{given.estate}", "another estate")
            case BaseRequest():
                own = f"switchover-{given.estate}"
                locks = {
                    Switchover.__name__: own,
                    Rejoin.__name__: own,
                    Freeze.__name__: freeze_id(given.estate),
                }
                wanted = locks.get(info.workflow_type or "", info.workflow_id)
                _require_own(info.workflow_id == wanted, "another estate")
            case Direction() | LogQuery():
                pass  # names of an estate and its clusters, which the worker looks up
            case _:
                raise NotOurs(f"{info.activity_type} was given something else than it takes")
        result = await self.next.execute_activity(input)
        if isinstance(result, Plan):
            result = self._sealed(result, identity)
        authority.seal_result(identity, info.activity_id)
        return result

    def _sealed(self, plan: Plan, identity: str) -> Plan:
        reviewed = activity.info().workflow_type == PlanReview.__name__
        estate = plan.estate.without_markers() if reviewed else plan.estate
        parts = {**parts_of(estate), WHOLE: plan.estate}
        return plan.model_copy(update={"seals": self._authority.seals(parts, identity)})


def _require_own(own: bool, whose: str) -> None:  # noqa: FBT001 - it is what is required
    if not own:
        raise NotOurs(f"the input is that of {whose}; nothing was carried out")


def _text(identity: str, name: str, part: object) -> tuple[str, str, str]:
    """Return what is sealed, in the one form that it has on both sides of Temporal."""
    canonical = json.dumps(to_jsonable_python(part), sort_keys=True, separators=(",", ":"))
    return identity, name, canonical
