"""By which subscription the lab's databases carry a link of the estate."""

from workflows.model.replications.base import ReplicationLink
from workflows.model.replications.postgresql import SubscriptionLink


def subscription_of(link: ReplicationLink) -> str:
    """Return its name; a link that a command of the lab's controls has that of its subscription."""
    return link.subscription if isinstance(link, SubscriptionLink) else link.name
