"""Where things are: grids of cells, affine maps, images and boxes.

Points are ``(x, y)`` in continuous image coordinates: (0, 0) is the top-left corner of the top-left pixel. Sizes are
``(height, width)``, boxes ``(x1, y1, x2, y2)``, angles degrees counter-clockwise as seen. ``grid`` alone knows that
the centre of a pixel lies half a pixel from its corner; ``affine`` moves points and images; ``image`` reads, writes
and resizes; ``boxes`` has the arithmetic of boxes.
"""
