"""Dials of every kind: the variety ``world`` of ``kaname.samples.gauge``, drawn from a written list of axes."""
