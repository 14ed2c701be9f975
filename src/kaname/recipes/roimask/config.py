"""The configuration of ``roimask``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from kaname.errors import InputError, require, require_range
from kaname.recipes.roimask import EXTRACTOR, TENSOR
from kaname.training.settings import TrainSettings

WEIGHTS = {
    "inverse": "recommended_class_weights",
    "log": "recommended_log_class_weights",
    "log-k": "log_k_class_weights",
    "separation-aware": "separation_aware_weights",
}
Pair = tuple[int, int]
Range = tuple[float, float]


@dataclass(frozen=True)
class DataSettings:
    """Images with COCO annotations, and which regions of them are trained on.

    Attributes:
        root: folder with ``images/train2017``, ``images/val2017`` and ``annotations``, for images and annotations that
            are not named one by one.
        subset: which of the documented annotation files: ``full``, ``500`` or ``100``.
        images: folder of the training images.
        val_images: folder of the validation images.
        annotations: COCO file of the training images.
        val_annotations: COCO file of the validation images.
        category: name or number of what is masked; 1 is COCO's person.
        crowd: whether pixels of crowds are left out of loss and figures (``ignore``) or are ``background``.
        min_target: instances with a side under so many pixels are no targets, but stay non-targets of others.
        max_targets: largest number of targets of one image in an epoch; each epoch draws others.
        pad: share of a box's sides by which it grows on each side.
        jitter_iou: lowest and highest IoU of moved and scaled training boxes with the true ones; 1,1 keeps them.
        jitter_share: share of the training boxes that are moved; the rest are true boxes.
        hard_share: share of an epoch's places that targets get by the number of others' pixels in their boxes.
        picture_images: names of the images of the validation picture; default: the four documented ones.
    """

    root: Path = Path("data")
    subset: Literal["full", "500", "100"] = "full"
    images: Path | None = None
    val_images: Path | None = None
    annotations: Path | None = None
    val_annotations: Path | None = None
    category: str = "1"
    crowd: Literal["ignore", "background"] = "ignore"
    min_target: float = 16
    max_targets: int = 10
    pad: float = 0.1
    jitter_iou: Range = (0.7, 1.0)
    jitter_share: float = 1.0
    hard_share: float = 0.0
    picture_images: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_range(self, "min_target", 0)
        require_range(self, "max_targets", 1)
        require_range(self, "pad hard_share jitter_share", 0, 1)
        low, high = self.jitter_iou
        require(0 < low <= high <= 1, f"jitter_iou is LOW,HIGH with 0 < LOW <= HIGH <= 1, got {low:g},{high:g}")

    def images_of(self, part: str) -> Path:
        """Folder of the images of ``train`` or ``val``."""
        own = self.images if part == "train" else self.val_images
        return own or self.root / "images" / f"{part}2017"

    def annotations_of(self, part: str) -> Path:
        """The COCO file of ``train`` or ``val``."""
        ending = "" if self.subset == "full" else f"_{self.subset}"
        own = self.annotations if part == "train" else self.val_annotations
        return own or self.root / "annotations" / f"instances_{part}2017_person_only_no_crowd{ending}.json"


@dataclass(frozen=True)
class ExtractorSettings:
    """The frozen network whose features are read.

    Attributes:
        path: an ONNX file that takes one image.
        tensor: name of the tensor to read inside the extractor's file, ``(1, channels, height, width)``.
        order: order of the colours that the extractor takes.
        white: what the extractor's input has for 255: 1 or 255.
        mean, std: ``mean`` is subtracted from the extractor's input, which is then divided by ``std``.
        fit: how an image becomes the extractor's input: ``stretch`` or ``letterbox``.
        size: height and width of the extractor's input, needed where its file leaves them open and of a backbone.
        licence: a note that exports with the extractor carry.
        backbone: torch backbone in place of the extractor's file: ``timm:NAME``, a hub name or a local folder.
        level: which of that backbone's maps is read; 0 is the finest.
        threads: threads of onnxruntime; 0 leaves the choice to it.
    """

    path: Path = Path(EXTRACTOR)
    tensor: str = TENSOR
    order: Literal["RGB", "BGR"] = "RGB"
    white: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    fit: Literal["stretch", "letterbox"] = "stretch"
    size: Pair | None = None
    licence: str = ""
    backbone: str = ""
    level: int = 0
    threads: int = 0


@dataclass(frozen=True)
class HeadSettings:
    """The decoder that is trained; what is not given is the head's own default.

    Attributes:
        name: how the decoder sees a person: ``crop`` (the part of the map in the box), ``roimap`` (the whole map, told
            where the box is) or ``dynamic`` (the whole map, through filters made from the box).
        roi_size: height and width of the grid of RoIAlign; people are tall, 18,10 fits them.
        mask_size: height and width of the grid of the masks.
        width: channels of the head.
        depth: blocks of the head ``crop``; of the others, how often they halve the map.
        first_kernel: side of the first convolution; 1 instead of 3 costs a ninth of its time, which is most of the
            head's.
        norm: normalisation in the head, by ``group`` or ``batch``.
        upsample: how masks grow to their size: at once (``direct``), or in steps (``progressive``).
        sampling_ratio: samples in a cell of RoIAlign along each axis; 0: as many as the box needs.
    """

    name: Literal["crop", "roimap", "dynamic"] = "crop"
    roi_size: Pair | None = None
    mask_size: Pair | None = None
    width: int | None = None
    depth: int | None = None
    first_kernel: int | None = None
    norm: Literal["group", "batch"] | None = None
    upsample: Literal["direct", "progressive"] | None = None
    sampling_ratio: int | None = None


@dataclass(frozen=True)
class LossSettings:
    """What is added up; a term whose weight is 0 is left out.

    Attributes:
        ce_weight: weight of cross-entropy.
        dice_target_weight: weight of Dice on the target.
        dice_non_target_weight: weight of Dice on the others in the box.
        boundary_weight: weight of the term for the target's border.
        contrast_weight: weight of the term that keeps the embeddings of target and non-target apart.
        dice_non_target_from: the epoch, from 1, in which Dice on the others begins to count.
        boundary_from: the epoch, from 1, in which the target's border begins to count.
        class_weights: weights of classes: ``none``, ``inverse``, ``log``, ``log-k``, ``separation-aware``, or numbers
            (0.5,1,2).
        class_weight_clip: lowest and highest weight of a class; others are brought into this range.
        statistics: the file of ``analyze`` that class weights come from; default: ``data_analyze.json`` where it is
            there, else the training annotations are counted.
        focal_gamma: how much less easy cells count in cross-entropy (focal loss); 0: as much as others, 2 is usual.
        focal_classes: whether the focal loss acts on ``all`` classes, or on those of ``persons`` alone.
        tversky: costs of a false and of a missed cell, in Dice's place; 0.5,0.5 is Dice.
        boundary: how the border is told: by the ``distance`` to it, or by the ``laplacian``.
        boundary_error: error of the border's term: ``l1`` or ``bce``.
        contrast: kind of the embeddings' term: ``info-nce`` or ``triplet``.
        embedding: dimensions of the embedding.
        touching_weight: weight of the cells where target and non-target touch; others have 1.
        touching_reach: how near target and non-target must be to touch, in cells.
        border_ignore: width in cells of a strip along every border that does not count.
        inside_weight, outside_weight: weight of cells in the box, and around it, for heads that see the whole map.
        outside: what the truth is around the box: who stands there (``persons``), or ``background`` alone.
    """

    ce_weight: float = 1.0
    dice_target_weight: float = 1.0
    dice_non_target_weight: float = 0.0
    boundary_weight: float = 0.0
    contrast_weight: float = 0.0
    dice_non_target_from: int = 1
    boundary_from: int = 1
    class_weights: str = "log"
    class_weight_clip: Range = (0.0, 10.0)
    statistics: Path | None = None
    focal_gamma: float = 0.0
    focal_classes: Literal["all", "persons"] = "all"
    tversky: Range = (0.5, 0.5)
    boundary: Literal["distance", "laplacian"] = "distance"
    boundary_error: Literal["l1", "bce"] = "bce"
    contrast: Literal["info-nce", "triplet"] = "info-nce"
    embedding: int = 16
    touching_weight: float = 1.0
    touching_reach: int = 3
    border_ignore: int = 0
    inside_weight: float = 1.0
    outside_weight: float = 0.1
    outside: Literal["persons", "background"] = "persons"

    def __post_init__(self) -> None:
        weights = "ce_weight dice_target_weight dice_non_target_weight boundary_weight contrast_weight"
        require_range(self, f"{weights} focal_gamma touching_weight border_ignore inside_weight outside_weight", 0)
        require_range(self, "dice_non_target_from boundary_from embedding touching_reach", 1)
        require(any(getattr(self, name) > 0 for name in weights.split()), "every term of the loss has the weight 0")
        low, high = self.class_weight_clip
        require(0 <= low <= high, f"class_weight_clip is LOW,HIGH, got {low:g},{high:g}")
        self.own_weights()

    def own_weights(self) -> tuple[float, ...] | None:
        """The numbers of ``class_weights``; None where it names a kind.

        Raises:
            InputError: neither numbers nor a known kind.
        """
        if self.class_weights == "none" or self.class_weights in WEIGHTS:
            return None
        try:
            numbers = tuple(float(word) for word in self.class_weights.split(","))
        except ValueError:
            numbers = ()
        if len(numbers) not in (2, 3) or not all(0 <= number < float("inf") for number in numbers):
            known = ", ".join(("none", *WEIGHTS))
            raise InputError(f"class weights are {known} or a number a class, got {self.class_weights!r}")
        return numbers


@dataclass(frozen=True)
class AugmentSettings:
    """Random changes of a training image; masks move along. All but ``flip`` need the extractor to run each time.

    Attributes:
        flip: share of the images that are mirrored.
        scale: images grow or shrink by a factor drawn from 1 - s .. 1 + s.
        crop: images are cut to a window; largest share of each side that is cut off.
        brightness, contrast, saturation: largest change, x: a factor is drawn from 1 - x .. 1 + x.
        grey: share of the images without colour.
        copy_paste: share of the images into which a person of another image is pasted.
    """

    flip: float = 0.5
    scale: float = 0.0
    crop: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    grey: float = 0.0
    copy_paste: float = 0.0

    def __post_init__(self) -> None:
        require_range(self, "flip brightness contrast saturation grey copy_paste", 0, 1)
        for name in ("scale", "crop"):
            require(0 <= getattr(self, name) < 1, f"{name} must be at least 0 and under 1, got {getattr(self, name)}")

    @property
    def needs_extractor(self) -> bool:
        """Whether an image changes otherwise than by a mirror, so that stored features are not its own."""
        names = ("scale", "crop", "brightness", "contrast", "saturation", "grey", "copy_paste")
        return any(getattr(self, name) > 0 for name in names)


@dataclass(frozen=True)
class AnswerSettings:
    """From probabilities to masks; it takes no part in the loss and may change after training.

    Attributes:
        threshold: a pixel belongs to the mask where the target's probability is above this; default: where the target
            is the most probable class.
        rescore: compare the target's share among persons, p1 / (p1 + p2), with ``threshold``, and score masks by it.
        overlap: ``keep`` overlaps of masks, or ``exclusive``: a pixel goes to the mask that is surest of it.
        extractor: where the extractor's file is, if neither where it was in training nor beside the model.
    """

    threshold: float | None = None
    rescore: bool = False
    overlap: Literal["keep", "exclusive"] = "keep"
    extractor: Path | None = None

    def __post_init__(self) -> None:
        fits = self.threshold is None or 0 <= self.threshold < 1
        require(fits, f"the threshold must be at least 0 and below 1, got {self.threshold}")


@dataclass(frozen=True)
class RoimaskConfig:
    """Everything a training run of ``roimask`` depends on.

    Attributes:
        classes: how many classes are told apart: 3 (background, target, non-target) or 2 (background and target).
        cache: the form in which features are kept: ``maps`` whole, ``windows`` around the boxes, ``views``
            (``train.cache_views`` of them, already pooled), ``none``; ``auto``: what is smallest and fits.
        cache_half: keep features in 16 bits; default: where the network computes in 16 bits too.
    """

    data: DataSettings = field(default_factory=DataSettings)
    extractor: ExtractorSettings = field(default_factory=ExtractorSettings)
    classes: Literal[2, 3] = 3
    cache: Literal["auto", "maps", "windows", "views", "none"] = "auto"
    cache_half: bool | None = None
    head: HeadSettings = field(default_factory=HeadSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    answers: AnswerSettings = field(default_factory=AnswerSettings)
    train: TrainSettings = field(
        default_factory=lambda: replace(
            TrainSettings(), batch_size=16, optimizer="adamw", lr=1e-3, weight_decay=1e-4, clip=5.0, ema=0.999
        )
    )

    def __post_init__(self) -> None:
        own = self.loss.own_weights()
        fits = own is None or len(own) == self.classes
        require(fits, f"{0 if own is None else len(own)} class weights for {self.classes} classes", "give one a class")
        if self.classes == 2:
            about = {"dice_non_target_weight": "Dice", "contrast_weight": "contrast"}
            for name, what in about.items():
                reason = f"{what} of the non-target needs its class, and there are 2 classes"
                require(getattr(self.loss, name) == 0, reason, f"leave out {name}, or use 3 classes")
        if self.augment.needs_extractor:
            stored = self.cache in ("maps", "windows", "views") or self.train.cache_views
            reason = "stored features are those of unchanged images, and the augmentation changes them"
            require(not stored, reason, "keep flip alone, or use cache=none")
        parts = "windows" if self.cache == "windows" else "views"
        whole = self.head.name == "crop" or not (self.cache in ("windows", "views") or self.train.cache_views)
        require(whole, f"the head {self.head.name} sees the whole map, not {parts}", "use cache=maps or auto")
        views = self.cache != "views" or self.train.cache_views > 0
        require(views, "cache=views needs their number", "give --cache-views")
