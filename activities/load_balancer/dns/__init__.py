"""The ``dns`` driver: change the names' addresses in a zone, by dynamic updates."""
