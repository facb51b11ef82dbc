"""The rollback matrix: fail every stage, at every kind of place and in every way."""
