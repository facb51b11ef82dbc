"""Configuration options that every node has, besides those that the simulation obeys.

A site has hundreds. Their names and values do not matter, but both clusters have the same ones.
"""

from collections.abc import Iterator, Mapping
from itertools import product

_PROTOCOLS = ("As2", "Ftpd", "Http", "Pesit", "Ssh")
_OF_PROTOCOLS = {
    "Allow.Clients": "*",
    "Banner.enabled": "false",
    "Buffer.Size": "65536",
    "ClientCertificate.mode": "optional",
    "FIPS.enabled": "false",
    "IdleTimeout": "300",
    "Listener.Backlog": "128",
    "Log.Level": "INFO",
    "MaxConnections": "2000",
    "MaxConnectionsPerUser": "100",
    "MaxLoginAttempts": "5",
    "NumThreads": "64",
    "Password.Authentication": "true",
    "Socket.KeepAlive": "true",
    "Socket.TcpNoDelay": "true",
    "Statistics.Interval": "60",
    "Streaming.Pool.Size": "32",
    "Virus.Scan": "false",
}
_PARTS = (
    *("AdvancedRouting", "AuditLog", "EventQueue", "FolderMonitor", "Scheduler"),
    *("ServerTransfer", "Statistics", "TransactionManager", "TransferLog", "UserManager"),
)
_OF_PARTS = {
    "Cache.Size": "1000",
    "Log.Level": "INFO",
    "NumThreads": "16",
    "Retention.Days": "30",
    "Retry.Count": "5",
    "Retry.Interval": "120",
}

ADDRESSED: Mapping[str, str] = {
    "As2.MessageId.Domain": "{node.name}",
    "Http.Redirect.Url": "https://{node.address}:8443/",
    "Mail.From": "securetransport@{node.name}",
    "Pesit.ServerIdentity": "{node.name}",
    "Ssh.Banner.Text": "Welcome to {node.name} ({node.address})",
    "Streaming.Advertised.Address": "{node.address}",
}
"""With the node's own name or address in the value, although no option of them is local."""


def _further() -> Iterator[tuple[str, str]]:
    for group, kinds in ((_PROTOCOLS, _OF_PROTOCOLS), (_PARTS, _OF_PARTS)):
        for name, (kind, value) in product(group, kinds.items()):
            yield f"{name}.{kind}", value


FURTHER: Mapping[str, str] = dict(_further())
"""Their values, by name."""
