"""How much training samples are changed: sections of a configuration, which help reads without NumPy."""

from __future__ import annotations

from dataclasses import dataclass, field

from kaname.errors import require, require_range


@dataclass(frozen=True)
class PhotoSettings:
    """Changes of light, lens, sensor and file; each is off by default. Lengths are pixels at the reference size.

    Attributes:
        probability: share of the changed samples on which each of the following acts.
        blur: largest deviation of a Gaussian blur.
        shake: longest blur along a line.
        noise: largest deviation of the sensor's noise, grey levels.
        temperature: largest logarithm of red over blue, either way.
        glare: largest strength of a bright band, grey levels.
        shade: largest share of the light that a shadow takes.
        coarse: lowest resolution that the image was enlarged from, as a share of its own; 1 leaves it.
        jpeg: lowest quality of JPEG; 100 leaves it.
    """

    probability: float = 0.3
    blur: float = 0.0
    shake: float = 0.0
    noise: float = 0.0
    temperature: float = 0.0
    glare: float = 0.0
    shade: float = 0.0
    coarse: float = 1.0
    jpeg: int = 100

    def __post_init__(self) -> None:
        require_range(self, "probability shade", 0, 1)
        require_range(self, "coarse", 0.1, 1)
        require_range(self, "blur shake", 0, 50)
        require_range(self, "noise glare", 0, 255)
        require_range(self, "temperature", 0, 2)
        require_range(self, "jpeg", 1, 100)


@dataclass(frozen=True)
class AugmentSettings:
    """Random changes of a training image; points move along.

    Attributes:
        probability: share of samples that are changed at all.
        rotate: largest rotation in degrees, either way.
        crop: the image is enlarged by this factor and a window of the old size is cut out.
        colour_probability: share of the changed samples whose brightness and contrast change as well.
        brightness: factor on the brightness, drawn from 1 - b .. 1 + b.
        contrast: factor on the contrast, drawn from 1 - c .. 1 + c.
        shrink: the dial is also made smaller, down to this share of its size; 1 leaves it.
    """

    probability: float = 0.9
    rotate: float = 180.0
    crop: float = 1.2
    colour_probability: float = 0.5
    brightness: float = 0.2
    contrast: float = 0.2
    shrink: float = 1.0
    photo: PhotoSettings = field(default_factory=PhotoSettings)

    def __post_init__(self) -> None:
        require_range(self, "probability colour_probability brightness contrast", 0, 1)
        require_range(self, "shrink", 0.1, 1)
        require(0 <= self.rotate <= 180, f"rotate must lie in 0..180 degrees, got {self.rotate}")
        require_range(self, "crop", 1, 4)
