"""``python -m kaname``: the same as the command ``kaname``."""

from kaname.cli import main

main()
