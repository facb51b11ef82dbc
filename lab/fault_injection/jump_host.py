"""Make the actions of a stage fail on the way to their machines, at the jump host."""

from lab.fault_injection.fault import acting_places
from lab.fault_injection.methods import PARTIAL_LOGIN_BYTES, Method, method_for
from lab.layout import JUMP_HOST
from lab.node.request_hook import RequestEvent
from lab.proxy.proxies import Proxies
from workflows.model.stages import StageName


class ByJumpHost(Method):
    """By the actions of the stage on machines behind the jump host."""

    def __init__(self, proxies: Proxies, stage: StageName) -> None:
        super().__init__(proxies, JUMP_HOST)
        behind = set(proxies.layout.behind.values())
        places = behind.intersection(acting_places(proxies.layout, stage))
        self.machines = {place: method_for(proxies, stage, place) for place in places}

    def concerns(self, event: RequestEvent) -> bool:
        """One to the jump host, or to a machine behind it on which the stage acts."""
        return event.place in {JUMP_HOST, *self.machines}

    def acts(self, event: RequestEvent) -> bool:
        """The stage's action on such a machine."""
        return event.place in self.machines and self.machines[event.place].acts(event)

    def refuse(self) -> None:
        """It breaks its connections off, and lets nobody in."""
        self.simulate(refuses_login="yes")
        self.proxies.lines[JUMP_HOST].break_off()

    def confuse(self) -> None:
        """It breaks its connections off, and every further one in the middle of the login."""
        line = self.proxies.lines[JUMP_HOST]
        line.answers_at_most = PARTIAL_LOGIN_BYTES
        line.break_off()

    def lose(self) -> None:
        """It goes down when the action has reached the machine, where it has its effect."""
        self.cut()


def method_at(proxies: Proxies, stage: StageName, place: str) -> Method:
    """Return how this stage acts on this place, which may be the jump host on the way."""
    if place == JUMP_HOST:
        return ByJumpHost(proxies, stage)
    return method_for(proxies, stage, place)
