"""The axes along which rendered faces differ; see ``kaname.samples.axes``.

Ranges come from how people draw, scan, print and post pictures of characters, wider than any set of pictures shows;
none is fitted to a picture. Lengths are in distances between the middles of the eyes where nothing else is said.
"""

from __future__ import annotations

from collections.abc import Mapping

from .axes import Axis

AXES: Mapping[str, Axis] = {
    # print: how it is drawn
    "painted": Axis("print", 0.52, (), False, "colours melt into each other; else flat with hard shades"),
    "line_art": Axis("print", 0.12, (), False, "ink on white paper, hardly coloured"),
    "line": Axis("print", 0.9, (0.006, 0.06), 0.028, "width of the lines", 1.4),
    "lineless": Axis("print", 0.12, (0.65, 0.95), 0.55, "lines are the surface's own colour times this"),
    "sketch": Axis("print", 0.18, (0.004, 0.02), 0.0, "how far doubled lines stray", 1.5),
    "skin": Axis("print", 0.2, ("tanned", "dark", "unreal"), "fair", "colour of the skin"),
    "vivid_hair": Axis("print", 0.4, (), False, "hair of any colour; else black to blond"),
    "white_hair": Axis("print", 0.16, (), False, "white or silver hair"),
    "two_tone": Axis("print", 0.12, (0.2, 0.9), 0.0, "how far some locks take a second colour"),
    "side_shadow": Axis("print", 0.45, (0.2, 0.95), 0.0, "strength of the shadow on one side of the face"),
    "hair_shadow": Axis("print", 0.6, (0.2, 0.95), 0.0, "strength of the hair's shadow on the face"),
    "shine": Axis("print", 0.55, (0.3, 0.95), 0.0, "strength of the shine on the hair"),
    "cheeks": Axis("print", 0.6, (0.1, 0.9), 0.0, "strength of the blush"),
    "nose": Axis("print", 0.85, ("line", "shadow", "underside", "none"), "dot", "how a nose is drawn"),
    "simple_eyes": Axis("print", 0.06, (), False, "eyes of one colour, without white and iris"),
    "brow_width": Axis("print", 0.3, (0.012, 0.11), 0.04, "width of the brows", 1.3),
    "faded": Axis("print", 0.12, (0.35, 0.9), 1.0, "share of the contrast that is left, on a light or tinted ground"),
    # geometry
    "extent": Axis("geometry", 0.95, (0.09, 0.44), 0.3, "between the eyes, share of the picture's side", 1.6),
    "place": Axis("geometry", 0.9, (0.0, 1.0), 0.25, "how far from the middle, share of what keeps the face inside"),
    "proportions": Axis("geometry", 0.9, (0.4, 1.5), 0.4, "spread of all proportions, 1 as drawn by most"),
    "stretch": Axis("geometry", 0.2, (0.78, 1.28), 1.0, "width of the whole head over its height"),
    "narrow_eyes": Axis("geometry", 0.12, (0.35, 0.9), 1.0, "height of the eyes over that of most"),
    "roll": Axis("geometry", 0.85, (-80, 80), 0.0, "turn in the picture, degrees; mostly under 30"),
    "yaw": Axis("geometry", 0.85, (-50, 50), 0.0, "turn to the side, degrees; mostly under 25"),
    "pitch": Axis("geometry", 0.8, (-26, 26), 0.0, "nod, degrees; mostly under 12"),
    "eyes": Axis("geometry", 0.17, ("happy", "asleep", "wink"), "open", "what the eyes do"),
    "mouth_open": Axis("geometry", 0.63, (0.02, 0.45), 0.0, "height of the open mouth", 1.4),
    "mouth_cat": Axis("geometry", 0.07, (), False, "a mouth like a cat's"),
    "crooked": Axis("geometry", 0.25, (), False, "the mouth stands aside"),
    # material: what it is made of and what it wears
    "beast": Axis("material", 0.3, (), False, "fur, markings, an animal's nose"),
    "muzzle": Axis("material", 0.7, (0.03, 0.45), 0.0, "how far a beast's nose and mouth stand out"),
    "animal_ears": Axis("material", 0.2, (), False, "ears of a cat, fox, dog, rabbit or bear; beasts always have them"),
    "fringe": Axis("material", 0.9, ("straight", "parted", "aside", "curtains", "wild", "none"), "fringe",
                   "hair over the forehead"),
    "strands": Axis("material", 0.6, (1, 4), 0.0, "thin strands that fall into the face", 1.3),
    "side_locks": Axis("material", 0.8, (0.1, 2.0), 0.0, "length of the locks beside the face"),
    "back_hair": Axis("material", 0.9, (0.2, 4.0), 0.6, "length of the hair behind", 1.8),
    "tails": Axis("material", 0.25, (), False, "tails or buns on both sides"),
    "antenna": Axis("material", 0.15, (0.2, 0.9), 0.0, "length of a strand that stands up"),
    "see_through": Axis("material", 0.5, (0.15, 0.9), 0.0, "how much eyes and brows are seen through the hair"),
    "glasses": Axis("material", 0.15, (), False, "frames around the eyes"),
    "hat": Axis("material", 0.25, ("cap", "band", "flower"), "none", "on the head; a cap covers what is under it"),
    "patch": Axis("material", 0.05, ("eye patch", "mask", "plaster"), "none", "what covers an eye, the mouth, a cheek"),
    "paint": Axis("material", 0.08, (1, 4), 0.0, "scars, tears, painted marks on the face"),
    "trimmings": Axis("material", 0.85, (1, 9), 0.0, "folds, straps, frills, necklaces, bows below the chin"),
    "collar": Axis("material", 0.4, (), False, "a collar, scarf or choker"),
    # light
    "coloured": Axis("light", 0.35, (0.1, 1.0), 0.0, "strength of clouds of coloured light"),
    "shade": Axis("light", 0.14, (0.15, 0.7), 0.0, "part of the picture in shade: share of the light lost"),
    "glow": Axis("light", 0.16, (0.15, 0.8), 0.0, "bright parts spread into their surroundings"),
    "tone": Axis("light", 0.6, (-0.7, 0.7), 0.0, "logarithm of the tone curve's power"),
    "tint": Axis("light", 0.3, (0.02, 0.35), 0.0, "warm or cold light: logarithm of red over blue", 1.4),
    # camera: what scanner, camera and file do
    "coarse": Axis("camera", 0.25, (0.2, 0.85), 1.0, "resolution of the picture before it was enlarged"),
    "focus": Axis("camera", 0.45, (0.3, 2.4), 0.0, "deviation of the blur, pixels at 384", 1.8),
    "noise": Axis("camera", 0.4, (0.5, 16), 0.0, "deviation of the noise, grey levels", 2.5),
    "sharpening": Axis("camera", 0.18, (0.2, 1.6), 0.0, "strength of sharpening"),
    "colourless": Axis("camera", 0.16, (0.0, 0.35), 1.0, "a picture in one colour; its strength"),
    "screen": Axis("camera", 0.08, (2.5, 7), 0.0, "period of printed dots, pixels"),
    "jpeg": Axis("camera", 0.5, (10, 95), 100.0, "quality of the file"),
    # dirt
    "scribbles": Axis("dirt", 0.1, (1, 5), 0.0, "strokes of a pen across the picture"),
    "writing": Axis("dirt", 0.12, (1, 4), 0.0, "lines of text and water marks over the picture"),
    "stains": Axis("dirt", 0.14, (0.1, 0.6), 0.0, "strength of stains and yellowed paper"),
    "fold": Axis("dirt", 0.06, (0.2, 0.8), 0.0, "strength of the crease of folded paper"),
    # distractors
    "ground": Axis("distractors", 0.8, (), False, "a coloured ground; else white paper"),
    "gradient": Axis("distractors", 0.25, (), False, "the ground runs from one colour to another"),
    "scene": Axis("distractors", 0.35, (), False, "walls, things, cloth behind"),
    "pattern": Axis("distractors", 0.12, ("dots", "stripes", "checks"), "none", "pattern of the ground"),
    "petals": Axis("distractors", 0.25, (2, 30), 0.0, "petals, lights, leaves", 1.5),
    "signs": Axis("distractors", 0.12, (1, 4), 0.0, "lettering behind the head"),
    "neighbour": Axis("distractors", 0.06, (), False, "a second, smaller face behind"),
    "hand": Axis("distractors", 0.16, (), False, "a hand or paw at chin, cheek or mouth"),
    "panels": Axis("distractors", 0.08, (), False, "frames of a comic's page"),
    "bars": Axis("distractors", 0.08, (0.02, 0.15), 0.0, "bars on two sides of a padded picture"),
}  # fmt: skip

UPRIGHT = frozenset({
    "vivid_hair", "white_hair", "side_shadow", "hair_shadow", "shine", "cheeks", "nose", "simple_eyes",
    "brow_width", "mouth_open", "animal_ears", "fringe", "strands", "side_locks", "back_hair", "tails", "see_through",
    "trimmings", "collar", "ground",
})  # fmt: skip
"""Axes that plain faces keep: upright, clean, of everyday looks."""
