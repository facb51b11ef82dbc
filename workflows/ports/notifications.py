"""Notify people outside Temporal."""

from abc import ABC, abstractmethod

from temporalio import activity

from workflows.model.base import Value
from workflows.model.outcome import Notice
from workflows.model.seals import Seals
from workflows.model.site_policy import Webhook


class NoticeInput(Value):
    """A notice for the estate's webhook."""

    webhook: Webhook
    notice: Notice
    seals: Seals = Seals()
    """Of the webhook."""

    @property
    def parts(self) -> dict[str, object]:
        """What it holds of the estate, each part by the name under which it must be sealed."""
        return {"webhook": self.webhook}


class NotificationPort(ABC):
    """Notify people outside Temporal."""

    @activity.defn
    @abstractmethod
    async def notify(self, given: NoticeInput) -> None:
        """Post the notice, signed.

        Raises:
            Unreachable: the receiver has not accepted it yet.
            Refused: the receiver refused it, and would refuse it again.
        """
