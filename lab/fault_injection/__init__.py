"""Faults that are planted in the estate, when the product acts there, and healed in time."""
