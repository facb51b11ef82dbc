"""Descriptions of load balancers, one module for each driver."""
