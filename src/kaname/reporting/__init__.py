"""Reporting: pages, charts, drawings and comparisons; knows no recipe and imports no torch."""
