"""Proxies between the product and the estate."""
