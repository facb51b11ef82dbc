"""The shell scripts that change a file on a load balancer machine, and say if they can."""

from activities.site_commands.programs import MAY_RUN

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
file=$1 write=$2 sum=$3 length=$4; shift 4
"""
    + _EDITED
    + r"""
holds() { [ "$(cksum <"$1")" = "$2" ]; }
drafted() { edited "$@" >"$new" && [ "$(wc -c <"$new")" -eq "$length" ]; } 2>/dev/null
# A new file in one step, with the old one's mode and owner.
replaced() {
  new=$file.switchover.$$
  # Others may write to its directory: what has this name already is not ours, and perhaps a link.
  [ ! -L "$file" ] && (umask 077; set -C; : >"$new") || return 1
  cp -p "$file" "$new" && drafted "$@" && mv -f "$new" "$file" && return
  rm -f "$new"
  return 1
} 2>/dev/null
# Gives the file the text of another one. It is never empty, as whoever has it mounted reads it at
# any time, and it needs no more room than the longer text.
filled() {
  dd if="$1" of="$file" bs=65536 conv=notrunc,fsync &&
    dd if=/dev/null of="$file" bs=1 seek="$(($(wc -c <"$1")))" &&
    holds "$file" "$(cksum <"$1")"
} 2>/dev/null
written_in_place() {
  new=$(mktemp) && old=$(mktemp) && cat "$file" >"$old" && holds "$old" "$sum" && drafted "$@" || {
    rm -f "$new" "$old"
    echo "$file was not touched: a draft and a copy of it could not be made"; exit 74
  }
  filled "$new"; failed=$?
  rm -f "$new"
  if [ "$failed" -ne 0 ] && ! holds "$file" "$sum" && ! filled "$old"; then
    echo "$file could not be written, nor its old text put back; $old has the old text"; exit 74
  fi
  rm -f "$old"
  [ "$failed" -eq 0 ] || { echo "$file could not be written and has its old text"; exit 74; }
}
# What was read may be old: another redirect perhaps had to end first.
if ! holds "$file" "$sum"; then echo "$file was changed meanwhile"; exit 75; fi
if [ "$1" = -- ]; then echo already
else
  # Where the file is mounted by itself, or is a link, it can only be written where it is.
  [ "$write" = replace ] && replaced "$@" || written_in_place "$@"
  echo rewritten
fi
while [ "$1" != -- ]; do shift 3; done
shift
"$@"
"""
)
"""Edits the file, unless there is no edit, then runs the command that follows."""

REPLACES = r"""
# A redirect puts a new file into the old one's place where it can and may; else it writes in place.
replaces() {
  folder=${file%/*}/.
  [ "$write" = replace ] &&
    [ -f "$file" ] && [ -r "$file" ] && [ ! -L "$file" ] && [ -w "$folder" ] && [ -x "$folder" ] &&
    { [ ! -k "$folder" ] || [ -O "$folder" ] || [ -O "$file" ]; } &&
    ! cut -d ' ' -f 5 /proc/self/mountinfo 2>/dev/null | grep -Fqx "$file" &&
    case $(ls -ld "$file") in ??w*) true ;; *) false ;; esac
}
"""
"""Whether a new file may be put into the place of ``file``."""

MAY_REDIRECT = (
    r"""
file=$1 write=$2 length=$3; shift 3
"""
    + _EDITED
    + REPLACES
    + r"""
if [ -r "$file" ] && [ "$(edited "$@" 2>/dev/null | wc -c)" -eq "$length" ]; then echo editable
else echo garbled; fi
while [ "$1" != -- ]; do shift 3; done
shift
# An immutable file, or one that only grows, cannot be replaced either, whoever owns the folder.
frozen() {
  flags=$(lsattr -d "$file" 2>/dev/null)
  case ${flags%% *} in *[ai]*) true ;; *) false ;; esac
}
if [ -f "$file" ] && ! frozen && { [ -w "$file" ] || replaces; }; then echo writable
else echo fixed; fi
"""
    + MAY_RUN
    + r"""
if allowed "$@"; then echo runnable; else echo refused; fi
"""
)
"""Prints whether the file could be edited and written, and the command that follows run.

It makes the whole edit, and throws the text away.
"""

MOUNTED = (
    r"""
file=$1 write=$2
"""
    + REPLACES
    + r"""
# Where other users' processes are hidden, process 1 is.
cat /proc/1/mountinfo >/dev/null 2>&1 || { echo "processes of other users are hidden"; exit 1; }
LC_ALL=C; export LC_ALL
tab=$(printf '\t')
path=$(readlink /proc/self/fd/0 <"$file" |
  sed 's/\\/\\134/g; s/ /\\040/g; s/'"$tab"'/\\011/g') &&
  id=$(sed -n 's/^mnt_id:[^0-9]*//p' /proc/self/fdinfo/0 <"$file") &&
  mount=$(grep "^$id " /proc/self/mountinfo) || exit
set -f
set -- $mount
set +f
device=$3 root=${4%/} point=${5%/}
[ "$path" != "$point" ] || exit 0
inside=$root${path#"$point"}
set -- -e " $device $inside//deleted "
! replaces || set -- "$@" -e " $device $inside "
found=$(grep -F "$@" /dev/null /proc/[0-9]*/mountinfo 2>&1)
[ $? -le 2 ] || { echo "$found"; exit 1; }
printf '%s\n' "$found" | while IFS= read -r line; do
  case $line in
    /proc/*/mountinfo:*)
      name=$(cat "${line%%/mountinfo:*}/comm" 2>/dev/null) && printf '%s\t%s\n' "$line" "$name" ;;
    *denied*) printf '%s\n' "$line" ;;
  esac
done
"""
)
"""Prints who has the file mounted by itself and does not see what a redirect writes.

That is whoever has a file that was replaced before; where a redirect replaces the file, whoever has
this one too. It is found by its file system and its path there, which are the same in every mount
namespace. A line for each process and mount: what ``grep`` found in ``mountinfo``, a tab, and the
name of the process. What may not be read is said in a line of ``grep``'s.
"""
