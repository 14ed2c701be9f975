"""Between a network's outputs (heatmaps, masks of regions) and points and polygons; NumPy and SciPy alone."""
