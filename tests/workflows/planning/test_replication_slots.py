"""What keeps changes while replication is off is planned for the links that need it."""

from tests.support import estates
from tests.support.memory_replication import MemoryLink, MemoryReplication
from workflows.model import actions
from workflows.model.estate import Estate
from workflows.model.stages import StageName
from workflows.planning.replication_slots import (
    begin_slots,
    drop_resting_slots,
    repair_lost_changes,
)
from workflows.planning.switchover import plan_switchover

THERE, BACK = "cluster1_to_cluster2", "cluster2_to_cluster1"


def test_the_target_keeps_what_it_writes_before_traffic_reaches_it() -> None:
    """After both directions are suspended, and in the same stage."""
    stage = plan_switchover(estates.estate(), estates.request()).stage(
        StageName.SUSPEND_REPLICATION
    )
    suspended, begun = stage.waves
    assert {action.kind for action in suspended} == {"suspend_replication"}
    assert begun == (actions.BeginSlot(link=BACK),)
    assert [action.undo for action in begun] == [actions.DropSlot(link=BACK)]


def test_a_rejoin_repairs_the_way_to_the_passive_side_first() -> None:
    """With cluster 2 active: its changes are copied, then the way back begins anew."""
    estate = estates.estate()
    assert repair_lost_changes(estate, "cluster2") == (
        (actions.CopyTables(link=BACK),),
        (actions.RenewSlot(link=THERE),),
    )
    assert drop_resting_slots(estate, "cluster2") == (actions.DropSlot(link=THERE),)
    repairs = [action for wave in repair_lost_changes(estate, "cluster2") for action in wave]
    assert [action.undo for action in repairs] == [None, None]


def test_a_driver_without_slots_is_asked_for_none() -> None:
    """Its commands suspend and resume, and nothing else."""
    links = (MemoryLink(name="there", source="cluster1", target="cluster2", suspend=(), resume=()),)
    estate: Estate = estates.estate().model_copy(
        update={"replication": MemoryReplication(links=links)}
    )
    assert begin_slots(estate, "cluster1") == drop_resting_slots(estate, "cluster2") == ()
    assert repair_lost_changes(estate, "cluster1") == ((), ())
    plan = plan_switchover(estate, estates.request())
    assert len(plan.stage(StageName.SUSPEND_REPLICATION).waves) == 1
