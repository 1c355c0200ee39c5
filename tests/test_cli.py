"""The command line as its users meet it: what it loads, prints, refuses, and how it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from partscope import Job, TrainJob
from partscope.cli import run
from partscope.performers.catalogue import CATALOGUE
from partscope.settings import demo_job, job_from_dict, resolve

SMALL = (
    *("--data.train_images", "96", "--data.test_images", "48", "--fit.epochs", "2", "--fit.batch_size", "16"),
    *("--fit.device", "cpu", "--fit.save_every", "4", "--diagnose.resamples", "20"),
    *("--diagnose.gallery_images", "3", "--diagnose.gallery_filters", "4"),
)
STEPS = 12
EXAMPLES = Path(__file__).parents[1] / "examples"
Refused = Callable[..., tuple[str, str, str]]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str]) -> Refused:
    """Runs a command that must fail; returns its three lines without their beginnings."""

    def command(*arguments: str) -> tuple[str, str, str]:
        assert run(arguments) == 1
        lines = [line for line in capfd.readouterr().err.splitlines() if not line.endswith(" ...")]
        assert len(lines) == 3, lines
        starts = ("while ", "  got: ", "  do:  ")
        assert all(line.startswith(start) and len(line) > len(start) for line, start in zip(lines, starts, strict=True))
        doing, got, todo = (line[len(start) :] for line, start in zip(lines, starts, strict=True))
        return doing, got, todo

    return command


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--help"], ["--version"], ["fit", "--help"], ["data", "--help"], ["demo", "--help"]),
        *(["train-performer", "--help"], ["figure", "--help"], ["figure", "filters"], ["nosuch"]),
        ["frontier", "--help"],
    ],
)
def test_help_loads_no_torch(arguments: list[str]) -> None:
    code = f"""
import sys
from partscope.cli import run
try:
    run({arguments!r})
except SystemExit:
    pass
print([name for name in ("torch", "torchvision", "numpy", "matplotlib") if name in sys.modules])
"""
    assert python(code).splitlines()[-1] == "[]"


def test_help_explains_every_command_and_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == run([]) == 0
    text = capsys.readouterr().out
    assert all(
        f"\n  {command} " in text
        for command in ("demo", "data", "fit", "diagnose", "report", "figure", "frontier", "taps", "train-performer")
    )
    for command, job in (("fit", Job()), ("train-performer", TrainJob())):
        with pytest.raises(SystemExit) as ended:
            run([command, "--help"])
        assert ended.value.code == 0
        text = capsys.readouterr().out
        for group, settings in vars(job).items():
            for name in vars(settings):
                assert f"--{group}.{name} " in text


def test_printed_config_is_the_job_again(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        run(["fit", "--fit.epochs", "3", "--explainer.initial_p", "0.2", "--print_config"])
    text = capsys.readouterr().out
    (tmp_path / "printed.yaml").write_text(text)
    with pytest.raises(SystemExit):
        run(["fit", "printed.yaml", "--print_config"])
    assert capsys.readouterr().out == text
    assert (
        "epochs: 3" in text
        and "initial_p: 0.2" in text
        and text.count("torch") == text.count("weights_order: torch") == 1
    )


def test_the_demos_config_is_the_demos_job() -> None:
    import yaml

    content = yaml.safe_load((EXAMPLES / "creatures.yaml").read_text())
    assert resolve(job_from_dict(content)) == resolve(demo_job())


@pytest.mark.parametrize("example", ["squeezenet_voc", "alexnet_cub"])
def test_real_examples_parse_and_name_what_is_missing(example: str, refused: Refused) -> None:
    config = str(EXAMPLES / "real_photos" / f"{example}.yaml")
    doing, got, todo = refused("fit", config, "--out", "x", "--data.root", "nosuch", "--performer.weights", "none.pth")
    assert "none.pth" in doing + got or "nosuch" in doing + got
    assert todo


@pytest.mark.parametrize(
    ("arguments", "doing", "got", "todo"),
    [
        (["ft"], "reading the command", "there is no command 'ft'", "use one of demo, data, fit"),
        (["fit"], "starting `partscope fit`", "no run folder", "give one with --out DIR"),
        (["fit", "no.yaml", "--out", "x"], "reading the settings", "there is no file 'no.yaml'", "give a YAML file"),
        (["fit", "--out", "x", "--fit.epoch", "3"], "reading the arguments", "--fit.epoch 3", "did you mean --fit.epo"),
        (["fit", "--out", "x", "--fit.epochs", "few"], "reading the arguments", "'int'>. Got value: few", "--help`"),
        (["fit", "--out", "x", "--fit.epochs", "0"], "checking the settings", "fit.epochs = 0", "between 1 and"),
        (["fit", "--out", "x", "--performer.name", "vgg61"], "the performer 'vgg61'", "nearest: vgg16", "alexnet_bvlc"),
        (
            ["fit", "--out", "x", "--performer.tap", "conv9"],
            "the layer 'conv9'",
            "no such layer",
            "partscope taps crea",
        ),
        (["fit", "--out", "x", "--performer.targets", "[fc9]"], "the layer 'fc9'", "no such layer", "partscope taps c"),
        (["fit", "--out", "x", "--data.kind", "folder"], "settings of the data", "no data.root", "to a folder"),
        (["fit", "--out", "x", "--fit.device", "tpu9"], "choosing the device 'tpu9'", "tpu9", "give --fit.device auto"),
        (["fit", "--out", "x", "--diagnose.landmarks", "[ear]"], "landmark", "'ear'", "head"),
        (["train-performer"], "starting `partscope train-performer`", "no run folder", "give one with --out DIR"),
        (
            ["train-performer", "--out", "x", "--train.epoch", "3"],
            "reading the arguments of `partscope train-performer`",
            "--train.epoch 3",
            "did you mean --train.epochs?",
        ),
        (["train-performer", "no.yaml", "--out", "x"], "reading the settings", "there is no file 'no.yaml'", "give a"),
        (["train-performer", "--out", "x", "--train.epochs", "0"], "checking the settings", "train.epochs = 0", "betw"),
        (
            ["train-performer", "--out", "x", "--train.from_layer", "conv6"],
            "choosing the layers of creatures_net that learn",
            "no layer 'conv6'",
            "the nearest is 'conv5'",
        ),
        (
            ["train-performer", "--out", "x", "--train.device", "tpu9"],
            "the device 'tpu9'",
            "tpu9",
            "--train.device auto",
        ),
        (
            ["fit", "--out", "x", "--performer.weights", "."],
            "opening the trained performer",
            "without 'perf",
            "train-perf",
        ),
        (["diagnose"], "reading the arguments of `partscope diagnose`", "required: folder", "--help`"),
        (["diagnose", "x"], "opening the run 'x'", "no config.yaml", "partscope fit --out"),
        (["figure"], "choosing the figure", "no name", "start with one of filters, shares, parts"),
        (["figure", "part", "x", "--out", "f.png"], "choosing the figure", "no figure 'part'", "did you mean parts?"),
        (["figure", "parts", "x"], "drawing the figure 'parts'", "no file", "give one with --out FILE.png"),
        (["figure", "parts", "x", "--out", "f.png"], "opening the run 'x'", "no config.yaml", "partscope fit --out"),
        (["figure", "parts", "x", "--out", "f.png", "--field.sid", "3"], "reading the arg", "sid", "--field.side"),
        (["frontier"], "reading the arguments of `partscope frontier`", "required: folder", "--help`"),
        (["frontier", "x"], "opening the run 'x'", "no config.yaml", "partscope fit --out"),
        (["frontier", "x", "--etas", "1,much"], "choosing the fits of the front", "'much'", "--etas 0.02,0.1,0.5,2"),
        (["report", "x"], "reading the diagnosis 'x/diagnosis.json'", "no such file", "partscope diagnose"),
        (["taps", "vgg61"], "looking up the performer 'vgg61'", "nearest: vgg16", "creatures_net"),
    ],
)
def test_mistakes_in_a_command(arguments: list[str], doing: str, got: str, todo: str, refused: Refused) -> None:
    found = refused(*arguments)
    for said, text in zip(found, (doing, got, todo), strict=True):
        assert text in said


@pytest.mark.parametrize(
    ("text", "got", "todo"),
    [
        ("fit:\n  epoch: 3\n", "epoch", "did you mean --fit.epochs?"),
        ("fit: [1, 2", "", "explains every setting"),
        ("fit:\n  epochs: many\n", "many", "explains every setting"),
        ("fitting:\n  epochs: 3\n", "fitting", "explains every setting"),
        ("fit: !!python/object/apply:os.system ['touch pwned']\n", "", "explains every setting"),
    ],
)
def test_mistakes_in_a_config(text: str, got: str, todo: str, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(text)
    found = refused("fit", "job.yaml", "--out", "x")
    assert got in found[1]
    assert todo in found[2]
    assert not (tmp_path / "pwned").exists()


def photos(folder: Path, count: int = 12) -> None:
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (80, 70), (20 * i, 90, 120 if name == "cat" else 30)).save(folder / name / f"{i}.jpg")


IN_FOLDER = ("fit", "--out", "x", "--data.kind", "folder", "--data.root", ".", "--data.folder", "p")


def test_an_unreadable_image_is_named(refused: Refused, tmp_path: Path) -> None:
    photos(tmp_path / "p")
    (tmp_path / "p" / "dog" / "3.jpg").write_bytes(b"no image")
    doing, _, todo = refused(*IN_FOLDER)
    assert "dog/3.jpg" in doing and todo


def test_a_truncated_image_is_named(refused: Refused, tmp_path: Path) -> None:
    photos(tmp_path / "p")
    file = tmp_path / "p" / "cat" / "5.jpg"
    file.write_bytes(file.read_bytes()[:300])
    doing, _, todo = refused(*IN_FOLDER)
    assert "cat/5.jpg" in doing and todo


def test_a_folder_without_images(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    doing, got, _ = refused(*IN_FOLDER)
    assert "listing the images of" in doing and "no" in got


def test_a_tap_with_one_position(refused: Refused) -> None:
    found = refused("fit", "--out", "x", "--performer.tap", "fc7")
    assert "tapping creatures_net at 'fc7'" in found[0] and "not a map" in found[1]
    assert "relu5 96x12x12" in found[2]
    assert "partscope taps creatures_net" in found[2]


def _weights(tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> str:
    module = CATALOGUE["creatures_net"].build(7)
    state = {k: v.clone() for k, v in module.state_dict().items()}
    change(state)
    save_file(state, tmp_path / "w.safetensors")
    return "w.safetensors"


def test_weights_of_another_shape_name_the_layer_and_both_shapes(refused: Refused, tmp_path: Path) -> None:
    def change(state: dict[str, torch.Tensor]) -> None:
        state["fc7.weight"] = torch.zeros(3, 5)

    doing, got, _ = refused("fit", "--out", "x", "--performer.weights", _weights(tmp_path, change))
    assert "w.safetensors" in doing
    assert "fc7.weight" in got and "[3, 5]" in got.replace("3 x 5", "[3, 5]").replace("(3, 5)", "[3, 5]")


def test_weights_that_are_not_finite_name_the_layer(refused: Refused, tmp_path: Path) -> None:
    def change(state: dict[str, torch.Tensor]) -> None:
        state["fc7.weight"][0, 0] = float("nan")

    found = refused("fit", "--out", "x", "--performer.weights", _weights(tmp_path, change))
    assert "fc7" in found[1]


def test_a_pickle_that_would_run_code_is_refused(refused: Refused, tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return os.system, ("touch pwned",)

    torch.save({"fc7.weight": Harm()}, tmp_path / "w.pth")
    doing, _, _ = refused("fit", "--out", "x", "--performer.weights", "w.pth")
    assert "w.pth" in doing
    assert not (tmp_path / "pwned").exists()


def test_a_whole_run_measured_and_written_again(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["fit", "--out", "r", *SMALL]) == 0
    text = capfd.readouterr().out
    assert "location instability, explainer" in text and text.rstrip().endswith("report: r/report.html")
    first = json.loads((tmp_path / "r" / "diagnosis.json").read_text())
    page = (tmp_path / "r" / "report.html").read_bytes()
    (tmp_path / "r" / "report.html").unlink()
    assert run(["report", "r"]) == 0
    assert (tmp_path / "r" / "report.html").read_bytes() == page
    assert run(["report", "r", "--compare", "r"]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "comparison: r/comparison.html"
    assert "no clear difference" in (tmp_path / "r" / "comparison.html").read_text(encoding="utf-8")
    (tmp_path / "r").rename(tmp_path / "elsewhere")
    assert run(["diagnose", "elsewhere"]) == 0
    again = json.loads((tmp_path / "elsewhere" / "diagnosis.json").read_text())
    del first["provenance"], again["provenance"]
    assert again == first
    capfd.readouterr()
    assert run(["figure", "parts", "elsewhere", "--out", "f.svg", "--rows", "2"]) == 0
    said = capfd.readouterr()
    assert said.out.startswith("caption: Grad-CAM of the score") and said.out.endswith("figure: f.svg\n")
    assert "looking at the filters ..." in said.err and (tmp_path / "f.svg").read_bytes().startswith(b"<?xml")
    assert run(["frontier", "elsewhere", "--etas", "0.1,1", "--epochs", "1"]) == 0
    said = capfd.readouterr()
    assert "learning with eta 0.1 ..." in said.err and "0 (the run)" in said.out and "added error" in said.out
    assert "of the magnitude" in said.out and said.out.endswith("report: elsewhere/report.html\n")
    fits = json.loads((tmp_path / "elsewhere" / "diagnosis.json").read_text())["frontier"]
    assert [fit["eta"] for fit in fits] == [0.1, 0.25, 1.0]


def test_taps_lists_the_layers(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["taps"]) == 0
    assert set(capfd.readouterr().out.split()) == set(CATALOGUE)
    assert run(["taps", "creatures_net"]) == 0
    text = capfd.readouterr().out
    assert "output shape" in text and "fc7" in text and "yes" in text and "no: " in text
    chosen = [[part.strip() for part in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]
    assert [(row[0], row[-1]) for row in chosen if row[-1]] == [
        ("relu4", "tap"),
        *((name, "top unit") for name in ("conv5", "relu5", "pool5")),
        ("fc6", "target"),
        ("fc7", "target"),
    ]
    assert "nothing is tapped by default" not in text
    assert run(["taps", "torchvision:vit_b_16"]) == 1
    assert capfd.readouterr().out.splitlines()[-1] == (
        "nothing is tapped by default: no layer on the way to the scores that returns maps (N, D, H, W), as in a "
        "transformer; the chain is: heads.head; what goes into 'heads.head' is no module's output"
    )


def start(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "partscope", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_step(process: "subprocess.Popen[str]", folder: Path, step: int) -> None:
    deadline = time.monotonic() + 120
    log = folder / "log.jsonl"
    while process.poll() is None and time.monotonic() < deadline:
        if log.is_file() and len(log.read_text().splitlines()) >= step:
            return
        time.sleep(0.005)
    pytest.fail(f"ended or stuck before step {step}: {process.communicate()}")


LONGER = ("--fit.epochs", "12", "--fit.save_every", "10")  # 72 steps: time enough to be interrupted on the way


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted") / "r"
    assert run(["fit", "--out", str(folder), *SMALL, *LONGER]) == 0
    return folder


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_interrupted_it_resumes_to_the_same_bytes(
    number: signal.Signals, code: int, tmp_path: Path, uninterrupted: Path
) -> None:
    process = start("fit", "--out", "r", *SMALL, *LONGER)
    wait_for_step(process, tmp_path / "r", 24)
    process.send_signal(number)
    _, told = process.communicate(timeout=120)
    assert process.returncode == code
    assert "Traceback" not in told
    assert not (tmp_path / "r" / "explainer.safetensors").exists()
    saved = int(load_file(tmp_path / "r" / "training.safetensors")["step"])
    if number == signal.SIGINT:
        assert told.rstrip().endswith("interrupted; the same command resumes from the last saved state")
        assert saved >= 24
    else:
        assert saved >= 20
    assert run(["fit", "--out", "r", *SMALL, *LONGER]) == 0
    for name in ("explainer.safetensors", "training.safetensors"):
        ours, theirs = load_file(tmp_path / "r" / name), load_file(uninterrupted / name)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[k], theirs[k]) for k in ours)
    steps = [json.loads(line)["step"] for line in (tmp_path / "r" / "log.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 73))
    assert not list((tmp_path / "r").rglob("*.tmp"))


def test_a_full_disk_is_told_and_the_same_command_goes_on(tmp_path: Path) -> None:
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000));"
        "from partscope.cli import run; sys.exit(run(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", limited, "fit", "--out", "r", *SMALL]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    lines = [line for line in done.stderr.splitlines() if not line.endswith(" ...")]
    assert done.returncode == 1
    assert [line.split()[0] for line in lines] == ["while", "got:", "do:"]
    assert "writing 'r/" in lines[0] and "File too large" in lines[1] and "free some space" in lines[2]
    assert not list((tmp_path / "r").rglob("*.tmp"))
    assert run(["fit", "--out", "r", *SMALL]) == 0


TRAINING = (
    *("train-performer", "--data.train_images", "120", "--data.test_images", "40", "--data.categories", "[fox, fish]"),
    *("--performer.head_width", "32", "--train.epochs", "30", "--train.batch_size", "8", "--train.save_every", "10"),
    *("--train.learning_rate", "1e-3", "--train.device", "cpu"),
)
TRAINING_STEPS = 360


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "n"
    assert run([*TRAINING, "--out", str(folder)]) == 0
    return folder


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_training_interrupted_resumes_to_the_same_bytes(
    number: signal.Signals, code: int, tmp_path: Path, trained: Path
) -> None:
    process = start(*TRAINING, "--out", "n")
    wait_for_step(process, tmp_path / "n", 24)
    process.send_signal(number)
    _, told = process.communicate(timeout=120)
    assert process.returncode == code
    assert "Traceback" not in told
    assert not (tmp_path / "n" / "performer.json").exists()
    if number == signal.SIGINT:
        assert told.rstrip().endswith("interrupted; the same command resumes from the last saved state")
    assert run([*TRAINING, "--out", "n"]) == 0
    for name in ("performer.safetensors", "training.safetensors", "performer.json", "config.yaml"):
        assert (tmp_path / "n" / name).read_bytes() == (trained / name).read_bytes()
    steps = [json.loads(line)["step"] for line in (tmp_path / "n" / "log.jsonl").read_text().splitlines()]
    assert steps == list(range(1, TRAINING_STEPS + 1))
    assert not list((tmp_path / "n").rglob("*.tmp"))


def test_a_trained_network_is_told_tested_and_explained(
    trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run([*TRAINING, "--out", str(trained)]) == 0  # ended already: told again
    text = capfd.readouterr().out
    found = json.loads((trained / "run.json").read_text())
    number = found["test"]["error"]
    assert f"best epoch: {found['best_epoch']} (validation loss {found['validation']['loss']:.3f}, error " in text
    for value in (number["value"], found["chance"]["error"]["value"]):
        assert f"{value:.2%}" in text
    assert f"{number['low']:.2%} to {number['high']:.2%}" in text and "argmax error" in text
    assert f"performer: {trained}\nexplain it: partscope fit --performer.weights {trained} --out RUN\n" in text
    data = ("--data.train_images", "48", "--data.test_images", "24", "--data.categories", "[fox, fish]")
    assert run(["fit", "--performer.weights", str(trained), "--out", "r", *SMALL, *data, "--fit.epochs", "1"]) == 0
    assert "error of the performer" in capfd.readouterr().out


@pytest.mark.parametrize("arguments", [["--help"], ["taps"], ["taps", "creatures_net"]])
def test_it_ends_quietly_where_nobody_reads_on(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "partscope", *arguments]
    buffered = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 1
