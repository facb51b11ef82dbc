"""A workflow that imports what no workflow may: the firewall has to stop it."""

import yaml
from temporalio import workflow


@workflow.defn
class Stray:
    """Reads a file format that belongs to the activities."""

    @workflow.run
    async def run(self) -> str:
        """Never runs."""
        return str(yaml.safe_dump({}))
