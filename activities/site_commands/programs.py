"""Shell functions that say whether a machine's user may run a site's command."""

MAY_RUN = r"""
runs() {
  case $1 in
    */*) [ -f "$1" ] && [ -x "$1" ] ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
  esac
}
# By sudo it has to be allowed without a password, with exactly these arguments.
allowed() {
  case ${1##*/} in
    sudo) sudo=$1; shift; runs "$sudo" && "$sudo" -n -l "$@" >/dev/null 2>&1 ;;
    *) runs "$1" ;;
  esac
}
"""
"""``allowed COMMAND [ARGUMENT...]`` succeeds where it may be run; it runs nothing."""
