"""A site's own command on a machine: ask it, let it change something once, and believe little."""
