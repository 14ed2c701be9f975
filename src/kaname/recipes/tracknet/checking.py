"""Everything that is wrong with a data set, and frames that leak from one set into another. No torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kaname.data.formats import tracknet as label_files
from kaname.data.split import by_folder, near_duplicates, prints
from kaname.errors import InputError
from kaname.recipes.tracknet.labels import SETS, check_lengths, sets
from kaname.recipes.tracknet.scoring import data_settings


def check_data(data: str, *, leaks: bool) -> list[InputError]:
    """The problems of a data set; prints what it holds.

    Args:
        data: a data folder, or a configuration by name or path.
        leaks: also compare the frames of the sets with each other.
    """
    settings = data_settings(data)
    assert settings is not None
    found = label_files.problems(settings.root)
    if found:
        return found
    try:
        chosen = sets(settings)
        for name in SETS:
            check_lengths(chosen[name], settings.sequence.length)
    except InputError as error:
        return [error]
    for name in SETS:
        clips = chosen[name]
        frames = sum(len(clip.frames) for clip in clips)
        seen = np.bincount(np.concatenate([clip.visibility for clip in clips]), minlength=4) if clips else np.zeros(4)
        games = ", ".join(dict.fromkeys(clip.name.split("/")[0] for clip in clips))
        print(
            f"{name}: {len(clips)} clips, {frames} frames ({games or 'none'}); "
            f"no ball {int(seen[0])}, easy {int(seen[1])}, hard {int(seen[2])}, occluded {int(seen[3])}"
        )
    if not leaks:
        return []
    frames_of = {name: [path for clip in chosen[name] for path in clip.frames] for name in SETS}
    known = {name: prints(paths) for name, paths in frames_of.items() if paths}
    names = list(known)
    return [
        _leak(one, first, other, second, count)
        for number, first in enumerate(names) for second in names[number + 1 :]
        for one, other, count in by_folder(near_duplicates(known[first], known[second]))
    ]  # fmt: skip


def _leak(one: Path, first: str, other: Path, second: str, count: int) -> InputError:
    return InputError(
        f"{count} frames ({first}) are near copies of frames of {other} ({second}): scores would be too good",
        path=one, remedy="move the clips into one set",
    )  # fmt: skip
