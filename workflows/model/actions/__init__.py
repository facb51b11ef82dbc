"""Everything that one place can be asked to do.

An action names its place; the plan's snapshot of the estate holds its address. An action that
changes something knows the action that undoes it.
"""

from typing import Annotated

from pydantic import Field

from workflows.model.actions.change import (
    Change,
    Redirect,
    ResumeReplication,
    SchedulingService,
    StartAll,
    StartMonitor,
    StartProtocolServer,
    StartScheduling,
    StartTransactionManager,
    StopGracefully,
    StopMonitor,
    StopRemaining,
    StopScheduling,
    StopTransactionManager,
    SuspendReplication,
)
from workflows.model.actions.observe import (
    CompareConfiguration,
    CompareStorage,
    Observation,
    ObserveCluster,
    ObserveNode,
    ObserveReplication,
    ObserveTemporal,
    ObserveTraffic,
    TryLogin,
)
from workflows.model.actions.verify import (
    WAITS,
    AwaitInFlightEvents,
    AwaitQueue,
    AwaitSessions,
    FindOrphanedFiles,
    ReadQueue,
    ReadSessions,
    Verification,
    VerifyNoConflicts,
    VerifySchedulingStopped,
    VerifyServing,
    VerifyStopped,
    VerifyTraffic,
    VerifyUnreachable,
)

__all__ = [
    "WAITS",
    "Action",
    "AwaitInFlightEvents",
    "AwaitQueue",
    "AwaitSessions",
    "Change",
    "CompareConfiguration",
    "CompareStorage",
    "FindOrphanedFiles",
    "Observation",
    "ObserveCluster",
    "ObserveNode",
    "ObserveReplication",
    "ObserveTemporal",
    "ObserveTraffic",
    "ReadQueue",
    "ReadSessions",
    "Redirect",
    "ResumeReplication",
    "SchedulingService",
    "StartAll",
    "StartMonitor",
    "StartProtocolServer",
    "StartScheduling",
    "StartTransactionManager",
    "StopGracefully",
    "StopMonitor",
    "StopRemaining",
    "StopScheduling",
    "StopTransactionManager",
    "SuspendReplication",
    "TryLogin",
    "Verification",
    "VerifyNoConflicts",
    "VerifySchedulingStopped",
    "VerifyServing",
    "VerifyStopped",
    "VerifyTraffic",
    "VerifyUnreachable",
]

Action = Annotated[Observation | Verification | Change, Field(discriminator="kind")]
