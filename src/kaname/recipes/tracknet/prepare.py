"""``split``: the games of a data set, or the clips of a game, in sets, as a file that ``--data`` takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kaname.data.formats import tracknet as label_files
from kaname.errors import InputError
from kaname.files import write_text
from kaname.pipeline.flags import report_problems
from kaname.pipeline.split import SETS, SplitFlags, Unit, divide, say_next, shares_of
from kaname.recipes.tracknet import labels
from kaname.recipes.tracknet.evaluate import data_settings
from kaname.yaml12 import parse_yaml, write_yaml

CLIP, GAME = "clip", "game"


def split(data: str, out: Path, flags: SplitFlags) -> None:
    """Write ``out``: the data with its three lists of games and clips.

    Args:
        data: what ``--data`` names.
        out: a YAML file.
        flags: with ``group`` ``clip`` whole clips stay together, else whole games, where there are several.

    Raises:
        InputError: bad usage or labels, fewer games (of one game: clips) than sets; nothing is written then.
    """
    shares_of(flags)
    if out.suffix.lower() not in (".yaml", ".yml"):
        raise InputError(f"--out names a YAML file, got {out}", remedy=f"{out}.yaml")
    settings = data_settings(data)
    report_problems(label_files.problems(settings.root))
    clips = labels.clips(label_files.read(settings.root))
    several = len(labels.games_of(clips)) > 1
    if not several and flags.group in (None, GAME):
        print(f"one game, {clips[0].game}: its clips are divided, so figures will tell of this match alone")
    whole = several and flags.group in (None, GAME)
    own = {clip.source: ((GAME, clip.game) if whole else (CLIP, clip.source),) for clip in clips}
    if flags.group in (CLIP, GAME):
        flags = replace(flags, group=None)
    units = [Unit(f"{clip.source}/{path.name}", path, own[clip.source]) for clip in clips for path in clip.frames]
    sources = [clip.source for clip in clips for _ in clip.frames]
    parts = divide(units, flags, what="frames")
    chosen = {name: {sources[number] for number in members} for name, members in parts.items()}
    lists = {f"{name}_games": _games(clips, chosen.get(name, set())) for name in SETS}
    content = {**_own_keys(data), "root": settings.root.resolve().as_posix(), "split": lists}
    write_text(out, write_yaml(content))
    for name in SETS:
        if named := lists[f"{name}_games"]:
            print(f"{name}: {', '.join(named)}")
    say_next(["tracknet", "check", "--data", out], ["tracknet", "train", "--data", out])


def _own_keys(data: str) -> dict[str, Any]:
    """What the file that ``--data`` names sets; of a folder nothing, so that the network's preset still counts."""
    file, extra = labels.data_group(data)
    return {} if extra else dict(parse_yaml(file.read_text(encoding="utf-8"), path=file) or {})


def _games(clips: Sequence[labels.Clip], chosen: set[str]) -> list[str]:
    """The games that are wholly chosen, and the chosen clips of others."""
    named: list[str] = []
    for game in labels.games_of(clips):
        own = [clip.source for clip in clips if clip.game == game]
        named += [game] if chosen.issuperset(own) else [source for source in own if source in chosen]
    return named
