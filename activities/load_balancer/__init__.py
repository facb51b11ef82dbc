"""load_balancer."""
