"""The lines between a product and the estate, with someone in between."""
