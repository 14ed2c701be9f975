"""Between what a network speaks (heatmaps, masks of regions) and what people mean (points, polygons); NumPy alone."""
