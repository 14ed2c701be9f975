"""Metrics: pure NumPy functions of predictions and truth, in the pixels of the original image.

A metric without a value (nothing to average) is ``None``, never NaN; ``intervals.summary`` excludes and counts it.

Adding a new metric: write a function in the module of its kind (``points.py`` for point sets), with shapes, units and
a doctest in its docstring; say there what it gives for empty sets; test it against a slow version of the definition.
"""
