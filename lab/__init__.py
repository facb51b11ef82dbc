"""A simulated estate behind real SSH, HTTP, HAProxy and PostgreSQL."""
