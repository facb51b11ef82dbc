"""Tests of the state of a run."""
