"""A load balancer that follows a hosts file and a reload command: the vendor's own case.

HAProxy would resolve names by libc, which reads only ``/etc/hosts``. So the reload command of the
machine ``loadbalancer1`` renders the addresses of *its* hosts file into HAProxy's configuration.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.environment.load_balancers.base import LoadBalancer, client_facing_nodes, haproxy, names
from lab.layout import ClusterName

UNRECORDED = "LAB_UNRECORDED"
"""The variable that makes the reload command leave no record."""

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


class HostsFileLoadBalancer(LoadBalancer):
    """HAProxy, a hosts file and the site's reload command."""

    @property
    def hosts_file(self) -> Path:
        """Where the Edges' names have their addresses."""
        return self.root / "etc/hosts"

    @property
    def site_configuration(self) -> Path:
        """What the site wrote, with names; the reload renders it."""
        return self.root / "etc/haproxy.site.cfg"

    @property
    def reload_command(self) -> Path:
        """The site's command that makes the load balancer read the hosts file again."""
        return self.root / "bin/reload_loadbalancer"

    @property
    def redirect_words(self) -> str:
        """The reload command, which follows the edit of the file."""
        return str(self.reload_command)

    @property
    def redirect_program(self) -> Path:
        """The reload command."""
        return self.reload_command

    def described(self, machine: Mapping[str, Any]) -> dict[str, Any]:
        """The machine, and the addresses of each name."""
        host = {
            **machine,
            "hosts_file": str(self.hosts_file),
            "reload": [str(self.reload_command)],
            "configuration": str(self.site_configuration),
        }
        return {"driver": "hosts_file", "hosts": [host], "names": names(self.layout)}

    def files(self, active: ClusterName) -> Mapping[str, str]:
        """The site's configuration and what the reload renders from it, and the hosts file."""
        every = names(self.layout)
        return {
            "etc/haproxy.site.cfg": self.site({name: name for name in every}),
            "etc/haproxy.cfg": self.site({name: own[active] for name, own in every.items()}),
            "etc/clusters": self._clusters(),
            "etc/hosts": self._hosts(active),
        }

    def programs(self) -> Mapping[str, str]:
        """The reload command."""
        text = RELOAD.format(
            root=self.root, haproxy=haproxy(), effects=self.layout.effects, unrecorded=UNRECORDED
        )
        return {"bin/reload_loadbalancer": text}

    async def follow(self) -> None:
        """Run the reload command."""
        command = await asyncio.create_subprocess_exec(self.reload_command)
        assert await command.wait() == 0

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
