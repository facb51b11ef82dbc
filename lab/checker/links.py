"""By which subscription the lab's databases carry a link of the estate."""

from workflows.model.replications.base import ReplicationLink
from workflows.model.replications.postgresql import SubscriptionLink


def subscription_of(link: ReplicationLink) -> str:
    """Return its name, which the estate does not say where a command controls the link."""
    if isinstance(link, SubscriptionLink):
        return link.subscription
    return f"{link.source}_to_{link.target}"
