"""The policy of a site: the stricter rule applies, and change windows follow the clock."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from tests.support import estates
from workflows.errors import BadInput
from workflows.model.request import RejoinRequest
from workflows.model.site_policy import Approvals, ChangeWindow
from workflows.model.stages import STAGES, StageName
from workflows.planning.change_window import closed_for
from workflows.planning.rejoin import plan_rejoin
from workflows.planning.switchover import plan_switchover


def window(**keys: Any) -> ChangeWindow:  # noqa: ANN401 - as an estate file has it
    """Return a window from the keys of an estate file."""
    return ChangeWindow.model_validate({"begins": "02:00", "ends": "05:00", **keys})


def at(text: str) -> datetime:
    """Return a moment in UTC; 24 November 2026 is a Tuesday."""
    return datetime.fromisoformat(f"2026-11-{text}").replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("keys", "moment", "is_open"),
    [
        ({}, "24T02:00", True),
        ({}, "24T04:59", True),
        ({}, "24T05:00", False),
        ({}, "24T01:59", False),
        ({"timezone": "Europe/Berlin"}, "24T01:30", True),
        ({"timezone": "Europe/Berlin"}, "24T04:30", False),
        ({"days": ["sunday"]}, "24T03:00", False),
        ({"begins": "22:00", "ends": "04:00", "days": ["tuesday"]}, "24T23:00", True),
        ({"begins": "22:00", "ends": "04:00", "days": ["tuesday"]}, "25T03:00", True),
        ({"begins": "22:00", "ends": "04:00", "days": ["tuesday"]}, "24T03:00", False),
        ({"begins": "22:00", "ends": "04:00", "days": ["tuesday"]}, "25T23:00", False),
    ],
)
def test_a_window_knows_when_it_is_open(keys: dict[str, Any], moment: str, is_open: bool) -> None:  # noqa: FBT001 - a parameter
    """On its days, in its time zone, and over midnight."""
    assert window(**keys).is_open(at(moment)) is is_open


@pytest.mark.parametrize(
    ("keys", "now", "then"),
    [
        ({}, "24T01:00", "24T02:00"),
        ({}, "24T06:00", "25T02:00"),
        ({"days": ["sunday"]}, "24T06:00", "29T02:00"),
        ({"days": ["tuesday"]}, "24T06:00", None),
        ({"timezone": "Europe/Berlin"}, "24T06:00", "25T01:00"),
    ],
)
def test_a_window_knows_when_it_opens(keys: dict[str, Any], now: str, then: str | None) -> None:
    """The next time that it begins, within a week."""
    expected = at(then) if then else at("24T02:00") + timedelta(days=7)
    assert window(**keys).opens(at(now)) == expected


def test_a_window_holds_back_what_comes_before_the_redirect() -> None:
    """Stages 1 and 2 wait; 3 was decided with 2, and no later stage waits."""
    estate = estates.estate(change_window={"begins": "02:00", "ends": "05:00"})
    plan = plan_switchover(estate, estates.request())
    closed = {name for name in STAGES["switchover"] if closed_for(plan, name, at("24T06:00"))}
    assert closed == {StageName.STOP_MONITORS, StageName.SUSPEND_REPLICATION}
    assert not any(closed_for(plan, name, at("24T03:00")) for name in StageName)


def test_a_window_holds_back_the_first_start_of_a_rejoin() -> None:
    """What was begun is not held back: the cluster is half up by then."""
    estate = estates.estate(change_window={"begins": "02:00", "ends": "05:00"})
    plan = plan_rejoin(estate, RejoinRequest(estate="lab", cluster="cluster1"))
    closed = {name for name in STAGES["rejoin"] if closed_for(plan, name, at("24T06:00"))}
    assert closed == {StageName.START_ADMIN}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"begins": 120}, 'in quotes, as in "02:00"'),
        ({"timezone": "Mars/Base"}, "no time zone"),
        ({"days": []}, "at least 1"),
        ({"days": ["someday"]}, "'monday'"),
    ],
)
def test_a_window_that_cannot_be_meant_is_refused(keys: dict[str, Any], words: str) -> None:
    """YAML reads 02:00 as a number, and a number could be anything."""
    with pytest.raises(ValidationError, match=words):
        window(**keys)


def merged(policy: dict[str, Any], **request: Any) -> Approvals:  # noqa: ANN401 - keys of a request
    """Return what a plan asks for."""
    estate = estates.estate(approvals=policy)
    return plan_switchover(estate, estates.request(**request)).approvals


def test_the_stricter_of_two_rules_holds() -> None:
    """A request may ask for more than its estate, and never for less."""
    policy = {"approvers": ["ann", "bob", "cid"], "needed": 2, "expires_after": 3600}
    both = merged(policy, approvers=["bob", "ann", "eve"], expires_after=7200, on_expiry="reject")
    assert both.approvers == ("ann", "bob")
    assert both.needed == 2
    assert both.expires_after == timedelta(hours=1)
    assert both.on_expiry == "reject"
    assert merged({}, approvals_needed=2).needed == 2
    assert merged({"needed": 3}, approvals_needed=2).needed == 3


def test_rules_that_no_approvers_can_satisfy_are_refused() -> None:
    """Before the run waits for ever."""
    with pytest.raises(BadInput, match="only 1 in common: bob"):
        merged({"approvers": ["ann", "bob"], "needed": 2}, approvers=["bob", "eve"])
    with pytest.raises(ValidationError, match="names only 1"):
        merged({"approvers": ["ann"], "needed": 2})
