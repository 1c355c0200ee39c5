"""The figures from a small run: files, words, refusals, and pictures that stay as they were seen."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

from partscope import FieldSettings, FigureSettings, PartscopeError, draw_figure
from partscope.figures import Drawn
from partscope.figures.look import Found
from partscope.figures.parts import find_parts
from partscope.figures.pixels import dimmed_outside, heated, spread_map
from partscope.figures.sheet import Sheet
from partscope.maths import ReceptiveField
from partscope.report.estimate import Diagnosis
from training.small_job import PHOTOS, Squares, run_to_end, small_job, toy_performer

GOLDEN = Path(__file__).parent / "golden"
QUICK = FigureSettings(rows=2, images=2, field=FieldSettings(images=2, side=84, stride=56))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures") / "run"
    run_to_end(small_job(epochs=6), folder)
    return folder


def draw(name: str, runs: list[Path], out: Path, settings: FigureSettings = QUICK) -> Drawn:
    walk = draw_figure(
        name, runs, out, settings, performers=[toy_performer()] * len(runs), photos=[PHOTOS[1]] * len(runs)
    )
    events = []
    try:
        while True:
            events.append(next(walk))
    except StopIteration as end:
        assert all(0 <= event.done <= event.total for event in events)
        return end.value


RUNS = {"filters": 1, "shares": 2, "parts": 1}


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
@pytest.mark.parametrize("name", RUNS)
def test_each_kind_of_file_is_whole_and_speaks(run: Path, tmp_path: Path, name: str, kind: str) -> None:
    before = dict(matplotlib.rcParams)
    drawn = draw(name, [run] * RUNS[name], tmp_path / "new" / f"figure.{kind}")
    content = drawn.path.read_bytes()
    assert [p.name for p in drawn.path.parent.iterdir()] == [f"figure.{kind}"]
    assert dict(matplotlib.rcParams) == before, "the user's own style comes back"
    if kind == "png":
        with Image.open(drawn.path) as picture:
            assert picture.text["Description"] == drawn.caption and picture.width > 600
    elif kind == "svg":
        text = content.decode()
        assert (
            'role="img" aria-labelledby="title desc"' in text and f'<title id="title">{title_of(name)}</title>' in text
        )
        assert re.search(r'<desc id="desc">(.*?)</desc>', text)[1].replace("&amp;", "&") == drawn.caption
        assert text.count("<path") > 20 and "<script" not in text and not re.search(r'href="http', text)
    else:
        assert content.startswith(b"%PDF") and content.rstrip().endswith(b"%%EOF")


def title_of(name: str) -> str:
    return {
        "filters": "Filters of the explainer and of the performer",
        "shares": "Filters of two performers beside their p",
        "parts": "Grad-CAM and contributions of parts",
    }[name]


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_same_run_same_bytes(run: Path, tmp_path: Path, kind: str) -> None:
    one, other = (draw("filters", [run], tmp_path / f"{k}.{kind}").path.read_bytes() for k in "ab")
    assert one == other


def test_another_seed_shows_other_images(run: Path, tmp_path: Path) -> None:
    one, other = (
        draw("shares", [run, run], tmp_path / "a.png", replace(QUICK, seed=seed)).path.read_bytes() for seed in (0, 3)
    )
    assert one != other


@pytest.mark.parametrize("name", RUNS)
def test_pictures_are_those_that_were_looked_at(run: Path, tmp_path: Path, name: str) -> None:
    """Mean difference below 2.5 % of the range: fonts and rounding move edges, not tiles. New golden images: delete
    the old ones, run this test twice, and look at them."""
    drawn = draw(name, [run] * RUNS[name], tmp_path / "figure.png")
    with Image.open(drawn.path) as picture:
        small = picture.convert("RGB").resize((picture.width // 4, picture.height // 4), Image.Resampling.BOX)
    golden = GOLDEN / f"{name}.png"
    if not golden.exists():
        small.save(golden)
        pytest.fail(f"there was no '{golden}'; it has been written: look at it")
    with Image.open(golden) as kept:
        assert kept.size == small.size
        difference = np.abs(np.asarray(kept, float) - np.asarray(small, float))
    assert difference.mean() < 0.025 * 255


def test_words_tell_what_is_shown(run: Path, tmp_path: Path) -> None:
    filters = draw("filters", [run], tmp_path / "f.png", replace(QUICK, filters=(5, 2)))
    assert "Filter 5: " in filters.caption and "Filter 2: " in filters.caption and "toy" not in filters.caption
    assert "averaged over up to 2 images" in filters.caption and "of the performer's filters, as in" in filters.caption
    round_ = draw("filters", [run], tmp_path / "f.png", replace(QUICK, fields="round"))
    assert "averaged" not in round_.caption and "receptive fields of all filters" in round_.caption
    shares = draw("shares", [run, run], tmp_path / "s.png")
    p = json.loads((run / "diagnosis.json").read_text())["p"]
    assert shares.caption.count(f"p = {100 * p['value']:.1f} %") == 2
    named = Path(shutil.copytree(run, tmp_path / "named"))
    content = json.loads((named / "diagnosis.json").read_text())
    middle, _, other = content["parts"]
    middle["filters"], other["filters"] = [4], [f for f in range(12) if f != 4]
    middle["contribution"] |= {"value": 0.25, "low": 0.2, "high": 0.31}
    middle["absolute_contribution"] |= {"value": 0.333}
    other["contribution"] |= {"value": 0.75, "low": None, "high": None}
    (named / "diagnosis.json").write_text(json.dumps(content))
    parts = draw("parts", [named], tmp_path / "p.png", replace(QUICK, rows=4))
    said = (
        "middle: 1 filter, 25.0 % (95 % interval 20.0 to 31.0, by absolute value 33.3 %). other: 11 filters, 75.0 % ("
    )
    assert f"{said}by absolute value " in parts.caption and "corner" not in parts.caption
    assert "a part is the filters whose strongest images vote for its landmark" in parts.caption


def found_of(*rows: tuple[str, str | None, list[int], float | None]) -> Found:
    """A diagnosis of parts (name, landmark, filters, contribution); filter f adds f hundredths, 3 is dead."""

    def number(value: float | None) -> dict[str, Any]:
        inside = value is not None
        return {
            "value": value,
            "low": value - 0.01 if inside else None,
            "high": value + 0.01 if inside else None,
            "n": 9,
        }

    parts = [
        {"name": name, "landmark": landmark, "filters": filters, "contribution": number(share),
         "absolute_contribution": number(None if share is None else abs(share))}
        for name, landmark, filters, share in rows
    ]  # fmt: skip
    filters = [{"filter": f, "dead": f == 3, "contribution": f / 100} for f in range(8)]
    return Found(Path("run"), Diagnosis({"parts": parts, "filters": filters}), (0,))


NAMED = (("left eye", "left eye", [0, 3], 0.5), ("right eye", "right eye", [2], 0.2), ("tail", "tail", [5], 0.4),
         ("ear", "ear", [], 0.0), ("other", None, [1, 4, 6, 7], -0.1))  # fmt: skip


def test_parts_are_the_diagnosis_and_those_that_belong_together_are_added_up() -> None:
    eye, tail, other = find_parts(found_of(*NAMED), FigureSettings())
    assert (eye.name, eye.filters, eye.example, eye.interval) == ("eye", 3, 2, None), "3 is dead, 0 adds less"
    assert eye.signed == pytest.approx(0.7) and eye.absolute == pytest.approx(0.7)
    assert (tail.name, tail.filters, tail.signed, tail.example) == ("tail", 1, 0.4, 5)
    assert tail.interval == pytest.approx((0.39, 0.41))
    assert (other.name, other.filters, other.signed, other.absolute, other.example) == ("other", 4, -0.1, 0.1, 7)
    first, other = find_parts(found_of(*NAMED), FigureSettings(rows=2))
    assert (first.name, other.name, other.filters) == ("eye", "other", 5) and other.signed == pytest.approx(0.3)
    mine, rest = find_parts(found_of(*NAMED), FigureSettings(parts={"end": ("tail", "ear")}))
    assert (mine.name, mine.filters, mine.signed, mine.interval) == ("end", 1, 0.4, None)
    assert (rest.filters, rest.example) == (7, 7) and rest.signed == pytest.approx(0.6)


def test_parts_without_shares_landmarks_or_any() -> None:
    one, other = find_parts(found_of(("part 1", None, [1, 2], None), ("other", None, [5], None)), FigureSettings())
    assert (one.name, one.filters, one.interval) == ("part 1", 2, None) and one.signed != one.signed
    assert (other.name, other.example) == ("other", 5)
    (only,) = find_parts(found_of(("other", None, [3], 1.0)), FigureSettings())
    assert (only.name, only.example) == ("other", None), "its one filter is dead"
    assert find_parts(Found(Path("run"), Diagnosis({"filters": []}), ()), FigureSettings()) == []


def refused(name: str, runs: list[Any], out: Path, settings: FigureSettings = QUICK) -> tuple[str, str, str]:
    with pytest.raises(PartscopeError) as caught:
        for _ in draw_figure(name, runs, out, settings):
            raise AssertionError("it began to work before it refused")
    assert len(str(caught.value).splitlines()) == 3
    return caught.value.doing, caught.value.got, caught.value.todo


def test_refusals_come_before_any_work(run: Path, tmp_path: Path) -> None:
    png = tmp_path / "f.png"
    assert refused("filter", [run], png)[1:] == (
        "there is no figure 'filter'", "did you mean filters? take one of filters, shares, parts"
    )  # fmt: skip
    assert refused("xyz", [run], png)[2] == "take one of filters, shares, parts"
    assert refused("shares", [run], png)[1:] == ("1 run folders", "give 2: partscope figure shares RUN RUN2 --out FILE")
    assert refused("parts", [run, run], png)[1:] == ("2 run folders", "give 1: partscope figure parts RUN --out FILE")
    assert refused("parts", [run], tmp_path / "f.jpg")[1:] == (
        "a name that ends in '.jpg'", "give --out a name that ends in .png, .svg, .pdf"
    )  # fmt: skip
    assert refused("parts", [run], tmp_path)[1] == "a name that ends in ''"
    (tmp_path / "d.png").mkdir()
    assert refused("parts", [run], tmp_path / "d.png")[1] == "a folder of that name"
    (tmp_path / "file").write_text("")
    doing, got, todo = refused("parts", [run], tmp_path / "file" / "f.png")
    assert doing.startswith("writing the figure") and "file" in got and todo.endswith("a folder that you can write")
    assert refused("filters", [run], png, replace(QUICK, filters=(1, 12)))[1:] == (
        "there is no filter 12", "give --filters numbers from 0 to 11"
    )  # fmt: skip
    assert refused("filters", [run], png, replace(QUICK, rows=0))[1:] == ("rows = 0", "give --rows between 1 and 24")
    doing, got, todo = refused("parts", [run], png, replace(QUICK, parts={"end": ("midle",)}))
    assert (doing, got) == ("grouping the landmarks of the part 'end'", "there is no landmark 'midle'")
    assert todo.startswith("did you mean 'middle'?")
    wrong = replace(QUICK, field=FieldSettings(share=2.0))
    assert refused("filters", [run], png, wrong)[1:] == ("field.share = 2.0", "give --field.share between 0 and 1")
    assert refused("filters", [tmp_path / "none"], png)[1] == "there is no such file"
    assert not png.exists()


def test_a_run_without_a_gallery_is_refused(run: Path, tmp_path: Path) -> None:
    bare = Path(shutil.copytree(run, tmp_path / "bare", ignore=shutil.ignore_patterns("gallery.safetensors")))
    doing, got, todo = refused("filters", [bare], tmp_path / "f.png")
    assert doing == f"reading the gallery '{bare / 'gallery.safetensors'}'" and got == "there is no such file"
    assert todo.startswith("run `partscope diagnose` on this run folder")


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "f.png"
    old.write_bytes(b"old")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("no space left")))
    with pytest.raises(PartscopeError):
        Sheet(1.0, 1.0, "png").save(old, "title", "words")
    assert old.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["f.png"]


def test_words_are_escaped_in_svg(tmp_path: Path) -> None:
    sheet = Sheet(1.0, 1.0, "svg")
    sheet.text(0.0, 0.0, "$x<1$")
    sheet.save(tmp_path / "f.svg", "<script>a</script>", "b & <c>")
    text = (tmp_path / "f.svg").read_text()
    assert "&lt;script&gt;a&lt;/script&gt;" in text and "b &amp; &lt;c&gt;" in text and "<script" not in text


def test_maps_lie_where_their_units_look() -> None:
    x = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    found = spread_map(x, ReceptiveField(1.0, 4.0, 9.0), (8, 8))
    assert found[1, 1] == 1 and found[5, 5] == 3 and found[7, 7] == 3 and found[3, 3] == 1 and found[1, 3] == 0.5


def test_tiles_by_hand() -> None:
    image, region = torch.full((3, 2, 2), 0.5), torch.tensor([[True, False], [False, False]])
    assert np.allclose(dimmed_outside(image, region), np.array([[0.5, 0.18], [0.18, 0.18]])[..., None])
    hot = heated(image, torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
    assert np.allclose(hot[0, 0], 0.275) and hot[0, 1].max() > 0.8
    assert np.allclose(heated(image, torch.zeros(2, 2)), 0.275)


def test_a_network_with_one_output_and_images_without_landmarks(tmp_path: Path) -> None:
    performer = toy_performer(outputs=1)
    photos = [Squares(n, seed=n, categories=("red",), landmarks=()) for n in (40, 20)]
    run_to_end(small_job(epochs=1, labels="single"), tmp_path / "run", performer, tuple(photos))
    walk = draw_figure(
        "parts", [tmp_path / "run"], tmp_path / "f.png", QUICK, performers=[performer], photos=[photos[1]]
    )
    try:
        while True:
            next(walk)
    except StopIteration as end:
        assert "a part is a group of filters whose peaks lie together" in end.value.caption
    assert (tmp_path / "f.png").stat().st_size > 10_000
