#!/bin/sh
# Where a Linux Virtual Server (ipvsadm) sends new connections, and the way to another cluster.
#
# An example of a site's own command for the load balancer driver `commands` (docs/drivers.md). It
# was tried with a stand-in that takes and prints what ipvsadm(8) documents. It was NEVER TRIED ON A
# REAL DIRECTOR: read it, try it on yours before a switchover, and make it your own. Where keepalived
# or another program writes the table, let the command change that program's configuration instead.
#
#   lvs.sh FILE observe
#   lvs.sh FILE redirect CLUSTER
#
# FILE has a line for each real server: what the service is called in the estate, the virtual service
# as ipvsadm writes it, the cluster, the real server, and its weight where it serves:
#
#   sftp  -t 192.0.2.10:22  frankfurt  10.1.1.61:22  1
#   sftp  -t 192.0.2.10:22  dublin     10.2.1.61:22  1
#
# A redirect gives the real servers of the cluster their weight, then all others the weight 0: such a
# server gets no new connection, and keeps those that are open (ipvsadm(8), "quiesced").
#
# Exit status: 0 done; 64 wrong words; 1 anything else, which is said on standard error.
set -eu
LC_ALL=C
export LC_ALL
ipvsadm=${IPVSADM:-ipvsadm}
vs=${IPVS_SYSCTL:-/proc/sys/net/ipv4/vs}

usage() {
  echo "usage: lvs.sh FILE observe | redirect CLUSTER" >&2
  exit 64
}

# What the file says and what the kernel has, as one document. A service leads to a cluster where
# each of its real servers there has a weight, and each of its others has none.
show() {
  table=$("$ipvsadm" -S -n)
  keeps=$(cat "$vs/expire_quiescent_template" 2>/dev/null || echo unknown)
  printf '%s\n' "$table" | awk -v keeps="$keeps" '
    function quoted(text) { return "\"" text "\"" }
    FNR == NR {
      if (NF == 0 || $1 ~ /^#/) next
      if (NF != 6 || $0 !~ /^[-A-Za-z0-9_.:\[\] \t]*$/) {
        print "line " FNR " is not understood" >"/dev/stderr"
        failed = 1
        exit 1
      }
      if (!($1 in service)) order[++count] = $1
      service[$1] = $2 " " $3
      known[$2 " " $3] = $1
      if (!(($1, $4) in cluster)) clusters[$1] = clusters[$1] " " $4
      cluster[$1, $4] = 1
      servers[$1] = servers[$1] " " $5
      owner[$1, $5] = $4
      next
    }
    $1 == "-A" && ($2 " " $3) in known {
      for (i = 4; i <= NF; i++) if ($i == "-p") pinned[known[$2 " " $3]] = 1
    }
    $1 == "-a" && ($2 " " $3) in known {
      name = known[$2 " " $3]
      for (i = 4; i < NF; i++) { if ($i == "-r") real = $(i + 1); if ($i == "-w") weight = $(i + 1) }
      if (weight > 0) {
        seen[name] = seen[name] (seen[name] == "" ? "" : ", ") real
        serves[name, real] = 1
        if (!((name, real) in owner)) strange[name] = 1
      }
    }
    END {
      if (failed) exit 1
      printf "{\"destinations\": ["
      for (n = 1; n <= count; n++) {
        name = order[n]
        to = ""
        amount = split(clusters[name], each, " ")
        for (c = 1; c <= amount; c++) {
          good = !strange[name]
          all = split(servers[name], one, " ")
          for (s = 1; s <= all; s++)
            if (((name, one[s]) in serves) != (owner[name, one[s]] == each[c])) good = 0
          if (good) to = each[c]
        }
        printf "%s{\"item\": %s, \"leads_to\": %s, \"seen\": %s}", (n > 1 ? ", " : ""),
          quoted(name), (to == "" ? "null" : quoted(to)),
          (seen[name] == "" ? "null" : quoted(seen[name]))
      }
      printf "], \"findings\": ["
      for (n = 1; n <= count; n++) if (pinned[order[n]] && keeps != "1") {
        printf "%s{\"what\": %s, \"expected\": %s, \"advice\": %s}", (some++ ? ", " : ""),
          quoted("service " order[n] " is persistent, and expire_quiescent_template is " keeps),
          quoted("clients that are not kept on a server without weight"),
          quoted("set net.ipv4.vs.expire_quiescent_template to 1")
      }
      print "]}"
    }
  ' "$file" -
}

# The changes as words for ipvsadm, those that open the way first. The rest of a server is kept:
# what is left out of an edit would get its default.
changes() {
  "$ipvsadm" -S -n | awk -v to="$1" '
    FNR == NR {
      if (NF == 6 && $1 !~ /^#/) { cluster[$2 " " $3, $5] = $4; weight[$2 " " $3, $5] = $6 }
      if ($4 == to) there = 1
      next
    }
    $1 == "-a" {
      for (i = 4; i < NF; i++) { if ($i == "-r") real = $(i + 1); if ($i == "-w") at = i + 1 }
      key = $2 " " $3 SUBSEP real
      if (!(key in cluster)) next
      wanted = cluster[key] == to ? weight[key] : 0
      if ($at == wanted) next
      $1 = "-e"
      $at = wanted
      if (wanted > 0) print; else later[++count] = $0
    }
    END {
      if (!there) { print "the file has no cluster " to >"/dev/stderr"; exit 1 }
      for (i = 1; i <= count; i++) print later[i]
    }
  ' "$file" -
}

[ $# -ge 2 ] || usage
file=$1
case $2:$# in
  observe:2) ;;
  redirect:3)
    words=$(changes "$3")
    printf '%s\n' "$words" | while IFS= read -r line; do
      [ -n "$line" ] || continue
      # Words of ipvsadm itself, without a character that the shell would expand.
      set -f
      # shellcheck disable=SC2086
      "$ipvsadm" $line </dev/null
    done
    ;;
  *) usage ;;
esac
show
