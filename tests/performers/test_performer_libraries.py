"""Any network of torchvision or timm: by name, with the library's own facts, and attached to without being changed."""

import hashlib
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from partscope.cli import run
from partscope.errors import PerformerError
from partscope.performers import Performer, list_taps, load_performer
from partscope.performers.catalogue import catalogue_row
from partscope.settings import PerformerSettings

TOLERANCE = 1e-5  # of the largest score: the same kernels on the same numbers

TORCHVISION = """
alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet0_5
mobilenet_v2 mobilenet_v3_small regnet_x_400mf regnet_y_400mf resnet18 resnext50_32x4d shufflenet_v2_x0_5
squeezenet1_0 squeezenet1_1 vgg11 vgg11_bn wide_resnet50_2
"""
TIMM = """
gernet_s regnetz_b16 repvgg_a0 resnet32ts seresnext26ts eca_resnext26ts gcresnext26ts botnet26t_256
lambda_resnet26t convnext_zepto_rms convnextv2_atto cs3darknet_s darknet17 densenetblur121d dla46_c dla60_res2net
dpn48b edgenext_xx_small efficientnet_b0 efficientnet_cc_b0_4e efficientnet_lite0 tf_efficientnetv2_b0 fbnetc_100
mixnet_s mnasnet_small mobilenet_edgetpu_v2_xs mobilenetv1_100 mobilenetv2_035 semnasnet_050 spnasnet_100 tinynet_e
efficientvit_b0 fasternet_t0 fastvit_t8 ghostnet_050 ghostnetv2_100 hardcorenas_a hgnetv2_b0 hrnet_w18_small
inception_next_atto lcnetv2_small poolformerv2_s12 fbnetv3_b lcnet_035 mobilenetv3_small_050
mobilenetv4_conv_small_035 mobilevit_xxs eca_nfnet_l0 nf_regnet_b0 regnetx_002 regnety_002 regnetz_005
repghostnet_050 repvit_m0_9 res2net50_14w_8s resnest14d ecaresnet26t resnet10t resnetblur18 resnetrs50 seresnet18
resnetv2_18 rexnet_100 selecsls42 legacy_seresnet18 skresnet18 starnet_s050 tresnet_m visformer_tiny vovnet39a
ese_vovnet19b_slim_dw legacy_xception xception41
"""
FIXED = {"torchvision:maxvit_t", "torchvision:inception_v3", "timm:botnet26t_256", "timm:visformer_tiny"}
"""Networks that run (or, with their auxiliary scores, train) on their own size alone."""

PLANS = {
    "torchvision:densenet121": ("features.transition3.relu", ("features.transition3.conv", "features.norm5")),
    "torchvision:efficientnet_b0": ("features.7.0.block.1.2", ("features.7.0.block.3.1", "features.8.1")),
    "torchvision:googlenet": ("inception4d", ("inception5a", "inception5b")),
    "torchvision:mobilenet_v3_small": ("features.11", ("classifier.0",)),
    "torchvision:vgg11_bn": ("features.24", ("classifier.0", "classifier.3")),
    "timm:hrnet_w18_small": ("final_layer.0.input", ("final_layer.1",)),
    "timm:lcnet_035": ("blocks.5.1.se", ("conv_head",)),
    "timm:mobilenetv3_small_050": ("blocks.4.2", ("conv_head",)),
    "timm:semnasnet_050": ("blocks.6.0.bn2", ("blocks.6.0.bn3", "bn2")),
}
"""What the rule finds where layers are opened, gates stand between them, or convolutions are a classifier's."""

REFUSED = {
    "torchvision:vit_b_32": r"returns maps \(N, D, H, W\), as in a transformer; the chain is: heads.head; what",
    "torchvision:swin_t": r"maps whose channels stand last \(N, H, W, D\) on the way to the scores; the chain is: ",
    "timm:mambaout_femto": r"maps whose channels stand last \(N, H, W, D\)",
    "timm:vit_tiny_patch16_224": r"returns maps \(N, D, H, W\), as in a transformer",
    "timm:resmlp_12_224": r"returns maps \(N, D, H, W\)",
    "timm:swiftformer_xs": "no module whose output becomes the scores by itself",
}


def smooth(count: int, size: int, seed: int) -> Tensor:
    """Images without detail, so that they still differ deep in a network."""
    coarse = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    return functional.interpolate(coarse, size=(size, size), mode="bilinear")


def prepared(name: str) -> tuple[nn.Module, int]:
    """A network with random weights whose norms know the images, so that activations neither vanish nor explode."""
    row = catalogue_row(name)
    size = row.input_size if name in FIXED else 128 if "ception" in name else 96
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = row.build(10)
    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    for part in norms:
        part.momentum = 1.0
    if norms:
        with torch.no_grad():
            module.train()(smooth(3, size, 2))
    return module.eval(), size


def state_of(module: nn.Module) -> str:
    digest = hashlib.sha256()
    for key, value in (*module.named_parameters(), *module.named_buffers()):
        total = value.detach().double().sum() if value.numel() else torch.zeros(())
        digest.update(f"{key} {value._version} {value.data_ptr()} {float(total)} {value.requires_grad}".encode())
    for key, part in module.named_modules():
        hooks = (len(part._forward_hooks), len(part._forward_pre_hooks), len(part._backward_hooks))
        digest.update(f"{key} {part.training} {getattr(part, 'inplace', None)} {hooks}".encode())
    return digest.hexdigest()


@pytest.mark.parametrize(
    "name", [f"torchvision:{n}" for n in TORCHVISION.split()] + [f"timm:{n}" for n in TIMM.split()]
)
def test_any_cnn(name: str) -> None:
    module, size = prepared(name)
    images = smooth(2, size, 1)
    with torch.no_grad():
        own = module(images)
    largest = own.abs().max()
    assert (own[0] - own[1]).abs().max() > 1e-4 * largest, "the scores do not depend on the image: nothing is tested"
    before, random = state_of(module), torch.get_rng_state()
    performer = Performer.for_model(module, size, name=name)
    features = performer.features(images)
    if name in PLANS:
        assert (performer.tap_name, performer.target_names) == PLANS[name]
    assert len(features.targets) in (1, 2) and features.tap.shape[2] == features.tap.shape[3] > 1
    assert (performer.scores(images) - own).abs().max() <= TOLERANCE * largest
    for start in ("tap", *range(len(features.targets))):
        assert (performer.resume(features, start) - own).abs().max() <= TOLERANCE * largest, start
    with torch.no_grad():
        value = performer.top_output(features.tap)
        assert performer.pool()(torch.zeros(1, *value.shape[1:2], *features.tap.shape[2:])).shape[1:] == value.shape[1:]
        for segment, target in zip(performer.decoder_modules(), features.targets, strict=True):
            value = segment(value)
            assert (value - target).abs().max() <= TOLERANCE * target.abs().max()
    assert performer.describe()["field_method"] in ("gradient", "gradient, centred", "even grid")
    assert state_of(module) == before and torch.equal(torch.get_rng_state(), random)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in performer.module.modules())


def test_there_are_enough_of_them() -> None:
    assert len(set(TIMM.split())) >= 60 and set(TIMM.split()) <= set(timm.list_models())


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_explained_is_told_in_a_sentence(name: str) -> None:
    row = catalogue_row(name)
    module = row.build(10)
    size = getattr(module, "image_size", row.input_size)
    with pytest.raises(PerformerError, match=REFUSED[name]) as caught:
        Performer.for_model(module, size, name=name)
    assert len(str(caught.value).splitlines()) == 3


# ---- by name


def test_the_librarys_own_facts() -> None:
    assert catalogue_row("timm:tresnet_m").mean == (0.0, 0.0, 0.0)
    row = catalogue_row("torchvision:inception_v3")
    assert (row.input_size, row.download, row.classifier) == (299, "Inception_V3_Weights.IMAGENET1K_V1", "fc")
    assert row.build(3).transform_input is True and catalogue_row("torchvision:googlenet").build(3).transform_input
    row = catalogue_row("torchvision:resnet50", "IMAGENET1K_V1")
    assert row.download == "ResNet50_Weights.IMAGENET1K_V1"
    assert catalogue_row("torchvision:resnet50").download == "ResNet50_Weights.IMAGENET1K_V2"
    assert catalogue_row("resnet50", "IMAGENET1K_V2").download == "ResNet50_Weights.IMAGENET1K_V2"
    row = catalogue_row("timm:convnext_tiny.in12k")
    assert (row.outputs, row.classifier, row.timm) == (11821, "head.fc", "timm:convnext_tiny.in12k"[5:])


@pytest.mark.parametrize("name", ["torchvision:mobilenet_v3_small", "timm:mobilenetv3_small_050"])
def test_a_file_of_weights_says_how_many_scores(name: str, tmp_path: Path) -> None:
    module = catalogue_row(name).build(4).eval()
    save_file(module.state_dict(), tmp_path / "net.safetensors")
    settings = PerformerSettings(name=name, weights=str(tmp_path / "net.safetensors"), input_size=96)
    performer = load_performer(settings)
    images = torch.rand(2, 3, 96, 96)
    row = catalogue_row(name)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (row.mean, row.std))
    with torch.no_grad():
        assert torch.allclose(performer.scores(images), module((images - mean) / std), rtol=1e-4, atol=1e-6)
    assert performer.outputs == 4


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        ("torchvision:resnet51", None, "no such network in this version of torchvision; nearest: torchvision:resnet50"),
        ("timm:convnext_tin", None, "no such network in this version of timm; nearest: timm:convnext_tiny"),
        ("timm:resnet50.nope", None, r"nearest: timm:resnet50\."),
        ("keras:resnet50", None, "no such library 'keras'\n  do:  set performer.name to torchvision:NAME, timm:NAME"),
        ("resnet50", "IMAGENET1K_V9", "ResNet50_Weights has IMAGENET1K_V1, IMAGENET1K_V2, DEFAULT"),
        ("torchvision:alexnet", "IMAGENET1K_V2", "AlexNet_Weights has IMAGENET1K_V1, DEFAULT\n  do:  set"),
        ("vgg_m", "IMAGENET1K_V1", "reading the weights 'IMAGENET1K_V1'\n  got: no such file"),
        ("timm:resnet50_mlp", None, "timm has none that it reads as tensors"),
        ("timm:flexivit_base.300ep_in1k", None, "timm has none that it reads as tensors"),
    ],
)  # fmt: skip
def test_unknown_names(name: str, weights: str | None, message: str) -> None:
    with pytest.raises(PerformerError, match=message):
        load_performer(PerformerSettings(name=name, weights=weights))


def test_torchvisions_weights_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    enum = torchvision.models.MobileNet_V3_Small_Weights
    state = torchvision.models.mobilenet_v3_small(weights=None).state_dict()
    monkeypatch.setattr(enum, "get_state_dict", lambda *args, **kwargs: state)
    performer = load_performer(PerformerSettings(name="torchvision:mobilenet_v3_small", weights="IMAGENET1K_V1"))
    assert performer.outputs == 1000 and performer.class_names[388] == "giant panda"


def test_timms_download(monkeypatch: pytest.MonkeyPatch) -> None:
    made = timm.create_model("mobilenetv3_small_050", pretrained=False)

    def create(name: str, pretrained: bool, **kwargs: Any) -> nn.Module:
        if pretrained and "fail" in kwargs.get("answer", answer):
            raise OSError("no route\nto the hub")
        return made

    answer = "works"
    monkeypatch.setattr(timm, "create_model", create)
    performer = load_performer(PerformerSettings(name="timm:mobilenetv3_small_050", input_size=96))
    assert torch.equal(performer.module.classifier.weight, made.classifier.weight)
    answer = "fails"
    with pytest.raises(
        PerformerError, match=r"downloading timm's weights of .*\n  got: OSError: no route\n  do:  download"
    ):
        load_performer(PerformerSettings(name="timm:mobilenetv3_small_050"))


def test_timm_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(
        PerformerError, match=r"timm is not installed .*\n  do:  install it: pip install 'partscope\[timm\]'"
    ):
        list_taps("timm:convnext_tiny")


def test_taps_of_a_librarys_network(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["taps", "timm:convnext_tiny"]) == 0
    shown = capfd.readouterr().out
    assert "timm:convnext_tiny: layers on the way to the scores" in shown and "stages.3.blocks.2" in shown
    assert [row.name for row in list_taps("torchvision:resnet18")][-1] == "fc"
