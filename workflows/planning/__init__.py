"""From an estate and a request to a plan, and to its rollback."""
