"""The shell scripts that the hosts file driver runs on a load balancer machine."""

READ = 'cksum <"$1" && cat "$1"'
"""Prints a line with the file's checksum, then the file."""

_EDITED = r"""
# Prints the file with its edits: START LENGTH ADDRESS for each, then --. Bytes stay bytes.
edited() {
  at=1
  while [ "$1" != -- ]; do
    tail -c +"$at" "$file" | head -c "$(($1 - at + 1))"
    printf %s "$3"
    at=$(($1 + $2 + 1))
    shift 3
  done
  tail -c +"$at" "$file"
}
"""

REWRITE = (
    r"""
file=$1 sum=$2 length=$3; shift 3
"""
    + _EDITED
    + r"""
# What was read may be old: another redirect perhaps had to end first.
if [ "$(cksum <"$file")" != "$sum" ]; then echo "$file was changed meanwhile"; exit 75; fi
drafted() { edited "$@" >"$new" && [ "$(wc -c <"$new")" -eq "$length" ]; } 2>/dev/null
if [ "$1" = -- ]; then echo already
else
  # A new file in one step, with the old one's mode and owner; where the file is mounted by itself,
  # or is a link, it can only be written where it is.
  new=$file.switchover.$$
  if [ ! -L "$file" ] && cp -p "$file" "$new" 2>/dev/null && drafted "$@" \
    && mv -f "$new" "$file" 2>/dev/null; then :
  else
    rm -f "$new"
    new=$(mktemp) || exit 74
    drafted "$@" && cat "$new" >"$file"; written=$?
    rm -f "$new"
    [ "$written" -eq 0 ] || { echo "$file could not be written"; exit 74; }
  fi
  echo rewritten
fi
while [ "$1" != -- ]; do shift 3; done
shift
"$@"
"""
)
"""Edits the file, unless there is no edit, then runs the reload command."""

MAY_REDIRECT = (
    r"""
file=$1 length=$2; shift 2
"""
    + _EDITED
    + r"""
if [ -r "$file" ] && [ "$(edited "$@" 2>/dev/null | wc -c)" -eq "$length" ]; then echo editable
else echo garbled; fi
while [ "$1" != -- ]; do shift 3; done
shift
folder=$(dirname "$file")
# What the redirect tries first is a new file in the old one's place; else it writes where it is.
replaces() {
  [ -f "$file" ] && [ -r "$file" ] && [ ! -L "$file" ] && [ -w "$folder" ] && [ -x "$folder" ] &&
    { [ ! -k "$folder" ] || [ -O "$folder" ] || [ -O "$file" ]; } &&
    ! grep -Fqs " $file " /proc/self/mountinfo &&
    case $(stat -c %A "$file") in ??w*) true ;; *) false ;; esac
}
# An immutable file, or one that only grows, cannot be replaced either, whoever owns the folder.
frozen() {
  flags=$(lsattr -d "$file" 2>/dev/null)
  case ${flags%% *} in *[ai]*) true ;; *) false ;; esac
}
if [ -f "$file" ] && ! frozen && { [ -w "$file" ] || replaces; }; then echo writable
else echo fixed; fi
runs() {
  case $1 in
    */*) [ -f "$1" ] && [ -x "$1" ] ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
  esac
}
allowed() {
  case ${1##*/} in
    sudo) sudo=$1; shift; runs "$sudo" && "$sudo" -n -l "$@" >/dev/null 2>&1 ;;
    *) runs "$1" ;;
  esac
}
if allowed "$@"; then echo runnable; else echo refused; fi
"""
)
"""Prints whether the file could be edited and written, and the reload command run.

It makes the whole edit, and throws the text away.
"""
