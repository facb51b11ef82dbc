"""Descriptions of database replication, one module for each driver."""
