"""The replication port: what it promises, and one package or module for each driver."""
