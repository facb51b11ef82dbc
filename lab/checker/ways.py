"""Count which way machines behind a jump host were reached."""

from dataclasses import dataclass

from lab.checker.evidence import Evidence


@dataclass(frozen=True)
class WayCounts:
    """What a jump host led on, and what came past it."""

    machines: int
    """How many are behind it."""
    reached: int
    """How many of them it led a connection to."""
    logins: int
    connections: int
    past_it: int
    """Connections to machines that came from elsewhere, and were not let in."""

    @property
    def unreached(self) -> int:
        """The number of machines to which it led nothing."""
        return self.machines - self.reached


def count_ways(evidence: Evidence) -> WayCounts | None:
    """Return the counts; None without a jump host."""
    if not evidence.behind:
        return None
    led = [line["to"] for line in evidence.ways if "port" in line]
    return WayCounts(
        machines=len(evidence.behind),
        reached=len(evidence.behind & {*led}),
        logins=sum("user" in line for line in evidence.ways),
        connections=len(led),
        past_it=sum("past_by" in line for line in evidence.ways),
    )
