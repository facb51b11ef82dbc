"""The worker with a bug in its workflows: ``python -m tests.support.buggy_worker raises ...``."""

import sys

from worker import __main__ as program
from worker import failing_runs
from workflows.execution.configuration_watch import ConfigurationWatch
from workflows.run.progress_tracker import ProgressTracker


def raises(*_: object) -> None:
    """Fail as a bug does."""
    raise ZeroDivisionError("a bug of ours")


def hangs(*_: object) -> None:
    """Never end."""
    while True:
        pass


if __name__ == "__main__":
    bug = {"raises": raises, "hangs": hangs}[sys.argv.pop(1)]
    setattr(ProgressTracker, ProgressTracker.begin_run.__name__, bug)
    setattr(ConfigurationWatch, ConfigurationWatch.keep.__name__, bug)
    failing_runs.INTERVAL = 0.5
    sys.exit(program.main())
