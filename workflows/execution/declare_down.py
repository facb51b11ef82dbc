"""Treat a node as down that an operator declares down, if nothing on it answers."""

from temporalio.exceptions import ActivityError

from workflows.execution.action_executor import failure_of
from workflows.execution.context import Run
from workflows.model.actions import VerifyUnreachable
from workflows.model.decisions import Decision
from workflows.planning.plan import Stage


async def declare_down(run: Run, stage: Stage, node: str, decision: Decision) -> str | None:
    """Record the node as down if it is confirmed unreachable; else return why it is not."""
    action = VerifyUnreachable(node=node)
    run.state.down_checks += 1
    try:
        report = await run.dispatcher.execute(action, stage.key, run.state.down_checks)
    except ActivityError as error:
        return failure_of(action, error).message
    who = f"{decision.author}: {decision.reason}"
    run.state.declared_down[node] = who
    run.tracker.add_exception(f"{node} counts as down ({report.message}), {who}")
    return None
