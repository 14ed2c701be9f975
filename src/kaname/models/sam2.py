"""Objects through a video by their prompts: the protocol of what follows them, and SAM 2.1 behind it.

A propagator gets a stretch of frames one at a time, in order or backwards, and lets each go: nothing but the prompted
frames and the last few are remembered, so that memory is that of a short stretch however long the video is.
transformers' session of SAM 2 keeps every frame, every output and every memory that it was ever given; what the model
reads of them is known (`Sam2Propagator.held`), and the rest is removed after each frame.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kaname.errors import InputError
from kaname.extras import require_package
from kaname.geometry.grid import PIXELS
from kaname.shapes import Bool, Float64
from kaname.types import Image

if TYPE_CHECKING:
    import torch

# What the sizes of SAM 2.1 differ in, by the name of Meta's configuration file.
SIZES: dict[str, dict[str, Any]] = {
    "sam2.1_hiera_t": {
        "hidden_size": 96, "num_attention_heads": 1, "blocks_per_stage": [1, 2, 7, 2],
        "embed_dim_per_stage": [96, 192, 384, 768], "num_attention_heads_per_stage": [1, 2, 4, 8],
        "window_size_per_stage": [8, 4, 14, 7], "global_attention_blocks": [5, 7, 9],
        "window_positional_embedding_background_size": [7, 7],
    },
    "sam2.1_hiera_s": {
        "hidden_size": 96, "num_attention_heads": 1, "blocks_per_stage": [1, 2, 11, 2],
        "embed_dim_per_stage": [96, 192, 384, 768], "num_attention_heads_per_stage": [1, 2, 4, 8],
        "window_size_per_stage": [8, 4, 14, 7], "global_attention_blocks": [7, 10, 13],
        "window_positional_embedding_background_size": [7, 7],
    },
    "sam2.1_hiera_b+": {
        "hidden_size": 112, "num_attention_heads": 2, "blocks_per_stage": [2, 3, 16, 3],
        "embed_dim_per_stage": [112, 224, 448, 896], "num_attention_heads_per_stage": [2, 4, 8, 16],
        "window_size_per_stage": [8, 4, 14, 7], "global_attention_blocks": [12, 16, 20],
        "window_positional_embedding_background_size": [14, 14],
    },
    "sam2.1_hiera_l": {
        "hidden_size": 144, "num_attention_heads": 2, "blocks_per_stage": [2, 6, 36, 4],
        "embed_dim_per_stage": [144, 288, 576, 1152], "num_attention_heads_per_stage": [2, 4, 8, 16],
        "window_size_per_stage": [8, 4, 16, 8], "global_attention_blocks": [23, 33, 43],
        "window_positional_embedding_background_size": [7, 7],
    },
}  # fmt: skip


def _no_points() -> Float64[np.ndarray, "0 2"]:
    return np.zeros((0, 2))


@dataclass(frozen=True)
class Prompt:
    """What is known of one object in one frame: its mask, or clicks.

    Attributes:
        mask: ``(height, width)``; it counts where it is given.
        inside: ``(n, 2)`` clicks on the object, pixels of the frame.
        outside: ``(m, 2)`` clicks beside it.
    """

    mask: Bool[np.ndarray, "height width"] | None = None
    inside: Float64[np.ndarray, "n 2"] = field(default_factory=_no_points)
    outside: Float64[np.ndarray, "m 2"] = field(default_factory=_no_points)


Prompts = Mapping[int, Mapping[int, Prompt]]
"""By the frame's place in a stretch, then by object."""


class Propagator(Protocol):
    """What follows objects along a stretch of frames."""

    def track(
        self, read: Callable[[int], Image], prompts: Prompts, order: Sequence[int]
    ) -> Iterator[tuple[int, dict[int, Bool[np.ndarray, "height width"]]]]:
        """Follow objects from the first frame of a stretch to its last.

        Args:
            read: the frame at a place, RGB; prompted frames may be read twice, others once and in order.
            prompts: at the first place for every object that is followed, and for some of them at other places, on the
                way or beyond its end.
            order: the places to walk along, consecutive and rising or falling.

        Yields:
            Each place with each object's mask there, ``(height, width)`` of the frame.
        """
        ...


class Sam2Propagator:
    """SAM 2.1 of transformers as a `Propagator`.

    Args:
        model: a ``Sam2VideoModel``.
        processor: its ``Sam2VideoProcessor``.
        device: where it runs.

    Attributes:
        held: the session's tensors and their bytes after the last frame, for whoever watches memory.
    """

    def __init__(self, model: Any, processor: Any, device: torch.device | str = "cpu") -> None:
        self.model, self.processor, self.device = model.to(device).eval(), processor, device
        self.held: tuple[int, int] = (0, 0)

    def track(
        self, read: Callable[[int], Image], prompts: Prompts, order: Sequence[int]
    ) -> Iterator[tuple[int, dict[int, Bool[np.ndarray, "height width"]]]]:
        """See `Propagator.track`."""
        session = self.processor.init_video_session(inference_device=self.device, dtype=self.model.dtype)
        backwards = len(order) > 1 and order[1] < order[0]
        first = {}
        for place in sorted(prompts, key=lambda place: abs(place - order[0])):
            frame = read(place)
            self._prompt(session, place, prompts[place], frame.shape[:2])
            answer = self._step(session, place, frame, backwards)
            first = first or answer
        for state in session.output_dict_per_obj.values():  # of objects without a prompt at a later prompted place
            state["non_cond_frame_outputs"].clear()
        self._forget(session, order[0], backwards)
        yield order[0], first
        for place in order[1:]:
            answer = self._step(session, place, read(place), backwards)
            self._forget(session, place, backwards)
            yield place, answer

    def _prompt(self, session: Any, place: int, prompts: Mapping[int, Prompt], size: tuple[int, int]) -> None:
        side = self.processor.target_size
        scale = np.array([side / size[1], side / size[0]])
        for number, prompt in prompts.items():
            if prompt.mask is not None:
                self.processor.add_inputs_to_inference_session(
                    session, frame_idx=place, obj_ids=number, input_masks=prompt.mask, original_size=size
                )
                continue
            points = np.concatenate([prompt.inside, prompt.outside])
            # The model adds half of one of its own pixels to each click.
            points = PIXELS.to_index(points * scale) / scale
            labels = [1] * len(prompt.inside) + [0] * len(prompt.outside)
            self.processor.add_inputs_to_inference_session(
                session, frame_idx=place, obj_ids=number, input_points=[[points.tolist()]],
                input_labels=[[labels]], original_size=size,
            )  # fmt: skip
        session.obj_with_new_inputs = list(prompts)  # each call above leaves its own object alone there

    def _step(
        self, session: Any, place: int, frame: Image, backwards: bool
    ) -> dict[int, Bool[np.ndarray, "height width"]]:
        pixels = self.processor(images=frame, device=self.device, return_tensors="pt").pixel_values[0]
        answer = self.model(session, frame=pixels.to(self.model.dtype), frame_idx=place, reverse=backwards)
        size = [list(frame.shape[:2])]
        masks = self.processor.post_process_masks([answer.pred_masks.float()], original_sizes=size)[0][:, 0]
        return dict(zip(answer.object_ids, masks.cpu().numpy(), strict=True))

    def _forget(self, session: Any, place: int, backwards: bool) -> None:
        """Remove what the model will not read again."""
        config = self.model.config
        session.processed_frames.clear()
        session.cache.clear_all()
        for inputs in (session.point_inputs_per_obj, session.mask_inputs_per_obj, session.frames_tracked_per_obj):
            for own in inputs.values():
                own.clear()
        for state in session.output_dict_per_obj.values():
            for outputs in state.values():
                for output in outputs.values():
                    output.pop("high_res_masks", None)
            passed = state["non_cond_frame_outputs"]
            for number in list(passed):
                age = number - place if backwards else place - number
                if age >= config.max_object_pointers_in_encoder - 1:
                    del passed[number]
                elif age >= config.num_maskmem - 1:
                    passed[number] = {"object_pointer": passed[number]["object_pointer"]}
        self.held = _held(session)


def _held(session: Any) -> tuple[int, int]:
    """How many tensors a session holds, and their bytes; a view counts for all of its memory."""
    outputs = [
        value
        for state in session.output_dict_per_obj.values()
        for own in state.values()
        for output in own.values()
        for value in output.values()
    ]
    features = [value for frame in session.cache._vision_features.values() for value in frame.values()]
    lists = [value if isinstance(value, (list, tuple)) else [value] for value in features]
    frames = list((session.processed_frames or {}).values())
    masks = [value for own in session.mask_inputs_per_obj.values() for value in own.values()]
    tensors = [*outputs, *(value for one in lists for value in one), *frames, *masks]
    storages = {value.untyped_storage().data_ptr(): value.untyped_storage().nbytes() for value in tensors}
    return len(tensors), sum(storages.values())


def require_installed() -> None:
    """Raise an `InputError` where SAM 2 cannot run; neither torch nor transformers is imported for that."""
    for name in ("torch", "transformers"):
        require_package(name, "SAM 2")
    found = importlib.util.find_spec("transformers")
    if found is not None and not (Path(str(found.origin)).parent / "models" / "sam2_video").is_dir():
        raise InputError("this transformers has no SAM 2 for video", remedy="pip install --upgrade transformers")


def config_of(size: str) -> Any:
    """The ``Sam2VideoConfig`` of one of `SIZES`."""
    from transformers import Sam2HieraDetConfig, Sam2VideoConfig, Sam2VisionConfig

    differing = SIZES[size]
    vision = Sam2VisionConfig(
        backbone_config=Sam2HieraDetConfig(**differing), backbone_channel_list=differing["embed_dim_per_stage"][::-1]
    )
    return Sam2VideoConfig(vision_config=vision)


def size_of(config: Any) -> str | None:
    """Which of `SIZES` a ``Sam2VideoConfig`` is; None for another network."""
    backbone = config.vision_config.backbone_config
    for name, differing in SIZES.items():
        if all(_plain(getattr(backbone, key, None)) == value for key, value in differing.items()):
            return name
    return None


def processor_of(config: Any) -> Any:
    """The ``Sam2VideoProcessor`` of a network, for weights that come without one."""
    from transformers import Sam2ImageProcessor, Sam2VideoProcessor, Sam2VideoVideoProcessor

    side = config.image_size
    size, quarter = {"height": side, "width": side}, {"height": side // 4, "width": side // 4}
    images = Sam2ImageProcessor(size=size, mask_size=quarter)
    return Sam2VideoProcessor(image_processor=images, video_processor=Sam2VideoVideoProcessor(size=size))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value
