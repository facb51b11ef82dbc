"""The shell scripts that run a site's own command on a machine."""

from activities.site_commands.programs import MAY_RUN

ASK = r"""
seconds=$1; shift
exec timeout -k 2 "$seconds" "$@" </dev/null
"""
"""Prints what the command prints; status 124 where it had to be ended."""

CHANGE = r"""
seconds=$1 pause=$2 kept=$3; shift 3
end=$(($(date +%s) + seconds)) left=$seconds
exec 4>&1
while :; do
  # Of its output the end is kept: without a bound it could fill the ledger's disk. The status is
  # that of the command, not that of what keeps its output.
  status=$({
    { timeout -k 5 "$left" "$@" </dev/null 2>&1 3>&- 4>&-; echo "$?" >&3; } |
      tail -c "$kept" >&4 3>&-
  } 3>&1)
  [ "$status" = 75 ] || exit "${status:-70}"
  sleep "$pause"
  left=$((end - $(date +%s)))
  [ "$left" -gt 0 ] || { echo "its time is up"; exit 75; }
done
"""
"""Runs the command until it does not ask for another try (75), or its time is up."""

MAY_ASK_AND_CHANGE = (
    MAY_RUN
    + r"""
command -v timeout >/dev/null 2>&1 || { echo "timeout"; exit; }
if allowed "$@"; then echo yes; else echo no; fi
"""
)
"""Prints whether the user may run the command; ``timeout`` where that program is missing."""
