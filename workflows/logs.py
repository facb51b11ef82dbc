"""The Logs workflow: one page of the records that one cluster keeps; reads, changes nothing."""

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows import activity_options
from workflows.errors import BadInput, SwitchoverError
from workflows.model.logs import LogPage, parse_query
from workflows.ports.logs import LogsPort


@workflow.defn(name="Logs", failure_exception_types=[SwitchoverError])
class Logs:
    """Reads one page; who wants to see all of them asks again where it ended."""

    @workflow.run
    async def run(self, *given: Any) -> LogPage:  # noqa: ANN401 - whatever was sent
        """Return the page that the query asks for; BadInput where it or the estate is wrong."""
        query = parse_query(given)
        summary = f"read {query.kind} records of {query.estate}"
        config = activity_options.with_summary(activity_options.RECORDS, summary)
        try:
            return await workflow.execute_activity_method(LogsPort.read_records, query, **config)
        except ActivityError as error:
            cause = error.cause
            if isinstance(cause, ApplicationError) and cause.type == BadInput.__name__:
                raise BadInput(cause.message) from error
            raise
