"""What the Web UI shows of a Freeze, without any query."""

from tests.support.sample_runs import NOW, configuration_change
from workflows.model.configuration import ConfigurationRecord, unread_findings
from workflows.model.freeze import FreezeRequest
from workflows.views.freeze_markdown import freeze_details

REQUEST = FreezeRequest(estate="lab", source="cluster1", target="cluster2")


def test_a_freeze_shows_what_was_changed_and_what_it_cannot_read() -> None:
    """Changes, clusters that are dark, places that do not answer, times that nobody watched."""
    record = ConfigurationRecord(since=NOW, changes=(configuration_change(),)).with_gap("a gap")
    request = REQUEST.model_copy(update={"record": record, "dark": ("cluster1",)})
    text = freeze_details(request, unread_findings({"database2": "no answer"}))
    assert text.startswith("**lab: the configuration is watched")
    assert "since 2026-01-02 03:04:05 UTC**" in text
    assert (
        "**Configuration changes**\n\n- cluster1\\-server1: option Ssh.Port changed by eve" in text
    )
    assert "- cluster1: is shut down, so it is not read" in text
    assert "- database2: configuration\\_not\\_watched: saw no answer" in text
    assert "- a gap" in text
    assert "No change so far" not in text


def test_a_freeze_without_changes_says_so() -> None:
    """An empty list would leave it open."""
    assert "No change so far." in freeze_details(REQUEST, ())


def test_what_others_wrote_is_never_markdown() -> None:
    """A name of an account is shown as it is."""
    record = ConfigurationRecord(changes=(configuration_change(item="account <b>x</b>"),))
    text = freeze_details(REQUEST.model_copy(update={"record": record}), ())
    assert "<b>" not in text
