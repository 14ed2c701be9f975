"""What every recipe does, from its own sample to an export that runs without torch: `RecipeContract`.

One data set and one model are made for a class and shared by its tests; every command is the real one, in a process
of its own.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import kaname
from contracts.commands import Commands, commands, launched, without_torch
from contracts.spoiled import key_of, spoil
from kaname.data.log import read_rows
from kaname.recipes import RECIPES, recipe_of

VERBS = {"sample", "check", "train", "evaluate", "predict", "export", "draw"}
ROUNDING = 1e-8  # of a sum of float32 gradients, whatever is left of it


@dataclass(frozen=True)
class Trained:
    """A recipe's sample and a run that nothing stopped."""

    kaname: Commands
    folder: Path
    data: Path
    run: Path
    model: Path

    @property
    def last(self) -> Path:
        """The state to resume from."""
        return self.run / "last.pt"


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file and folder below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*")) if not path.name.startswith((".out.", ".err."))
    }  # fmt: skip


class RecipeContract:
    """``name`` is the recipe; the rest says how to make its data and its model tiny.

    Attributes:
        name: of the recipe.
        package: of a recipe that lives in the tests.
        sample: further words of ``sample``.
        train: further words of ``train``: a tiny model on the CPU, at least two steps an epoch and two epochs.
        processes: whether several processes are tested here; of others `tests/training` tests the losses.
        apart: how far each tensor may be apart after training in one and in two processes, as a share of its norm.
        best: file name of the best weights.
        predictions: file name of its predictions, in the folder that ``predict`` writes.
        answers: further words of ``predict`` and ``evaluate``, so that a model that has learnt little has answers.
        logged: figures of an epoch by their names in the log, and where ``metrics.json`` has them.
        damage: pattern of the data set's files that ``check`` must find cut in half.
    """

    name: str
    package = ""
    sample: Sequence[object] = ("--count", 8)
    train: Sequence[object]
    processes = False
    apart = 1e-6
    best = "best.pt"
    predictions = "points.json"
    answers: Sequence[object] = ()
    logged: Mapping[str, tuple[str, str]] = {}
    damage = "**/*.[jp][pn]g"

    @classmethod
    def data_words(cls, data: Path) -> list[object]:
        """How commands are told the data set."""
        return ["--data", data]

    @classmethod
    def sources(cls, data: Path) -> list[object]:
        """What to predict, in words of ``predict``: the set that ``evaluate`` scores."""
        return [data / "val" / "images"]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def known(cls) -> Iterator[None]:
        """The recipe is one of those that there are."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(RECIPES, cls.name, cls.package or RECIPES[cls.name])
            yield

    @pytest.fixture(scope="class")
    @classmethod
    def trained(cls, known: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
        """The recipe's own sample, checked, and a model trained on it."""
        folder = tmp_path_factory.mktemp(cls.name)
        data, run = folder / "data", folder / "run"
        with commands(cls.name, folder) as call:
            call("sample", "--out", data, *cls.sample, "--seed", 3).done()
            call("train", *cls.data_words(data), *cls.train, "--save-every", "1steps", "--out-dir", run).done()
            yield Trained(call, folder, data, run, run / cls.best)

    @pytest.fixture(scope="class")
    @classmethod
    def predicted(cls, trained: Trained) -> Path:
        """The model's predictions of the validation set."""
        out = trained.folder / "predicted"
        words = ("--checkpoint", trained.model, "--out", out, *cls.answers)
        trained.kaname("predict", *cls.sources(trained.data), *words).done()
        return out / cls.predictions

    @pytest.fixture(scope="class")
    @classmethod
    def exported(cls, trained: Trained) -> Path:
        """Its ONNX file."""
        out = trained.folder / f"{cls.name}.onnx"
        trained.kaname("export", "--checkpoint", trained.model, "--out", out).done()
        return out

    def training(self, trained: Trained, out: Path) -> list[object]:
        """The words of the class's training run, into another folder."""
        return ["train", *self.data_words(trained.data), *self.train, "--save-every", "1steps", "--out-dir", out]

    # ---- data

    def test_the_sample_is_in_order_and_depends_on_its_seed(self, trained: Trained) -> None:
        """The same words give the same bytes, another seed gives others; ``check`` finds nothing wrong."""
        trained.kaname("check", *self.data_words(trained.data)).done()
        for seed, same in ((3, True), (4, False)):
            again = trained.folder / f"again{seed}"
            trained.kaname("sample", "--out", again, *self.sample, "--seed", seed).done()
            assert (snapshot(again) == snapshot(trained.data)) is same
            shutil.rmtree(again)

    def test_check_and_train_find_a_damaged_file(self, trained: Trained, tmp_path: Path) -> None:
        """By its name, and nothing is trained."""
        data = shutil.copytree(trained.data, tmp_path / "data")
        victim = sorted(data.glob(self.damage))[-1]
        victim.write_bytes(victim.read_bytes()[: victim.stat().st_size // 2])
        found = trained.kaname("check", *self.data_words(data))
        assert found.code == 2 and victim.name in found.err and "Traceback" not in found.err
        lost = trained.kaname("check", *self.data_words(tmp_path / "nowhere"))
        lost.refused("nowhere")
        words = [*self.data_words(tmp_path / "nowhere"), *self.train, "--out-dir", tmp_path / "run"]
        trained.kaname("train", *words).refused("nowhere")
        assert not (tmp_path / "run").exists()

    # ---- training

    def test_the_files_of_a_run(self, trained: Trained) -> None:
        """Whole, described, and nothing half-written."""
        names = {path.name for path in trained.run.iterdir()}
        assert {self.best, "last.pt", "run.log", "log.csv"} <= names
        assert not [name for name in names if "partial" in name or name.startswith(".")]
        assert len((trained.run / "log.csv").read_text(encoding="utf-8").splitlines()) >= 3

    def test_a_killed_run_ends_with_the_same_bytes(self, trained: Trained, tmp_path: Path) -> None:
        """Killed in a step, killed while it writes a file, ended by SIGTERM; resumed each time."""
        words = self.training(trained, tmp_path / "run")
        ends = [
            trained.kaname(*words, act=("signal_in_step", 2, int(signal.SIGKILL))),
            trained.kaname(*words, "--resume", act=("kill_while_saving", 2)),
            trained.kaname(*words, "--resume", act=("signal_in_step", 1, int(signal.SIGTERM))),
        ]
        assert [end.code for end in ends] == [-signal.SIGKILL, -signal.SIGKILL, 143], ends
        assert "state saved" in ends[-1].err
        trained.kaname(*words, "--resume").done()
        for name in (path.relative_to(trained.run) for path in trained.run.rglob("*.pt*")):
            assert (tmp_path / "run" / name).read_bytes() == (trained.run / name).read_bytes(), name
        one, other = (
            [line.rsplit(",", 1)[0] for line in (folder / "log.csv").read_text().split()]  # the last column is seconds
            for folder in (tmp_path / "run", trained.run)
        )
        assert one == other
        assert not [path for path in (tmp_path / "run").iterdir() if "partial" in path.name or path.name[0] == "."]

    def test_two_processes_train_what_one_does(self, trained: Trained, tmp_path: Path) -> None:
        """Weights within ``apart`` of each tensor's norm, by plain gradients in float32.

        A bias begins at 0 and is then a sum of gradients that nearly cancel, each rounded at its own size: ``ROUNDING``
        is added, which is far below what one wrong step would move.
        """
        if not self.processes:
            pytest.skip("its loss is tested with several processes in tests/training")
        exact = ("train.optimizer=sgd", "--precision", "fp32", "--devices")
        act = ("compare_exactly",)
        trained.kaname(*self.training(trained, tmp_path / "one"), *exact, 1, act=act).done()
        launched(2, self.name, *self.training(trained, tmp_path / "two"), *exact, 2, act=act).done()
        for name in (self.best, "last.pt"):
            files = [torch.load(tmp_path / run / name, weights_only=True) for run in ("one", "two")]
            one, two = (file[key_of(json.loads(file["card"]))] for file in files)
            for key, value in one.items():
                assert (two[key] - value).float().norm() <= self.apart * value.float().norm() + ROUNDING, key

    def test_a_finished_run_is_not_written_over(self, trained: Trained) -> None:
        """Neither by the same words nor by a bare ``--resume``."""
        before = snapshot(trained.run)
        trained.kaname(*self.training(trained, trained.run)).refused("already holds a run", "--resume")
        assert "finished" in trained.kaname(*self.training(trained, trained.run), "--resume").done().out
        assert snapshot(trained.run) == before

    def test_a_run_that_was_killed_before_its_page_gets_it(self, trained: Trained) -> None:
        """A bare ``--resume`` has nothing left to train and makes what is missing."""
        shutil.copytree(trained.run, trained.folder / "paged")
        (trained.folder / "paged" / "report.html").unlink()
        said = trained.kaname(*self.training(trained, trained.folder / "paged"), "--resume").done().out
        assert "finished" in said and (trained.folder / "paged" / "report.html").is_file()
        for name, content in snapshot(trained.run).items():
            if name.endswith((".pt", ".pth")) or name == "log.csv":
                assert (trained.folder / "paged" / name).read_bytes() == content, name

    def test_a_dry_run_writes_nothing(self, trained: Trained) -> None:
        """It shows shapes and the loss."""
        before = snapshot(trained.folder)
        out = trained.kaname(*self.training(trained, trained.folder / "dry"), "--dry-run").done().out
        assert re.search(r"^\w+ \(\d+, ", out, re.MULTILINE) and "loss" in out and snapshot(trained.folder) == before

    def test_the_printed_configuration_is_the_configuration(self, trained: Trained, tmp_path: Path) -> None:
        """Fed back, it prints itself; the trained model carries it."""
        words = ["train", "--print-config", *self.data_words(trained.data), *self.train]
        text = trained.kaname(*words).done().out
        file = tmp_path / "run.yaml"
        file.write_text(text, encoding="utf-8")
        printed = yaml.safe_load(text)
        assert yaml.safe_load(trained.kaname("train", "--print-config", "--config", file).done().out) == printed
        card = self.card(trained, trained.model)["config"]
        assert set(printed) == set(card)
        trained.kaname("train", "--print-config", "no_such_key=1").refused("no_such_key")

    def card(self, trained: Trained, file: Path) -> dict[str, Any]:
        """What ``kaname info`` says of a file."""
        return json.loads(trained.kaname.plain("info", file, "--json").done().out)

    # ---- answers

    def test_a_file_describes_itself(self, trained: Trained, exported: Path) -> None:
        """Checkpoints and export alike."""
        cards = [self.card(trained, path) for path in (trained.model, trained.last, exported)]
        kinds = [(card["recipe"], card["file"]["kind"], card["file"].get("resumable")) for card in cards]
        assert kinds == [
            (self.name, "checkpoint", "no (weights only)"), (self.name, "checkpoint", "yes"),
            (self.name, "ONNX export", None),
        ]  # fmt: skip
        for field in ("config", "input_size", "channels", "backbone", "versions"):
            assert cards[0][field] == cards[2][field] and cards[0][field]
        assert self.name in trained.kaname.plain("info", trained.model).done().out

    def test_predictions_score_like_their_model_and_without_torch(
        self, trained: Trained, predicted: Path, tmp_path: Path
    ) -> None:
        """``evaluate --checkpoint`` predicts first; ``--predictions`` reads a file, with equal figures, sorted keys."""
        data = self.data_words(trained.data)
        words = ("evaluate", *data, "--checkpoint", trained.model, "--out", tmp_path / "model", *self.answers)
        trained.kaname(*words).done()
        call = [self.name, "evaluate", *data, "--predictions", predicted, "--out", tmp_path / "file"]
        without_torch([call])[0].done()
        texts = [(tmp_path / name / "metrics.json").read_text(encoding="utf-8") for name in ("model", "file")]
        model, file = (json.loads(text) for text in texts)
        for found, text in zip((model, file), texts, strict=True):
            assert text.split() == json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True).split()
            assert "NaN" not in text and found.pop("settings")
        assert model == file and model
        for group in model.values():
            for entry in group.values():
                assert {"value", "low", "high", "n"} <= set(entry)
                assert entry["value"] is not None or entry["reason"]

    def test_the_log_has_the_figures_of_the_report(self, trained: Trained) -> None:
        """Of the weights that were kept, on the validation set: one name, one value."""
        if not self.logged:
            pytest.skip("no figure of its log has the name of one of the report")
        epoch = json.loads(torch.load(trained.model, weights_only=True)["card"])["trained"]["epoch"]
        found = json.loads((trained.run / "report" / "metrics.json").read_text(encoding="utf-8"))
        row = next(row for row in read_rows(trained.run / "log.csv") if row["epoch"] == epoch)
        for name, (group, figure) in self.logged.items():
            assert row[name] == pytest.approx(found[group][figure]["value"], rel=1e-3), name

    def test_predictions_are_replaced_by_the_same_alone(self, trained: Trained, predicted: Path) -> None:
        """The same command again is done; another model's answers are refused, and nothing is touched."""
        before, answers = snapshot(predicted.parent), ("--out", predicted.parent, *self.answers, "--checkpoint")
        words = ("predict", *self.sources(trained.data), *answers)
        trained.kaname(*words, trained.last).refused("made with another", "--overwrite")
        assert snapshot(predicted.parent) == before
        trained.kaname(*words, trained.model).done()
        assert set(snapshot(predicted.parent)) == set(before)

    def test_the_export_was_checked_and_answers_without_torch(
        self, trained: Trained, predicted: Path, exported: Path, tmp_path: Path
    ) -> None:
        """The file has its name because it answers like the model; here it answers the same images again."""
        report = json.loads(exported.with_name(f"{exported.name}.parity.json").read_text(encoding="utf-8"))
        assert report["passed"] and report["images"] >= 1
        calls = [
            [
                self.name,
                "predict",
                *self.sources(trained.data),
                "--checkpoint",
                exported,
                "--out",
                tmp_path / "onnx",
                *self.answers,
            ],
            [self.name, "draw", *self.data_words(trained.data), "--out", tmp_path / "drawn"],
            ["info", exported],
        ]
        code = f"import kaname\nassert kaname.load({str(exported)!r}).card['recipe'] == {self.name!r}"
        _ = [answer.done() for answer in without_torch(calls, code)]
        assert (tmp_path / "onnx" / self.predictions).stat().st_size > 0.8 * predicted.stat().st_size
        assert any((tmp_path / "drawn").rglob("*.*"))

    def test_help_needs_no_torch(self) -> None:
        """The recipe has the verbs that all have, and each says what it takes."""
        recipe = recipe_of(self.name)
        assert set(recipe.verbs) >= VERBS
        answers = without_torch([[self.name, "--help"], *([self.name, verb, "--help"] for verb in recipe.verbs)])
        for verb, answer in zip(["VERB", *recipe.verbs], answers, strict=True):
            assert f"kaname {self.name} {verb}" in answer.done().out and not answer.err
        assert all(verb in answers[0].out for verb in recipe.verbs)
        assert all(flag in answers[1 + list(recipe.verbs).index("train")].out for flag in ("--resume", "--batch-size"))

    # ---- files that are no models

    @pytest.mark.parametrize(
        "kind",
        ["cut", "text", "empty", "pickle", "pickle in torch", "tensors", "recipe", "newer", "no config", "lost tensor"],
    )
    def test_a_checkpoint_that_is_none(self, trained: Trained, tmp_path: Path, kind: str) -> None:
        """One line that names the file, whatever was to be done with it; nothing is run and nothing written."""
        file = tmp_path / "model.pt"
        said = spoil(kind, trained.last, file, self.name)
        data, out = self.data_words(trained.data), tmp_path / "out"
        calls: list[list[object]] = [["predict", *self.sources(trained.data), "--checkpoint", file, "--out", out]]
        if kind in ("cut", "pickle", "recipe", "lost tensor"):
            calls += [
                ["export", "--checkpoint", file, "--out", tmp_path / "x.onnx"],
                ["evaluate", *data, "--checkpoint", file, "--out", out],
                ["train", *data, *self.train, "--init", file, "--out-dir", out],
                ["train", *data, *self.train, "--resume", file, "--out-dir", out],
            ]
        for words in calls:
            answer = trained.kaname(*words)
            answer.refused(file.name, said)
            assert "run\n" not in answer.out
        assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]
        with pytest.raises(kaname.InputError):
            kaname.load(file)

    @pytest.mark.parametrize("kind", ["text", "cut", "foreign"])
    def test_an_export_that_is_none(self, trained: Trained, exported: Path, tmp_path: Path, kind: str) -> None:
        """The same for ONNX files."""
        file = tmp_path / "x.onnx"
        if kind == "foreign":
            with zipfile.ZipFile(file, "w") as container:
                container.writestr("model", "of another program")
        else:
            file.write_bytes(b"no model" if kind == "text" else exported.read_bytes()[:5000])
        words = ("--checkpoint", file, "--out", tmp_path / "out")
        trained.kaname("predict", *self.sources(trained.data), *words).refused("x.onnx")
        trained.kaname("export", "--checkpoint", exported, "--out", tmp_path / "y.onnx").refused("ONNX")
        assert [path.name for path in tmp_path.iterdir()] == ["x.onnx"]
