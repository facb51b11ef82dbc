"""Which tables must not be replicated, by profile (securetransport.md, section 2)."""

import re

SKIPPED = {
    "5.4": frozenset({"dmz_edge", "dmz_zone", "event"}),
    "5.5": frozenset(
        {
            "auditlog",
            "clusternode",
            "dmz_edge",
            "dmz_edge_ip_address",
            "dmz_edge_protocol",
            "dmz_edge_proxy",
            "dmz_zone",
            "event",
            "ht_businessunit",
            "logging_event",
            "logging_event_exception",
            "logging_event_exception_temp",
            "logging_event_property",
            "logging_event_property_temp",
            "logging_event_temp",
            "subtransmissionstatus",
            "subtransmissionstatus_temp",
            "transferdata",
            "transferdata_temp",
            "transferdetails",
            "transferdetails_temp",
            "transferprotocolcommands",
            "transferprotocolcommands_temp",
            "transferresubmitdata",
            "transferresubmitdata_temp",
        }
    ),
}

_PARTITION = re.compile(r"(_p?\d+)+$")


def left_out(table: str, profile: str) -> bool:
    """Whether a table, given with or without its schema, or its daily partition, stays local."""
    bare = table.rpartition(".")[2].strip('"').lower()
    return bare in SKIPPED[profile] or _PARTITION.sub("", bare) in SKIPPED[profile]
