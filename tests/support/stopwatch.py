"""A workflow that measures how long its own timer took."""

from datetime import timedelta

from temporalio import workflow

LASTS = timedelta(seconds=1)


@workflow.defn
class Stopwatch:
    """Waits once."""

    @workflow.run
    async def run(self) -> float:
        """Return the seconds that passed by the workflow's clock."""
        since = workflow.now()
        await workflow.sleep(LASTS)
        return (workflow.now() - since).total_seconds()

    @workflow.query
    def status(self) -> str:
        """Answer."""
        return "there"
