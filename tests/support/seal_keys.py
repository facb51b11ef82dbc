"""The seal keys of a worker."""

from worker.seal_keys import SealKeys

KEYS = SealKeys({"test": b"a key of the tests"})
