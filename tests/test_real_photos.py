"""The whole job on photographs with published weights: short runs, the numbers that do not need long ones."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from partscope import Job, fit
from partscope.settings import job_from_dict, resolve

EXAMPLES = Path(__file__).parents[1] / "examples" / "real_photos"


def job_of(name: str, root: Path, weights: str, **fit_settings: Any) -> Job:
    job = job_from_dict(yaml.safe_load((EXAMPLES / name).read_text()))
    return resolve(
        replace(
            job,
            data=replace(job.data, root=str(root)),
            performer=replace(job.performer, weights=str(root / "weights" / weights)),
            fit=replace(job.fit, **fit_settings),
            diagnose=replace(job.diagnose, resamples=20),
        )
    )


@pytest.fixture(scope="module")
def birds(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    out = tmp_path_factory.mktemp("birds")
    job = job_of("alexnet_cub.yaml", real_data, "alexnet_bvlc_features.safetensors", epochs=1)
    job = replace(job, data=replace(job.data, mirror=False))
    for _ in fit(job, out):
        pass
    yield json.loads((out / "diagnosis.json").read_text())


@pytest.mark.real_data
def test_the_performers_own_layers_land_on_the_papers_baselines(birds: dict[str, Any]) -> None:
    released = birds["location_instability"]["released"]
    assert 0.148 <= released["top_conv"]["value"] <= 0.164, "the paper's AlexNet on CUB: .1502"
    assert 0.150 <= released["tap"]["value"] <= 0.168, "the paper's: .1542"


@pytest.mark.real_data
def test_the_nulls_land_where_the_landmarks_put_them(birds: dict[str, Any]) -> None:
    released = birds["location_instability"]["released"]
    assert 0.053 <= released["null_center"]["value"] <= 0.065
    assert 0.153 <= released["null_random"]["value"] <= 0.172
    assert released["null_best_fixed"]["value"] <= released["null_center"]["value"] + 1e-6


@pytest.mark.real_data
def test_the_landmarks_spread_is_the_yardstick(birds: dict[str, Any]) -> None:
    spread = birds["diversity"]["landmarks"]["spread"]["value"] * birds["crop"]["diagonal_px"]
    assert 48 <= spread <= 54
    assert birds["diversity"]["collapsed"] is False


@pytest.mark.real_data
def test_the_new_classifier_tells_birds_from_other_things(birds: dict[str, Any]) -> None:
    assert birds["fidelity"]["performer"]["error"]["value"] <= 0.04, "the paper's AlexNet: 4.41 %"
    assert birds["counts"]["test_objects"] == 854
    assert birds["counts"]["test_negatives"] == 250
