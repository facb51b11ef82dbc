"""The faults that can be requested: stage, place and kind."""

from dataclasses import dataclass
from typing import Literal, Self, get_args

from lab.checker.legs import LEGS, Leg
from lab.environment.load_balancers.registry import load_balancer
from lab.layout import JUMP_HOST, Layout
from lab.proxy.proxies import BALANCER
from workflows.model.stages import POINT_OF_NO_RETURN, STAGES, StageName

Kind = Literal["refused", "unreachable", "unknown", "lost"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, order=True)
class Fault:
    """One fault, written ``STAGE:PLACE:KIND``."""

    stage: StageName
    place: str
    kind: Kind

    @classmethod
    def read(cls, text: str, layout: Layout) -> Self:
        """Read one; the ValueError names what is wrong."""
        stage, place, kind = (*text.split(":", 2), "", "")[:3]
        if stage not in list(StageName):
            raise ValueError(f"{stage!r} is no stage; the stages are {', '.join(StageName)}")
        known = places(layout, StageName(stage))
        if not known:
            raise ValueError(f"{stage} has nothing to do in this estate, so it cannot fail")
        if place not in known:
            raise ValueError(
                f"{stage} never acts on {place or 'no place'}; it acts on {', '.join(known)}"
            )
        for one in KINDS:
            if one == kind:
                return cls(StageName(stage), place, one)
        raise ValueError(f"{kind!r} is no kind of fault; the kinds are {', '.join(KINDS)}")

    def __str__(self) -> str:
        return f"{self.stage}:{self.place}:{self.kind}"

    @property
    def may_act(self) -> bool:
        """Whether anything of the stage may be done: not where the way to all its places is cut."""
        return (self.place, self.kind) != (JUMP_HOST, "unreachable")

    @property
    def before_no_return(self) -> bool:
        """Whether it begins before the point of no return."""
        return before_no_return(self.stage)


def before_no_return(stage: StageName) -> bool:
    """Whether the stage comes before the point of no return; a rejoin has none."""
    is_rejoin = leg_of(stage).procedure == "rejoin"
    return is_rejoin or stage.number < POINT_OF_NO_RETURN.number


def leg_of(stage: StageName) -> Leg:
    """The run to which the stage belongs; to a switchover, where both have it."""
    return LEGS["switchover" if stage in STAGES["switchover"] else "rejoin"]


def places(layout: Layout, stage: StageName) -> tuple[str, ...]:
    """Every place of the stage, and the jump host, if there is one, on the way to it."""
    acting = acting_places(layout, stage)
    behind = {*layout.behind.values()} if layout.drivers.jump_host else set()
    return (*acting, JUMP_HOST) if behind.intersection(acting) else acting


def acting_places(layout: Layout, stage: StageName) -> tuple[str, ...]:
    """Every place of the stage, by the manual (docs/securetransport.md, sections 2 and 3)."""
    leg = leg_of(stage)
    source, target = layout.cluster(leg.source), layout.cluster(leg.target)
    databases = tuple(cluster.database_name for cluster in layout.clusters)
    match stage:
        case StageName.CHECK_PREREQUISITES:
            return (*(node.name for node in layout.nodes), BALANCER, *databases)
        case StageName.SUSPEND_REPLICATION | StageName.RESUME_REPLICATION:
            # A command runs on the one machine that is no node.
            return databases if layout.drivers.replication == "postgresql" else (BALANCER,)
        case StageName.REDIRECT_TRAFFIC:
            return (load_balancer(layout).redirect_place,)
        case StageName.STOP_SCHEDULING | StageName.DRAIN_TRANSACTION_MANAGER:
            nodes = source.servers
        case StageName.PAUSE_SCHEDULING | StageName.RESUME_SCHEDULING:
            nodes = source.servers
        case (
            StageName.START_SCHEDULING
            | StageName.START_TRANSACTION_MANAGERS
            | StageName.START_SERVICES
        ):
            nodes = target.servers
        case StageName.START_ADMIN:
            nodes = target.nodes
        # The lab's estate leaves the target's Monitors alone, every start starts the Monitor as
        # well, and a check changes nothing.
        case StageName.RESTORE_MONITORS | StageName.START_MONITORS | StageName.CHECK_RETURNED:
            nodes = ()
        case _:
            nodes = source.nodes
    return tuple(node.name for node in nodes)
