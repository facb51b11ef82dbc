"""Read what a site's own command answers, and believe nothing that is not whole; pure."""

from collections import Counter
from collections.abc import Collection
from typing import Annotated

from pydantic import Field, StringConstraints

from activities.site_commands.answer import MAX_FINDINGS, SiteFinding, parse
from workflows.errors import OutcomeUnknown
from workflows.model.base import OneLine, Value
from workflows.model.findings import Finding
from workflows.model.load_balancers import commands_checks as checks
from workflows.model.load_balancers.commands import MAX_ITEMS, ItemName
from workflows.model.machines import Name
from workflows.model.observations import Destination
from workflows.model.text import listed


class _Destination(Value):
    """Where one of the items leads."""

    item: ItemName
    leads_to: Name | None
    """A cluster of the estate; null where it is none."""
    seen: Annotated[str, StringConstraints(min_length=1, max_length=300), OneLine] | None = None
    """What was seen there, such as an address."""


class SiteAnswer(Value):
    """The one JSON document that ``observe`` prints."""

    destinations: tuple[_Destination, ...] = Field(min_length=1, max_length=MAX_ITEMS)
    findings: tuple[SiteFinding, ...] = Field(default=(), max_length=MAX_FINDINGS)

    @property
    def clusters(self) -> frozenset[str | None]:
        """Where everything leads."""
        return frozenset(one.leads_to for one in self.destinations)

    def as_destinations(self) -> tuple[Destination, ...]:
        """Return where everything leads, in the words of the core."""
        return tuple(
            Destination(item=one.item, seen=one.seen or one.leads_to, cluster=one.leads_to)
            for one in self.destinations
        )

    def as_findings(self, place: str) -> tuple[Finding, ...]:
        """Return what the site's command finds wrong."""
        return tuple(one.of(checks.site_command_reports, place) for one in self.findings)

    def __str__(self) -> str:
        shown = (f"{one.item}: {one.cluster or one.seen}" for one in self.as_destinations())
        return listed(shown)


async def read(text: bytes, items: Collection[str], clusters: Collection[str]) -> SiteAnswer:
    """Return what the answer says.

    Raises:
        OutcomeUnknown: it is no document as docs/drivers.md describes it, or says nothing of one of
            these items, or something of another one, or of a cluster that is none of these.
    """
    answer = await parse(text, SiteAnswer)
    if objections := _objections(answer, items, clusters):
        raise OutcomeUnknown("; ".join(objections))
    return answer


def _objections(answer: SiteAnswer, items: Collection[str], clusters: Collection[str]) -> list[str]:
    """Return why an answer is not one about these items and clusters."""
    given = Counter(one.item for one in answer.destinations)
    unknown = {one.leads_to for one in answer.destinations if one.leads_to} - set(clusters)
    wrong = {
        "it says nothing of {}": [item for item in items if item not in given],
        "the estate's items lack {}": [item for item in given if item not in items],
        "it speaks twice of {}": [item for item, times in given.items() if times > 1],
        "the estate has no cluster {}": sorted(unknown),
    }
    return [sentence.format(listed(names)) for sentence, names in wrong.items() if names]
