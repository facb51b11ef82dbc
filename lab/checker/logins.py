"""Count what an account did that has no right of its own on the machines."""

from collections import Counter
from dataclasses import dataclass

from lab.checker.evidence import Evidence


@dataclass(frozen=True)
class LoginCounts:
    """What the account was sent that logs in to the machines, where sudo leads to their owner."""

    machines: int
    reached: int
    """On how many of them it ran a command through sudo."""
    commands: int
    """Through sudo, as the owner."""
    questions: int
    """As the account itself: what sudo allows."""
    others: int
    """As the account itself, or by another way through sudo: there must be none."""
    real: bool
    """Whether that was sudo itself, and no stand-in for it."""

    @property
    def unreached(self) -> int:
        """The number of machines on which it ran nothing."""
        return self.machines - self.reached


def count_logins(evidence: Evidence) -> LoginCounts | None:
    """Return the counts; None where the owner itself logs in."""
    if not evidence.sudo_machines:
        return None
    kinds = Counter(line["kind"] for line in evidence.logins)
    places = {line["place"] for line in evidence.logins if line["kind"] == "command"}
    return LoginCounts(
        machines=len(evidence.sudo_machines),
        reached=len(evidence.sudo_machines & places),
        commands=kinds["command"],
        questions=kinds["question"],
        others=kinds["other"],
        real=all(line["real"] for line in evidence.logins),
    )
