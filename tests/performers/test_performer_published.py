"""Published weights: MatConvNet's, Keras's and Caffe's files give what loops over their numbers give, bit for bit."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hand_made import SIDE, Small, mcn_conv, mcn_layers, save_mcn, torch_net, trained_head, whole
from safetensors.torch import load_file, save_file
from scipy.io import savemat
from torch import Tensor, nn

from partscope.data import PhotoSet, Sample
from partscope.data.photos import MirroredPhotos
from partscope.errors import PerformerError
from partscope.performers import VGGM, VGGS, Performer, load_performer, with_head
from partscope.performers import catalogue as catalogue_module
from partscope.performers.matconvnet import read_matconvnet
from partscope.performers.orders import reordered
from partscope.performers.row import Row
from partscope.performers.weights import MEAN as MEAN_KEY
from partscope.performers.weights import PIXELS, STD, fit_weights, read_weights
from partscope.settings import PerformerSettings
from partscope.training.prepare import prepare_performer

IMAGE = whole(20, SIDE, SIDE, 3, least=0, most=9)
MEAN = whole(21, SIDE, SIDE, 3, least=0, most=4)


@pytest.fixture
def small_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small network under a name of the catalogue."""
    row = Row(
        build=lambda outputs: torch_net(),
        tap="relu1",
        targets=("fc6", "fc7"),
        classifier="fc8",
        input_size=SIDE,
        outputs=2,
        head=("fc6", "fc7", "fc8"),
    )
    monkeypatch.setitem(catalogue_module.CATALOGUE, "small", row)


def torch_image(image: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]


def scores_of(state: dict[str, Tensor], image: np.ndarray) -> np.ndarray:
    net = torch_net()
    fit_weights(net, state, "the file")
    with torch.no_grad():
        return net.eval()(torch_image(image))[0].numpy()


def test_the_loops_are_alive() -> None:
    small = Small()
    assert (
        len({tuple(small.scores(image).tolist()) for image in (IMAGE, IMAGE - MEAN, IMAGE[::-1], IMAGE[..., ::-1])})
        == 4
    )


# ---- MatConvNet


@pytest.mark.parametrize("old", [False, True])
def test_matconvnet_is_the_loops_bit_for_bit(tmp_path: Path, old: bool) -> None:
    small = Small()
    path = save_mcn(tmp_path / "small.mat", mcn_layers(small, old), MEAN, ["owl", "barn owl"], old)
    found = read_matconvnet(path, torch_net())
    assert scores_of(found.state, IMAGE - MEAN).tolist() == small.scores(IMAGE - MEAN).tolist()
    assert isinstance(found.mean, Tensor) and found.mean.shape == (3, SIDE, SIDE)
    assert found.mean.numpy().tobytes() == np.ascontiguousarray(MEAN.transpose(2, 0, 1) / np.float32(255)).tobytes()
    assert found.std == PIXELS and found.class_names == ("owl", "barn owl")


@pytest.mark.usefixtures("small_row")
def test_a_performer_of_a_mat_file_takes_images_from_0_to_1(tmp_path: Path) -> None:
    small = Small()
    path = save_mcn(tmp_path / "small.mat", mcn_layers(small), MEAN, ["owl", "finch"])
    performer = load_performer(PerformerSettings(name="small", weights=str(path)))
    want = small.scores(IMAGE - MEAN)
    scores = performer.scores(torch_image(IMAGE / 255))[0].numpy()
    assert np.abs(scores - want).max() <= 1e-5 * np.abs(want).max()  # (x - m / 255) * 255 rounds
    assert performer.class_names == ("owl", "finch") and performer.describe()["mean_is_an_image"] is True
    assert performer.describe()["mean"] == pytest.approx(MEAN.mean((0, 1)) / 255)


@pytest.mark.usefixtures("small_row")
def test_a_mean_image_is_part_of_the_weights(tmp_path: Path) -> None:
    small = Small()
    means = [MEAN, MEAN + (np.arange(SIDE * SIDE * 3).reshape(MEAN.shape) == 7)]
    nets = [
        load_performer(
            PerformerSettings(name="small", weights=str(save_mcn(tmp_path / f"{k}.mat", mcn_layers(small), m, [])))
        )
        for k, m in enumerate(means)
    ]
    assert nets[0].weights_digest != nets[1].weights_digest
    save_file({k: v.contiguous() for k, v in nets[1].saved_state().items()}, tmp_path / "kept.safetensors")
    assert {MEAN_KEY, STD} < set(load_file(tmp_path / "kept.safetensors"))
    again = load_performer(PerformerSettings(name="small", weights=str(tmp_path / "kept.safetensors")))
    assert again.describe() == nets[1].describe() and again.std == PIXELS
    assert again.weights_digest == nets[1].weights_digest
    image = torch_image(IMAGE / 255)
    assert torch.equal(again.scores(image), nets[1].scores(image))
    assert not torch.equal(again.scores(image), nets[0].scores(image))


@pytest.mark.usefixtures("small_row")
def test_a_mean_image_survives_a_new_head(tmp_path: Path) -> None:
    path = save_mcn(tmp_path / "small.mat", mcn_layers(Small()), MEAN, ["owl", "finch"])
    performer = load_performer(PerformerSettings(name="small", weights=str(path), head="train", head_width=3))
    assert performer.class_names == () and performer.outputs == 1
    top = performer.top_output(performer.features(torch.rand(4, 3, SIDE, SIDE)).tap)
    _, head = trained_head(top, torch.tensor([0, 1, 0, 1]), outputs=1, hidden=3, epochs=1)
    mean = with_head(performer, head).mean
    assert isinstance(mean, Tensor) and torch.equal(mean, torch_image(MEAN)[0] / 255)


class Noise(PhotoSet):
    """Eight images of noise, one half "a thing", the other half negatives."""

    categories, landmark_names, input_size, transform_digest = ("thing",), (), SIDE, "none"

    def __len__(self) -> int:
        return 8

    def __getitem__(self, i: int) -> Sample:
        image = torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(i))
        return Sample(image, self.category_of(i), torch.zeros(0, 2), torch.zeros(0, dtype=torch.bool), str(i))

    def names(self) -> list[str]:
        return [str(i) for i in range(8)]

    def category_of(self, i: int) -> int:
        return 0 if i in (0, 3, 4, 5) else -1

    def file_digest(self, i: int) -> str:
        return str(i)


@pytest.mark.usefixtures("small_row")
def test_a_new_head_is_trained_and_told_step_by_step(tmp_path: Path) -> None:
    weights = save_mcn(tmp_path / "small.mat", mcn_layers(Small()), MEAN, ["owl", "finch"])
    chosen = {"head": "train", "head_width": 3, "head_epochs": 3}
    settings = PerformerSettings(name="small", weights=str(weights), **chosen)
    photos = MirroredPhotos(Noise())
    told = list(prepare_performer(settings, tmp_path / "kept.safetensors", lambda _: photos, seed=1))
    assert told == [("features for a new classifier", 16, 16), *(("training the classifier", k, 3) for k in (1, 2, 3))]
    found = load_file(tmp_path / "kept.safetensors")["fc6.weight"]
    performer = load_performer(settings)
    images = torch.stack([photos[i].image for i in range(16)])
    top = performer.top_output(performer.features(images).tap)
    labels = torch.tensor([int(photos.category_of(i) == 0) for i in range(16)])
    _, head = trained_head(top, labels, outputs=1, hidden=3, epochs=3, seed=1, learning_rate=1e-4)
    assert torch.equal(found, with_head(performer, head).saved_state()["fc6.weight"])


@pytest.mark.usefixtures("small_row")
def test_a_mean_image_of_another_size_is_refused(tmp_path: Path) -> None:
    path = save_mcn(tmp_path / "small.mat", mcn_layers(Small()), whole(1, 8, 8, 3), [])
    with pytest.raises(PerformerError, match=r"a mean image \(3, 8, 8\) for images of 9 x 9\n.*performer.mean"):
        load_performer(PerformerSettings(name="small", weights=str(path)))
    performer = load_performer(PerformerSettings(name="small", weights=str(path), mean=(0.1, 0.2, 0.3)))
    assert performer.mean == (0.1, 0.2, 0.3) and performer.std == PIXELS


def test_three_means_and_none(tmp_path: Path) -> None:
    path = save_mcn(tmp_path / "three.mat", mcn_layers(Small()), np.array([[[255.0, 51.0, 0.0]]]), [])
    assert read_matconvnet(path, torch_net()).mean == (1.0, 0.2, 0.0)
    path = save_mcn(tmp_path / "none.mat", mcn_layers(Small()), None, [])
    assert read_matconvnet(path, torch_net()).mean is None
    path = save_mcn(tmp_path / "odd.mat", mcn_layers(Small()), np.zeros((4, 4)), [])
    with pytest.raises(PerformerError, match=r"an averageImage of shape \(4, 4\)"):
        read_matconvnet(path, torch_net())


def test_absent_biases_are_zero(tmp_path: Path) -> None:
    layers = mcn_layers(Small())
    layers[0] = mcn_conv("conv1", Small().conv1, np.zeros(0), stride=2.0, pad=1.0)
    found = read_matconvnet(save_mcn(tmp_path / "a.mat", layers, None, []), torch_net())
    assert found.state["conv1.bias"].tolist() == [0.0] * 4


@pytest.mark.usefixtures("small_row")
def test_shapes_that_differ_name_the_layer_and_both(tmp_path: Path) -> None:
    layers = mcn_layers(Small())
    layers[3] = mcn_conv("conv2", whole(1, 3, 3, 4, 6), whole(2, 6), pad=1.0)
    path = save_mcn(tmp_path / "a.mat", layers, MEAN, [])
    with pytest.raises(PerformerError, match=r"'conv2.weight' needs \(6, 2, 3, 3\), the file has \(6, 4, 3, 3\)"):
        load_performer(PerformerSettings(name="small", weights=str(path)))


def changed(index: int, **fields: Any) -> list[dict[str, Any]]:
    layers = mcn_layers(Small())
    layers[index] = {**layers[index], **fields}
    return layers


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (changed(0, stride=1.0), "layer 'conv1' with stride 1, 1, the network's 'conv1' has 2, 2"),
        (changed(0, pad=0.0), "layer 'conv1' with padding 0, 0, 0, 0, the network's 'conv1' has 1, 1, 1, 1"),
        (changed(2, pool=[3.0, 3.0]), "layer 'pool1' with window 3, 3, the network's 'pool1' has 2, 2"),
        (changed(2, type="lrn"), "0 layers of kind 'pool' where the network has 1"),
        (changed(3, name="fc6"), "layer 'fc6' of the file stands where the network has 'conv2'"),
        (changed(9, weights=np.zeros((0, 0))), "layer 'fc8' of the file holds no filters"),
        ([*mcn_layers(Small()), mcn_conv("fc9", whole(1, 1, 1, 2, 2), whole(2, 2))],
         "6 layers with weights where the network has 5; first: 'fc9'"),
    ],
)  # fmt: skip
def test_layers_of_another_network_are_refused(tmp_path: Path, layers: list[Any], message: str) -> None:
    path = save_mcn(tmp_path / "a.mat", layers, None, [])
    with pytest.raises(PerformerError) as caught:
        read_matconvnet(path, torch_net())
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"while matching the layers of '{path}' with those of Sequential")
    assert str(caught.value).endswith("set performer.name to the network that these weights are of")


@pytest.mark.parametrize("kind", ["lrn", "normalize"])
def test_response_norms_are_compared_in_matconvnets_own_alpha(tmp_path: Path, kind: str) -> None:
    net = torch_net()
    net.add_module("norm", nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0))
    norm = {"type": kind, "name": "norm1", "param": [5.0, 2.0, 1e-4, 0.75]}
    read_matconvnet(save_mcn(tmp_path / "a.mat", [*mcn_layers(Small()), norm], None, []), net)
    norm["param"] = [5.0, 2.0, 5e-4, 0.75]
    with pytest.raises(
        PerformerError, match=r"param \(n, k, alpha, beta\) 5, 2, 0.0025, 0.75, .* has 5, 2, 0.0005, 0.75"
    ):
        read_matconvnet(save_mcn(tmp_path / "b.mat", [*mcn_layers(Small()), norm], None, []), net)


NOT_A_LIST = "a variable 'layers' that is not a list of layers"


def write_hdf5(path: Path) -> None:
    path.write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124, b" ") + bytes([0, 2]) + b"IM" + bytes(400))


def write_cut(path: Path) -> None:
    save_mcn(path, mcn_layers(Small()), MEAN, [])
    path.write_bytes(path.read_bytes()[:-300])


@pytest.mark.parametrize(
    ("write", "got", "todo"),
    [
        (lambda path: None, "no such file", "set performer.weights to a .mat file of MatConvNet"),
        (write_hdf5, "version 7.3 (HDF5)", "save it again in MATLAB with save(file, '-struct', 'net', '-v7')"),
        (lambda path: path.write_bytes(b"x" * 300), "a damaged file (", "copy or download the file again"),
        (lambda path: path.write_bytes(b""), "a damaged file (", "copy or download the file again"),
        (write_cut, "a damaged file (", "copy or download the file again"),
        (lambda path: savemat(path, {"truth": np.zeros(3)}), "no variable 'layers'", "give a MatConvNet"),
        (lambda path: savemat(path, {"layers": np.zeros(3)}), NOT_A_LIST, "give a"),
        (lambda path: savemat(path, {"layers": {"name": "conv1", "block": 1}}), "a DagNN, whose layers", "give a"),
        (lambda path: save_mcn(path, [{"type": "relu", "name": "a"}, {"type": "relu", "name": "b"}], None, []),
         "a list of layers without a convolution", "give a MatConvNet network"),
    ],
)  # fmt: skip
def test_files_of_another_kind_are_refused_in_a_sentence(tmp_path: Path, write: Any, got: str, todo: str) -> None:
    path = tmp_path / "a.mat"
    write(path)
    with pytest.raises(PerformerError) as caught:
        read_matconvnet(path, torch_net())
    assert got in caught.value.got and todo in caught.value.todo and str(path) in caught.value.doing


def published_vgg(make: type[nn.Sequential], path: Path) -> Path:
    """The published file's structure with a narrow head and whole numbers."""
    layers: list[dict[str, Any]] = []
    with torch.device("meta"):
        net = make(3, 4)
    for seed, (name, layer) in enumerate(net.named_children()):
        if isinstance(layer, nn.Conv2d):
            k, pad = layer.kernel_size[0], float(layer.padding[0])
            filters = whole(seed, k, k, layer.in_channels, layer.out_channels, least=-1, most=1)
            layers.append(
                mcn_conv(name, filters, whole(seed, layer.out_channels), stride=float(layer.stride[0]), pad=pad)
            )
        elif isinstance(layer, nn.Linear):
            shape = (6, 6, 512, 4) if name == "fc6" else (1, 1, layer.in_features, layer.out_features)
            layers.append(mcn_conv(name, whole(seed, *shape), whole(seed, layer.out_features)))
        elif isinstance(layer, nn.MaxPool2d):
            window, step = float(layer.kernel_size), float(layer.stride)
            layers.append({"type": "pool", "name": name, "pool": [window] * 2, "stride": step, "pad": [0, 1, 0, 1]})
        elif isinstance(layer, nn.LocalResponseNorm):
            layers.append({"type": "lrn", "name": name, "param": [5.0, 2.0, 1e-4, 0.75]})
        elif isinstance(layer, nn.ReLU):
            layers.append({"type": "relu", "name": name})
    mean = whole(50, 224, 224, 3, least=100, most=120)
    return save_mcn(path, layers, mean, ["tench", "goldfish", "shark"])


def test_vgg_m_and_s_are_told_apart_though_their_shapes_are_equal(tmp_path: Path) -> None:
    path = published_vgg(VGGM, tmp_path / "imagenet-vgg-m.mat")
    performer = load_performer(PerformerSettings(name="vgg_m", weights=str(path)))
    assert performer.tap_shape == (512, 13, 13) and performer.top_shape == (512, 6, 6)
    assert performer.class_names == ("tench", "goldfish", "shark") and performer.std == PIXELS
    shapes = {
        name: [tuple(v.shape) for v in make(3, 4).state_dict().values()] for name, make in (("m", VGGM), ("s", VGGS))
    }
    assert shapes["m"] == shapes["s"]
    with pytest.raises(PerformerError, match="layer 'conv2' with stride 2, 2, the network's 'conv2' has 1, 1"):
        load_performer(PerformerSettings(name="vgg_s", weights=str(path)))


# ---- Keras and Caffe


def keras_arrays(small: Small) -> dict[str, np.ndarray]:
    """Names and layouts of `{w.path: w.numpy() for w in model.weights}`."""
    return {
        "conv1/kernel": small.conv1,
        "conv1/bias": small.bias1,
        "conv2/kernel": small.conv2,
        "conv2/bias": small.bias2,
        "fc6/kernel": small.fc6.reshape(54, 5),
        "fc6/bias": small.bias6,
        "fc7/kernel": small.fc7,
        "fc7/bias": small.bias7,
        "fc8/kernel": small.fc8,
        "fc8/bias": small.bias8,
    }


@pytest.mark.parametrize("kind", ["npz", "safetensors", "h5 names"])
def test_keras_is_the_loops_bit_for_bit(tmp_path: Path, kind: str) -> None:
    small, path = Small(), tmp_path / f"w.{kind[:11] if kind != 'h5 names' else 'npz'}"
    arrays = keras_arrays(small)
    if kind == "h5 names":
        arrays = {f"{k.partition('/')[0]}/{k}:0": v for k, v in arrays.items()}
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        save_file({k: torch.from_numpy(v.copy()) for k, v in arrays.items()}, path)
    found = reordered(read_weights(path), "keras", torch_net(), SIDE, "w")
    assert scores_of(found.state, IMAGE).tolist() == small.scores(IMAGE).tolist()
    assert found.mean is None and found.std is None


@pytest.mark.usefixtures("small_row")
def test_an_order_is_never_guessed(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "w.npz",
        **{k.replace("/kernel", ".weight").replace("/", "."): v for k, v in keras_arrays(Small()).items()},
    )
    with pytest.raises(PerformerError, match=r"'conv1.weight' needs \(4, 3, 3, 3\), the file has \(3, 3, 3, 4\)"):
        load_performer(PerformerSettings(name="small", weights=str(tmp_path / "w.npz")))
    load_performer(PerformerSettings(name="small", weights=str(tmp_path / "w.npz"), weights_order="keras"))


def test_keras_depthwise_kernels_and_norms() -> None:
    net = nn.Sequential()
    net.add_module("conv", nn.Conv2d(2, 4, 3, groups=2, bias=False))
    net.add_module("bn", nn.BatchNorm2d(4))
    kernel = whole(1, 3, 3, 2, 2)
    arrays = {"conv/depthwise_kernel": kernel, "bn/gamma": whole(2, 4), "bn/beta": whole(3, 4)}
    arrays |= {"bn/moving_mean": whole(4, 4), "bn/moving_variance": whole(5, 4, least=1)}
    state = reordered({k: torch.from_numpy(v) for k, v in arrays.items()}, "keras", net, 9, "w").state
    for channel in range(2):
        for copy in range(2):
            assert (state["conv.weight"][channel * 2 + copy, 0].numpy() == kernel[:, :, channel, copy]).all()
    assert state["bn.weight"].tolist() == arrays["bn/gamma"].tolist()
    assert state["bn.running_mean"].tolist() == arrays["bn/moving_mean"].tolist()
    assert state["bn.running_var"].tolist() == arrays["bn/moving_variance"].tolist()


def caffe_arrays(small: Small, legacy: bool) -> dict[str, np.ndarray]:
    """Blobs of a net that takes blue first: (out, in, height, width), dense ones (out, in)."""
    conv1 = small.conv1[:, :, ::-1].transpose(3, 2, 0, 1).copy()
    dense = {6: small.fc6.transpose(3, 2, 0, 1).reshape(5, 54), 7: small.fc7.T, 8: small.fc8.T}
    arrays = {"conv1/0": conv1, "conv1/1": small.bias1}
    arrays |= {"conv2/0": small.conv2.transpose(3, 2, 0, 1).copy(), "conv2/1": small.bias2}
    for number, bias in ((6, small.bias6), (7, small.bias7), (8, small.bias8)):
        blobs = (dense[number], bias)
        for k, blob in enumerate(blobs):
            arrays[f"fc{number}/{k}"] = (
                blob.reshape(*[1] * (4 - blob.ndim), *blob.shape).copy() if legacy else blob.copy()
            )
    return arrays


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("order", ["caffe", "keras_bgr"])
@pytest.mark.usefixtures("small_row")
def test_blue_first_files_are_the_loops_bit_for_bit(tmp_path: Path, order: Any, legacy: bool) -> None:
    small, blue_first = Small(), MEAN[:, :, ::-1]
    if order == "caffe":
        arrays: dict[str, Any] = {**caffe_arrays(small, legacy), "mean": blue_first.transpose(2, 0, 1)}
    else:
        arrays = {**keras_arrays(small), "conv1/kernel": small.conv1[:, :, ::-1], "mean": np.array([3.0, 2.0, 1.0])}
    np.savez(tmp_path / "w.npz", **arrays)
    found = reordered(read_weights(tmp_path / "w.npz"), order, torch_net(), SIDE, "w")
    assert scores_of(found.state, IMAGE - MEAN).tolist() == small.scores(IMAGE - MEAN).tolist()
    assert found.std == PIXELS
    if order == "caffe":
        assert isinstance(found.mean, Tensor) and torch.equal(found.mean, torch_image(MEAN)[0] / 255)
    else:
        assert found.mean == (1 / 255, 2 / 255, 3 / 255)
    del arrays["mean"]
    np.savez(tmp_path / "w.npz", **arrays)
    settings = PerformerSettings(name="small", weights=str(tmp_path / "w.npz"), weights_order=order)
    with pytest.raises(PerformerError, match="no mean to subtract from the images, neither in the file"):
        load_performer(settings)


def test_caffes_batch_norm_is_refused() -> None:
    with pytest.raises(PerformerError, match="three blobs of 'bn1': Caffe's BatchNorm"):
        reordered({"bn1/2": torch.ones(1)}, "caffe", torch_net(), SIDE, "w")


class Exploit:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (os.environ["PARTSCOPE_TEST_EXPLOIT"],)


def test_objects_in_numpy_files_are_never_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARTSCOPE_TEST_EXPLOIT", str(tmp_path / "pwned"))
    np.savez(tmp_path / "a.npz", a=np.array([Exploit()], dtype=object))
    with pytest.raises(PerformerError, match="refused because unpickling it could run code"):
        read_weights(tmp_path / "a.npz")
    assert not (tmp_path / "pwned").exists()
    (tmp_path / "b.npz").write_bytes(b"PK")
    with pytest.raises(PerformerError, match="a damaged file"):
        read_weights(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", a=np.array(["text"]))
    with pytest.raises(PerformerError, match="something other than arrays of numbers"):
        read_weights(tmp_path / "c.npz")


@pytest.mark.parametrize(
    ("suffix", "todo"),
    [(".h5", "in Keras: numpy.savez"), (".keras", "in Keras: numpy.savez"), (".caffemodel", "in Caffe: numpy.savez"),
     (".npy", "store the arrays by name with numpy.savez")],
)  # fmt: skip
def test_other_files_are_told_how_to_convert(tmp_path: Path, suffix: str, todo: str) -> None:
    (tmp_path / f"a{suffix}").write_bytes(b"x")
    with pytest.raises(PerformerError, match=todo):
        read_weights(tmp_path / f"a{suffix}")


# ---- mean images


def test_mean_images_are_checked() -> None:
    with pytest.raises(PerformerError, match=r"a mean image \(3, 8, 8\) for images of 9 x 9"):
        Performer.for_model(torch_net(), SIDE, torch.zeros(3, 8, 8))
    with pytest.raises(PerformerError, match="give a finite one"):
        Performer.for_model(torch_net(), SIDE, torch.full((3, SIDE, SIDE), torch.nan))
    plain = Performer.for_model(torch_net(), SIDE, (0.1, 0.1, 0.1))
    assert plain.saved_state()[MEAN_KEY].tolist() == [0.1, 0.1, 0.1] and STD not in plain.saved_state()
    assert "mean_is_an_image" not in plain.describe()
