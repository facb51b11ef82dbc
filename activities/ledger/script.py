"""The POSIX shell scripts of the ledger, which make each effect on a machine happen once.

The ledger's layout, under its directory:

* ``claims/1``, ``claims/2``, ...: one line each, in the sequence in which they were made:
  ``operation service pid boot process-start began deadline completes-on may-change-until note
  word``.
  A claim is made by ``link(2)`` of a file that is already complete, and on the disk: atomic like
  ``mkdir``, but never without its content, and the numbers put all claims of the machine in
  sequence.
* ``OPERATION/WORD/argv``, ``output``, ``status`` (``exit-status time``, moved into place),
  ``settled``. The word is the attempt's own, is random, and stands in its claim: it is not known
  before. So an outcome that lay ready under the operation's name counts for nothing; and the
  directory is made by ``mkdir`` alone, which fails where anything has its name, in directories that
  nobody else may write to (see ``private``): no file in it can be a link that was put there.
  Claims of earlier versions have no word, and their files are in ``OPERATION``.

A claim is believed only if each field can be what these scripts write: a word, a number of digits
that a shell can count with, a time. A claim from the future, or with a deadline further away than
any command has, is none of ours. It might hide any operation, so everything stops, and the file is
named.

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

from activities.ledger.private import PRIVATE

KEPT_CLAIMS = 1000
"""A switchover makes about ten on a machine, and every reading reads them all: 1000 cost 90 ms."""

CLAIMS = r"""
tidy() { :; }
refuse() { tidy; printf 'refused %s\n' "$1"; exit 0; }

is_word() { # a name, without anything that a shell or a path would obey
  case $1 in '' | [.-]?* | . | *[!A-Za-z0-9._:-]*) false ;; *) true ;; esac
}

is_number() { # one that every shell can count with
  case $1 in 0) true ;; '' | 0* | *[!0-9]* | ????????????*) false ;; *) true ;; esac
}

# A command has a day at most, and a day more until it has completed; a clock may be set back.
# Without the last five digits, which are a little more than a day, every shell can count.
is_time() { # seconds days-ahead
  is_number "$1" && { [ "${#1}" -lt 10 ] ||
    { [ "${#1}" -eq 10 ] && [ "${1%?????}" -le $((${now%?????} + $2)) ]; }; }
}

is_claim() { # whether the c_* variables can be what these scripts write
  is_word "$c_op" && is_word "$c_service" && is_number "$c_pid" && is_word "$c_boot" &&
    is_number "$c_start" && is_time "$c_began" 1 && is_time "$c_deadline" 4 &&
    is_time "$c_changes" 4 || return 1
  case $c_completes in exit | deadline | limit) ;; *) return 1 ;; esac
  case $c_note:$c_word in :* | *[!A-Za-z0-9._:-]*) return 1 ;; esac
}

read_claim() { # number; sets the c_* variables, or fails if it is not there
  c_file=$ledger/claims/$1 c_op=
  [ -f "$c_file" ] && [ ! -L "$c_file" ] &&
    { read -r c_op c_service c_pid c_boot c_start c_began c_deadline c_completes c_changes c_note \
      c_word <"$c_file"; } 2>/dev/null && is_claim &&
    c_place=$ledger/$c_op${c_word:+/$c_word} && return 0
  [ -e "$c_file" ] || [ -L "$c_file" ] || return 1
  # It may be any operation's, also this one's.
  refuse "$c_file cannot be read, or is no claim: look at it and at the machine's clock; if no\
 command runs, move it away"
}

bounds() { # sets first and last, the numbers of the oldest and the newest claim; 0 without any
  first=0 last=0
  for c_file in "$ledger"/claims/[0-9]*; do
    number=${c_file##*/}
    case $number in 0* | *[!0-9]* | ??????????*) continue ;; esac
    [ "$number" -gt "$last" ] && last=$number
    [ "$first" -eq 0 ] || [ "$number" -lt "$first" ] && first=$number
  done
  [ $((last - first)) -lt 100000 ] ||
    refuse "the claims in $ledger/claims do not follow each other: $first, then $last"
}
"""
"""What reads claims: expects ``ledger`` and ``now``."""

_COMMON = (
    PRIVATE
    + CLAIMS
    + r"""
LC_ALL=C; export LC_ALL
ledger=$1 op=$2 service=$3 boot_file=$4
now=$(date +%s)
is_number "$now" || refuse "the time cannot be read"
{ [ -f "$boot_file" ] && read -r boot <"$boot_file"; } 2>/dev/null && is_word "$boot" ||
  refuse "$boot_file cannot be read"
is_word "$op" && is_word "$service" || refuse "this is no name of an operation"
guard() {
  why=$(exposed "$ledger" "$ledger/claims" "$ledger/$op")
  [ -z "$why" ] || refuse "others could change what $ledger says: $why; give this account a\
 directory of its own, as with install -d -m 700, or correct the one above it"
}
guard

# The 22nd field of /proc/PID/stat; the second may hold spaces and brackets.
process_start() {
  stat=
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  set -- ${stat##*") "}
  [ "$1" != Z ] && start_seen=${20}
}

alive() { # pid boot start
  [ "$2" = "$boot" ] && process_start "$1" && [ "$start_seen" = "$3" ]
}

claim_state() { # reads the c_* variables of one claim
  # Whether the process lives is asked before its status is read: it writes that, then ends.
  living=no
  alive "$c_pid" "$c_boot" "$c_start" && living=yes
  if [ -e "$c_place/settled" ] || [ "$c_boot" != "$boot" ]; then state=resolved
  elif [ -e "$c_place/status" ]; then
    if [ "$c_completes" != deadline ] || [ "$now" -ge "$c_deadline" ]; then state=resolved
    else state=open; fi
  elif [ "$now" -ge "$c_deadline" ] && { [ $living = no ] || [ "$c_completes" = limit ]; }
  then state=resolved
  else state=open; fi
}

touches() { # whether claims of these two services concern each other
  [ "$1" = "$2" ] || [ "$1" = all ] || [ "$2" = all ]
}

# Walks every claim: sets mine (the operation's own, if any), busy and until (an open one of the
# same service), earlier (another one of the same service and run), changes, and next (the first
# free number).
walk() {
  mine= place= busy= earlier= until=0 changes=0
  bounds
  next=$((first > 0 ? first : 1))
  # Beyond what the directory's listing has shown there may be claims made since.
  while [ "$next" -le "$last" ] || [ -e "$ledger/claims/$next" ]; do
    if ! read_claim "$next"; then :
    elif [ "$c_op" = "$op" ]; then
      claim_state
      place=$c_place mine_living=$living
      mine="$c_op $c_service $c_pid $c_boot $c_start $c_began $c_deadline $c_completes $c_changes\
 $c_note"
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
)

_DETACHED = (
    _COMMON
    + r"""
seconds=$5 completes=$6 note=$7 word=$8 kept=KEPT; shift 8
files=
tidy() { [ -z "$files" ] || rm -rf "$files"; }
unwritable() { refuse "$ledger cannot be written: $1"; }
yield() {
  [ -n "$mine$busy" ] || return 0
  tidy
  [ -n "$mine" ] || echo "busy $busy $until $now"
  exit 0
}
remove_old_claims() {
  bounds
  while [ $((last - first)) -ge "$kept" ]; do
    if read_claim "$first"; then
      claim_state
      if [ "$state" = open ] || [ "$now" -lt "$c_deadline" ] || [ "${c_op%%.*}" = "${op%%.*}" ]
      then break; fi
      [ "$c_op" != claims ] || break
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
mkdir -p "$ledger/claims" "$ledger/$op" 2>/dev/null || unwritable "no directory"
guard
is_word "$word" && mkdir "$ledger/$op/$word" 2>/dev/null || unwritable "no directory of its own"
files=$ledger/$op/$word
# Room for the output and the status is taken now: a claim that cannot be recorded to its end
# would be lost, after it had its effect.
dd if=/dev/zero of="$files/room" bs=4096 count=16 2>/dev/null || unwritable "no room"
process_start $$ || unwritable "no /proc"
printf '%s\n' "$*" >"$files/argv" || unwritable "no room"
while :; do
  # Synced, lest a machine that loses its power comes back with a claim that is empty.
  echo "$op $service $$ $boot $start_seen $now $((now + seconds)) $completes $changes $note $word" \
    | dd of="$files/draft" conv=fsync 2>/dev/null || unwritable "no room"
  if ln "$files/draft" "$ledger/claims/$next" 2>/dev/null; then
    bounds
    [ $((last - next)) -lt "$kept" ] && break
    # This walk is so old that the number was used and removed since: what it read is no use.
    rm -f "$ledger/claims/$next"
  elif [ ! -e "$ledger/claims/$next" ]; then unwritable "no hard links"
  fi
  walk
  yield
done
rm -f "$files/draft" "$files/room"
tidy() { :; }
# From here on nothing is printed for the caller, who may be gone.
exec >"$files/output" 2>&1 </dev/null
cd /
# What a start script brings up must not inherit the ledger's privacy.
(umask "$mask"; exec "$@")
echo "$? $(date +%s)" >"$files/status.draft"
mv "$files/status.draft" "$files/status"
remove_old_claims >/dev/null
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
  echo "claim $mine"
  echo "living $mine_living"
  { read -r ended <"$place/status"; } 2>/dev/null && echo "status $ended"
  echo output
  tail -c 4000 "$place/output" 2>/dev/null
fi
echo
echo end
"""
)

SETTLE = (
    _COMMON
    + r"""
umask 077
walk
[ -n "$mine" ] && [ -e "$place/status" ] && : >"$place/settled"
"""
)
