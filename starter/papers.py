"""What an operator keeps of a switchover: the plan before it, and the report after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from starter.tables import exceptions_view, findings_view, said_view
from starter.words import clean, clock
from workflows.chains import AFTERWARDS
from workflows.execution import CHAIN
from workflows.orders import Order
from workflows.plan import Plan, Stage, Wave
from workflows.progress import Outcome, StageOutcome
from workflows.stages import POINT_OF_NO_RETURN, Slug

COLOURS = {"completed": "green", "aborted": "red"}


def plan_view(plan: Plan) -> RenderableType:
    """Show what would be done, in its order, and who is asked before it."""
    timing = plan.estate.timing
    title = f"{plan.estate.name}: {plan.source} → {plan.target}"
    by_node = plan.variant == "by_node"
    return Group(
        Text.assemble((title, "bold"), f"   {plan.variant}"),
        *(_by_node(plan) if by_node else _by_stage(plan.stages)),
        Text(),
        *map(Text, _asked(plan)),
        Text(
            f"patience {timing.patience} (sessions and event queue), "
            f"grace {timing.grace} (protocol servers), "
            f"{timing.transaction_manager_grace} (Transaction Managers)"
        ),
        Text(f"plan hash {plan.hash}"),
    )


def outcome_view(outcome: Outcome) -> RenderableType:
    """Show how a switchover ended, with the evidence."""
    parts: list[RenderableType] = [
        Text.assemble(
            (f"{outcome.estate}: {outcome.source} → {outcome.target}", "bold"),
            (f"   {outcome.outcome}", COLOURS.get(outcome.outcome, "yellow")),
            f"   {outcome.started.astimezone():%Y-%m-%d %H:%M:%S} to {clock(outcome.ended)}"
            f", {outcome.seconds:.1f} s, of which {outcome.drain_seconds:.1f} s draining",
        ),
        Text(clean(outcome.words)),
        _times("stage", outcome.stages),
    ]
    if outcome.undone:
        parts.append(_times("taken back", outcome.undone))
    parts += _faults(outcome)
    parts += exceptions_view(outcome.exceptions)
    parts += findings_view(outcome.findings)
    parts += said_view(outcome.decisions)
    parts.append(Text(f"plan hash {outcome.plan_hash}"))
    if outcome.record is not None:
        parts.append(Text(f"kept on the worker as {outcome.record}"))
    return Group(*parts)


def _faults(outcome: Outcome) -> Iterator[RenderableType]:
    """Show every fault on the way once, and how often it was met."""
    met = Counter(
        f"✖ {fault.order}: {fault.kind}: {clean(fault.words)}"
        for stage in (*outcome.stages, *outcome.undone)
        for fault in stage.faults
    )
    for words, times in met.items():
        yield Text(f"{words} ({times} times)" if times > 1 else words, style="red")


def reports_view(outcome: Outcome) -> RenderableType:
    """Show what every order changed or saw, forward and back."""
    table = Table("at", "stage", "", "", box=None, pad_edge=False, header_style="dim")
    for which, stages in (("", outcome.stages), ("back: ", outcome.undone)):
        for stage in stages:
            for report in stage.reports:
                words = Text(clean(report.words))
                table.add_row(clock(report.at), f"{which}{stage.stage}", report.outcome, words)
    return table


def _asked(plan: Plan) -> Iterator[str]:
    """Say who has to approve, until when, and when nobody needs to be asked."""
    approvals = plan.approvals
    if any(stage.gated for stage in plan.stages) or plan.estate.change_window:
        who = f"one of {', '.join(approvals.approvers)}" if approvals.approvers else "anyone"
        if approvals.needed > 1:
            those = f" of {', '.join(approvals.approvers)}" if approvals.approvers else ""
            who = f"{approvals.needed} different people{those}"
        yield f"approvals by {who}"
    if approvals.expires_after:
        then = "is refused" if approvals.on_expiry == "reject" else "is asked again"
        yield f"a gate that nobody answers for {approvals.expires_after} {then}"
    if plan.estate.change_window:
        yield f"change window {plan.estate.change_window}; outside it stages 1 to 3 wait, or ask"
    if plan.estate.webhook:
        yield f"told of waits and of the end: {plan.estate.webhook.url}"


def _by_stage(stages: Iterable[Stage]) -> Iterator[RenderableType]:
    for stage in stages:
        if stage.slug is POINT_OF_NO_RETURN:
            yield _no_return()
        yield from _stage(stage)


def _by_node(plan: Plan) -> Iterator[RenderableType]:
    """Show the Edges' drain, then every Server's way, then what waits for all of them."""
    source = plan.estate.cluster(plan.source)
    yield from _by_stage(stage for stage in plan.stages if stage.slug.number < CHAIN[0].number)
    yield _no_return()
    parts = {f"the Edges of {plan.source}, before its Servers": source.edges}
    parts |= {f"{s.name}, at its own pace beside the other Servers": (s,) for s in source.servers}
    asked = set[Slug]()
    for title, nodes in parts.items():
        yield Text.assemble("\n", (title, "bold"))
        for slug in CHAIN:
            yield from _link(plan.stage(slug), {node.name for node in nodes}, asked)
    yield from _stage(plan.stage(Slug.START_SCHEDULING), "once 4 is done on every Server")
    *_, managers = CHAIN
    last = plan.stage(managers)
    afterwards = tuple(tuple(o for o in w if o.kind == AFTERWARDS) for w in last.waves)
    rest = last.model_copy(update={"waves": tuple(filter(None, afterwards)), "gated": False})
    yield from _stage(rest, "once every Server has come through")
    yield from _by_stage(stage for stage in plan.stages if stage.slug.number > managers.number)


def _link(stage: Stage, places: set[str], asked: set[Slug]) -> Iterator[RenderableType]:
    """Show what of a stage concerns some nodes; its gate only the first time it is *asked*."""
    waves = [_at(wave, places) for wave in stage.waves]
    for number, wave in enumerate(filter(None, waves)):
        gated = stage.gated and stage.slug not in asked
        yield from _wave(
            wave,
            "then " if number else f"{stage.slug.number} ",
            "   waits for an approval" if gated else "",
        )
        asked.add(stage.slug)


def _at(wave: Wave, places: set[str]) -> Wave:
    return tuple(o for o in wave if o.place in places and o.kind != AFTERWARDS)


def _stage(stage: Stage, when: str = "") -> Iterator[RenderableType]:
    gate = ("   waits for an approval", "bold yellow") if stage.gated else ""
    title = f"   {stage.title}{f' ({when})' if when else ''}"
    yield Text.assemble("\n", (f"{stage.slug.number} {stage.slug}", "bold"), (title, "dim"), gate)
    if not stage.waves:
        yield Text("        nothing, on this estate", style="dim")
    for number, wave in enumerate(stage.waves):
        yield from _wave(wave, "then " if number else "")


def _wave(wave: tuple[Order, ...], first: str, gate: str = "") -> Iterator[RenderableType]:
    for order in wave:
        yield Text.assemble(f"{first:>8}{order}", (gate, "bold yellow"))
        first, gate = "", ""


def _no_return() -> Rule:
    return Rule("point of no return: its first graceful stop", style="yellow")


def _times(title: str, stages: Iterable[StageOutcome]) -> Table:
    table = Table(title, box=None, pad_edge=False, header_style="dim")
    table.add_column("seconds", justify="right")
    table.add_column("orders")
    for stage in stages:
        outcomes = Counter(report.outcome for report in stage.reports)
        faults = f"faults on the way: {len(stage.faults)}" if stage.faults else ""
        counts = [f"{count} {word}" for word, count in sorted(outcomes.items())]
        table.add_row(
            f"{stage.stage.number} {stage.stage}",
            f"{stage.seconds:.1f}",
            ", ".join(filter(None, [*counts, faults])) or stage.step.value.replace("_", " "),
        )
    return table
