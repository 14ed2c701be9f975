"""Formats of labels: each module reads a file into ``Sample`` objects and writes them back, and imports no torch.

Adding a new format: a module with ``read(path, images=None) -> list[Sample]`` and ``write(path, samples)``, points in
continuous pixels (formats that store pixel indices pass through ``geometry.grid.PIXELS``), every fault an
``InputError`` with path, row, reason and remedy; its tests in ``tests/data/formats`` (first a class that inherits
``FormatContract`` and names the module); its line in the table of ``kaname convert``.
"""
