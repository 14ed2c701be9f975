"""The frame of the page, in Gradio 5 and 6: places for the picture and the lists, and the buttons.

The buttons call the script of the page (``page.js``) and not Python: a click would otherwise wait for Gradio's queue.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import os
from typing import Any

from kaname.apps.annotation.guard import OURS

HEAD = (
    f'<link rel="stylesheet" href="{OURS}files/page.css">'
    f'<script type="module" src="{OURS}files/page.js"></script>'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
)
STAGE = """
<div id="kn-stage">
  <canvas id="kn-canvas" tabindex="0" role="application" aria-label="The picture: click to place a point"></canvas>
  <div id="kn-hint" role="status" aria-live="polite"></div>
  <div id="kn-zoom">
    <button type="button" data-do="zoom_out" title="Smaller (-)" aria-label="Smaller">&minus;</button>
    <button type="button" data-do="fit" title="Whole picture (0)" id="kn-scale">fit</button>
    <button type="button" data-do="zoom_in" title="Larger (+)" aria-label="Larger">+</button>
  </div>
</div>
"""
STATUS = """
<div id="kn-status">
  <div class="kn-row"><strong id="kn-where">&hellip;</strong><span id="kn-file"><bdi></bdi></span></div>
  <div class="kn-bar" role="progressbar" aria-label="finished images" id="kn-bar"><i></i></div>
  <div class="kn-row kn-small"><span id="kn-done"></span><span id="kn-kept"></span></div>
  <div id="kn-warning" hidden></div>
</div>
"""
GUIDE = """
<div id="kn-guide">
  <div id="kn-next">
    <span id="kn-next-number"></span><div><b id="kn-next-name"></b><small id="kn-next-group"></small></div>
  </div>
  <svg id="kn-reference" viewBox="0 0 100 100" role="img" aria-label="Where the next point belongs"></svg>
  <div id="kn-points" role="listbox" aria-label="Points"></div>
  <div id="kn-faces"></div>
</div>
"""
KEYS = """
<details id="kn-keys"><summary>Keys</summary><table>
<tr><td><kbd>n</kbd> <kbd>p</kbd></td><td>next, previous image</td></tr>
<tr><td><kbd>u</kbd></td><td>next unfinished image</td></tr>
<tr><td><kbd>s</kbd></td><td>save</td></tr>
<tr><td><kbd>z</kbd> <kbd>Shift</kbd>+<kbd>z</kbd></td><td>undo, redo</td></tr>
<tr><td><kbd>&larr;</kbd> <kbd>&rarr;</kbd> ...</td><td>move the point by a pixel (<kbd>Shift</kbd>: ten)</td></tr>
<tr><td><kbd>[</kbd> <kbd>]</kbd></td><td>choose the point before, after</td></tr>
<tr><td><kbd>Esc</kbd></td><td>choose nothing: clicks set the next point</td></tr>
<tr><td><kbd>h</kbd></td><td>hidden: it is there, placed by guess</td></tr>
<tr><td><kbd>a</kbd></td><td>absent: the picture does not have it</td></tr>
<tr><td><kbd>Del</kbd></td><td>take the point away</td></tr>
<tr><td><kbd>m</kbd></td><td>mean face from two clicks</td></tr>
<tr><td><kbd>b</kbd></td><td>draw the face's box</td></tr>
<tr><td><kbd>+</kbd> <kbd>-</kbd> <kbd>0</kbd></td><td>zoom (or the wheel); whole picture</td></tr>
<tr><td><kbd>f</kbd></td><td>the face as large as it fits</td></tr>
<tr><td><kbd>Space</kbd>+drag</td><td>move the picture (or the right button)</td></tr>
<tr><td><kbd>Shift</kbd>+click</td><td>place, even on top of another point</td></tr>
</table></details>
"""
# Rows of (words, what the script does).
BUTTONS = (
    (("Save Annotation", "save"),),
    (
        ("Previous", "previous"),
        ("Next", "next"),
        ("Next Unfinished", "unfinished"),
    ),
    (
        ("Clear Last", "clear_last"),
        ("Clear All", "clear_all"),
        ("Undo", "undo"),
        ("Redo", "redo"),
    ),
    (("Hidden", "hidden"), ("Absent", "absent"), ("Face Box", "box")),
    (("Mean Face", "mean"), ("Propose", "propose"), ("Revert", "revert")),
)


def mounted(app: Any, title: str) -> Any:
    """``app`` with Gradio's page at its root."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported
    import gradio

    # Fonts of the system: Gradio's own come from the network.
    fonts: dict[str, Any] = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    looks: dict[str, Any] = {"theme": gradio.themes.Default(**fonts), "head": HEAD}
    wanted = inspect.signature(gradio.Blocks).parameters  # Gradio 6 has moved the looks from here to the mounting
    own = {name: value for name, value in looks.items() if name in wanted}
    known = inspect.signature(gradio.HTML).parameters
    bare: dict[str, Any] = {name: False for name in ("padding", "apply_default_css") if name in known}
    title = f"{title} - kaname annotate"
    blocks = gradio.Blocks(title=title, analytics_enabled=False, fill_width=True, **own)
    with blocks, gradio.Row(elem_id="kn-main"):
        with gradio.Column(scale=4, min_width=300, elem_id="kn-left"):
            gradio.HTML(STAGE, **bare)
        with gradio.Column(scale=0, min_width=320, elem_id="kn-right"):
            gradio.HTML(STATUS, **bare)
            gradio.HTML(GUIDE, **bare)
            with gradio.Column(elem_id="kn-buttons"):
                for row in BUTTONS:
                    with gradio.Row(elem_classes="kn-buttons-row"):
                        for words, action in row:
                            look = "primary" if action == "save" else "secondary"
                            button = gradio.Button(words, variant=look, size="sm", elem_id=f"kn-do-{action}")
                            button.click(None, js=f"() => {{ window.kaname.run('{action}') }}")
            gradio.HTML(KEYS, **bare)
    rest = {name: value for name, value in looks.items() if name not in own}
    with contextlib.redirect_stdout(io.StringIO()):  # Gradio 5 prints a word of its own here
        return gradio.mount_gradio_app(app, blocks, path="", ssr_mode=False, **rest)
