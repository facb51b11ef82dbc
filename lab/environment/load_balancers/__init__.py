"""The load balancer of a lab: one module for each driver that the product may steer it by."""
