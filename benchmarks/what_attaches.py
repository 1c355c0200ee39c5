"""Attaches to every classifier of torchvision and to two hundred networks of timm, and says what came of it.

Command:   python benchmarks/what_attaches.py [--keep] [NAME ...]
Machine:   one thread, about 6 GB of memory for the largest (regnet_y_128gf, vit_h_14).
Expected:  about 12 minutes for all; `--keep` writes `benchmarks/figures/what_attaches.json`, from which
           `benchmarks/figures.py` writes the tables of docs/what-attaches.md.

Weights are random (seed 0) with the batch statistics of four random images, so that activations neither vanish nor
explode; the input is of the library's own size, but at most 299 px where the network takes that. For each network: the
tap, the top unit and the targets that the rule finds; the largest gap between resuming at any start and the network's
own scores, as a share of the largest score; how much the scores of two images differ; how its grid was found.
"""

import argparse
import gc
import sys
import time
import warnings
from contextlib import suppress
from typing import Any

import torch
import torchvision
from kept import keep
from torch import Tensor, nn
from torch.nn import functional

from partscope.errors import PartscopeError
from partscope.performers import Performer
from partscope.performers.catalogue import catalogue_row

TIMM = """
botnet26t_256 eca_halonext26ts lambda_resnet26t gernet_s mobileone_s0 regnetz_b16 repvgg_a0 repvgg_d2se resnet32ts
resnet33ts seresnext26ts gcresnext26ts bat_resnext26ts eca_resnext26ts resnet50_clip_gap resnet50_clip resnet50_mlp
convmixer_768_32 convnext_tiny convnext_atto convnext_zepto_rms convnextv2_atto cpubone_nano csatv2 cs3darknet_s
cs3darknet_focus_s cs3sedarknet_l cspdarknet53 cspresnet50 cspresnext50 darknet17 darknetaa53 sedarknet21 cspnext_tiny
densenet121 densenetblur121d dla34 dla46_c dla60_res2net dpn48b dpn68 dpn92 edgenext_xx_small efficientnet_b0
efficientnet_b0_gn efficientnet_cc_b0_4e efficientnet_es efficientnet_lite0 tf_efficientnet_b0 efficientnetv2_rw_t
tf_efficientnetv2_b0 fbnetc_100 gc_efficientnetv2_rw_t mixnet_s mnasnet_050 mnasnet_small mobilenet_edgetpu_v2_xs
mobilenetv1_100 mobilenetv2_035 semnasnet_050 spnasnet_100 tinynet_e efficientvit_b0 fasternet_t0 fastvit_t8
focalnet_tiny_srf ghostnet_050 ghostnetv2_100 ghostnetv3_050 hardcorenas_a hgnet_tiny hgnetv2_b0 hrnet_w18_small
iformer_t inception_next_atto inception_resnet_v2 inception_v3 inception_v4 lcnetv2_small lowformer_b0 mambaout_femto
caformer_s18 convformer_s18 poolformer_s12 poolformerv2_s12 fbnetv3_b lcnet_035 mobilenetv3_small_050
mobilenetv3_large_075 mobilenetv4_conv_small_035 mobilenetv4_hybrid_medium_075 mobilevit_xxs mobilevitv2_050
nasnetalarge dm_nfnet_f0 eca_nfnet_l0 nf_regnet_b0 nf_resnet26 nfnet_l0 nf_seresnet26 pnasnet5large rdnet_tiny
regnetx_002 regnety_002 regnetv_040 regnetz_005 repghostnet_050 repvit_m0_9 res2net50_14w_8s res2net50d res2next50
resnest14d resnest26d ecaresnet26t resnet10t resnet14t resnet18 resnet18d resnet26 resnet50 resnet50_gn resnetaa34d
resnetblur18 resnetrs50 resnext50_32x4d senet154 seresnet18 seresnext26t_32x4d seresnextaa101d_32x8d wide_resnet50_2
resnetv2_18 resnetv2_50 resnetv2_50x1_bit resnetv2_50d_gn resnetv2_50d_evos rexnet_100 rexnetr_100 selecsls42
selecsls60b legacy_seresnet18 legacy_seresnext26_32x4d legacy_senet154 sequencer2d_s shvit_s1 skresnet18
skresnext50_32x4d starnet_s050 swiftformer_xs tresnet_m tresnet_v2_l vgg11 vgg11_bn vgg16_bn visformer_tiny
eca_vovnet39b ese_vovnet19b_slim_dw vovnet39a legacy_xception xception41 xception41p xception65 nextvit_small
vit_tiny_patch16_224 deit_tiny_patch16_224 beit_base_patch16_224 swin_tiny_patch4_window7_224 swinv2_tiny_window8_256
mixer_s32_224 resmlp_12_224 gmlp_ti16_224 coat_lite_tiny convit_tiny crossvit_9_240 davit_tiny efficientformer_l1
efficientformerv2_s0 efficientvim_m1 efficientvit_m0 gcvit_xxtiny hiera_tiny_224 levit_128s coatnet_pico_rw_224
maxvit_pico_rw_256 mvitv2_tiny nest_tiny pit_ti_224 pvt_v2_b0 tiny_vit_5m_224 tnt_s_patch16_224 twins_pcpvt_small
vit_tiny_r_s16_p8_224 vit_relpos_small_patch16_224 vitamin_small_224 volo_d1_224 xcit_nano_12_p16_224 cait_xxs24_224
"""
"""One or more of every kind that timm holds, small ones where there is a choice; the last three rows mostly attend."""


LARGEST = 299
"""Side of the input, px, where the library's own is larger and the network takes another."""


def all_names() -> list[str]:
    """Every network of the table."""
    known = torchvision.models.list_models(module=torchvision.models)
    return [f"torchvision:{name}" for name in known] + [f"timm:{name}" for name in TIMM.split()]


def measure(name: str) -> dict[str, Any]:
    """What became of one network."""
    row = catalogue_row(name)
    torch.manual_seed(0)
    module = row.build(row.outputs)
    own = getattr(module, "image_size", row.input_size)
    for size in dict.fromkeys((min(own, LARGEST), own)):
        started = time.perf_counter()
        settle(module, size)
        try:
            performer = Performer.for_model(module, size, name=name)
        except PartscopeError as error:
            refused = error.got
            continue
        break
    else:
        return {"input": size, "refused": refused}
    attached = time.perf_counter() - started
    return {"input": size, "seconds": round(attached, 1), **gaps(performer, module, size)}


def smooth(count: int, size: int, seed: int) -> Tensor:
    """Random images (N, 3, S, S) in [0, 1] without detail, so that they still differ deep in a network."""
    coarse = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    return functional.interpolate(coarse, size=(size, size), mode="bilinear")


def settle(module: nn.Module, size: int) -> None:
    """Give batch norms the statistics of four random images; a network that refuses them stays as it is."""
    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    momenta = [part.momentum for part in norms]
    for part in norms:
        part.momentum = 1.0
    with torch.no_grad(), suppress(Exception):
        module.train()(smooth(4, size, 2))
    for part, momentum in zip(norms, momenta, strict=True):
        part.momentum = momentum
    module.eval()


def gaps(performer: Performer, module: nn.Module, size: int) -> dict[str, Any]:
    """How far resuming is from the network's own forward pass, and what was found."""
    images = smooth(2, size, 1)
    with torch.no_grad():
        own = module(images)
    features = performer.features(images)
    starts: list[str | int] = ["tap", *range(len(performer.plan.targets))]
    found = [performer.resume(features, start) for start in starts]
    largest = float(own.abs().max())
    facts = performer.describe()
    return {
        "tap": performer.tap_name,
        "shape": list(performer.tap_shape),
        "top_unit": [step.label for step in performer.top_unit],
        "targets": list(performer.target_names),
        "gap": max(float((scores - own).abs().max()) for scores in found) / largest,
        "difference": float((own[0] - own[1]).abs().max()) / largest,
        "field": facts["field_method"],
    }


def main() -> None:
    """Measures and prints; keeps the figures where asked."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", help="networks, as torchvision:NAME or timm:NAME; none takes all")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/figures/what_attaches.json")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rows = {}
    for name in asked.names or all_names():
        rows[name] = measure(name)
        gc.collect()
        print(name, rows[name], file=sys.stderr, flush=True)
    attached = [row for row in rows.values() if "tap" in row]
    print(f"{len(attached)} of {len(rows)} attach; largest gap {max(row['gap'] for row in attached):.1e}")
    if asked.keep and not asked.names:
        keep("what_attaches", "python benchmarks/what_attaches.py --keep", {"rows": rows})


if __name__ == "__main__":
    main()
