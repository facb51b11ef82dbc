"""What POSIX has no program for: shell functions that use whichever program a machine has.

Each text goes to the beginning of a script that needs it. Choosing costs no process.
"""

DIGEST = r"""
# Prints for each file its SHA-256, a space, a space or an asterisk, and its name.
if command -v sha256sum >/dev/null 2>&1; then digest=sha256sum
elif command -v shasum >/dev/null 2>&1; then digest='shasum -a 256'
else digest='openssl dgst -sha256 -r'; fi
"""
"""Sets ``digest``, which is used without quotes; without a file it reads standard input."""

TIMES = r"""
# Prints a file's size, and when its content and its state changed, in seconds.
file_times() {
  stat -c '%s %Y %Z' "$1" 2>/dev/null ||
    perl -e '@s = lstat shift or exit 1; print "@s[7, 9, 10]\n"' "$1" 2>/dev/null
}
"""

SEARCH = r"""
# Runs find. That a file disappears meanwhile is no error; that anything else cannot be read, is.
search() {
  { errors=$(LC_ALL=C find "$@" 2>&1 >&4 4>&-); ended=$?; } 4>&1
  case $ended:$errors in
    0:*) true ;;
    1:?*) ! printf '%s\n' "$errors" | grep -qv 'No such file or directory$' ;;
    *) false ;;
  esac || { printf '%s\n' "${errors:-find ended with $ended}" >&2; false; }
}
"""
"""Each search needs a sign of its own that what it begins with was there to the end."""
