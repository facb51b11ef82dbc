"""Show a plan for review: its actions and the exact commands they send."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from starter.views.tables import findings_view
from starter.views.text import name_ranges
from workflows.model.actions import StopGracefully
from workflows.model.stages import POINT_OF_NO_RETURN, StageName
from workflows.model.text import printable
from workflows.planning.plan import Chain, Parallel, Plan, Stage
from workflows.planning.preview import Review, ReviewedAction
from workflows.planning.waves import Wave
from workflows.views.direction import direction

PLACEHOLDER = "NODE"
"""Stands for the place's name in a command that several places share."""


def plan_view(review: Review) -> RenderableType:
    """Show the stages with their gates, actions and commands, and what holds already."""
    plan, printer = review.plan, _PlanPrinter(review)
    way = direction(plan.procedure, plan.source, plan.target)
    return Group(
        Text.assemble(
            (f"{plan.estate.name}: {way}", "bold"),
            f"   {plan.variant}   ",
            ("✔ holds already", "green"),
        ),
        *printer.sequence(),
        Text(),
        *map(Text, _policies(plan)),
        Text(_timeouts(plan)),
        *findings_view(review.findings),
        Text(f"plan hash {review.hash}"),
    )


def plan_json(review: Review) -> dict[str, Any]:
    """Return what scripts read: the plan itself, and what is known about its actions."""
    shown, timing = review.model_dump(mode="json"), review.plan.estate.timing
    named = ("drain_timeout", "grace", "transaction_manager_grace", "unreachable_timeout")
    return {
        "hash": shown["hash"],
        **shown["plan"],
        "steps": shown["steps"],
        "findings": shown["findings"],
        "gates": [stage.name.value for stage in review.plan.stages if stage.gated],
        "point_of_no_return": _point_of_no_return(review.plan),
        **timing.model_dump(mode="json", include={*named}),
    }


def _point_of_no_return(plan: Plan) -> str | None:
    """Return the stage from which on a rollback needs a decision; a rejoin has none."""
    return POINT_OF_NO_RETURN.value if plan.procedure == "switchover" else None


class _PlanPrinter:
    """Renders stages; marks the point of no return once, before the first graceful stop."""

    def __init__(self, review: Review) -> None:
        self._plan = review.plan
        self._steps = {(step.stage, step.action): step for step in review.steps}
        self._returnable = True
        self._gates = set[StageName]()
        """Stages whose gate was shown."""

    def sequence(self) -> Iterator[RenderableType]:
        for step in self._plan.sequence:
            if isinstance(step, Parallel):
                for chain in step.chains:
                    yield from self._chain(chain, [step.chains[n] for n in chain.after])
            else:
                yield from self._stage(step, self._of_part(step))

    def _chain(self, chain: Chain, earlier: Sequence[Chain]) -> Iterator[RenderableType]:
        before = _places(*earlier)
        when = f"once the above is done on {before}" if before else "independently of the others"
        yield Text.assemble("\n", (_places(chain), "bold"), (f"   {when}", "dim"))
        for stage in chain.stages:
            for number, wave in enumerate(stage.waves):
                first, gate = (
                    ("then", None) if number else (str(stage.name.number), self._gate(stage))
                )
                yield from self._wave(stage.name, wave, first, gate)

    def _stage(self, stage: Stage, when: str) -> Iterator[RenderableType]:
        title = f"   {stage.title}{f' ({when})' if when else ''}"
        head = Text.assemble("\n", (f"{stage.name.number} {stage.name}", "bold"), (title, "dim"))
        yield head.append_text(self._gate(stage))
        if not stage.waves:
            yield Text("      nothing on this estate", style="dim")
        for number, wave in enumerate(stage.waves):
            yield from self._wave(stage.name, wave, "then" if number else "")

    def _of_part(self, stage: Stage) -> str:
        """Name the places of a part of a stage; "" for a whole stage."""
        if len(stage.actions) == len(self._plan.stage(stage.name).actions):
            return ""
        return f"on {name_ranges([*dict.fromkeys(action.place for action in stage.actions)])}"

    def _gate(self, stage: Stage) -> Text:
        """Return the gate, before the first part of the stage only."""
        asks = stage.gated and stage.name not in self._gates
        self._gates.add(stage.name)
        return Text("   waits for an approval" if asks else "", style="bold yellow")

    def _wave(
        self, name: StageName, wave: Wave, first: str, gate: Text | None = None
    ) -> Iterator[RenderableType]:
        if self._returnable and any(isinstance(action, StopGracefully) for action in wave):
            self._returnable = False
            yield Rule("point of no return: its first graceful stop", style="yellow")
        for steps in _alike([self._steps[name, action.key] for action in wave]):
            line = Text.assemble(f"{first:>4} ", _mark(steps[0]), f" {self._message(steps)}")
            yield line.append_text(gate or Text())
            first, gate = "", None
            if steps[1:]:
                yield _below(name_ranges([step.place for step in steps]))
            yield from (_below(printable(command), "cyan") for command in _commands(steps))

    def _message(self, steps: Sequence[ReviewedAction]) -> str:
        """Return the message of one action, or of several that differ only by their place."""
        first = steps[0]
        if len(steps) == 1:
            return first.message
        return first.message.replace(first.place, f"{len(steps)} {self._kind(first.place)}")

    def _kind(self, place: str) -> str:
        estate = self._plan.estate
        if place in {node.name for node in estate.nodes}:
            return "nodes"
        return "links" if place in {link.name for link in estate.replication.links} else "hosts"


def _alike(steps: Sequence[ReviewedAction]) -> Iterator[list[ReviewedAction]]:
    """Group actions that have the same message and commands except for their place."""
    groups: dict[object, list[ReviewedAction]] = {}
    for step in steps:
        same = (step.message.replace(step.place, ""), _without_place(step), step.holds is True)
        groups.setdefault(same, []).append(step)
    yield from groups.values()


def _commands(steps: Sequence[ReviewedAction]) -> tuple[str, ...]:
    """Return the commands of a group, with a placeholder if they contain the place's name."""
    first = steps[0]
    same = all(step.commands == first.commands for step in steps)
    return first.commands if same else _without_place(first)


def _without_place(step: ReviewedAction) -> tuple[str, ...]:
    return tuple(command.replace(step.place, PLACEHOLDER) for command in step.commands)


def _places(*chains: Chain) -> str:
    actions = (action for chain in chains for stage in chain.stages for action in stage.actions)
    return name_ranges([*dict.fromkeys(action.place for action in actions)])


def _mark(step: ReviewedAction) -> Text:
    return Text("✔", style="green") if step.holds else Text("·", style="dim")


def _below(text: str, style: str = "dim") -> Padding:
    return Padding(Text(text, style=style), (0, 0, 0, 9), expand=False)


def _timeouts(plan: Plan) -> str:
    timing = plan.estate.timing
    return (
        f"drain timeout {timing.drain_timeout} (sessions and event queue), "
        f"grace {timing.grace} (protocol servers), "
        f"{timing.transaction_manager_grace} (Transaction Managers), "
        f"unreachable timeout {timing.unreachable_timeout}"
    )


def _policies(plan: Plan) -> Iterator[str]:
    """Yield who must approve, when gates expire, the change window and the webhook."""
    approvals = plan.approvals
    if any(stage.gated for stage in plan.stages) or plan.estate.change_window:
        gates = ", ".join(stage.name for stage in plan.stages if stage.gated)
        who = f"one of {', '.join(approvals.approvers)}" if approvals.approvers else "anyone"
        if approvals.needed > 1:
            those = f" of {', '.join(approvals.approvers)}" if approvals.approvers else ""
            who = f"{approvals.needed} different people{those}"
        yield f"approvals by {who}{f' before {gates}' if gates else ''}"
    if approvals.expires_after:
        then = "is rejected" if approvals.on_expiry == "reject" else "asks again"
        yield f"a gate without an answer for {approvals.expires_after} {then}"
    if plan.estate.change_window:
        yield f"change window {plan.estate.change_window}; outside it stages 1 to 3 wait or ask"
    if plan.estate.webhook:
        yield f"webhook for questions and the end: {plan.estate.webhook.url}"
