"""The composition root: the only place that knows which class implements which port."""
