"""What the first answer costs: what is imported on the way to it, and how often the model's file is opened."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from calling import call
from data.test_video import write_video
from kaname.geometry.image import write_image

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
# What an answer does without: parts of training, of other formats and of drawing, and what lies under them.
NEEDLESS = {
    "importlib.metadata", "zipfile", "pickletools", "PIL.PngImagePlugin", "PIL.ImageDraw", "kaname.data.boxes",
    "kaname.data.formats.landmarks_file", "kaname.data.formats.skeleton", "kaname.inference.checkpoint_card",
    "kaname.pipeline.boxes", "kaname.pipeline.presets", "kaname.reporting.overlay",
}  # fmt: skip
OF_A_VIDEO = {"PIL.Image", "multiprocessing", "numpy.ma", "kaname.recipes.tracknet.labels", "kaname.reporting.trail"}
MOST = {"gauge": 80, "tracknet": 97}  # modules of ours: 120 and 137 before they were counted
HEAVY = {"torch", "scipy", "matplotlib", "onnx", "pandas", "transformers", "timm", "ray", "gradio", "jinja2"}
CODE = """
import json, sys
from kaname.cli import main
sys.argv = ["kaname", *sys.argv[1:]]
sessions = []
import onnxruntime
opened = onnxruntime.InferenceSession
class Counted(opened):
    def __init__(self, *given, **named):
        sessions.append(1)
        super().__init__(*given, **named)
onnxruntime.InferenceSession = Counted
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps({"sessions": len(sessions), "modules": sorted(sys.modules)}))
"""


@pytest.mark.parametrize("recipe", ["gauge", "tracknet"])
def test_the_way_to_the_first_answer_is_short(recipe: str, tmp_path: Path) -> None:
    """No package that an answer does not need is imported, and the model is opened once."""
    rng = np.random.default_rng(0)
    source = tmp_path / "a.jpg"
    if recipe == "gauge":
        write_image(source, np.zeros((60, 80, 3), np.uint8))
    else:
        source = write_video(tmp_path / "a.mp4", [rng.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(6)])
    model = GOLDEN / ("gauge.onnx" if recipe == "gauge" else "ball.onnx")
    words = [recipe, "predict", str(source), "--checkpoint", str(model), "--out", str(tmp_path / "o")]
    # a random network's thousand points need a tree
    words += ["--min-score", "0.99", "--no-pictures"] if recipe == "gauge" else []
    ended = subprocess.run([sys.executable, "-c", CODE, *words], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    modules = set(found["modules"])
    assert sorted(HEAVY & modules) == [] and found["sessions"] == 1
    assert sorted((NEEDLESS | (OF_A_VIDEO if recipe == "tracknet" else set())) & modules) == []
    assert len([name for name in modules if name.startswith("kaname")]) <= MOST[recipe]


def test_the_card_alone_opens_nothing() -> None:
    code = "import sys; from kaname.cli import main; sys.argv = ['kaname', 'info', sys.argv[1]]\ntry: main()\n"
    code += "except SystemExit: pass\nprint('onnxruntime' in sys.modules, 'torch' in sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", code, str(GOLDEN / "gauge.onnx")], capture_output=True, text=True, check=True
    ).stdout
    assert said.splitlines()[-1] == "False False"


def test_a_profile_on_the_command_line(tmp_path: Path) -> None:
    """Of a video: every stage by name, and the column of seconds is the time on the wall clock."""
    frames = [np.random.default_rng(n).integers(0, 256, (64, 64, 3), np.uint8) for n in range(12)]
    video = write_video(tmp_path / "a.mp4", frames)
    words = ("tracknet", "predict", video, "--checkpoint", GOLDEN / "ball.onnx", "--out", tmp_path / "out")
    assert "where the time went" not in call(*words).done().out
    said = call(*words, "--profile").done().out.splitlines()
    start = next(number for number, line in enumerate(said) if line.startswith("where the time went: "))
    wall, rows = float(said[start].split()[4]), [line.split() for line in said[start + 2 :] if line.startswith("  ")]
    assert [row[0] for row in rows] == ["start", "write", "decode", "fit", "network", "answer", "other"]
    assert abs(sum(float(row[1]) for row in rows) - wall) < 0.005 * (len(rows) + 1)  # each is rounded
