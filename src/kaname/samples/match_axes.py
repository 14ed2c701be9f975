"""The axes along which rendered matches differ; see ``kaname.samples.axes``.

Ranges come from what courts, players, cameras and broadcasters are like, wider than any set of clips shows; none is
fitted to a clip. All clips of a match share them but ``drift`` and ``flyers``, which are drawn for each clip.
"""

from __future__ import annotations

from collections.abc import Mapping

from .axes import Axis, Value

AXES: Mapping[str, Axis] = {
    # print: what is painted on the ground and on the walls
    "surface": Axis("print", 0.5, ("clay", "grass", "any"), "hard", "ground; any: a hard court of any two colours"),
    "scheme": Axis("print", 0.85, (), False, "one of the surface's usual pairs of colours; else its first"),
    "shade_of_ground": Axis("print", 0.8, (0.7, 1.35), 1.0, "brightness of the ground's colours over the usual"),
    "whiteness": Axis("print", 0.5, (0.55, 1.08), 1.0, "brightness of the lines over that of white paint"),
    "line_width": Axis("print", 0.3, (0.6, 1.7), 1.0, "width of the lines over the usual"),
    "other_lines": Axis("print", 0.12, (2, 9), 0.0, "lines of other games across the court"),
    "stripes": Axis("print", 0.3, (1.02, 1.15), 1.0, "brightness of mown stripes over those between"),
    "lettering": Axis("print", 0.4, (1, 4), 0.0, "names on the ground beside the court"),
    "names": Axis("print", 0.9, (1, 9), 3.0, "names on the wall behind"),
    "net_signs": Axis("print", 0.3, (), False, "round signs on the net"),
    "dots": Axis("print", 0.3, (1, 9), 0.0, "round bright spots on the walls"),
    "wall": Axis("print", 0.35, ("light", "any"), "dark", "colour of the walls"),
    # geometry: where the camera stands
    "height": Axis("geometry", 0.9, (5, 18), 10.5, "of the camera above the ground, metres", 1.2),
    "distance": Axis("geometry", 0.9, (14, 34), 21.5, "of the camera behind the baseline, metres"),
    "aside": Axis("geometry", 0.6, (-4.5, 4.5), 0.0, "of the camera from the court's middle, metres"),
    "zoom": Axis("geometry", 0.8, (0.72, 1.12), 1.0, "size of the court in the picture over the usual"),
    "pan": Axis("geometry", 0.4, (-3.5, 3.5), 0.0, "turn of the camera at rest to the right, degrees"),
    "nod": Axis("geometry", 0.4, (-1.5, 1.5), 0.0, "turn of the camera at rest upwards, degrees"),
    "drift": Axis("geometry", 0.55, (0.2, 1.6), 0.0, "how far the camera turns and zooms in a clip, over the usual"),
    # material: ball, players, ground, net
    "ball_colour": Axis("material", 0.9, (0, 1), 0.6, "from white to the yellow of new balls"),
    "ball_dull": Axis("material", 0.3, (0.6, 1.0), 1.0, "brightness of the ball over that of a new one", 0.7),
    "swell": Axis("material", 0.9, (1.0, 2.5), 1.25, "size of the ball in the picture over that in life", 2.2),
    "white_shoes": Axis("material", 0.72, (), False, "white shoes; else coloured"),
    "socks": Axis("material", 0.3, (), False, "coloured socks; else white"),
    "caps": Axis("material", 0.4, ("white", "coloured"), "none", "of players"),
    "shirts": Axis("material", 0.55, ("hoop", "panel", "shoulders"), "plain", "pattern of the shirts"),
    "shading": Axis("material", 0.7, (0.1, 0.6), 0.0, "how much darker bodies are on one side"),
    "texture": Axis("material", 0.85, (0.004, 0.14), 0.01, "unevenness of the ground, share of the light", 2.2),
    "grain": Axis("material", 0.4, (0.005, 0.07), 0.0, "fine grain of the ground, share of the light", 1.5),
    "wear": Axis("material", 0.5, (0.1, 0.75), 0.0, "worn ground where players stand"),
    "mesh": Axis("material", 0.9, (0.08, 0.6), 0.42, "share of what is behind that the net covers"),
    # light
    "stand_shadow": Axis("light", 0.4, (0.12, 0.6), 0.0, "part of the ground in shadow: share of the light lost"),
    "cast": Axis("light", 0.75, (0.15, 0.7), 0.08, "darkness of the shadows of people and ball"),
    "sun": Axis("light", 0.75, (0.2, 2.6), 0.1, "length of a shadow over the height of what casts it"),
    "tone": Axis("light", 0.75, (-0.35, 0.35), 0.0, "logarithm of the tone curve's power"),
    "exposure": Axis("light", 0.6, (70, 170), 0.0, "mean grey level, as cameras meter it; 0: as the light is"),
    "haze": Axis("light", 0.2, (5, 60), 0.0, "grey level of black"),
    "tint": Axis("light", 0.5, (0.02, 0.3), 0.0, "warm or cold light: logarithm of red over blue", 1.4),
    "saturation": Axis("light", 0.6, (0.2, 1.5), 1.0, "strength of the colours of court, walls and ball"),
    "vignette": Axis("light", 0.2, (0.1, 0.5), 0.0, "share of the light lost in the corners"),
    # camera
    "focus": Axis("camera", 0.95, (0.45, 1.5), 0.7, "deviation of the lens's blur, pixels at 1280", 2.0),
    "shutter": Axis("camera", 0.95, (0.06, 1.0), 0.4, "exposure, share of the time between frames"),
    "bleed": Axis("camera", 0.8, (0.1, 1.0), 0.0, "how far the ball takes the colour around it, as coarse colour does"),
    "fields": Axis("camera", 0.25, ("blended", "combed"), "none", "a frame made of two half frames, for the ball"),
    "noise": Axis("camera", 0.95, (0.4, 9), 0.8, "deviation of the noise, grey levels", 2.2),
    "coarse": Axis("camera", 0.3, (0.35, 0.9), 1.0, "resolution of the picture before it was enlarged"),
    "sharpening": Axis("camera", 0.55, (0.2, 2.2), 0.0, "strength of sharpening, with dark seams beside lines"),
    "codec": Axis("camera", 0.45, (8, 80), 100.0, "quality of a compression in blocks with coarse colour"),
    # dirt
    "marks": Axis("dirt", 0.4, (2, 40), 0.0, "scuffs, skid marks and prints of balls on the ground", 1.5),
    "litter": Axis("dirt", 0.2, (2, 40), 0.0, "leaves and scraps on the ground", 1.5),
    "lens_spots": Axis("dirt", 0.15, (1, 6), 0.0, "drops and dust on the lens"),
    # distractors
    "onlookers": Axis("distractors", 0.85, (1, 9), 0.0, "line judges and ball children"),
    "chair": Axis("distractors", 0.85, (), False, "an umpire's chair"),
    "furniture": Axis("distractors", 0.7, (1, 9), 0.0, "benches, bags, towels, boxes, parasols, clocks"),
    "balls": Axis("distractors", 0.45, (1, 5), 0.0, "balls that lie about"),
    "behind": Axis("distractors", 0.25, ("trees", "wall"), "stands", "what is behind the walls"),
    "crowd": Axis("distractors", 0.9, (0.05, 1.0), 0.8, "share of the seats that are taken", 0.6),
    "flashes": Axis("distractors", 0.12, (1, 5), 0.0, "flashes of spectators at a time"),
    "flyers": Axis("distractors", 0.15, (1, 5), 0.0, "insects, birds and scraps in the air"),
    "score": Axis("distractors", 0.85, (), False, "a scoreboard with the dot of who serves"),
    "logo": Axis("distractors", 0.7, (), False, "a station's logo"),
    "ticker": Axis("distractors", 0.12, (), False, "a line of text along the lower edge"),
}  # fmt: skip

PLAIN: Mapping[str, Value] = {"swell": 4.0, "shutter": 0.15, "cast": 0.45, "sun": 0.5, "drift": 0.0, "chair": True}
"""What plain matches have beside the ``off`` values: a large ball with a clear shadow."""
