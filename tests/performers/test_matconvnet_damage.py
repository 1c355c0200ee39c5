"""Odd and damaged `.mat` files of networks are refused in a sentence; none ends the process or is half believed."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_made import SIDE, Small, cell, mcn_layers, save_mcn, torch_net, whole
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat
from torch import nn

from partscope.errors import PerformerError
from partscope.performers.matconvnet import read_matconvnet
from partscope.performers.weights import fit_weights

MEAN = whole(21, SIDE, SIDE, 3, least=0, most=4)
AGAIN = "copy or download the file again"


def changed(index: int, **fields: Any) -> list[dict[str, Any]]:
    layers = mcn_layers(Small())
    layers[index] = {**layers[index], **fields}
    return layers


def normed(param: Any) -> list[dict[str, Any]]:
    return [*mcn_layers(Small()), {"type": "lrn", "name": "norm1", "param": param}]


def spoilt(value: float) -> Any:
    filters = Small().conv1.astype(np.float64)
    filters[1, 1, 1, 1] = value
    return cell(filters, np.zeros((1, 4)))


FILTERS = Small().conv1


@pytest.mark.parametrize(
    ("layers", "mean", "got"),
    [
        (normed([5.0, 2.0, 1e-4]), MEAN, "layer 'norm1' with param of 3 numbers where 4 belong"),
        (changed(0, pad=[1.0, 1.0]), MEAN, "layer 'conv1' with pad of 2 numbers where 1 or 4 belong"),
        (changed(0, pad="same"), MEAN, "layer 'conv1' with pad of the text 'same' where 1 or 4 belong"),
        (changed(0, pad=cell(1.0, 1.0)), MEAN, "layer 'conv1' with pad of a list of values where 1 or 4 belong"),
        (changed(0, stride=[2.0, 2.0, 2.0]), MEAN, "layer 'conv1' with stride of 3 numbers where 1 or 2 belong"),
        (changed(2, pool=[2.0, 2.0, 2.0]), MEAN, "layer 'pool1' with pool of 3 numbers where 1 or 2 belong"),
        (changed(0, weights=cell(FILTERS, "abcd")), MEAN, "a row of biases of layer 'conv1' that is the text 'abcd'"),
        (changed(0, weights=cell(FILTERS, cell(1.0, 2.0))), MEAN, "a row of biases of layer 'conv1' that is a list of"),
        (changed(0, weights=cell("abcd", FILTERS)), MEAN, "a filter bank of layer 'conv1' that is the text 'abcd'"),
        (changed(0, weights=spoilt(np.nan)), MEAN, "a filter bank of layer 'conv1' with values that are not finite"),
        (changed(0, weights=spoilt(1e300)), MEAN, "a filter bank of layer 'conv1' with values that are not finite"),
        (mcn_layers(Small()), cell("a", 1.0, 2.0), "an averageImage that is a list of values"),
        (mcn_layers(Small()), "abc", "an averageImage that is the text 'abc'"),
        (mcn_layers(Small()), np.full((1, 1, 3), np.nan), "an averageImage with values that are not finite"),
        (mcn_layers(Small()), np.full((SIDE, SIDE, 3), np.inf), "an averageImage with values that are not finite"),
        (mcn_layers(Small()), np.full((1, 1, 3), 1j), "a damaged file (complex numbers)"),
    ],
)
def test_odd_values_are_told(layers: list[Any], mean: Any, got: str, tmp_path: Path) -> None:
    path = save_mcn(tmp_path / "a.mat", layers, mean, [])
    net = torch_net()
    if layers[-1]["type"] == "lrn":
        net.add_module("norm", nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0))
    with pytest.raises(PerformerError) as caught:
        read_matconvnet(path, net)
    assert caught.value.got.startswith(got) and caught.value.todo == AGAIN
    assert str(path) in caught.value.doing


def test_filters_of_five_axes_and_names_that_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    save_mcn(path, changed(0, weights=cell(np.ones((3, 3, 3, 4, 2), np.float32), np.zeros(4))), None, [])
    with pytest.raises(PerformerError, match=r"layer 'conv1' of the file with filters of shape \(3, 3, 3, 4, 2\)"):
        read_matconvnet(path, torch_net())
    save_mcn(path, changed(0, name=np.array([[1.0, 2.0]])), None, [])
    assert "conv1.weight" in read_matconvnet(path, torch_net()).state


def test_what_holds_no_plain_data_is_passed_over(tmp_path: Path) -> None:
    """MATLAB writes function handles (class 16) and objects (class 17), which MatConvNet's own layers may hold."""
    layers = mcn_layers(Small())
    layers[-1]["forward"] = np.array([[7]], np.uint8)
    path = tmp_path / "a.mat"
    savemat(path, {"layers": cell(*layers), "object": np.array([[7]], np.uint8)})
    content = path.read_bytes()
    handle = struct.pack("<IIII", 6, 8, 9, 0)
    assert content.count(handle) == 2
    path.write_bytes(content.replace(handle, struct.pack("<IIII", 6, 8, 16, 0)))
    assert len(read_matconvnet(path, torch_net()).state) == 10


def stored(folder: Path, compressed: bool) -> bytes:
    path = folder / "whole.mat"
    facts = {"normalization": {"averageImage": MEAN}, "classes": {"description": cell("owl", "barn owl")}}
    savemat(path, {"layers": cell(*mcn_layers(Small())), "meta": facts}, do_compression=compressed)
    return path.read_bytes()


def believed(path: Path) -> bool:
    """Whether a file is taken; whatever else happens than that or a refusal is an error."""
    try:
        found = read_matconvnet(path, torch_net())
        fit_weights(torch_net(), found.state, found.source)
    except PerformerError:
        return False
    assert all(bool(value.isfinite().all()) for value in found.state.values())
    return True


CHANGES = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from([0, 1, 4, 14, 127, 255]) | st.integers(0, 255)), max_size=4
)


@settings(deadline=None, max_examples=400)
@given(changes=CHANGES, kept=st.just(1.0) | st.floats(0, 1), compressed=st.booleans())
def test_any_damage_is_a_refusal(
    changes: list[tuple[float, int]], kept: float, compressed: bool, tmp_path_factory: Any
) -> None:
    folder = tmp_path_factory.mktemp("mat")
    content = bytearray(stored(folder, compressed))
    for where, value in changes:
        content[128 + int(where * (len(content) - 129))] = value
    path = folder / "damaged.mat"
    path.write_bytes(content[: int(kept * len(content))])
    believed(path)


def test_no_byte_of_the_description_ends_the_process(tmp_path: Path) -> None:
    """Each 19th byte, set to what scipy's reader ended the process or hung on."""
    content, path = stored(tmp_path, compressed=False), tmp_path / "damaged.mat"
    taken = 0
    for place in range(124, len(content) - 1200, 19):
        for value in (0, 255):
            path.write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
            taken += believed(path)
    assert taken  # bytes of filters may change unseen
