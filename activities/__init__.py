"""The ports of the core, implemented over SSH, REST and SQL."""
