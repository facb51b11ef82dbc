"""The record on a machine that makes an effect happen once."""
