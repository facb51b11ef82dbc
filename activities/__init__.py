"""The hands: what the core asks for, done over SSH, REST and SQL."""
