"""Read what the clusters have recorded, and what the source leaves unfinished."""

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Generic

from temporalio import activity

from workflows.model import actions
from workflows.model.logs import LogPage, LogQuery
from workflows.model.results import Report
from workflows.ports.inputs import A, NodeInput


class RecordsInput(NodeInput[A], Generic[A]):
    """A reading of what a cluster has recorded since the redirect, through this node."""

    redirected_at: datetime | None = None
    """None where traffic was not redirected."""


class LogsPort(ABC):
    """Read what the clusters have recorded, and what the source leaves unfinished."""

    @activity.defn
    @abstractmethod
    async def read_records(self, query: LogQuery) -> LogPage:
        """Return one page; what cannot be read is in ``unread``. BadInput without such an estate.

        The worker looks up the cluster in its own estate file: a query names no address.
        """

    @activity.defn
    @abstractmethod
    async def count_records(self, given: RecordsInput[actions.CountRecords]) -> Report:
        """Count what the cluster has recorded since the redirect.

        What cannot be read is a finding that warns, never raised.
        """

    @activity.defn
    @abstractmethod
    async def find_unfinished_work(self, given: NodeInput[actions.FindUnfinishedWork]) -> Report:
        """Report queued events and open transfers as findings that warn (section 5).

        What cannot be read is a finding that warns, too, never raised.
        """
