"""The unit tests that prove the checks for which the lab injects no fault."""

from __future__ import annotations

from lab.campaigns.preflight_faults.registry import BY_NAME
from workflows.model.checks import CHECKS

Test = tuple[str, str]
"""Its file and its name."""

_CHECKS = "tests/workflows/preflight/test_checks.py"
_INTERRUPTED = "tests/workflows/planning/test_interrupted_run.py"
EVERY_CHECK: Test = (_CHECKS, "test_a_prerequisite_that_does_not_hold_is_found")
"""It has a case for every check that judges what was read."""
OTHERS: dict[str, Test] = {
    "installation_path_differs": (_CHECKS, "test_an_installation_elsewhere_is_found"),
    "half_switched": (_INTERRUPTED, "test_the_same_roles_go_on_from_where_it_was"),
    "already_switched_over": (_INTERRUPTED, "test_a_switchover_that_was_done_is_not_done_again"),
    "no_reading": (
        "tests/workflows/test_readiness.py",
        "test_a_place_that_nobody_could_look_at_is_a_finding",
    ),
    "reading_unusable": (
        "tests/activities/configuration/test_configuration.py",
        "test_a_cluster_that_says_nothing_is_trouble",
    ),
    "configuration_unreadable": (
        "tests/activities/configuration/test_configuration.py",
        "test_what_cannot_be_compared_is_a_finding",
    ),
    "temporal_unreadable": (
        "tests/activities/test_temporal.py",
        "test_a_server_that_does_not_answer_is_one_finding",
    ),
    "access_refused": (
        "tests/end_to_end/test_bad_estates.py",
        "test_a_wrong_admin_password_is_a_finding",
    ),
}


def proven_by_unit_test() -> dict[str, Test]:
    """Return the test of each check for which there is no fault."""
    names = [check.name for check in CHECKS if check.name not in BY_NAME]
    return {name: OTHERS.get(name, EVERY_CHECK) for name in names}
