"""The feature cache: what was computed is what is read, and nothing else is taken for it."""

import errno
import json
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from partscope import DivergedError, RunError
from partscope.training import FeatureSource, FeatureStore, compute_features
from partscope.training import features as module
from training.small_job import Squares, source_of, store_of, toy_performer

PHOTOS = Squares(20)


def everything(store: FeatureStore) -> list[torch.Tensor]:
    rows = store.rows(range(len(store)))
    return [rows.tap, *rows.targets]


def equal(one: FeatureStore, other: FeatureStore) -> bool:
    return all(torch.equal(a, b) for a, b in zip(everything(one), everything(other), strict=True))


def shards(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_kept_and_recomputed_features_are_equal(tmp_path: Path) -> None:
    performer = toy_performer()
    memory, disk = store_of(performer, PHOTOS), store_of(performer, PHOTOS, tmp_path / "f")
    assert shards(tmp_path / "f") == ["manifest.json", *(f"shard-{i:05d}.safetensors" for i in range(3))]
    assert equal(memory, disk)
    assert len(disk) == 20 and disk.manifest["complete"]


def test_rows_are_the_performers_own_features_rounded_to_half_precision(tmp_path: Path) -> None:
    performer = toy_performer()
    store = store_of(performer, PHOTOS, tmp_path)
    wanted = [17, 2, 2, 9]
    rows = store.rows(wanted)
    own = performer.features(torch.stack([PHOTOS[i].image for i in wanted]))
    for found, features in zip((rows.tap, *rows.targets), (own.tap, *own.targets), strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, features, rtol=1e-3, atol=1e-4)  # fp16 holds 11 bits
        assert torch.equal(found, found.half().float())


def test_batches_walk_all_rows_in_order() -> None:
    store = store_of(toy_performer(), PHOTOS)
    found = list(store.batches(6))
    assert [len(index) for index, _ in found] == [6, 6, 6, 2]
    assert torch.cat([index for index, _ in found]).tolist() == list(range(20))
    assert torch.equal(torch.cat([f.tap for _, f in found]), store.rows(range(20)).tap)


def test_finished_features_are_opened_without_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    performer = toy_performer()
    store = store_of(performer, PHOTOS, tmp_path)
    monkeypatch.setattr(type(performer), "features", lambda *_: pytest.fail("computed again"))
    assert equal(store, store_of(performer, PHOTOS, tmp_path))


def test_an_interrupted_computation_goes_on_at_its_last_shard(tmp_path: Path) -> None:
    performer, asked = toy_performer(), []

    def source(stop: int) -> FeatureSource:
        whole = source_of(PHOTOS)

        def batches(start: int) -> Any:
            asked.append(start)
            for k, images in enumerate(whole.batches(start)):
                if k == stop:
                    raise KeyboardInterrupt
                yield images

        return whole._replace(batches=batches)

    with pytest.raises(KeyboardInterrupt):
        list(compute_features(performer, source(2), tmp_path, 8))
    assert len(json.loads((tmp_path / "manifest.json").read_text())["shards"]) == 2
    *done, store = compute_features(performer, source(9), tmp_path, 8)
    assert asked == [0, 16]
    assert done == [16, 20]
    assert isinstance(store, FeatureStore) and equal(store, store_of(performer, PHOTOS))


def test_leaving_between_batches_keeps_whole_shards_only(tmp_path: Path) -> None:
    performer = toy_performer()
    walk = compute_features(performer, source_of(PHOTOS, batch=5), tmp_path, 8)
    assert [next(walk) for _ in range(4)] == [0, 5, 10, 15]
    walk.close()
    assert shards(tmp_path) == ["manifest.json", "shard-00000.safetensors"]
    *done, store = compute_features(performer, source_of(PHOTOS, batch=5), tmp_path, 8)
    assert done[0] == 8
    assert isinstance(store, FeatureStore) and equal(store, store_of(performer, PHOTOS))


@pytest.mark.parametrize(
    ("performer", "photos", "key"),
    [
        (toy_performer(seed=1), PHOTOS, "weights"),
        (toy_performer(tap="conv1"), PHOTOS, "performer"),
        (toy_performer(targets=("fc3",)), PHOTOS, "performer"),
        (toy_performer(), Squares(20, seed=5), "images"),
        (toy_performer(), Squares(21), "images"),
    ],
    ids=["weights", "tap", "targets", "images", "more images"],
)
def test_features_of_something_else_are_refused(tmp_path: Path, performer: Any, photos: Squares, key: str) -> None:
    store_of(toy_performer(), PHOTOS, tmp_path / "f")
    with pytest.raises(RunError) as caught:
        store_of(performer, photos, tmp_path / "f")
    assert caught.value.doing == f"opening the features in '{tmp_path / 'f'}'"
    assert caught.value.got.startswith(f"they were made with other '{key}': ")
    assert caught.value.todo == f"delete '{tmp_path / 'f'}' to compute them again, or run with --cache.mode off"


def test_a_truncated_shard_is_refused_by_name(tmp_path: Path) -> None:
    store_of(toy_performer(), PHOTOS, tmp_path)
    file = tmp_path / "shard-00001.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(RunError, match=r"'shard-00001.safetensors' is truncated or no safetensors file"):
        store_of(toy_performer(), PHOTOS, tmp_path)


def test_a_changed_shard_is_refused_by_name(tmp_path: Path) -> None:
    store_of(toy_performer(), PHOTOS, tmp_path)
    file = tmp_path / "shard-00001.safetensors"
    tensors = load_file(file)
    tensors["tap"][0, 0, 0, 0] += 1
    save_file(tensors, file)
    with pytest.raises(RunError, match=r"'shard-00001.safetensors' is not what was written: its sha256 differs"):
        store_of(toy_performer(), PHOTOS, tmp_path)


def test_a_missing_shard_is_refused_by_name(tmp_path: Path) -> None:
    store_of(toy_performer(), PHOTOS, tmp_path)
    (tmp_path / "shard-00002.safetensors").unlink()
    with pytest.raises(RunError, match=r"'shard-00002.safetensors' is missing"):
        store_of(toy_performer(), PHOTOS, tmp_path)


def test_a_manifest_does_not_lead_out_of_its_folder(tmp_path: Path) -> None:
    store_of(toy_performer(), PHOTOS, tmp_path / "f")
    file = tmp_path / "f" / "manifest.json"
    (tmp_path / "f" / "shard-00000.safetensors").rename(tmp_path / "elsewhere.safetensors")
    file.write_text(file.read_text().replace("shard-00000", "../elsewhere"))
    with pytest.raises(RunError, match=r"'elsewhere.safetensors' is missing"):
        store_of(toy_performer(), PHOTOS, tmp_path / "f")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"shard_rows"', '"shard_row"'),
        ('"shards"', '"shard"'),
        ('"sha256"', '"sha1"'),
        ('"rows": 8', '"rows": 9'),
        ('"shard_rows": 8', '"shard_rows": 0'),
        ('"shard_rows": 8', '"shard_rows": "many"'),
        ('"file"', '"files"'),
        ('"targets": [\n  "target0"', '"targets": [\n  "target9"'),
    ],
)
def test_a_damaged_manifest_is_refused(tmp_path: Path, before: str, after: str) -> None:
    store_of(toy_performer(), PHOTOS, tmp_path)
    file = tmp_path / "manifest.json"
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))
    with pytest.raises(RunError, match=r"(?s)opening the features in .*delete .* to compute them again"):
        store_of(toy_performer(), PHOTOS, tmp_path)


def test_a_manifest_that_is_no_json_is_refused(tmp_path: Path) -> None:
    store_of(toy_performer(), PHOTOS, tmp_path)
    (tmp_path / "manifest.json").write_text('{"rows": ')
    with pytest.raises(RunError, match=r"manifest.json' cannot be read: "):
        store_of(toy_performer(), PHOTOS, tmp_path)


def test_features_beyond_half_precision_name_their_layer_and_leave_no_shard(tmp_path: Path) -> None:
    performer = toy_performer()
    with torch.no_grad():
        performer.module.get_submodule("fc4").bias[3] = 1e6
    with pytest.raises(DivergedError) as caught:
        store_of(performer, PHOTOS, tmp_path / "f")
    assert caught.value.doing == "computing the features of 'fc4'"
    assert caught.value.got == "values beyond what half precision holds (largest 1e+06)"
    assert not (tmp_path / "f").exists()


def test_features_that_are_not_finite_name_their_layer(tmp_path: Path) -> None:
    performer = toy_performer()
    with torch.no_grad():
        performer.module.get_submodule("fc3").weight[0, 0] = torch.nan
    with pytest.raises(DivergedError, match="values that are not finite in the output of 'fc3'"):
        store_of(performer, PHOTOS, tmp_path / "f")


def test_a_full_disk_is_told_before_writing_and_the_same_call_then_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    performer, folder = toy_performer(), tmp_path / "f"
    usage = namedtuple("usage", "total used free")
    real, calls = shutil.disk_usage, []

    def filling(path: Path) -> Any:
        calls.append(path)
        return usage(100, 100, 0) if len(calls) == 2 else real(path)

    monkeypatch.setattr(module.shutil, "disk_usage", filling)
    with pytest.raises(RunError) as caught:
        store_of(performer, PHOTOS, folder)
    assert caught.value.doing == f"writing '{folder / 'shard-00001.safetensors'}'"
    assert caught.value.got == "No space left: 1 MB needed"
    assert caught.value.todo == "free some space, or run with --cache.mode off"
    assert shards(folder) == ["manifest.json", "shard-00000.safetensors"]
    assert equal(store_of(performer, PHOTOS, folder), store_of(performer, PHOTOS))


def test_a_disk_that_fills_while_writing_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    performer, folder, real, calls = toy_performer(), tmp_path / "f", module.save_file, []

    def failing(tensors: Any, path: Path) -> None:
        calls.append(path)
        if len(calls) == 2:
            path.write_bytes(b"half a shard")
            raise OSError(errno.ENOSPC, "No space left on device")
        real(tensors, path)

    monkeypatch.setattr(module, "save_file", failing)
    with pytest.raises(RunError, match=r"writing '.*shard-00001.safetensors'\n  got: .*No space left on device"):
        store_of(performer, PHOTOS, folder)
    assert shards(folder) == ["manifest.json", "shard-00000.safetensors"]
    assert equal(store_of(performer, PHOTOS, folder), store_of(performer, PHOTOS))


@pytest.mark.parametrize("said", [19, 21])
def test_a_source_that_yields_another_number_of_images_is_refused(tmp_path: Path, said: int) -> None:
    source = source_of(PHOTOS)._replace(images=said)
    with pytest.raises(RunError, match=rf"got: \d+ rows for {said} images"):
        list(compute_features(toy_performer(), source, tmp_path, 8))
