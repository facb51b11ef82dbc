"""What every replication driver has to do, however it does it."""
