"""Hand the watch over the configuration from run to run: to a Freeze, and back."""

from dataclasses import dataclass, field

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)
from temporalio.workflow import ParentClosePolicy

from workflows import activity_options
from workflows.model.configuration import ConfigurationRecord, ConfigurationReport, unread_findings
from workflows.model.findings import Finding, Severity
from workflows.model.freeze import FreezeRequest, freeze_id
from workflows.planning.plan import Plan
from workflows.ports.configuration import ConfigurationPort, WatchInput
from workflows.ports.temporal import TemporalPort
from workflows.preflight.report import Direction


@dataclass(frozen=True)
class Handover:
    """What an earlier watch has left, and what the operator should know of it."""

    record: ConfigurationRecord
    findings: tuple[Finding, ...] = field(default=())


async def take_over(plan: Plan) -> Handover:
    """End the estate's Freeze, and return everything that was recorded since the suspension.

    An empty record where nobody has watched; the findings say from when to when nobody did.
    """
    config = activity_options.with_summary(activity_options.TAKE_OVER, "take over the watch")
    direction = Direction(estate=plan.estate.name, source=plan.source, target=plan.target)
    try:
        record = await workflow.execute_activity_method(
            TemporalPort.take_over_watch, direction, **config
        )
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        found = unwatched(plan, f"what an earlier watch has seen is not known: {error.cause}")
        return Handover(ConfigurationRecord(), (found,))
    if record is None:
        return Handover(ConfigurationRecord())
    return Handover(record, tuple(unwatched(plan, gap) for gap in record.gaps))


async def compare_with_record(
    plan: Plan, record: ConfigurationRecord, dark: tuple[str, ...] = ()
) -> Handover:
    """Read both sides once, and return the record with everything that is not as it says."""
    config = activity_options.with_summary(
        activity_options.COMPARE_ONCE, "compare the configuration with the record"
    )
    try:
        report: ConfigurationReport = await workflow.execute_activity_method(
            ConfigurationPort.read_configuration_changes,
            WatchInput.of(plan, record, dark),
            **config,
        )
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        return Handover(record, unread_findings({plan.estate.name: f"{error.cause or error}"}))
    return Handover(record.after(report), unread_findings(report.unread))


async def leave_to_freeze(
    plan: Plan, record: ConfigurationRecord, dark: tuple[str, ...]
) -> tuple[Finding, ...]:
    """Let a Freeze go on watching after this run; a finding where that is not possible."""
    request = FreezeRequest(
        estate=plan.estate.name, source=plan.source, target=plan.target, dark=dark, record=record
    )
    try:
        await workflow.start_child_workflow(
            "Freeze",
            request,
            id=freeze_id(request.estate),
            # It outlives this run, and Temporal's rule of one open run of an id is its lock.
            parent_close_policy=ParentClosePolicy.ABANDON,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        )
    except (WorkflowAlreadyStartedError, ChildWorkflowError, ApplicationError) as refusal:
        return (unwatched(plan, f"no Freeze could be started: {refusal}"),)
    return ()


def unwatched(plan: Plan, why: str) -> Finding:
    """Return the finding that a time is not known in which something may have been changed."""
    return Finding(
        name="configuration_not_watched",
        place=plan.estate.name,
        seen=why,
        expected="a watch over the configuration for as long as replication is suspended",
        advice="before replication is resumed, ask who has changed what meanwhile, and compare the "
        "audit logs of both sides",
        severity=Severity.WARNS,
    )
