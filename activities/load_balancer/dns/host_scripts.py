"""The shell scripts by which a load balancer machine is asked how it resolves names."""

from ipaddress import ip_address

RESOLVED = r"""
command -v getent >/dev/null 2>&1 || { echo "getent is not installed"; exit 1; }
for name do
  printf 'name %s\n' "$name"
  getent ahosts "$name"
done
exit 0
"""
"""Prints for each name a line with it, then what the machine's own resolver finds."""

ANSWERED = r"""
command -v dig >/dev/null 2>&1 || { echo "dig is not installed"; exit 1; }
address=$1 port=$2; shift 2
for name do
  printf 'name %s\n' "$name"
  for type in A AAAA; do
    dig +short +time=2 +tries=2 "@$address" -p "$port" "$name." "$type" || exit 0
  done
done
echo end
"""
"""Prints the same as one name server answers; no ``end`` where it does not answer."""


def parse(text: str) -> dict[str, frozenset[str]]:
    """Return the addresses of each name; whatever is no address is left out."""
    found = dict[str, set[str]]()
    name = ""
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["name"] and len(words) > 1:
            name = words[1]
            found.setdefault(name, set())
        elif words and name and (address := _address(words[0])):
            found[name].add(address)
    return {name: frozenset(addresses) for name, addresses in found.items()}


def _address(word: str) -> str | None:
    try:
        return str(ip_address(word))
    except ValueError:
        return None
