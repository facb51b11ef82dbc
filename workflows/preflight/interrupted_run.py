"""Checks for a run that was interrupted; made in stage 0 only."""

from workflows.model.checks import Check, Heading, Scope
from workflows.model.findings import Finding, Severity
from workflows.model.stages import StageName
from workflows.planning.interrupted_run import InterruptedRun
from workflows.planning.plan import Plan
from workflows.preflight.rejoin import findings_of_rejoin

half_switched = Check(
    name="half_switched",
    title="No switchover was interrupted",
    heading=Heading.EARLIER_RUN,
    scope=Scope.SOURCE,
    severity=Severity.WARNS,
    only="switchover",
)
already_switched_over = Check(
    name="already_switched_over",
    title="The switchover has not been done already",
    heading=Heading.EARLIER_RUN,
    scope=Scope.SOURCE,
    only="switchover",
)


def findings_of(run: InterruptedRun, plan: Plan) -> tuple[Finding, ...]:
    """Return what an interrupted run means for this one."""
    if plan.procedure == "rejoin":
        return findings_of_rejoin(run, plan)
    source = plan.source
    if not run.begun:
        return ()
    if run.complete:
        return (
            already_switched_over.finding(
                source,
                seen=f"{source} is down, and traffic and scheduling are on {plan.target}",
                expected=f"{source} serving",
                advice="nothing to do; check whether source and target are swapped",
            ),
        )
    begun = ", ".join(name.value for name in StageName if name in run.begun)
    return (
        half_switched.finding(
            source,
            seen=f"a switchover with these roles was interrupted after it began {begun}",
            expected="an estate in its normal state",
            advice="this run continues from there; a rollback assumes that "
            f"{source} was fully up before the interrupted run",
        ),
    )
