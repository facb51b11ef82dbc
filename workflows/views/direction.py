"""Say in a few words which cluster a run is about, and which way it leads."""

from workflows.model.request import AnyRequest, RejoinRequest
from workflows.model.stages import Procedure


def direction(procedure: Procedure, source: str, target: str) -> str:
    """Return where traffic goes, or which cluster comes back beside which."""
    return f"{target} rejoins {source}" if procedure == "rejoin" else f"{source} → {target}"


def subject(request: AnyRequest) -> str:
    """Return what a request asks for: the estate, and what shall be done."""
    if isinstance(request, RejoinRequest):
        return f"{request.estate}: {request.cluster} rejoins"
    return f"{request.estate}: {direction('switchover', request.source, request.target)}"
