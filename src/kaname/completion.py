"""``kaname completion``: what a shell must be told so that Tab completes commands, options and their values."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from cyclopts import Parameter

INSTALL = {
    "bash": "kaname completion bash > ~/.local/share/bash-completion/completions/kaname",
    "zsh": 'kaname completion zsh > "${fpath[1]}/_kaname"',
}


def completion(shell: Annotated[Literal["bash", "zsh"], Parameter(help="Whose script is printed.")], /) -> None:
    """Tab completion for bash and zsh: prints a script; its first lines say where to put it."""
    from kaname.cli import build

    script = build().generate_completion(prog_name="kaname", shell=shell)
    note = f"# To keep it: {INSTALL[shell]}   (the folder must exist; then open a new shell)\n"
    first, _, rest = script.partition("\n")  # zsh reads its first line
    sys.stdout.write(f"{first}\n{note}{rest}")
