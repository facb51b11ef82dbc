"""What was changed while replication was suspended: a rejoin lists it before it goes on."""

from workflows.model.checks import Check, Heading, Scope
from workflows.model.configuration import ConfigurationRecord
from workflows.model.findings import Finding
from workflows.model.stages import StageName

configuration_changed = Check(
    name="configuration_changed",
    title="The configuration is as it was when replication was suspended",
    heading=Heading.EARLIER_RUN,
    scope=Scope.EVERYWHERE,
    until=StageName.RESUME_REPLICATION,
    acceptable=True,
    only="rejoin",
)


def configuration_findings(record: ConfigurationRecord) -> tuple[Finding, ...]:
    """Return a finding for each place at which something was changed."""
    by_place: dict[str, list[str]] = {}
    for change in record.changes:
        by_place.setdefault(change.place, []).append(str(change).removeprefix(f"{change.place}: "))
    return tuple(
        configuration_changed.finding(
            place,
            seen="; ".join(changes),
            expected="no change since replication was suspended",
            advice="repeat by hand on the other side what replication does not carry (files, and "
            "whatever was changed on the returning cluster), then start again with --accept "
            'configuration_changed="..."',
        )
        for place, changes in by_place.items()
    )
