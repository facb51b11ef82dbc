"""Every action has its activity, and every error says what to do about it."""

import inspect
import typing
from datetime import timedelta

import pytest
from temporalio.workflow import ActivityCancellationType

from workflows import activity_options, errors
from workflows.model import actions
from workflows.model.estate import Timing
from workflows.ports.routes import PORTS, ROUTES

KINDS = typing.get_args(typing.get_args(actions.Action)[0])
WAIT_CANCELLATION_COMPLETED = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
FIELDS = {
    "node": "server1",
    "cluster": "cluster1",
    "link": "cluster1_to_cluster2",
    "host": "loadbalancer1",
    "estate": "lab",
    "source": "cluster1",
    "target": "cluster2",
    "to": "cluster2",
    "back_to": "cluster1",
    "protocol": "ssh",
    "grace": 60,
}


def example(kind: type[actions.Action]) -> actions.Action:
    """An action of a kind."""
    needed = (name for name, field in kind.model_fields.items() if field.is_required())
    return kind.model_validate({name: FIELDS[name] for name in needed})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_action_has_one_activity_of_its_name(kind: type[actions.Action]) -> None:
    """The activity has the action's kind as its name; only one takes that action."""
    activities = [activity for port in PORTS for activity in sorted(port.__abstractmethods__)]
    assert activities.count(kind.model_fields["kind"].default) == 1
    assert ROUTES[kind].activity.__name__ == kind.model_fields["kind"].default
    assert set(ROUTES) == set(KINDS)


def test_every_action_has_options_and_an_undo_that_is_an_action() -> None:
    """What a plan may hold can be dispatched, and only changes are undone."""
    for kind in KINDS:
        action = example(kind)
        options = activity_options.for_action(action, Timing())
        assert options["start_to_close_timeout"], kind
        effect = options.get("cancellation_type") is WAIT_CANCELLATION_COMPLETED
        assert effect is isinstance(action, actions.Change), kind
        assert action.undo is None or isinstance(action.undo, actions.Change), kind


def test_two_workers_may_die_in_an_effect_before_the_run_asks() -> None:
    """However short the estate's own times are: a dead worker is noticed late, or by heartbeat."""
    instant = timedelta(milliseconds=100)
    timing = Timing(replication_timeout=instant, unreachable_timeout=instant)
    attempt, checked = timedelta(minutes=2), 0
    for kind in KINDS:
        if not issubclass(kind, actions.Change):
            continue
        options = activity_options.for_action(example(kind), timing, attempt)
        noticed = options.get("heartbeat_timeout") or options["start_to_close_timeout"]
        assert noticed is not None
        altogether = options["schedule_to_close_timeout"]
        assert altogether is None or altogether >= 2 * noticed, kind
        checked += 1
    assert checked > 5


def test_permanent_errors_are_the_refusals() -> None:
    """Temporal matches exact names, so every subclass of Refused must be listed."""
    tree = {e.__name__: e for _, e in inspect.getmembers(errors, inspect.isclass)}
    refusals = {name for name, error in tree.items() if issubclass(error, errors.Refused)}
    assert set(errors.PERMANENT) == refusals
    unsettled = {"Unreachable", "NotYet", "OutcomeUnknown", "Stuck", "Unresolved"}
    not_let_in = {"AccessRefused", "ForwardingRefused", "RunAsRefused", "BadInput"}
    assert set(errors.UNSETTLED) == unsettled | not_let_in
    assert set(tree) == {*refusals, *errors.UNSETTLED, "SwitchoverError"}
