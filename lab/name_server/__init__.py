"""An authoritative name server for one zone, which takes signed updates."""
