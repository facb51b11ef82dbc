"""Who approves a run, and before which stages: the stricter of what estate and request say."""

from workflows.errors import BadInput
from workflows.model.estate import Estate
from workflows.model.request import BaseRequest
from workflows.model.site_policy import Approvals
from workflows.model.stages import STAGES, Procedure, StageName


def gates_of(procedure: Procedure, estate: Estate, request: BaseRequest) -> set[StageName]:
    """Return the stages that wait for an approval.

    Raises:
        BadInput: a gate before the prerequisites, or one that the request asks for before a stage
            that the procedure does not have.
    """
    own = STAGES[procedure]
    if foreign := [name for name in request.approve_before if name not in own]:
        raise BadInput(
            f"approve_before: a {procedure} has no stage {foreign[0]}; "
            f"its stages are {', '.join(own[1:])}"
        )
    gates = {*estate.approve_before, *request.approve_before} & {*own}
    if StageName.CHECK_PREREQUISITES in gates:
        raise BadInput("approve_before: check_prerequisites only reads; gate a later stage")
    return gates


def stricter(policy: Approvals, request: BaseRequest) -> Approvals:
    """Return the stricter of the rules of the estate and of the request.

    Raises:
        BadInput: too few people are allowed by both.
    """
    lists = [names for names in (policy.approvers, request.approvers) if names]
    approvers = tuple(name for name in (lists or [()])[0] if all(name in names for names in lists))
    needed = max(policy.needed, request.approvals_needed)
    if lists and len(set(approvers)) < needed:
        raise BadInput(
            f"approvals: {needed} people must approve here, but the estate and the request allow "
            f"only {len(set(approvers))} in common: {', '.join(approvers) or 'none'}"
        )
    limits = [limit for limit in (policy.expires_after, request.expires_after) if limit]
    return Approvals(
        approvers=approvers,
        needed=needed,
        expires_after=min(limits, default=None),
        on_expiry="reject" if "reject" in (policy.on_expiry, request.on_expiry) else "keep_waiting",
    )
