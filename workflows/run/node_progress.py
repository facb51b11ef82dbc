"""Derive how far each node is, where the plan lets nodes run side by side."""

from collections.abc import Callable, Iterator, Sequence

from workflows.model.actions import Action
from workflows.model.progress import NodeProgress, NodeStage, Status
from workflows.model.stages import StageName
from workflows.planning.plan import Parallel, Plan, Stage
from workflows.run.state import OVER


def node_progress(
    plan: Plan, status: Callable[[Stage, Action], Status]
) -> tuple[NodeProgress, ...]:
    """Return one row for each node in the order in which nodes begin; none without chains."""
    parts = list(_parts_up_to_chains(plan))
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


def _parts_up_to_chains(plan: Plan) -> Iterator[Stage]:
    """Yield all parts of the stages that chains share, up to the end of these chains."""
    parallel = next((step for step in plan.sequence if isinstance(step, Parallel)), None)
    if parallel is None:
        return
    free = [stage for chain in parallel.chains if chain.after is None for stage in chain.stages]
    names = {stage.name for stage in free}
    before = plan.sequence[: plan.sequence.index(parallel)]
    yield from (step for step in before if isinstance(step, Stage) and step.name in names)
    yield from free


def _node_stage(name: StageName, statuses: Sequence[Status]) -> NodeStage:
    done = statuses.count(Status.DONE)
    return NodeStage(stage=name, status=_status({*statuses}), done=done, actions=len(statuses))


def _status(statuses: set[Status]) -> Status:
    if Status.FAILED in statuses:
        return Status.FAILED
    if statuses <= {*OVER}:
        return Status.DONE if Status.DONE in statuses else Status.SKIPPED
    return Status.PENDING if statuses == {Status.PENDING} else Status.RUNNING
