"""The simulated estate: machines, databases, load balancer, storage and Temporal."""
