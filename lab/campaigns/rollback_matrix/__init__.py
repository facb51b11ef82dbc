"""The undo matrix: every stage, at every kind of place, fails in every way, and is taken back."""
