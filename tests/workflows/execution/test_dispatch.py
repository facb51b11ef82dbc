"""Every order has a hand for it, and every error says what to do about it."""

from __future__ import annotations

import inspect
import typing

import pytest

from workflows import errors
from workflows.execution.dispatch import HANDS, LOOKS, OBSERVERS
from workflows.model import actions
from workflows.views.progress_markdown import plain

KINDS = typing.get_args(typing.get_args(actions.Action)[0])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_order_is_carried_out_by_the_hand_made_for_it(kind: type[actions.Action]) -> None:
    """The activity has the order's name and takes just that order."""
    hand = {**HANDS, **LOOKS, **OBSERVERS}[kind]
    assert hand.__name__ == kind.model_fields["kind"].default
    [given] = [hint for name, hint in typing.get_type_hints(hand).items() if name == "given"]
    assert given.model_fields["action"].annotation is kind


def test_every_order_is_looked_at_or_carried_out() -> None:
    """No order is both, and none is neither."""
    assert sorted(k.__name__ for k in KINDS) == sorted(
        k.__name__ for k in (*HANDS, *LOOKS, *OBSERVERS)
    )


def test_permanent_errors_are_the_refusals() -> None:
    """Temporal matches exact names, so every subclass of Refused must be listed."""
    tree = {e.__name__: e for _, e in inspect.getmembers(errors, inspect.isclass)}
    refusals = {name for name, error in tree.items() if issubclass(error, errors.Refused)}
    assert set(errors.PERMANENT) == refusals
    unsettled = {"Unreachable", "NotYet", "OutcomeUnknown"}
    assert set(errors.UNSETTLED) == unsettled
    assert set(tree) == refusals | unsettled | {"SwitchoverError"}


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("**bold** <b>", r"\*\*bold\*\* \<b\>"),
        ("a\x1b[31mred\nline", r"a \[31mred line"),
        ("[link](http://x)", r"\[link\]\(http&#58;//x\)"),
        ("`code` | cell", r"\`code\` \| cell"),
    ],
)
def test_what_people_wrote_is_shown_and_never_interpreted(written: str, shown: str) -> None:
    """Markdown, HTML and control characters in a reason are text."""
    assert plain(written) == shown
