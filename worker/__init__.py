"""The composition root: the one place that knows who carries out what."""
