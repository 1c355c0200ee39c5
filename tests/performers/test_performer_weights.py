"""Weights: read as tensors only, loaded strictly, refused with names and shapes."""

import os
import pickle
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from partscope.errors import PerformerError
from partscope.performers import CATALOGUE, AlexNetBVLC, CreaturesNet, load_performer
from partscope.performers.weights import read_weights
from partscope.settings import PerformerSettings


@pytest.fixture
def net() -> CreaturesNet:
    torch.manual_seed(0)
    return CreaturesNet(3)


def load(path: Path, **settings: object) -> object:
    return load_performer(PerformerSettings(weights=str(path), **settings))


@pytest.mark.parametrize("kind", ["safetensors", "pth"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_load(net: CreaturesNet, tmp_path: Path, kind: str, wrapped: bool) -> None:
    path = tmp_path / f"net.{kind}"
    state = {key: value.half() for key, value in net.state_dict().items()}
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}} if wrapped else state, path)
    performer = load(path)
    assert performer.outputs == 3 and performer.input_size == 96 and performer.tap_shape == (96, 12, 12)
    images = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        want = net.eval()((images - 0.5) / 0.25)
    assert (performer.scores(images) - want).abs().max() < 1e-2 * want.abs().max()  # fp16 weights
    assert performer.describe()["top_unit"] == ["conv5", "relu5", "pool5"]


def test_creatures_net_is_small(net: CreaturesNet) -> None:
    assert sum(weight.numel() for weight in net.parameters()) <= 1_000_000


class Exploit:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(Path(os.environ["PARTSCOPE_TEST_EXPLOIT"])),)


def test_malicious_pickle_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "pwned"
    monkeypatch.setenv("PARTSCOPE_TEST_EXPLOIT", str(target))
    for name, save in (
        ("torch", torch.save),
        ("plain", lambda obj, path: path.write_bytes(pickle.dumps(obj))),
    ):
        path = tmp_path / f"{name}.pth"
        save({"conv1.weight": Exploit()}, path)
        with pytest.raises(PerformerError, match="something other than tensors, refused because"):
            load(path)
        assert not target.exists()


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(PerformerError, match="no such file"):
        load(tmp_path / "none.pth")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(PerformerError, match=r"a file of kind '\.txt'"):
        load(tmp_path / "a.txt")
    for name in ("b.safetensors", "b.pth"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(PerformerError, match="a damaged file"):
            load(tmp_path / name)
    torch.save([torch.zeros(1)], tmp_path / "c.pth")
    with pytest.raises(PerformerError, match="something that is not a state dict"):
        load(tmp_path / "c.pth")


def test_truncated_file(net: CreaturesNet, tmp_path: Path) -> None:
    for name in ("net.safetensors", "net.pth"):
        path = tmp_path / name
        if path.suffix == ".pth":
            torch.save(net.state_dict(), path)
        else:
            save_file(net.state_dict(), path)
        path.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(PerformerError, match="a damaged file"):
            load(path)


def test_weights_that_do_not_fit(net: CreaturesNet, tmp_path: Path) -> None:
    state = net.state_dict()
    cases = {
        "wrong": (
            {**state, "conv2.weight": torch.zeros(2, 3), "conv3.bias": torch.zeros(1)},
            r"2 of 16 keys do not fit; first: 'conv2.weight' needs \(48, 24, 3, 3\), the file has \(2, 3\)",
        ),
        "missing": (
            {key: value for key, value in state.items() if not key.startswith("conv4")},
            r"2 of 16 keys do not fit; first: 'conv4.weight' \(96, 96, 3, 3\) is missing",
        ),
        "extra": (
            {**state, "conv9.bias": torch.zeros(4)},
            r"1 of 16 .* 'conv9.bias' \(4,\) is not a layer of it",
        ),
    }
    for name, (content, message) in cases.items():
        save_file(content, tmp_path / f"{name}.safetensors")
        with pytest.raises(PerformerError, match=message):
            load(tmp_path / f"{name}.safetensors")


def test_new_head_where_the_file_has_none(tmp_path: Path) -> None:
    path = tmp_path / "features.safetensors"
    state = {key: value for key, value in CreaturesNet(2).state_dict().items() if not key.startswith("fc")}
    save_file(state, path)
    with pytest.raises(
        PerformerError, match=r"no weights for its classifier \(fc6, fc7, fc8\)\n.*performer.head to train"
    ):
        load(path)
    performer = load(path, head="train", head_width=20)
    assert performer.target_shapes == ((20,), (20,)) and performer.outputs == 1
    assert torch.equal(performer.module.conv4.weight, state["conv4.weight"])
    with pytest.raises(PerformerError, match="a network without fully connected layers to replace"):
        save_file({"fc.weight": torch.zeros(3, 512)}, path)
        load(path, name="resnet18", head="train")


def test_settings_override_the_row(net: CreaturesNet, tmp_path: Path) -> None:
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    performer = load(tmp_path / "net.safetensors", tap="relu3", targets=("conv5", "fc6"))
    assert (performer.tap_name, performer.target_names) == ("relu3", ("conv5", "fc6"))
    assert load(tmp_path / "net.safetensors", tap="relu3").target_names == ("fc6", "fc7")


def test_failed_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise URLError("no route")

    monkeypatch.setattr(torchvision.models.ResNet18_Weights, "get_state_dict", fail)
    with pytest.raises(PerformerError, match=r"(?s)IMAGENET1K_V1\n  got: URLError.*pass --performer.weights FILE"):
        load_performer(PerformerSettings(name="resnet18"))
    with pytest.raises(PerformerError, match="no file, and torchvision has none for it"):
        load_performer(PerformerSettings(name="alexnet_bvlc"))


def test_download_goes_through_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    state = torchvision.models.resnet18(weights=None).state_dict()
    monkeypatch.setattr(torchvision.models.ResNet18_Weights, "get_state_dict", lambda *args, **kwargs: state)
    performer = load_performer(PerformerSettings(name="resnet18", input_size=64))
    assert performer.outputs == 1000 and performer.tap_name == "layer3.1"
    assert CATALOGUE["resnet50"].download == "ResNet50_Weights.IMAGENET1K_V1"


def test_read_weights_keeps_types(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2, dtype=torch.float16)}, tmp_path / "a.safetensors")
    assert read_weights(tmp_path / "a.safetensors")["a"].dtype == torch.float16


def test_alexnet_bvlc_layers() -> None:
    net = AlexNetBVLC(3, 8).eval()
    assert isinstance(net.conv2, nn.Conv2d) and net.conv2.groups == 2
    assert net(torch.zeros(1, 3, 227, 227)).shape == (1, 3)
    assert net.fc6.in_features == 9216 and net.fc7.in_features == 8


def test_any_damage_to_an_old_pth_file_is_told(tmp_path: Path) -> None:
    """torch's format before 1.6 has no checksum: damaged bytes raised struct.error, IndexError and AssertionError."""
    whole, path = tmp_path / "whole.pth", tmp_path / "damaged.pth"
    state = {"a.weight": torch.arange(30.0).reshape(10, 3), "a.bias": torch.ones(10)}
    torch.save(state, whole, _use_new_zipfile_serialization=False)
    content = whole.read_bytes()
    damaged = [content[:n] for n in range(0, len(content), 7)]
    damaged += [
        content[:n] + bytes([value]) + content[n + 1 :] for n in range(0, len(content), 5) for value in (0, 255)
    ]
    refused = 0
    for changed in damaged:
        path.write_bytes(changed)
        try:
            read_weights(path)
        except PerformerError as error:
            refused += 1
            assert error.doing == f"reading the weights '{path}'"
            assert error.got.startswith(("a damaged file (", "something "))
    assert refused > len(damaged) / 2


@pytest.mark.parametrize(
    ("name", "value", "got", "todo"),
    [
        ("mean", torch.tensor(0.5), "of shape () and type float32", "store three numbers or an image (3, S, S)"),
        ("mean", torch.zeros(3, 3), "of shape (3, 3) and type float32", "store three numbers or an image (3, S, S)"),
        ("std", torch.tensor(0.5), "of shape () and type float32", "store three numbers under that name"),
        ("std", torch.ones(3, 96, 96), "of shape (3, 96, 96) and type float32", "store three numbers under that name"),
        ("mean", torch.zeros(3, dtype=torch.complex64), "of shape (3,) and type complex64", "store three numbers"),
    ],
)
def test_stored_normalisations_of_another_shape(name: str, value: Tensor, got: str, todo: str, tmp_path: Path) -> None:
    path = with_normalisation(tmp_path, {f"normalisation.{name}": value})
    with pytest.raises(PerformerError) as caught:
        load_performer(PerformerSettings(weights=str(path)))
    assert caught.value.doing == f"reading the normalisation of '{path}'"
    assert caught.value.got == f"'normalisation.{name}' {got}"
    assert caught.value.todo.startswith(todo) and caught.value.todo.endswith(f"set performer.{name}")


@pytest.mark.parametrize(
    ("name", "value", "got"),
    [
        ("mean", torch.full((3,), torch.nan), "mean = (nan, nan, nan)"),
        ("mean", torch.zeros(2), "mean = (0.0, 0.0)"),
        ("mean", torch.full((3, 96, 96), torch.nan), "a mean image (3, 96, 96) for images of 96 x 96"),
        ("std", torch.tensor([1.0, torch.inf, 1.0]), "std = (1.0, inf, 1.0)"),
    ],
)
def test_stored_normalisations_of_other_values(name: str, value: Tensor, got: str, tmp_path: Path) -> None:
    path = with_normalisation(tmp_path, {f"normalisation.{name}": value})
    with pytest.raises(PerformerError) as caught:
        load_performer(PerformerSettings(weights=str(path)))
    assert caught.value.doing == "setting the normalisation of creatures_net" and caught.value.got == got


def test_a_stored_normalisation_of_whole_numbers(tmp_path: Path) -> None:
    path = with_normalisation(tmp_path, {"normalisation.mean": torch.zeros(3, dtype=torch.int64)})
    assert load_performer(PerformerSettings(weights=str(path))).mean == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("shape", [(), (2, 2), (2, 3, 4, 4)])
def test_caffes_mean_of_another_shape(shape: tuple[int, ...], tmp_path: Path) -> None:
    path = with_normalisation(tmp_path, {"mean": torch.ones(shape)})
    with pytest.raises(PerformerError, match=r"'mean' of shape \(.*\) and type float32\n.* three numbers or an image"):
        load_performer(PerformerSettings(weights=str(path), weights_order="caffe"))


def with_normalisation(folder: Path, more: dict[str, Tensor]) -> Path:
    state = {key: value.contiguous() for key, value in CATALOGUE["creatures_net"].build(4).state_dict().items()}
    save_file(state | more, folder / "w.safetensors")
    return folder / "w.safetensors"
