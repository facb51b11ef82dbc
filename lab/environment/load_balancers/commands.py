"""A load balancer that a site's own command steers: it edits the hosts file and reloads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.environment.load_balancers.base import names
from lab.environment.load_balancers.hosts_file import HostsFileLoadBalancer
from lab.layout import ClusterName

SITE_COMMAND = """\
#!/bin/sh
# The site's own command: says where the Edges' names lead, or lets them lead to a cluster.
# Usage: lb observe | lb redirect CLUSTER
set -eu
LC_ALL=C
export LC_ALL
umask 022
cd '{root}'
point() {{
    new=etc/hosts.$$
    trap 'rm -f "$new"' EXIT
    awk -v cluster="$1" '
        FNR == NR {{ if ($2 == cluster) wanted[$1] = $3; next }}
        {{
            line = $0
            sub(/#.*/, "", line)
            count = split(line, words)
            for (i = 2; i <= count; i++) if (words[i] in wanted) {{
                sub(/[^ \\t]+/, wanted[words[i]])
                break
            }}
            print
        }}
    ' etc/edges etc/hosts >"$new"
    mv "$new" etc/hosts
    bin/reload_loadbalancer
}}
# By what HAProxy has loaded: the hosts file alone moves no client.
show() {{
    awk '
        FNR == NR {{
            if (!($1 in found)) order[++names] = $1
            found[$1] = ""
            cluster[$1, $3] = $2
            next
        }}
        $1 == "server" && $2 in found {{
            at = $3
            sub(/:[0-9]+$/, "", at)
            if (found[$2] == "") found[$2] = at
            else if (found[$2] != at) found[$2] = found[$2] " and " at
        }}
        END {{
            printf "{{\\"destinations\\": ["
            for (i = 1; i <= names; i++) {{
                name = order[i]
                at = found[name]
                to = (name, at) in cluster ? "\\"" cluster[name, at] "\\"" : "null"
                seen = at == "" ? "null" : "\\"" at "\\""
                printf "%s{{\\"item\\": \\"%s\\", \\"leads_to\\": %s, \\"seen\\": %s}}", \\
                    (i > 1 ? ", " : ""), name, to, seen
            }}
            print "]}}"
        }}
    ' etc/edges etc/haproxy.cfg
}}
case $1 in
observe) ;;
redirect) point "$2" >&2 ;;
*) echo "usage: lb observe | lb redirect CLUSTER" >&2; exit 64 ;;
esac
show
"""


class CommandsLoadBalancer(HostsFileLoadBalancer):
    """The same machine, which only its site's command may change."""

    @property
    def site_command(self) -> Path:
        """The site's command."""
        return self.root / "bin/lb"

    @property
    def redirect_words(self) -> str:
        """The site's command, which the ledger runs."""
        return str(self.site_command)

    def described(self, machine: Mapping[str, Any]) -> dict[str, Any]:
        """The machine, its command, and what that steers."""
        command = {"command": [str(self.site_command)], "items": list(names(self.layout))}
        return {"driver": "commands", "hosts": [{**machine, **command}]}

    def files(self, active: ClusterName) -> Mapping[str, str]:
        """What is there for a hosts file, and the addresses that the command chooses from."""
        edges = "".join(
            f"{name} {cluster} {address}\n"
            for name, addresses in names(self.layout).items()
            for cluster, address in addresses.items()
        )
        return {**super().files(active), "etc/edges": edges}

    def programs(self) -> Mapping[str, str]:
        """The reload command, and the site's command."""
        return {**super().programs(), "bin/lb": SITE_COMMAND.format(root=self.root)}
