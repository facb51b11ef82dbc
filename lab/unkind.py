"""Make a lab unkind: shells, SSH servers, scripts, files and answers as sites have them.

A seed chooses what each machine and each cluster brings, so that a run can be repeated. Nothing of
this is a fault: a switchover has to end as it does on a kind lab.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from lab.environment.lab import Lab
from lab.environment.load_balancers.hosts_file import HostsFileLoadBalancer
from lab.environment.load_balancers.registry import load_balancer
from lab.layout import Layout
from lab.simulation_options import simulate

BANNER = "\n*** Authorized use only. ***\nstatus=0\nend\n\tsshd is alive\n"
"""It looks like an answer of the scripts that the product runs."""
LOGIN_SHELLS = ("tcsh", "fish", "zsh", "ksh", "mksh", "busybox sh", "bash", "dash")
LISTS = ("businessUnits", "routes", "applications", "certificates")
"""Lists of the admin API that an edition may lack."""
ODD_LINES = b"\r\n# B\xfcro Z\xfcrich, R\xe4nke\r\n" + b"".join(
    b"0.0.0.0\tads%d.example.net # blocked\n" % number for number in range(2000)
)

COIN = (True, False)

Choice = Callable[[random.Random], str]


@dataclass(frozen=True)
class Switch:
    """One thing that a site may bring: its name in the simulation, and how it is chosen."""

    name: str
    choose: Choice


def _one_of(*texts: str) -> Choice:
    return lambda chance: chance.choice(texts)


def _login_shell(chance: random.Random) -> str:
    return chance.choice([one for one in LOGIN_SHELLS if shutil.which(one.split()[0])] or ["sh"])


MACHINE = (
    Switch("banner", _one_of(BANNER)),
    Switch("login_shell", _login_shell),
    Switch("slow_shell", _one_of("0.2", "0.5")),
    Switch("max_sessions", _one_of("1", "2", "4")),
)
"""Of a machine that is reached over SSH."""
NODE = (
    *MACHINE,
    Switch("exit_status", _one_of("1", "3", "255")),
    Switch("cluster_nodes", _one_of("text", "nodeIp")),
)
CLUSTERS = (Switch("without", _one_of(*LISTS)),)
"""Of both clusters alike: they have one version."""


@dataclass(frozen=True)
class Unkindness:
    """What the machines of a lab bring."""

    seed: int
    switches: Mapping[str, Mapping[str, str]]
    """By place: the texts of its switches."""
    odd_hosts_file: bool

    def __str__(self) -> str:
        return "; ".join(
            [
                *(f"{place}: {_shown(given)}" for place, given in self.switches.items() if given),
                *(["loadbalancer1: an odd hosts file"] if self.odd_hosts_file else []),
            ]
        )


def choose(layout: Layout, seed: int) -> Unkindness:
    """Choose for each place about half of what it may bring."""
    chance = random.Random(seed)
    shared = dict(_chosen(CLUSTERS, chance))
    switches = {node.name: {**dict(_chosen(NODE, chance)), **shared} for node in layout.nodes}
    switches["loadbalancer1"] = dict(_chosen(MACHINE, chance))
    odd, has_one = chance.choice(COIN), isinstance(load_balancer(layout), HostsFileLoadBalancer)
    return Unkindness(seed, switches, odd_hosts_file=odd and has_one)


def apply(lab: Lab, unkindness: Unkindness) -> None:
    """Put it in force, on a lab that is in its baseline."""
    for place, given in unkindness.switches.items():
        if given:
            simulate(lab.layout, place, **given)
    if unkindness.odd_hosts_file:
        file = HostsFileLoadBalancer(lab.layout).hosts_file
        file.write_bytes(file.read_bytes() + ODD_LINES.rstrip(b"\n"))


def _chosen(switches: tuple[Switch, ...], chance: random.Random) -> Iterator[tuple[str, str]]:
    for switch in switches:
        # Always drawn, so that one switch more does not change what a seed means for the others.
        on, text = chance.choice(COIN), switch.choose(chance)
        if on:
            yield switch.name, text


def _shown(given: Mapping[str, str]) -> str:
    return ", ".join(name if name == "banner" else f"{name} {text}" for name, text in given.items())
