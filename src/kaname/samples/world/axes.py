"""The axes along which rendered dials differ; see ``kaname.samples.axes``.

Ranges come from what instruments, cameras and workshops are like, wider than any set of photographs shows; none is
fitted to a picture.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..axes import Axis

AXES: Mapping[str, Axis] = {
    # print: what stands on the face
    "sweep": Axis("print", 0.75, (50, 345), 270.0, "angle of the scale, degrees: fans, quarter, half and full circles"),
    "turned": Axis("print", 0.15, (-180, 180), 0.0, "middle of the scale away from straight up, degrees"),
    "reversed": Axis("print", 0.05, (), False, "values rise against the clock"),
    "spacing": Axis("print", 0.12, (0.55, 1.9), 1.0, "power of uneven marks: square root and logarithmic scales"),
    "count": Axis("print", 0.9, (3, 25), 6.0, "number of notches", 1.3),
    "divisions": Axis("print", 0.9, (1, 20), 5.0, "spaces between two notches", 1.5),
    "marks": Axis("print", 0.5, ("block", "wedge", "triangle", "dot", "diamond", "two-part", "hollow"), "bar",
                  "shape of the notches' marks"),
    "length": Axis("print", 0.9, (0.04, 0.26), 0.11, "length of a notch's mark, face radii", 1.4),
    "boldness": Axis("print", 0.9, (1.0, 6.0), 2.5, "width of a notch's mark over that of a thin one", 1.5),
    "stature": Axis("print", 0.9, (1.0, 3.2), 1.7, "length of a notch's mark over that of a thin one"),
    "hairline": Axis("print", 0.9, (0.003, 0.018), 0.009, "width of thin marks, face radii"),
    "alternate": Axis("print", 0.1, ("same", "other"), "none",
                      "marks leave a band outwards and inwards by turns, numerals on the same side or the other"),
    "ladder": Axis("print", 0.55, ("base", "tip", "rails", "band", "mirror"), "none", "lines along the scale"),
    "overrun": Axis("print", 0.12, (), False, "thin marks go on beyond the first or the last notch"),
    "all_round": Axis("print", 0.08, (), False, "marks and lines go on round the circle, without numbers"),
    "ends": Axis("print", 0.12, ("block", "longer", "zero box"), "same", "first or last mark unlike the others"),
    "outward": Axis("print", 0.3, (), False, "thin marks share their inner ends instead of their outer ones"),
    "numerals": Axis("print", 0.5, ("outside", "turned", "missing", "on the ladder"), "inside", "where numbers stand"),
    "numbered": Axis("print", 0.25, ("every second", "without ends", "ends alone"), "all", "which notches have one"),
    "figures": Axis("print", 0.9, (0.07, 0.24), 0.13, "height of the numbers, face radii", 1.4),
    "lettering": Axis("print", 0.9, (0.5, 1.4), 1.0, "width of letters over that of a common font; the font too"),
    "second_scale": Axis("print", 0.3, ("inner", "outer", "shared", "several"), "none", "scales in other units"),
    "sub_dial": Axis("print", 0.1, (0.2, 0.5), 0.0, "radius of a small scale with its own pointer, face radii"),
    "sectors": Axis("print", 0.2, ("band", "pie", "marks", "disc"), "none", "coloured fields by the marks"),
    "paper": Axis("print", 0.5, ("cream", "grey", "yellow", "pastel", "metal"), "white", "colour of the face"),
    "contrast": Axis("print", 0.3, (0.3, 0.9), 1.0, "share of the ink's darkness that is left", 0.7),
    "dark": Axis("print", 0.17, (), False, "light marks on a dark face"),
    "back_lit": Axis("print", 0.06, (), False, "marks or face shine by themselves"),
    "texts": Axis("print", 0.9, (1, 9), 1.0, "lines and stamps on the face"),
    "fittings": Axis("print", 0.55, ("screws", "nail hole", "stop pin", "stamps", "window", "many"), "none",
                     "things on the face that can look like a notch"),
    "home_made": Axis("print", 0.07, (0.2, 1.0), 0.0, "unsteadiness of a print made by hand"),
    # geometry
    "layout": Axis("geometry", 0.35, ("square", "corner", "fan", "half"), "round", "shape of the instrument"),
    "tilt": Axis("geometry", 0.7, (0, 58), 0.0, "between the line of sight and the dial's axis, degrees", 1.8),
    "nearness": Axis("geometry", 0.7, (0.06, 0.42), 0.05, "face radius over the camera's distance", 1.5),
    "roll": Axis("geometry", 0.5, (-180, 180), 0.0, "turn of the whole dial in the picture, degrees; mostly small"),
    "extent": Axis("geometry", 0.9, (0.24, 1.3), 0.92, "width of the instrument over that of the picture"),
    "place": Axis("geometry", 0.7, (0, 1), 0.0, "how far from the middle, share of what keeps the notches inside", 2.0),
    "lens": Axis("geometry", 0.2, (-0.1, 0.1), 0.0, "radial distortion at the picture's corner"),
    # material
    "casing": Axis("material", 0.8, ("steel", "brass", "painted", "clear", "white", "none"), "black", "of the ring"),
    "ring": Axis("material", 0.8, (0.02, 0.34), 0.1, "width of the ring, face radii"),
    "depth": Axis("material", 0.7, (0.0, 0.3), 0.05, "height of the ring above the face, face radii"),
    "ring_marks": Axis("material", 0.12, ("bars", "notches", "dots", "screws"), "none", "marks on the ring itself"),
    "pointer": Axis("material", 0.85, ("red", "coloured", "light", "thin", "broad", "two-ended"), "black",
                    "look of the pointer"),
    "rest": Axis("material", 0.3, (), False, "the pointer rests on the start, or beyond an end"),
    "second_pointer": Axis("material", 0.14, ("red", "green", "yellow", "black"), "none", "set or drag pointer"),
    "flags": Axis("material", 0.1, (1, 3), 0.0, "limit marks clipped to the rim or painted across the scale"),
    "cover": Axis("material", 0.12, (), False, "a cover over the axis or over the lower part of the face"),
    # light
    "glare": Axis("light", 0.16, (50, 255), 0.0, "a bright band across the glass, grey levels"),
    "shade": Axis("light", 0.18, (0.25, 0.85), 0.0, "part of the dial in shade: share of the light lost"),
    "reflections": Axis("light", 0.3, (), False, "lamps, windows and veils in the glass"),
    "cast": Axis("light", 0.7, (0.05, 0.6), 0.0, "darkness of the shadows of ring and pointer"),
    "uneven": Axis("light", 0.6, (0.02, 0.4), 0.0, "slope of the light across the picture"),
    "exposure": Axis("light", 0.7, (70, 268), 225.0, "grey level of the brightest parts", 0.4),
    "tint": Axis("light", 0.6, (0.02, 0.3), 0.0, "warm or cold light: logarithm of red over blue", 1.6),
    # camera
    "focus": Axis("camera", 0.6, (0.3, 3.2), 0.0, "deviation of the blur, pixels at 448", 2.0),
    "shake": Axis("camera", 0.1, (2, 14), 0.0, "length of a shaken blur, pixels at 448"),
    "coarse": Axis("camera", 0.2, (0.25, 0.8), 1.0, "resolution of the picture before it was enlarged"),
    "noise": Axis("camera", 0.7, (0.5, 16), 0.0, "deviation of the sensor's noise, grey levels", 3.0),
    "sharpening": Axis("camera", 0.25, (0.2, 1.5), 0.0, "strength of the camera's sharpening"),
    "colourless": Axis("camera", 0.1, (), False, "a picture in grey"),
    "jpeg": Axis("camera", 0.7, (10, 95), 100.0, "quality of the file"),
    # dirt
    "soil": Axis("dirt", 0.25, (), False, "dust, scratches, drops and stains on the glass"),
    "liquid": Axis("dirt", 0.08, (-0.7, 0.8), 2.0, "height of the filling's surface, face radii; with bubbles"),
    "sticker": Axis("dirt", 0.08, (0.15, 0.5), 0.0, "size of stickers on glass or rim, face radii"),
    "spots": Axis("dirt", 0.1, (0.02, 0.12), 0.0, "size of dots, strips and arrows stuck or painted beside the marks"),
    "wear": Axis("dirt", 0.12, (0.15, 0.6), 0.0, "how far the print has faded in places"),
    # distractors
    "background": Axis("distractors", 0.85, (), False, "walls, pipes, cloth; else an even grey"),
    "neighbour": Axis("distractors", 0.15, ("dial", "part", "plate"), "none", "a second instrument, or a part of one"),
    "grille": Axis("distractors", 0.15, (1, 4), 0.0, "groups of strokes behind: rulers, vents, threads, fences"),
    "bars": Axis("distractors", 0.12, (0.02, 0.2), 0.0, "black bars of a padded crop"),
    "finger": Axis("distractors", 0.06, (0.06, 0.25), 0.0, "width of something in front of the rim, picture widths"),
    "pipe": Axis("distractors", 0.4, (), False, "a pipe or stem behind"),
}  # fmt: skip
