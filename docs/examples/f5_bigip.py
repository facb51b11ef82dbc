#!/usr/bin/env python3
"""Where an F5 BIG-IP sends new connections, and the way to another cluster, by iControl REST.

An example of a site's own command for the load balancer driver `commands` (docs/drivers.md). It was
tried against a small server that speaks the resources named below as F5 documents them. It was
NEVER TRIED ON A REAL BIG-IP: read it, try it on yours before a switchover, and make it your own.

    f5_bigip.py FILE observe
    f5_bigip.py FILE redirect CLUSTER

FILE is JSON:

    {"address": "bigip1.example.com", "ca": "/etc/switchover/bigip-ca.pem",
     "user": "switchover", "password_file": "/etc/switchover/bigip-password",
     "virtual_servers": {"/Common/vs_sftp": {"frankfurt": "/Common/sftp_frankfurt",
                                             "dublin": "/Common/sftp_dublin"}},
     "sync_group": "/Common/pair"}

Each virtual server has one pool for each cluster; a redirect gives it the other pool. BIG-IP keeps
the connections that are open. "sync_group" may be left out: then nothing is sent to other devices.

Resources: POST /mgmt/shared/authn/login and DELETE /mgmt/shared/authz/tokens/TOKEN; GET and PATCH
/mgmt/tm/ltm/virtual/NAME; GET /mgmt/tm/ltm/pool/NAME/stats, /mgmt/tm/cm/failover-status and
/mgmt/tm/cm/sync-status; POST /mgmt/tm/cm (config-sync) and /mgmt/tm/sys/config (save).

Needs Python 3.7 and nothing else. Exit status: 0 done; 75 the BIG-IP answers the login by 503,
so nothing was changed; 1 anything else, which is said on standard error.
"""

import json
import ssl
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional  # noqa: UP035 - Python 3.7 reads this
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

SECONDS = 10
"""For each answer."""
MOST = 1 << 20
"""Bytes of an answer."""
TRY_AGAIN_LATER = 75
UNAVAILABLE = 503

Json = Dict[str, Any]  # noqa: UP006 - Python 3.7 reads this


class BigIp:
    """One device, logged in."""

    def __init__(self, settings: Json) -> None:
        self._base = "https://" + settings["address"]
        tls = ssl.create_default_context(cafile=settings["ca"])
        # No proxy of the environment gets to see the password.
        self._opener = build_opener(ProxyHandler({}), HTTPSHandler(context=tls))
        self._token = ""
        password = Path(settings["password_file"]).read_text(encoding="utf-8").rstrip("\n")
        login = {"username": settings["user"], "password": password, "loginProviderName": "tmos"}
        self._token = self.ask("POST", "/mgmt/shared/authn/login", login)["token"]["token"]

    def leave(self) -> None:
        """Give the token back: a user may have a limited number; else it ends by itself."""
        with suppress(URLError, OSError, ValueError):
            self.ask("DELETE", "/mgmt/shared/authz/tokens/" + quote(self._token, safe=""))

    def ask(self, method: str, path: str, body: Optional[Json] = None) -> Json:  # noqa: UP045
        """Send one request, and return the answer."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self._base + path, data, method=method)  # noqa: S310 - it is https
        request.add_header("Content-Type", "application/json")
        if self._token:
            request.add_header("X-F5-Auth-Token", self._token)
        with self._opener.open(request, timeout=SECONDS) as answer:
            text = answer.read(MOST + 1)
        if len(text) > MOST:
            raise ValueError(f"{method} {path} is answered by more than {MOST} bytes")
        found = json.loads(text) if text else {}
        if not isinstance(found, dict):
            raise ValueError(f"{method} {path} is answered by something else than an object")  # noqa: TRY004
        return found

    def state(self, path: str, name: str) -> str:
        """Return what a resource of statistics says under this name; why not, if it does not."""
        try:
            entries = self.ask("GET", path).get("entries", {}).values()
        except HTTPError as refusal:  # where traffic leads can be told all the same
            return f"unreadable ({refusal})"
        found = [entry.get("nestedStats", {}).get("entries", {}).get(name) for entry in entries]
        return ", ".join(one["description"] for one in found if one) or "unreadable"


def resource(kind: str, name: str) -> str:
    """Return the path of an object: /Common/vs_sftp is written ~Common~vs_sftp."""
    return "/mgmt/tm/ltm/" + kind + "/" + quote(name.replace("/", "~"), safe="~")


def destinations(device: BigIp, settings: Json) -> Iterator[Json]:
    """Yield where each virtual server leads."""
    for name, pools in settings["virtual_servers"].items():
        pool = device.ask("GET", resource("virtual", name)).get("pool")
        clusters = [cluster for cluster, one in pools.items() if one == pool]
        yield {"item": name, "leads_to": clusters[0] if clusters else None, "seen": pool}


def findings(device: BigIp, settings: Json) -> Iterator[Json]:
    """Yield what would keep a redirect from serving clients, or from lasting."""
    state = device.state("/mgmt/tm/cm/failover-status", "status")
    if state != "ACTIVE":
        yield {
            "what": "{} is {}".format(settings["address"], state),
            "expected": "ACTIVE",
            "advice": "write the active device's address into the file",
        }
    state = device.state("/mgmt/tm/cm/sync-status", "status")
    if "sync_group" in settings and state != "In Sync":
        yield {
            "what": f"the devices' configuration is {state}",
            "expected": "In Sync",
            "advice": "find out who changed what, and synchronise the devices",
        }
    for pool in sorted(
        {pool for own in settings["virtual_servers"].values() for pool in own.values()}
    ):
        state = device.state(resource("pool", pool) + "/stats", "status.availabilityState")
        if state != "available":
            yield {
                "what": f"pool {pool} is {state}",
                "expected": "available",
                "advice": "look at its members and at its monitor",
            }


def redirect(device: BigIp, settings: Json, cluster: str) -> None:
    """Give each virtual server that cluster's pool, save it, and send it to other devices."""
    pools = {name: own[cluster] for name, own in settings["virtual_servers"].items()}
    for name, pool in pools.items():
        device.ask("PATCH", resource("virtual", name), {"pool": pool})
    device.ask("POST", "/mgmt/tm/sys/config", {"command": "save"})
    if "sync_group" in settings:
        words = "config-sync to-group " + settings["sync_group"]
        device.ask("POST", "/mgmt/tm/cm", {"command": "run", "utilCmdArgs": words})


def run(file: str, word: str, *more: str) -> Json:
    """Do what the words say, and return the one document."""
    settings = json.loads(Path(file).read_text(encoding="utf-8"))
    device = BigIp(settings)
    try:
        if word == "redirect":
            redirect(device, settings, *more)
        found = [] if word == "redirect" else list(findings(device, settings))
        return {"destinations": list(destinations(device, settings)), "findings": found}
    finally:
        device.leave()


def main(words: List[str]) -> int:  # noqa: UP006 - Python 3.7 reads this
    """Print the document; return the exit status."""
    if [len(words), *words[1:2]] not in ([2, "observe"], [3, "redirect"]):
        print("usage: f5_bigip.py FILE observe | redirect CLUSTER", file=sys.stderr)
        return 64
    try:
        print(json.dumps(run(*words)))
    except HTTPError as refusal:
        print(refusal.url, refusal, refusal.read(2000).decode("utf-8", "replace"), file=sys.stderr)
        at_login = refusal.url.endswith("/login")
        return TRY_AGAIN_LATER if at_login and refusal.code == UNAVAILABLE else 1
    except (URLError, OSError, ValueError, KeyError, TypeError, AttributeError) as failure:
        print(type(failure).__name__, failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
