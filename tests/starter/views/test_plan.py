"""What an operator sees of a plan before it is started."""

from starter.views.plan import plan_json, plan_view
from starter.views.text import name_ranges
from tests.support import estates
from tests.support.sample_runs import Seen, shown
from workflows.model.estate import Estate
from workflows.model.findings import Finding, Severity
from workflows.model.observations import NodeReading
from workflows.model.results import Service, State
from workflows.model.stages import StageName
from workflows.planning.plan import Plan
from workflows.planning.preview import CommandPreview, Review, ReviewedAction, review
from workflows.planning.switchover import plan_switchover


def preview(plan: Plan) -> list[CommandPreview]:
    """Every action's commands, alike at every place."""
    return [
        CommandPreview(stage=stage.name, action=action.key, commands=(f"/bin/{action.kind}",))
        for stage in plan.stages
        for action in stage.actions
    ]


def test_a_plan_names_approvers_windows_and_webhook() -> None:
    """Approvals, the change window and the webhook are part of what is reviewed."""
    given = estates.written(
        approvals={"approvers": ["ann", "bob", "cid"], "needed": 2, "expires_after": 3600},
        change_window={"begins": "02:00", "ends": "05:00", "timezone": "Europe/Berlin"},
        webhook={"url": "env:HOOK", "secret": "env:HOOK_SECRET"},
    )
    asked = estates.request(on_expiry="reject", approve_before=["redirect_traffic"])
    text = shown(plan_view(review(plan_switchover(Estate.model_validate(given), asked))))
    assert "approvals by 2 different people of ann, bob, cid before redirect_traffic" in text
    assert "a gate without an answer for 1:00:00 is rejected" in text
    assert "change window 02:00 to 05:00 Europe/Berlin, every day" in text
    assert "webhook for questions and the end: env:HOOK" in text
    assert "3 redirect_traffic   Redirect traffic to the target   waits for an approval" in text


def test_commands_are_shown_below_their_action() -> None:
    """Once for all places that get the same, and what holds already."""
    plan = Seen().plan
    down = NodeReading(place="cluster1-edge2", services={Service.MONITOR: State.STOPPED})
    text = shown(plan_view(review(plan, [down], preview(plan))))
    lines = [line.rstrip() for line in text.splitlines()]
    first = next(n for n, line in enumerate(lines) if line.startswith("1 stop_monitors"))
    assert lines[first + 1 : first + 6] == [
        "     · stop the Monitor on 3 nodes",
        "         cluster1-server1, cluster1-server2, cluster1-edge1",
        "         /bin/stop_monitor",
        "     ✔ stop the Monitor on cluster1-edge2",
        "         /bin/stop_monitor",
    ]


def test_the_point_of_no_return_stands_before_the_first_graceful_stop() -> None:
    """After the wait for the sessions, which can still be rolled back."""
    text = shown(plan_view(review(Seen().plan)))
    assert text.count("point of no return") == 1
    assert (
        text.index("wait until no session remains")
        < text.index("point of no return")
        < text.index("stop http gracefully")
    )


def test_a_large_plan_fits_on_a_few_screens() -> None:
    """Twenty Servers and twenty Edges a side are shown as ranges of names."""
    plan = Seen(20, 20).plan
    lines = shown(plan_view(review(plan, (), preview(plan))), width=120).splitlines()
    assert sum(len(stage.actions) for stage in plan.stages) > 300
    assert len(lines) <= 102
    assert "         cluster1-server1 … cluster1-server20, cluster1-edge1 … cluster1-edge20" in [
        line.rstrip() for line in lines
    ]


def test_commands_that_differ_by_a_name_are_shown_once() -> None:
    """Installations under a directory of the node's own name are one group with a placeholder."""
    plan = Seen().plan
    words = [
        CommandPreview(
            stage=stage.name, action=action.key, commands=(f"/opt/{action.place}/bin/x",)
        )
        for stage in plan.stages
        for action in stage.actions
    ]
    lines = [line.rstrip() for line in shown(plan_view(review(plan, (), words))).splitlines()]
    first = lines.index("     · stop the Monitor on 4 nodes")
    assert lines[first + 2] == "         /opt/NODE/bin/x"
    last = lines.index("then · wait until the event queue is empty, read through cluster1-server1")
    assert lines[last + 1] == "         /opt/cluster1-server1/bin/x"
    assert "     · suspend replication on 2 links" in lines


def test_findings_and_timing_are_part_of_a_review() -> None:
    """Findings, timeouts, and the hash to pin stand at the end."""
    finding = Finding(name="taeh_differs", place="x", seen="a\x1b[2J", expected="b", advice="c")
    warning = finding.model_copy(update={"name": "late", "severity": Severity.WARNS})
    plan = Seen().plan
    text = shown(plan_view(review(plan, findings=(warning, finding))))
    tail = [line.rstrip() for line in text.splitlines()][-4:]
    assert tail[0].startswith(
        "drain timeout 1 day, 0:00:00 (sessions and event queue), grace 0:02:00"
    )
    assert tail[1] == "blocks: x: taeh_differs: saw a [2J, expected b; c"
    assert tail[2].startswith("warns: x: late")
    assert tail[3] == f"plan hash {plan.hash}"


def test_a_plan_by_node_is_shown_as_chains() -> None:
    """Every action once, each chain below its nodes and below what it waits for."""
    run = Seen(variant="by_node", approve_before=["drain_protocol_servers"])
    text = shown(plan_view(review(run.plan)))
    edges, done = "cluster1-edge1, cluster1-edge2", "once the above is done on"
    shown_in_turn = [
        "5 start_scheduling",
        f"{edges}   independently of the others",
        "wait until no session remains on 2 nodes",
        "point of no return",
        "cluster1-server1   independently of the others",
        "wait until no session remains on cluster1-server1",
        f"cluster1-server1   {done} {edges}, cluster1-server1",
        "stop the Transaction Manager gracefully on cluster1-server1",
        "cluster1-server2   independently of the others",
        f"cluster1-server2   {done} {edges}, cluster1-server2",
        "stop all remaining services on cluster1-server2",
        f"cluster1-server1, {edges}   {done} cluster1-server1, cluster1-server2",
        "find orphaned files",
        "find queued events and open transfers",
        "count what cluster1 has recorded",
        "stop all remaining services on 3 nodes",
        "9 restore_monitors",
    ]
    assert [text.count(words) for words in shown_in_turn] == [1] * len(shown_in_turn)
    places = [text.index(words) for words in shown_in_turn]
    assert places == sorted(places)
    assert text.count("waits for an approval") == 1


def test_scripts_get_the_plan_itself_and_more() -> None:
    """The keys of the plan are keys of the output."""
    plan = Seen(approve_before=["redirect_traffic"]).plan
    given = plan_json(review(plan, (), preview(plan)))
    own = {key: given.pop(key) for key in Plan.model_fields}
    assert Plan.model_validate(own) == plan
    assert given.pop("hash") == plan.hash
    steps = [ReviewedAction.model_validate(step) for step in given.pop("steps")]
    assert steps == list(review(plan, (), preview(plan)).steps)
    assert given == {
        "findings": [],
        "gates": ["redirect_traffic"],
        "point_of_no_return": StageName.DRAIN_PROTOCOL_SERVERS,
        "drain_timeout": "P1D",
        "grace": "PT2M",
        "transaction_manager_grace": "PT2M",
        "unreachable_timeout": "PT5M",
    }


def test_consecutive_names_become_a_range() -> None:
    """The first and the last of more than two; all others are listed."""
    assert name_ranges(["a1", "a2"]) == "a1, a2"
    assert name_ranges(["a1", "a2", "a3", "b1", "b3", "c"]) == "a1 … a3, b1, b3, c"
    assert name_ranges(["n08", "n09", "n10", "n11"]) == "n08 … n11"
    assert name_ranges([]) == ""


def test_a_review_travels_as_json() -> None:
    """Temporal carries it, also for the largest estate."""
    plan = Seen(20, 20).plan
    whole = review(plan, (), preview(plan))
    text = whole.model_dump_json()
    assert Review.model_validate_json(text) == whole
    assert len(text) < 1_000_000
