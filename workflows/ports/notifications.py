"""Notify people outside Temporal."""

from __future__ import annotations

from abc import ABC, abstractmethod

from temporalio import activity

from workflows.model.base import Value
from workflows.model.outcome import Notice
from workflows.model.site_policy import Webhook


class NoticeInput(Value):
    """A notice for the estate's webhook."""

    webhook: Webhook
    notice: Notice


class NotificationPort(ABC):
    """Notify people outside Temporal."""

    @activity.defn
    @abstractmethod
    async def notify(self, given: NoticeInput) -> None:
        """Post the notice, signed; Unreachable where no server accepted it."""
