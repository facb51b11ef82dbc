"""Clients that keep transferring through the load balancer while the estate is moved."""
