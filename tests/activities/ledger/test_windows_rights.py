"""Who may write to a ledger on Windows, by the security descriptors of its directories."""

import pytest

from activities.ledger.windows_rights import exposed
from tests.support.wine import FULL, OWN_SID, PRIVATE, ROOT
from workflows.errors import OutcomeUnknown

LEDGER = r"C:\ProgramData\switchover"
DEFAULT = (
    f"O:BAG:{OWN_SID}D:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIIOID;GA;;;CO)"
    "(A;OICIID;0x1200a9;;;BU)(A;CIID;DCLCRPCR;;;BU)"
)
"""Of a directory that was made in ProgramData, without more."""
PROGRAM_DATA = (
    "O:SYG:SYD:PAI(A;OICIIO;GA;;;CO)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;CI;DCLCRPCR;;;BU)"
    "(A;OICI;0x1200a9;;;BU)"
)


def printed(own: str = PRIVATE, above: str = PROGRAM_DATA, claims: str = PRIVATE) -> str:
    """What PowerShell prints."""
    lines = (
        f"user {OWN_SID}",
        f"acl {LEDGER}\\claims\t{claims}",
        f"acl {LEDGER}\t{own}",
        f"acl C:\\ProgramData\t{above}",
        f"acl C:\\\t{ROOT}",
        "whole",
    )
    return "\n".join(lines)


def test_a_ledger_of_its_own_is_private() -> None:
    """Also where everyone may add to the directory above, as in ProgramData."""
    assert exposed(printed(), LEDGER) is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"own": DEFAULT}, rf"BU may write to {LEDGER}"),
        ({"claims": f"{PRIVATE}(A;;0x2;;;WD)"}, rf"WD may write to {LEDGER}\claims"),
        ({"own": f"{PRIVATE}(A;OICIIO;GW;;;AU)"}, f"AU may write to {LEDGER}"),
        ({"own": f"{PRIVATE}(A;;SD;;;S-1-5-21-9-9-9-9)"}, "S-1-5-21-9-9-9-9 may write to"),
        ({"own": f"{PRIVATE}(XA;;FA;;;WD;(1==1))"}, "cannot be understood"),
        ({"own": f"{PRIVATE}(A;;ZZ;;;WD)"}, "WD may write to"),
        ({"own": f"O:S-1-5-21-9-9-9-9G:BAD:PAI{FULL}"}, "belongs to another account"),
        ({"own": f"O:{OWN_SID}G:BAD:NO_ACCESS_CONTROL"}, "everyone has all"),
        ({"own": "anything"}, "cannot be understood"),
        ({"above": f"{PROGRAM_DATA}(A;;0x40;;;BU)"}, r"BU may replace C:\ProgramData"),
        ({"above": f"{PROGRAM_DATA}(A;;FA;;;BU)"}, r"BU may replace C:\ProgramData"),
    ],
)
def test_rights_of_others_are_named(changes: dict[str, str], why: str) -> None:
    """To the ledger, to its claims, or to what is above it."""
    assert why in str(exposed(printed(**changes), LEDGER))


@pytest.mark.parametrize("ace", ["(A;OICI;FR;;;BU)", "(D;;FA;;;WD)", "(A;;0x1200a9;;;WD)"])
def test_who_may_read_is_no_danger(ace: str) -> None:
    """Nor who is denied something."""
    assert exposed(printed(own=PRIVATE + ace), LEDGER) is None


def test_a_ledger_that_is_not_there_is_said_to_be_missing() -> None:
    """Its rights are an administrator's to give, so the worker does not make it."""
    text = "\n".join(line for line in printed().splitlines() if LEDGER not in line)
    assert exposed(text, LEDGER) == f"there is no directory {LEDGER}"


@pytest.mark.parametrize("missing", ["whole", f"user {OWN_SID}"])
def test_half_an_answer_is_none(missing: str) -> None:
    """Where PowerShell does not answer, nothing is known."""
    with pytest.raises(OutcomeUnknown, match="it cannot be read who may write"):
        exposed(printed().replace(missing, ""), LEDGER)
