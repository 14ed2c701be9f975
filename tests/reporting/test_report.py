from __future__ import annotations

import base64
import doctest
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kaname.errors import InputError
from kaname.inference.model import Model
from kaname.metrics.calibration import calibration
from kaname.pipeline.evaluate import conditions
from kaname.reporting import report as module
from kaname.reporting.page import Picture, Text
from kaname.reporting.report import Headline, Report, Speed, data_hash, versions, write_report
from kaname.types import Points

EVIL = '<script>alert("x")</script>&"\'><img src=x onerror=alert(1)>'
PARTS = ("figures", "pictures", "calibration", "curves", "speed", "config")


def test_doctests() -> None:
    assert doctest.testmod(module).failed == 0


def picture(seed: int, size: tuple[int, int] = (240, 320)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def log(folder: Path, epochs: int = 12) -> Path:
    lines = [f"{i},{i * 10},{0.1 / i},{1 / i},{1.1 / i},{0.5 + i / 100},2.5" for i in range(1, epochs + 1)]
    path = folder / "log.csv"
    path.write_text("\n".join(["epoch,step,lr,train_loss,val_loss,val_pck,seconds", *lines]) + "\n", encoding="utf-8")
    return path


def full(folder: Path, name: str = "photo.jpg", **more: Any) -> Report:
    """A page with everything on it; ``name`` stands wherever a text of the user's can stand."""
    rng = np.random.default_rng(0)
    scores = rng.random(400)
    bins = calibration(scores, np.where(rng.random(400) < scores, 1.0, 50.0), 10)
    entry = {"value": 0.91, "low": 0.87, "high": 0.95, "n": 40}
    empty = {"value": None, "low": None, "high": None, "n": 0, "reason": f"no {name}"}
    values: dict[str, Any] = {
        "title": f"gauge: {name}", "subtitle": name, "notes": [f"random weights {name}", "scored on training images"],
        "metrics": {"middle": {"f1": entry, "pck": {**entry, "excluded": 3}}, name: {"f1": empty}, "settings": {}},
        "headline": [Headline("F1", "middle", "f1"), Headline(name, name, "f1", "px")], "log": log(folder),
        "worst": [Picture(picture(1), f"{name}: F1 0.10")], "best": [Picture(picture(2), f"{name}: F1 1.00")],
        "pictures_note": "Rings are true.", "calibration": {name: bins}, "calibration_note": "Right within 10 px.",
        "speed": {"images per second": 41.5, "device": name}, "config": {"train": {"lr": 0.1}, "data": name},
        "command": f"kaname gauge evaluate --data '{name}'", "data": {"folder": name, "hash": "sha256:0"},
    }  # fmt: skip
    return Report(**{**values, **more})


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_everything_is_on_the_page(tmp_path: Path) -> None:
    page = text_of(write_report(tmp_path / "report.html", full(tmp_path)))
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings == ["Read this first", "At a glance", "Figures", "Worst", "Best", "Does the score mean what it "
                        "says?", "Score against error", "Training", "Speed", "Configuration", "Command",
                        "Data and versions"]  # fmt: skip
    assert "Not here" not in page
    for part in ("0.870 to 0.950", "random weights", "found (PCK): 3", "polyline", "expected calibration error", "41.5",
                 "lr: 0.1", "kaname gauge evaluate", "sha256:0", "numpy", "12 epochs in 30 s"):  # fmt: skip
        assert part in page, part
    assert page.count("data:image/jpeg;base64,") == 2
    assert re.findall(r'href="#(part-\d+)"', page) == re.findall(r'<section id="(part-\d+)"', page)


def test_the_page_opens_offline(tmp_path: Path) -> None:
    page = text_of(write_report(tmp_path / "report.html", full(tmp_path)))
    assert not re.search(r"https?:|<script|@import|url\(|<iframe|<object", page)
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "default-src 'none'" in page and "prefers-color-scheme: dark" in page
    assert [item.name for item in tmp_path.iterdir() if "partial" in item.name] == []


def test_names_are_never_markup(tmp_path: Path) -> None:
    page = text_of(write_report(tmp_path / "report.html", full(tmp_path, EVIL)))
    assert "<script" not in page and "onerror=alert(1)>" not in page.replace("&gt;", "")
    assert page.count("&lt;script&gt;alert") > 10
    bare = re.sub(r'"[^"]*"', "", page)
    assert "<img src=x" not in bare
    assert not re.search(r"<(?!/?(?:html|head|meta|title|link|style|body|main|h1|h2|p|nav|a|section|ul|li|dl|div|dt|dd|"
                         r"span|small|table|thead|tbody|tr|th|td|figure|figcaption|label|input|img|details|summary|pre|"
                         r"code|svg|text|path|rect|circle|polyline)\b)[^!]", bare)  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
def test_what_is_missing_is_said(tmp_path: Path, part: str) -> None:
    page = text_of(write_report(tmp_path / "report.html", Report("bare", missing={part: "the <dog> ate it"})))
    assert page.count("Not here:") == len(PARTS)
    assert "Not here: the &lt;dog&gt; ate it." in page


def test_a_log_that_is_none(tmp_path: Path) -> None:
    wrong = tmp_path / "log.csv"
    wrong.write_text("no,log\n1,2\n", encoding="utf-8")
    assert "not a log of a run" in text_of(write_report(tmp_path / "report.html", Report("a", log=wrong)))
    wrong.write_text("epoch,train_loss\n", encoding="utf-8")
    assert "has no epoch" in text_of(write_report(tmp_path / "report.html", Report("a", log=wrong)))


def test_the_page_stays_under_five_megabytes(tmp_path: Path) -> None:
    """Forty pictures of pure noise, which no format makes small, and far too much text."""
    noise = [Picture(picture(i, (1200, 1600)), f"{i}.jpg") for i in range(20)]
    report = full(
        tmp_path, worst=noise, best=noise, config={"text": "x" * 3_000_000}, command="y" * 3_000_000,
        notes=[f"note {i}" for i in range(9000)], log=log(tmp_path, 20_000),
    )  # fmt: skip
    path = write_report(tmp_path / "report.html", report)
    assert path.stat().st_size < 5_000_000
    page = text_of(path)
    assert page.count("data:image/jpeg;base64,") == 40, "pictures shrink before one is left out"
    assert "and 8970 more" in page and "characters more" in page


def test_pictures_that_find_no_room_are_named(tmp_path: Path) -> None:
    many = [Picture(picture(i, (400, 400)), f"{i}.jpg") for i in range(250)]
    path = write_report(tmp_path / "report.html", full(tmp_path, worst=many))
    page = text_of(path)
    assert path.stat().st_size < 5_000_000 and "249.jpg" in page and "would grow too large" in page


def test_a_page_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_report(tmp_path / "file" / "report.html", Report("a"))


def test_the_hash_is_that_of_the_content(tmp_path: Path) -> None:
    def samples(folder: str, label: bytes = b"1", content: bytes = b"image") -> list[tuple[Path, bytes]]:
        (tmp_path / folder).mkdir(exist_ok=True)
        for name in ("a", "b"):
            (tmp_path / folder / name).write_bytes(content)
        return [(tmp_path / folder / "a", label), (tmp_path / folder / "b", b"2")]

    first = data_hash(samples("one"))
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", first)
    assert data_hash(reversed(samples("two"))) == first, "neither folder nor order counts"
    assert len({first, data_hash(samples("one", b"3")), data_hash(samples("one", content=b"larger")),
                data_hash(samples("one")[:1])}) == 4  # fmt: skip
    with pytest.raises(InputError, match="cannot be read"):
        data_hash([(tmp_path / "none", b"")])


def test_speed_leaves_the_first_image_out() -> None:
    speed = Speed()
    speed.seconds = {"reading": [9.0, 0.1, 0.1], "network": [9.0, 0.3, 0.5]}
    rows = speed.rows()
    assert rows["images per second"] == 2 and rows["images measured"] == 2
    assert rows["network, ms per image (median)"] == 400
    assert Speed().rows() == {}
    assert {"kaname", "python", "numpy"} <= set(versions())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_chromium_shows_it_on_a_telephone(tmp_path: Path, chromium: str, scheme: str) -> None:
    """No message, no request, no picture broken, nothing wider than 400 pixels, text that stands out."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = write_report(tmp_path / "report.html", full(tmp_path, "ein_sehr_langer_dateiname_" * 8 + EVIL))
    seen: list[str] = []
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 400, "height": 800}, color_scheme=scheme)
        page.on("console", lambda message: seen.append(message.text))
        page.on("dialog", lambda dialog: seen.append("a script ran"))
        page.on("request", lambda request: seen.append(request.url) if request.url.startswith("http") else None)
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(item => item.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
        colours = page.evaluate("[getComputedStyle(document.body).color, getComputedStyle(document.body).background]")
        shot = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("L")
        browser.close()
    assert seen == []
    dark = np.array(shot.resize((40, 400)), dtype=float).mean() < 128
    assert dark == (scheme == "dark"), colours


def test_pictures_keep_their_look(tmp_path: Path) -> None:
    plain = np.full((60, 90, 3), (200, 30, 30), np.uint8)
    page = text_of(write_report(tmp_path / "report.html", full(tmp_path, worst=[Picture(plain, "red")], best=[])))
    (encoded,) = re.findall(r"data:image/jpeg;base64,([^\"]+)", page)
    back = np.array(Image.open(io.BytesIO(base64.b64decode(encoded))))
    assert back.shape == plain.shape and np.abs(back.astype(int) - plain).max() < 6


def test_speed_of_a_network_that_sees_several_frames_at_once() -> None:
    speed = Speed("frame")
    speed.seconds = {"reading": [0.1] * 6, "network": [9.0, 0.6]}
    rows = speed.rows()
    assert rows["frames per second"] == pytest.approx(1 / (0.1 + 0.6 / 3), abs=0.01)
    assert rows["network, ms per frame (median)"] == 200 and rows["frames measured"] == 5
    double = speed.timed("doubling", lambda value: 2 * value)
    assert double(4) == 8 and len(speed.seconds["doubling"]) == 1


def test_conditions_name_device_and_size() -> None:
    class Runner:
        device = "cuda:0"

        def __call__(self, images: np.ndarray) -> np.ndarray:
            return images

    model = Model({"input_size": [160, 256], "frames": 3}, Runner(), lambda maps, back, size: Points({}, {}, size))  # type: ignore[arg-type]
    assert conditions(model) == {"device": "cuda:0", "precision": "fp32", "input": "160 x 256", "images at a time": 3}


def test_sections_of_a_recipe(tmp_path: Path) -> None:
    report = Report("A run", sections=[Text(["only here"], heading="Flight")])
    page = write_report(tmp_path / "report.html", report).read_text(encoding="utf-8")
    assert page.index(">Pictures</h2>") < page.index("only here") < page.index(">Training</h2>")
