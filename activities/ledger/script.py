"""The POSIX shell scripts of the ledger, which make each effect on a machine happen once.

The ledger's layout, under its directory:

* ``claims/1``, ``claims/2``, ...: one line each, in the sequence in which they were made:
  ``operation service pid boot process-start began deadline completes-on may-change-until note``.
  A claim is made by ``link(2)`` of a file that is already complete, and on the disk: atomic like
  ``mkdir``, but never without its content, and the numbers put all claims of the machine in
  sequence.
* ``OPERATION/argv``, ``output``, ``status`` (``exit-status time``, moved into place), ``settled``

The last ``KEPT_CLAIMS`` claims stay as evidence. Each process that has made a claim removes older
ones when its command has ended: from the first on, up to the first that is in use. In use is a
claim that is open, or before its deadline, or of the same switchover, of which Temporal runs only
one per estate. So the claims that a run, or its reset, may ask for are there as long as no
``KEPT_CLAIMS`` claims of later runs came after them. A process that claims a number which was
removed meanwhile notices that, and begins anew: what it has read is too old.

A claim is *open*, and keeps others from the same service, until it is resolved:

* settled: an activity read the service in the desired state; or the machine was rebooted
* it ended with its process (completes on ``exit``), or its deadline has passed too (completes on
  ``deadline``: a graceful stop runs on the server's own clock)
* its process is gone without a status, and its deadline passed
* its deadline passed, whatever its process does (completes on ``limit``: a load balancer's reload
  that hangs keeps no undo from its own)

``may-change-until`` is until when the service may still change by itself: the latest deadline of
any graceful stop that was claimed for it before.
"""

KEPT_CLAIMS = 1000
"""A switchover makes about ten on a machine, and every reading reads them all: 1000 cost 50 ms."""

_COMMON = r"""
LC_ALL=C; export LC_ALL
ledger=$1 op=$2 service=$3 boot_file=$4
now=$(date +%s)
read -r boot <"$boot_file" || { echo "refused $boot_file cannot be read"; exit 0; }

# The 22nd field of /proc/PID/stat; the second may hold spaces and brackets.
process_start() {
  stat=
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  set -- ${stat##*) }
  [ "$1" != Z ] && start_seen=${20}
}

alive() { # pid boot start
  [ "$2" = "$boot" ] && process_start "$1" && [ "$start_seen" = "$3" ]
}

claim_state() { # reads the c_* variables of one claim
  # Whether the process lives is asked before its status is read: it writes that, then ends.
  living=no
  alive "$c_pid" "$c_boot" "$c_start" && living=yes
  if [ -e "$ledger/$c_op/settled" ] || [ "$c_boot" != "$boot" ]; then state=resolved
  elif [ -e "$ledger/$c_op/status" ]; then
    if [ "$c_completes" != deadline ] || [ "$now" -ge "$c_deadline" ]; then state=resolved
    else state=open; fi
  elif [ "$now" -ge "$c_deadline" ] && { [ $living = no ] || [ "$c_completes" = limit ]; }
  then state=resolved
  else state=open; fi
}

touches() { # whether claims of these two services concern each other
  [ "$1" = "$2" ] || [ "$1" = all ] || [ "$2" = all ]
}

bounds() { # sets first and last, the numbers of the oldest and the newest claim; 0 without any
  first=0 last=0
  for file in "$ledger"/claims/[0-9]*; do
    number=${file##*/}
    case $number in *[!0-9]*) continue ;; esac
    [ "$number" -gt "$last" ] && last=$number
    [ "$first" -eq 0 ] || [ "$number" -lt "$first" ] && first=$number
  done
}

read_claim() { # number; sets the c_* variables, or fails if it is not there
  c_note=
  { read -r c_op c_service c_pid c_boot c_start c_began c_deadline c_completes c_changes c_note \
    <"$ledger/claims/$1"; } 2>/dev/null && [ -n "$c_note" ] && return 0
  [ -e "$ledger/claims/$1" ] || return 1
  # It may be any operation's, also this one's.
  echo "refused $ledger/claims/$1 cannot be read"
  exit 0
}

# Walks every claim: sets mine (the operation's own, if any), busy and until (an open one of the
# same service), earlier (another one of the same service and run), changes, and next (the first
# free number).
walk() {
  mine= busy= earlier= until=0 changes=0
  bounds
  next=$((first > 0 ? first : 1))
  # Beyond what the directory's listing has shown there may be claims made since.
  while [ "$next" -le "$last" ] || [ -e "$ledger/claims/$next" ]; do
    if ! read_claim "$next"; then :
    elif [ "$c_op" = "$op" ]; then
      claim_state; mine=$next mine_living=$living
    elif touches "$c_service" "$service"; then
      claim_state
      [ "${c_op%%.*}" = "${op%%.*}" ] && earlier=$c_op
      if [ "$state" = open ]; then
        busy=$c_op
        [ "$c_deadline" -gt "$until" ] && until=$c_deadline
      fi
      [ "$c_completes" = deadline ] && [ "$c_boot" = "$boot" ] &&
        [ "$c_deadline" -gt "$changes" ] && changes=$c_deadline
    fi
    next=$((next + 1))
  done
}
"""

_DETACHED = (
    _COMMON
    + r"""
seconds=$5 completes=$6 note=$7 kept=KEPT; shift 7
draft=$ledger/$op/draft.$$ room=$ledger/$op/room.$$
finish() { rm -f "$draft" "$room"; [ -n "$1" ] && echo "$1"; exit 0; }
refuse() { finish "refused $ledger cannot be written: $1"; }
yield() {
  [ -n "$mine" ] && finish
  [ -n "$busy" ] && finish "busy $busy $until $now"
}
remove_old_claims() {
  bounds
  while [ $((last - first)) -ge "$kept" ]; do
    if read_claim "$first"; then
      claim_state
      if [ "$state" = open ] || [ "$now" -lt "$c_deadline" ] || [ "${c_op%%.*}" = "${op%%.*}" ]
      then break; fi
      case $c_op in .* | */* | claims) break ;; esac
      rm -rf "$ledger/$c_op"
      rm -f "$ledger/claims/$first"
    fi
    first=$((first + 1))
  done
}
mask=$(umask)
umask 077
walk
yield
mkdir -p "$ledger/claims" "$ledger/$op" 2>/dev/null || refuse "no directory"
# Room for the output and the status is taken now: a claim that cannot be recorded to its end
# would be lost, after it had its effect.
dd if=/dev/zero of="$room" bs=4096 count=16 2>/dev/null || refuse "no room"
process_start $$ || refuse "no /proc"
printf '%s\n' "$*" >"$ledger/$op/argv" || refuse "no room"
while :; do
  # Synced, lest a machine that loses its power comes back with a claim that is empty.
  echo "$op $service $$ $boot $start_seen $now $((now + seconds)) $completes $changes $note" \
    | dd of="$draft" conv=fsync 2>/dev/null || refuse "no room"
  if ln "$draft" "$ledger/claims/$next" 2>/dev/null; then
    bounds
    [ $((last - next)) -lt "$kept" ] && break
    # This walk is so old that the number was used and removed since: what it read is no use.
    rm -f "$ledger/claims/$next"
  elif [ ! -e "$ledger/claims/$next" ]; then refuse "no hard links"
  fi
  walk
  yield
done
rm -f "$draft" "$room"
# From here on nothing is printed for the caller, who may be gone.
exec >"$ledger/$op/output" 2>&1 </dev/null
cd /
# What a start script brings up must not inherit the ledger's privacy.
(umask "$mask"; exec "$@")
echo "$? $(date +%s)" >"$ledger/$op/status.draft"
mv "$ledger/$op/status.draft" "$ledger/$op/status"
remove_old_claims
"""
)

# The caller reads what the detached process prints until it claims, or prints why it does not.
CLAIM = r"""
detached=$1; shift
if command -v setsid >/dev/null 2>&1; then
  { setsid sh -c "$detached" switchover "$@" </dev/null & } | cat
else
  { (nohup sh -c "$detached" switchover "$@" </dev/null &) } | cat
fi
"""


def detached(kept: int) -> str:
    """Return what claims and runs, and keeps the last *kept* claims: two at least."""
    return _DETACHED.replace("kept=KEPT", f"kept={kept}")


DETACHED = detached(KEPT_CLAIMS)

READ = (
    _COMMON
    + r"""
walk
echo "now $now"
[ -n "$busy" ] && echo "busy $busy $until"
[ -n "$earlier" ] && echo "earlier $earlier"
echo "may_change_until $changes"
if [ -n "$mine" ]; then
  echo "claim $(cat "$ledger/claims/$mine")"
  echo "living $mine_living"
  [ -e "$ledger/$op/status" ] && echo "status $(cat "$ledger/$op/status")"
  echo output
  tail -c 4000 "$ledger/$op/output" 2>/dev/null
fi
echo
echo end
"""
)

SETTLE = r"""[ -e "$1/$2/status" ] && : >"$1/$2/settled" """
