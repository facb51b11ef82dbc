"""The POSIX shell function that tells whether others could write what a ledger says.

Everything a ledger promises rests on this: nobody but the account that runs commands can put a
file, a link or a claim into it, move it, or write in its place. Then what is in it was written by
these scripts. So each script asks it before it believes or writes anything, and stage 0 asks, too.
"""

PRIVATE = r"""
# Prints why others could write to these directories, as far as they are there, or put other ones in
# their place; nothing if they cannot. They are real ones of this account, which nobody else may
# write to; those above the first, by its name and behind links, are this account's or root's, and
# what others may add to them (sticky) they cannot move.
exposed() { # directory...
  at=$1 user=$(id -u)
  until [ -d "$at" ]; do at=${at%/*}; at=${at:-/}; done
  for at in "$1" "$(cd "$at" 2>/dev/null && pwd -P)/."; do
    while at=${at%/*}; [ -n "$at" ]; do set -- "$@" "$at/."; done
  done
  seen=$(ls -ldn /. "$@" 2>/dev/null)
  [ -n "$user" ] && [ -n "$seen" ] || { echo "its owner and mode cannot be read"; return; }
  # The first slash of a line begins the path.
  printf '%s\n' "$seen" | while read -r mode _ owner rest; do
    path=/${rest#*/} real=yes shared=no
    case $mode:$path in
      d*/.) path=${path%/.} trusted="$user 0" ;;
      *) trusted=$user ;;
    esac
    case $mode in
      l*) real="a link" path=${path%% -> *} ;;
      d*) ;;
      *) real="no directory" ;;
    esac
    case $mode:$trusted in
      # Also with an access control list: then this is what it gives at most.
      ?????????[tT]*:*" 0") ;;
      ?????w*:* | ????????w*:*) shared=yes ;;
    esac
    path=${path:-/}
    if [ "$real" != yes ]; then echo "$path is $real"
    elif [ "$shared" = yes ]; then echo "others may write to $path"
    else
      case " $trusted " in
        *" $owner "*) ;;
        *) echo "$path belongs to another account, number $owner" ;;
      esac
    fi
  done | { IFS= read -r first; printf '%s\n' "$first"; }
}
"""
