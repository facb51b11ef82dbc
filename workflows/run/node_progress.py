"""Derive how far each node is, where the plan lets nodes run side by side."""

from collections.abc import Callable, Sequence

from workflows.model.actions import Action
from workflows.model.progress import NodeProgress, NodeStage, Status
from workflows.model.stages import StageName
from workflows.planning.plan import Parallel, Plan, Stage
from workflows.run.state import OVER


def node_progress(
    plan: Plan, status: Callable[[Stage, Action], Status]
) -> tuple[NodeProgress, ...]:
    """Return one row for each node in the order in which nodes begin; none without chains."""
    steps = [step for step in plan.sequence if isinstance(step, Parallel)]
    parts = [stage for step in steps for chain in step.chains for stage in chain.stages]
    names = sorted({stage.name for stage in parts}, key=lambda name: name.number)
    nodes: dict[str, dict[StageName, list[Status]]] = {}
    for stage in parts:
        for action in stage.actions:
            statuses = nodes.setdefault(action.place, {name: [] for name in names})
            statuses[stage.name].append(status(stage, action))
    return tuple(
        NodeProgress(
            node=node, stages=tuple(_node_stage(name, known) for name, known in statuses.items())
        )
        for node, statuses in nodes.items()
    )


def _node_stage(name: StageName, statuses: Sequence[Status]) -> NodeStage:
    done = statuses.count(Status.DONE)
    return NodeStage(stage=name, status=_status({*statuses}), done=done, actions=len(statuses))


def _status(statuses: set[Status]) -> Status:
    if Status.FAILED in statuses:
        return Status.FAILED
    if statuses <= {*OVER}:
        return Status.DONE if Status.DONE in statuses else Status.SKIPPED
    return Status.PENDING if statuses == {Status.PENDING} else Status.RUNNING
