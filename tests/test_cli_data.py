"""`partscope data`: what it prints, writes and answers; and what a fit does with the same images."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data import trees
from partscope.cli import run
from partscope.performers.trained import WEIGHTS, Trained, file_digest, write_trained

BIRDS = ("--data.kind", "cub200", "--data.root", ".", "--data.folder", "birds")
FOUR = ("--data.train_images", "4", "--data.test_images", "4")
TINY_FIT = (
    *("--fit.epochs", "1", "--fit.batch_size", "8", "--fit.device", "cpu", "--diagnose.resamples", "4"),
    *("--diagnose.gallery_images", "2", "--diagnose.gallery_filters", "2", "--diagnose.top_images", "2"),
)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("│┃").split("│")] for line in text.splitlines() if "│" in line]


def test_counts_sizes_and_no_problem(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    trees.write_cub(tmp_path / "birds")
    trees.write_negatives(tmp_path, 3)
    assert run(["data", *BIRDS, "--data.negatives", "nothing"]) == 0
    text, told = capfd.readouterr()
    assert cells(text) == [
        ["001.Wren", "1", "1"],
        ["002.Crow", "1", "1"],
        ["(negatives)", "2", "1"],
        ["all", "4", "3"],
        ["beak", "2", "2"],
        ["left eye", "2", "2"],
        ["right eye", "0", "0"],
    ]
    assert "image files, px: width 20 to 20 (median 20), height 14 to 14 (median 14)" in text
    assert text.splitlines()[-2:] == ["contact sheet: contact-sheet.png", "no problem found"]
    assert told == ""
    with Image.open("contact-sheet.png") as sheet:
        assert sheet.format == "PNG" and sheet.width > 1000


BROKEN = "1 2.5 1.0 12.0 10.0\n2 0.0 0.0 20.0 0.0\nfour\n7 3.0 3.0 8.0 8.0\n"
PROBLEMS = """\
bounding_boxes.txt, line 3
  got: 'four'
  do:  give 5 numbers separated by spaces
bounding_boxes.txt
  got: no line for image 4 of images.txt
  do:  restore the line
bounding_boxes.txt, line 2
  got: image 2: a box (0.0, 0.0, 20.0, 0.0) that has no area on any image
  do:  correct the box (left, top, width, height), or remove the object from the annotations
image '001.Wren/a.png'
  got: OSError: image file is truncated
  do:  replace the file with an intact one, or remove it from the data set
"""


@pytest.mark.parametrize("policy", ["refuse", "skip"])
def test_every_problem_is_printed_and_the_policy_decides_the_exit_code(
    policy: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    trees.write_cub(tmp_path / "birds", bounding_boxes=BROKEN)
    image = tmp_path / "birds" / "images" / "001.Wren" / "a.png"
    image.write_bytes(image.read_bytes()[:300])
    code = run(["data", *BIRDS, "--data.on_problem", policy, "--out", "sheets/birds.png"])
    text = capfd.readouterr().out
    assert PROBLEMS in text
    assert code == 1  # no training image is left, whatever the policy
    last = {
        "refuse": "`fit` refuses them; mend them, or set --data.on_problem skip to leave them out",
        "skip": "`fit` and `train-performer` leave these rows and files out, and count them",
    }
    assert text.splitlines()[-1] == f"4 problems in 4 rows or files: {last[policy]}"
    assert "no training image of any category: `fit` refuses that; add images, or change data.test_share" in text
    assert cells(text)[0:2] == [["001.Wren", "0", "0"], ["002.Crow", "0", "1"]]
    assert (tmp_path / "sheets" / "birds.png").is_file()


def test_creatures_are_shown(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "--data.train_images", "10", "--data.test_images", "5"]) == 0
    text = capfd.readouterr().out
    assert ["(negatives)", "2", "1"] in cells(text)
    assert "image files" not in text


@pytest.mark.parametrize(
    ("arguments", "got", "todo"),
    [
        (["--out", "sheet.jpg"], "the name 'sheet.jpg'", "a name that ends in .png"),
        (["--data.kind", "coco"], "no data.root for data.kind 'coco'", "set data.root to a folder"),
        (["--data.kind", "csv", "--data.root", "."], "FileNotFoundError", "set data.root and data.folder"),
        (["--performer.name", "vgg61"], "no such network; nearest: vgg16", "set performer.name"),
        (["--train.epoch", "3"], "--train.epoch", "did you mean --train.epochs?"),
        (["--performer.weights", "nosuch.pth", *FOUR], "got: no such file", "torchvision's name of some"),
        (["--data.kinds", "csv"], "--data.kinds", "did you mean --data.kind?"),
        (["none.yaml"], "there is no file 'none.yaml'", "give a YAML file"),
    ],
)
def test_mistakes(arguments: list[str], got: str, todo: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["data", *arguments]) == 1
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 3
    assert got in lines[1] and todo in lines[2]


def test_a_config_of_a_fit_is_taken(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    trees.write_csv(tmp_path / "pets")
    (tmp_path / "job.yaml").write_text("data: {kind: csv, root: pets}\nfit: {epochs: 3}\n")
    assert run(["data", "job.yaml", "--data.categories", "[dog]"]) == 0
    assert cells(capfd.readouterr().out)[0] == ["dog", "2", "1"]


def test_a_config_of_a_training_is_taken(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    trees.write_csv(tmp_path / "pets")
    text = "data: {kind: csv, root: pets}\nperformer: {head_width: 8}\ntrain: {epochs: 3, labels: single}\n"
    (tmp_path / "pets.yaml").write_text(text)
    assert run(["data", "pets.yaml"]) == 0
    assert cells(capfd.readouterr().out)[0] == ["cat", "1", "1"]


def test_images_are_as_large_as_a_trained_performer_takes_them(tmp_path: Path) -> None:
    net = tmp_path / "net"
    net.mkdir()
    (net / WEIGHTS).write_bytes(b"not read")
    digest = file_digest(net / WEIGHTS)
    write_trained(net, Trained("creatures_net", 2, (8, 2), ("fox", "fish"), 32, (0.5,) * 3, (0.5,) * 3, digest))

    def sheet(*arguments: str) -> bytes:
        assert run(["data", *FOUR, *arguments]) == 0
        return Path("contact-sheet.png").read_bytes()

    found = sheet("--performer.weights", "net")
    assert found == sheet("--performer.input_size", "32") != sheet()


def test_what_is_passed_over_is_counted(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    trees.write_split_classes(tmp_path / "pets")
    trees.write_classes(tmp_path / "pets" / "val", count=2, seed=2000)
    assert run(["data", "--data.kind", "folder", "--data.root", "pets"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[-3:] == [
        "passed over: images in the folder 'val', beside train and test: 4",
        "contact sheet: contact-sheet.png",
        "no problem found",
    ]


def test_landmarks_that_mirroring_swaps_are_told(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    told = "each training image will be shown a second time, mirrored; landmarks that change places: "
    trees.write_csv(tmp_path / "pets", trees.CSV_TABLE.replace("beak", "L_eye").replace("tail", "R_eye"))
    arguments = ["data", "--data.kind", "csv", "--data.root", "pets", "--data.mirror", "true"]
    assert run(arguments) == 0
    assert f"{told}L_eye / R_eye\n" in capfd.readouterr().out
    assert run([*arguments, "--data.landmarks", "[L_eye]"]) == 0
    alone = "none; absent there, as their twin is not carried: L_eye\n"
    assert told + alone in capfd.readouterr().out
    trees.write_csv(tmp_path / "pets")
    assert run(arguments) == 0
    assert f"{told}none\n" in capfd.readouterr().out


def test_names_that_no_terminal_shows_are_printed_all_the_same(tmp_path: Path) -> None:
    trees.write_classes(tmp_path / "pets")
    path = tmp_path / "pets" / "cat" / "\udcff.png"
    shutil.copy(tmp_path / "pets" / "cat" / "00.png", path)
    command = [sys.executable, "-m", "partscope", "data", "--data.kind", "folder", "--data.root", "pets"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and done.stderr == ""
    assert "image 'cat/\\udcff.png'\n  got: the file name is" in done.stdout


def photographs(folder: Path) -> None:
    """Two kinds of 40 images, two of which are damaged and one of which is loose."""
    for k, name in enumerate(("cat", "dog")):
        for i in range(40):
            path = folder / name / f"{i:02d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(100 * k + i).integers(0, 256, (96, 96, 3), np.uint8)
            Image.fromarray(pixels).save(path)
    (folder / "cat" / "03.png").write_bytes(b"")
    (folder / "dog" / "07.png").write_text("no picture")
    shutil.copy(folder / "dog" / "08.png", folder / "loose.png")


def test_a_fit_that_skips_counts_what_it_left_out(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    photographs(tmp_path / "pets")
    arguments = ["--data.kind", "folder", "--data.root", "pets", "--data.test_share", "0.4", *TINY_FIT]
    assert run(["fit", "--out", "r", *arguments]) == 1
    assert "image 'loose.png': an image in no class folder" in capfd.readouterr().err
    shutil.rmtree("r")
    assert run(["fit", "--out", "r", *arguments, "--data.on_problem", "skip"]) == 0
    text, told = capfd.readouterr()
    assert "looking at the train images ..." in told and "looking at the test images ..." in told
    found = json.loads(Path("r/diagnosis.json").read_text())
    counts = found["counts"]["left_out"]
    assert counts["train"] + counts["test"] == 3 and counts["unknown"] == 0
    assert {p["where"] for p in counts["problems"]} == {"image 'loose.png'", "image 'cat/03.png'", "image 'dog/07.png'"}
    assert found["counts"]["train_images"] + found["counts"]["test_images"] == 78
    assert any(w.startswith("Damaged rows or files were left out: ") for w in found["warnings"])
    assert "note: Damaged rows or files were left out: " in text
    assert "Damaged rows or files were left out" in Path("r/report.html").read_text()
    assert run(["diagnose", "r"]) == 0
    assert json.loads(Path("r/diagnosis.json").read_text())["counts"] == found["counts"]


def test_a_training_that_skips_counts_what_it_left_out(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    photographs(tmp_path / "pets")
    (tmp_path / "pets" / "dog" / "11.png").write_bytes(b"")
    arguments = (
        *("--data.kind", "folder", "--data.root", "pets", "--data.test_share", "0.4", "--data.on_problem", "skip"),
        *("--train.epochs", "1", "--train.device", "cpu", "--performer.head_width", "8"),
    )
    assert run(["train-performer", "--out", "net", *arguments]) == 0
    text, told = capfd.readouterr()
    assert "looking at the train images ..." in told and "looking at the test images ..." in told
    lost = json.loads(Path("net/run.json").read_text())["left_out"]
    assert lost["train"] + lost["test"] == 4 and lost["unknown"] == 0 and len(lost["problems"]) == 4
    sentence = f"note: Damaged rows or files were left out: {lost['train']} of the training, {lost['test']} of the test"
    assert sentence in text
    assert run(["train-performer", "--out", "net", *arguments]) == 0
    assert sentence in capfd.readouterr().out


def test_a_training_without_damage_says_nothing_of_it(capfd: pytest.CaptureFixture[str]) -> None:
    arguments = (
        "--data.train_images",
        "40",
        "--data.test_images",
        "16",
        "--train.epochs",
        "1",
        "--train.device",
        "cpu",
    )
    assert run(["train-performer", "--out", "net", *arguments, "--performer.head_width", "8"]) == 0
    assert "left out" not in capfd.readouterr().out
    lost = {"train": 0, "test": 0, "unknown": 0, "problems": []}
    kept = json.loads(Path("net/run.json").read_text())
    assert kept.pop("left_out") == lost
    Path("net/run.json").write_text(json.dumps(kept))  # as earlier versions wrote it
    assert run(["train-performer", "--out", "net", *arguments, "--performer.head_width", "8"]) == 0


def test_what_was_left_out_is_nothing_by_default(tmp_path: Path) -> None:
    arguments = ["--data.train_images", "24", "--data.test_images", "12", *TINY_FIT]
    assert run(["fit", "--out", "r", *arguments]) == 0
    counts = json.loads(Path("r/diagnosis.json").read_text())["counts"]
    assert counts["left_out"] == {"train": 0, "test": 0, "unknown": 0, "problems": []}
    kept = json.loads(Path("r/run.json").read_text())
    del kept["left_out"]  # as version 0.1 wrote it
    Path("r/run.json").write_text(json.dumps(kept))
    assert run(["diagnose", "r"]) == 0
    assert json.loads(Path("r/diagnosis.json").read_text())["counts"] == counts


def test_the_how_to_page_shows_what_is_printed(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "how-to" / "check-your-data.md").read_text(encoding="utf-8")
    code, shown = (re.findall(rf"```{kind}\n(.*?)```", page, re.S)[0] for kind in ("python", "text"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    printed = "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())
    by_pillow = r" \(\d+ bytes not processed\)"
    assert re.sub(by_pillow, "", printed) == re.sub(by_pillow, "", shown.strip())


def test_skipped_problems_are_none_where_images_stay(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    trees.write_csv(tmp_path / "pets", trees.CSV_TABLE + "photos/0.png,cat,train,1,1,0,0,,,,\n")
    arguments = ["data", "--data.kind", "csv", "--data.root", "pets"]
    assert run(arguments) == 1
    assert "1 problem in 1 row or file: `fit` refuses them" in capfd.readouterr().out
    assert run([*arguments, "--data.on_problem", "skip"]) == 0
    last = capfd.readouterr().out.splitlines()[-1]
    assert (
        last == "1 problem in 1 row or file: `fit` and `train-performer` leave these rows and files out, and count them"
    )


def test_an_empty_split_is_told(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = "no {} image of any category: `fit` refuses that; add images, or change data.test_share"
    trees.write_csv(tmp_path / "pets", trees.CSV_TABLE.replace(",test,", ",train,"))
    arguments = ["data", "--data.kind", "csv", "--data.root", "pets"]
    assert run([*arguments]) == 1
    assert capfd.readouterr().out.splitlines()[-1] == said.format("test")
    trees.write_negatives(tmp_path / "pets")  # negatives alone are no test
    assert run([*arguments, "--data.root", ".", "--data.folder", "pets", "--data.negatives", "pets/nothing"]) == 1
    assert capfd.readouterr().out.splitlines()[-1] == said.format("test")
    (tmp_path / "pets" / "annotations.csv").write_text(trees.CSV_TABLE.splitlines()[0])
    assert run(arguments) == 1
    assert capfd.readouterr().out.splitlines()[-2:] == [said.format("training"), said.format("test")]
    assert run(["fit", *arguments[1:], "--out", "r"]) == 1
    assert "got: no object of any category in this split" in capfd.readouterr().err
