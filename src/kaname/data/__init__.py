"""Data: formats of labels, data sets, caches, splits and videos."""
