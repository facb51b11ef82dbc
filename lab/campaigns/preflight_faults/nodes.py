"""Which faults can machines and their installations have, and how are they planted?

The names are those of the findings that a product has for them.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import asyncssh

from lab.campaigns.preflight_faults.actions import InjectionFailed, hide, shell, show, until
from lab.campaigns.preflight_faults.fault import InjectedFault
from lab.fault_injection.node_faults import NOISE
from lab.layout import PROBE_ACCOUNT, Layout
from lab.node import installation

ANOTHER = 65534
"""Somebody else's uid."""
CONF = "conf/serviceConfig.properties"
ASIDE = ".aside"


def _shown(name: str, place: str, words: str, **faults: str) -> InjectedFault:
    """Return a fault that the place's own processes know how to show."""

    async def inject(layout: Layout, place: str) -> None:
        show(layout, place, **faults)

    async def revert(layout: Layout, place: str) -> None:
        hide(layout, place, *faults)

    return InjectedFault(name, place, words, inject, revert)


async def _let_in(layout: Layout, place: str) -> bool:
    """Whether a machine's shell lets the operator in now."""
    try:
        async with shell(layout, place):
            return True
    except (OSError, asyncssh.Error):
        return False


async def _shut_out(layout: Layout, place: str) -> bool:
    return not await _let_in(layout, place)


def closed(name: str, place: str, words: str, fault: str) -> InjectedFault:
    """Return a fault of a machine that lets nobody in."""

    async def inject(layout: Layout, place: str) -> None:
        show(layout, place, **{fault: "yes"})
        # Who tries in vain also ends the connections that others have.
        await until(partial(_shut_out, layout, place), f"{place} lets nobody in")

    async def revert(layout: Layout, place: str) -> None:
        hide(layout, place, fault)
        await until(partial(_let_in, layout, place), f"{place} lets the operator in")

    return InjectedFault(name, place, words, inject, revert)


async def _give_away(layout: Layout, place: str) -> None:
    try:
        os.chown(layout.node(place).home, ANOTHER, -1)
    except PermissionError as refusal:
        raise InjectionFailed("only a lab that root runs can give a directory away") from refusal


async def _take_back(layout: Layout, place: str) -> None:
    os.chown(layout.node(place).home, os.geteuid(), -1)


async def _move_away(layout: Layout, place: str) -> None:
    folder = layout.node(place).home / "bin"
    folder.replace(_aside(folder))


async def _move_back(layout: Layout, place: str) -> None:
    folder = layout.node(place).home / "bin"
    if _aside(folder).exists():
        _aside(folder).replace(folder)


async def _disarm(layout: Layout, place: str) -> None:
    (layout.node(place).home / "bin/stop_sshd").chmod(0o644)


async def _arm(layout: Layout, place: str) -> None:
    (layout.node(place).home / "bin/stop_sshd").chmod(0o755)


async def _block_ledger(layout: Layout, place: str) -> None:
    ledger = layout.node(place).ledger
    if ledger.is_dir():
        ledger.replace(_aside(ledger))
    ledger.write_text("not a directory\n", encoding="utf-8")


async def _free_ledger(layout: Layout, place: str) -> None:
    ledger = layout.node(place).ledger
    if ledger.is_file():
        ledger.unlink()
    if _aside(ledger).exists():
        _aside(ledger).replace(ledger)


async def _change_taeh(layout: Layout, place: str) -> None:
    (layout.node(place).home / "bin/taeh").write_text("another\n", encoding="utf-8")


async def _restore_taeh(layout: Layout, place: str) -> None:
    text = installation.secret_file()
    (layout.node(place).home / "bin/taeh").write_text(text, encoding="utf-8")


async def _change_conf(layout: Layout, place: str) -> None:
    file = layout.node(place).home / CONF
    text = file.read_text(encoding="utf-8").replace("attempts=3", "attempts=30")
    file.write_text(text, encoding="utf-8")


async def _restore_conf(layout: Layout, place: str) -> None:
    node = layout.node(place)
    text = installation.configuration(node)[Path(CONF).name]
    (node.home / CONF).write_text(text, encoding="utf-8")


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}{ASIDE}")


FAULTS = (
    closed(
        "node_unreachable_ssh",
        "cluster1-edge1",
        "Its SSH server hangs up on everyone.",
        "unreachable",
    ),
    closed(
        "ssh_access_refused",
        "cluster2-server1",
        "Its SSH server accepts the operator's key no longer.",
        "refuses_login",
    ),
    _shown(
        "node_unreachable_admin",
        "cluster1-edge1",
        "Its admin API answers nobody; the other services run.",
        admin_silent="yes",
    ),
    _shown(
        "admin_access_refused",
        "cluster2-server1",
        "Its admin API wants another password.",
        admin_password="another",
    ),
    InjectedFault(
        "ssh_user_not_owner",
        "cluster1-server2",
        "Somebody else owns its FILEDRIVEHOME.",
        _give_away,
        _take_back,
    ),
    InjectedFault(
        "installation_missing",
        "cluster2-edge2",
        "There is no bin below its FILEDRIVEHOME.",
        _move_away,
        _move_back,
    ),
    InjectedFault(
        "script_missing",
        "cluster1-server1",
        "Its stop_sshd cannot be run.",
        _disarm,
        _arm,
    ),
    InjectedFault(
        "ledger_not_writable",
        "cluster1-server2",
        "A file lies where its ledger should.",
        _block_ledger,
        _free_ledger,
    ),
    _shown(
        "version_differs",
        "cluster2-server2",
        "It runs an older update level than the others.",
        updateLevel="5.5-20230126",
    ),
    _shown(
        "database_type_differs",
        "cluster2-server1",
        "It says that its database is of another type.",
        databaseType="Oracle",
    ),
    InjectedFault(
        "taeh_differs",
        "cluster2-server2",
        "Its taeh file is another than everyone's.",
        _change_taeh,
        _restore_taeh,
    ),
    InjectedFault(
        "conf_differs",
        "cluster2-server1",
        f"Its {CONF} is another than on the other Servers.",
        _change_conf,
        _restore_conf,
    ),
    _shown(
        "cluster_nodes_differ",
        "cluster1-server1",
        "It lists a node of its cluster that the estate does not know.",
        unknown_node="cluster1-server9",
    ),
    _shown(
        "service_unreadable",
        "cluster1-edge2",
        "Its status_sshd says something that nobody understands.",
        status_sshd=NOISE,
    ),
    _shown(
        "target_edge_login_fails",
        "cluster2-edge1",
        "Its protocol servers run, and do not let the probe's account in.",
        refuses_account=PROBE_ACCOUNT,
    ),
)
