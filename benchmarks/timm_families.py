"""Every family of timm as a backbone: works, or one clear line. Random weights, one small model of each family.

    python benchmarks/timm_families.py [--size 256] [--family NAME ...]

A family is a module of timm. "Works" is: built for inputs of the size, all maps on whole cells, and the same modules
again from the description, so that a checkpoint can be opened.
"""

from __future__ import annotations

import argparse
import re
import time

import timm
import torch

from kaname.errors import InputError
from kaname.models.backbones import build_backbone

# Small members by their names, the smallest first.
SMALL = ("atto", "femto", "pico", "nano", "_xxs|xxsmall", "_xs|xsmall|extra_tiny", "_ti_|tiny|_t_|_ti$|_t0", "mini",
         "_s_|small|_s0|s12|_050|128s|_0$|b0", "18|10|11|16", "base|_b_")  # fmt: skip


LARGE = ("deepseek_vit", "gemma4_vit", "qwen3_vit")  # take gigabytes; only where they are asked for


def member(family: str) -> str:
    """A small model of a family."""
    names = [name for name in timm.list_models(module=family) if not name.startswith("test_")]
    names = names or timm.list_models(module=family)
    for pattern in SMALL:
        if found := [name for name in names if re.search(pattern, name)]:
            return min(found, key=lambda name: (len(name), name))
    return min(names, key=lambda name: (len(name), name))


def outcome(name: str, side: int) -> str:
    """What becomes of a model."""
    try:
        backbone = build_backbone(f"timm:{name}", pretrained=False, size=(side, side)).eval()
        if side % backbone.multiple:  # the recipes name the nearest size that divides
            side = -(-side // backbone.multiple) * backbone.multiple
            backbone = build_backbone(f"timm:{name}", pretrained=False, size=(side, side)).eval()
        with torch.no_grad():
            maps = backbone(torch.zeros(1, 3, side, side))
        again = build_backbone(description=backbone.description)
        again.load_state_dict(backbone.state_dict())
        return f"works: strides {', '.join(map(str, backbone.strides))}, {len(maps)} maps at {side} x {side}"
    except InputError as error:
        return f"refused: {error}"
    except Exception as error:  # what this benchmark is for
        return f"FAULT: {type(error).__name__}: {str(error).splitlines()[0][:100]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="side of the inputs")
    parser.add_argument("--family", nargs="*", default=None, help="modules of timm; default: all")
    given = parser.parse_args()
    torch.manual_seed(0)
    counts: dict[str, int] = {"works": 0, "refused": 0, "FAULT": 0}
    for family in given.family or [one for one in timm.list_modules() if one not in LARGE]:
        name, started = member(family), time.monotonic()
        line = outcome(name, given.size)
        counts[line.split(":")[0]] += 1
        print(f"{family:<22}{name:<36}{time.monotonic() - started:5.1f} s  {line}", flush=True)
    print(", ".join(f"{value} {name}" for name, value in counts.items()))


if __name__ == "__main__":
    main()
