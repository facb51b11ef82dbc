"""The core, held against its promises without any wire."""
