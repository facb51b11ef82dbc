"""Watch the configuration beside a run, while replication is suspended; never delay or fail it."""

from collections.abc import Callable
from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from workflows import activity_options
from workflows.execution.handover import Handover, leave_to_freeze, take_over, unwatched
from workflows.execution.notices import Notices
from workflows.model.configuration import (
    ConfigurationChange,
    ConfigurationRecord,
    ConfigurationReport,
    unread_findings,
)
from workflows.model.decisions import Decision
from workflows.model.findings import Finding
from workflows.model.stages import StageName
from workflows.model.text import listed
from workflows.planning.plan import Plan
from workflows.ports.configuration import ConfigurationPort, WatchInput
from workflows.run.inbox import Inbox
from workflows.run.progress_tracker import ProgressTracker
from workflows.run.state import RunState

MAX_DOUBLINGS = 10
MAX_REASON = 900
"""Characters of the reason of a pause."""


@dataclass(frozen=True)
class News:
    """What a watch has learned."""

    record: ConfigurationRecord
    changes: tuple[ConfigurationChange, ...] = ()
    """Those that the record did not have before."""
    findings: tuple[Finding, ...] = ()


@dataclass
class ConfigurationWatch:
    """Runs the watch's activity again after each report, and after it failed."""

    plan: Plan
    record: Callable[[], ConfigurationRecord]
    """What is known now: also others may add to it."""
    tell: Callable[[News], None]
    is_over: Callable[[], bool]
    dark: Callable[[], tuple[str, ...]]
    """Clusters that are shut down now."""
    failures: int = 0
    """How often in a row the watch has failed."""

    async def keep(self) -> None:
        """Watch until it is over; a watch that cannot be kept is said, and tried again."""
        while not self.is_over():
            try:
                report = await self._news()
            except ActivityError as error:
                if is_cancelled_exception(error):
                    raise
                await self._fail(error)
            else:
                self.failures = 0
                if report is not None:
                    self._take(report)

    async def _news(self) -> ConfigurationReport | None:
        """Return what there is to say; None where something else is to be watched now."""
        dark = self.dark()
        watching = workflow.start_activity_method(
            ConfigurationPort.watch_configuration,
            WatchInput.of(self.plan, self.record(), dark),
            **activity_options.with_summary(
                activity_options.WAIT, "watch the configuration while replication is suspended"
            ),
        )
        try:
            await workflow.wait_condition(
                lambda: watching.done() or self.is_over() or self.dark() != dark
            )
            return await watching if watching.done() else None
        finally:
            # Nothing is awaited here: a run that leaves a worker's cache has to end at once.
            watching.add_done_callback(lambda task: task.cancelled() or task.exception())
            watching.cancel()

    def _take(self, report: ConfigurationReport) -> None:
        before, after = self.record(), self.record().after(report)
        known = {change.key for change in before.changes}
        unread = {p: why for p, why in report.unread.items() if p not in before.unread}
        changes = tuple(one for one in after.changes if one.key not in known)
        self.tell(News(after, changes, unread_findings(unread)))

    async def _fail(self, error: ActivityError) -> None:
        trouble = unread_findings({self.plan.estate.name: f"{error.cause or error}"})
        self.tell(News(self.record(), findings=trouble))
        again = activity_options.WATCH_AGAIN * 2 ** min(self.failures, MAX_DOUBLINGS)
        self.failures += 1
        try:
            await workflow.wait_condition(
                self.is_over,
                timeout=min(again, activity_options.WATCH_AGAIN_AT_MOST),
                timeout_summary="until the configuration is watched again",
            )
        except TimeoutError:
            return


class SuspensionWatch:
    """Watches for one run, from the suspension until replication carries changes again.

    A rejoin begins with replication suspended, and a switchover suspends it.
    """

    def __init__(
        self, plan: Plan, state: RunState, tracker: ProgressTracker, inbox: Inbox, notices: Notices
    ) -> None:
        self._plan, self._state, self._tracker = plan, state, tracker
        self._inbox, self._notices = inbox, notices

    async def keep(self) -> None:
        """Take over what was recorded, and go on; end once replication carries changes again."""
        state, rejoins = self._state, self._plan.procedure == "rejoin"
        suspended = StageName.SUSPEND_REPLICATION.value
        await workflow.wait_condition(lambda: rejoins or suspended in state.finished)
        handover = await take_over(self._plan)
        # Replication ran until now: what an earlier watch has seen concerns the time before.
        ran = not rejoins and any(link.enabled for link in state.baseline.links.values())
        if not ran:
            state.configuration = handover.record
            self._tracker.add_findings(handover.findings or _unrecorded(self._plan, handover))
        state.watch_taken_over = True
        await ConfigurationWatch(
            self._plan,
            lambda: state.configuration,
            self._tell,
            lambda: state.replication_resumes,
            lambda: state.dark_clusters,
        ).keep()

    async def leave(self) -> None:
        """Let a Freeze go on where this run ends with replication suspended."""
        if self._state.replication_suspended:
            record, dark = self._state.configuration, self._state.dark_clusters
            self._tracker.add_findings(await leave_to_freeze(self._plan, record, dark))

    def _tell(self, news: News) -> None:
        state = self._state
        gaps = (one for one in news.record.gaps if one not in state.configuration.gaps)
        self._tracker.add_findings((*news.findings, *(unwatched(self._plan, one) for one in gaps)))
        state.configuration = news.record
        if not news.changes:
            return
        state.version += 1
        self._notices.notify_of_changes(news.changes, state.current_stage)
        if self._plan.estate.on_configuration_change == "pause":
            reason = listed(map(str, news.changes), between="; ")[:MAX_REASON]
            decision = Decision(by="configuration watch", reason=reason)
            self._inbox.receive("pause", decision, "watch")


def _unrecorded(plan: Plan, handover: Handover) -> tuple[Finding, ...]:
    """Return what an operator should know where an estate is found without any record."""
    if handover.record.since is not None:
        return ()
    return (unwatched(plan, "no run has recorded what the configuration was at the suspension"),)
