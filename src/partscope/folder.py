"""What a run folder holds, read back and checked: settings, explainer, provenance, log."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from partscope.errors import RunError, SettingsError
from partscope.files import read_json, write_json, write_text
from partscope.nets import Explainer
from partscope.performers import Performer
from partscope.performers.trained import file_digest
from partscope.settings import Job, job_from_dict, resolve
from partscope.train_settings import TrainJob
from partscope.training import empty_explainer
from partscope.version import __version__

T = TypeVar("T", Job, TrainJob)


def read_job(folder: Path) -> Job:
    """The settings of a run folder.

    Raises:
        RunError: it has none, they cannot be read, or they are of another kind of run.
        SettingsError: one of them is unknown, of the wrong type or out of its range.
    """
    content = read_settings(folder, "fit")
    if isinstance(content, dict) and "train" in content and "explainer" not in content:
        raise RunError(
            f"opening the run '{folder}'",
            "a performer trained by `partscope train-performer`",
            f"give another --out for the run, and this folder as --performer.weights {folder}",
        )
    return resolve(job_from_dict(content))


def read_settings(folder: Path, command: str) -> Any:
    """What a folder's ``config.yaml`` holds.

    Args:
        folder: of a run.
        command: of `partscope`, that makes such folders.

    Raises:
        RunError: it has none, or it cannot be read.
    """
    doing = f"opening the run '{folder}'"
    try:
        return yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(
            doing, "it has no config.yaml", f"restore it, or give a folder made by `partscope {command} --out`"
        ) from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RunError(
            doing, f"config.yaml cannot be read: {error}", f"restore the file, or run `partscope {command}` again"
        ) from error


def load_explainer(folder: Path, performer: Performer, tap: Tensor, job: Job) -> Explainer:
    """The fitted explainer of a run.

    Raises:
        RunError: there is none, or its tensors do not fit the performer.
    """
    file = folder / "explainer.safetensors"
    doing = f"loading the explainer from '{file}'"
    explainer = empty_explainer(performer, tap, job.explainer)
    try:
        explainer.load_state_dict(load_file(file))
    except FileNotFoundError:
        raise RunError(doing, "there is none", "run `partscope fit` on this folder to its end first") from None
    except (SafetensorError, RuntimeError, OSError) as error:
        raise RunError(
            doing, str(error).splitlines()[-1].strip(), "fit again: the file is damaged or foreign"
        ) from error
    if not all(bool(torch.isfinite(t).all()) for t in explainer.state_dict().values()):
        raise RunError(doing, "it holds values that are not finite", "fit again: the file is damaged")
    return explainer.eval()


def chosen_device(name: str, setting: str) -> str:
    """The device of that name; `auto` is the first GPU if there is one.

    Raises:
        SettingsError: torch knows no such device here.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise SettingsError(
            f"choosing the device '{name}'", str(error).splitlines()[0], f"give --{setting} auto, cpu or cuda"
        ) from error
    return name


class Clock:
    """Seconds of each stage of a job."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Ends a stage."""
        now = time.perf_counter()
        self.laps[name] = round(now - self._last, 1)
        self._last = now


def peak_memory() -> float | None:
    """The most memory that this process has held so far, in GiB; None where the system does not say."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30, 2)


def keep_settings(job: T, folder: Path, read: Callable[[Path], T]) -> None:
    """Writes the settings into a new folder; in one where learning has begun, checks that they are the same.

    Args:
        job: the settings.
        folder: of the run.
        read: reads such settings back from a folder.

    Raises:
        RunError: they differ; the first three differences are named.
    """
    text = yaml.safe_dump(json.loads(json.dumps(asdict(job))), sort_keys=False)
    file = folder / "config.yaml"
    if not any((folder / name).exists() for name in ("run.json", "performer.safetensors", "training.safetensors")):
        write_text(file, text)
        return
    there, here = asdict(read(folder)), asdict(job)
    other = [
        f"{group}.{key} is {there[group][key]!r} there and {here[group][key]!r} here"
        for group in here
        for key in here[group]
        if there[group][key] != here[group][key]
        and group != "cache"
        and (group, key) not in (("data", "root"), ("performer", "weights"), ("fit", "tensorboard"))
    ]
    if other:
        raise RunError(
            f"resuming the run '{folder}'",
            "other settings: " + "; ".join(other[:3]) + (" ..." if len(other) > 3 else ""),
            "give the same settings to resume, or another --out for a new run",
        )


def read_run(folder: Path, doing: str) -> dict[str, Any]:
    """What ``run.json`` holds.

    Raises:
        RunError: it is missing or damaged.
    """
    doing = f"{doing} the run '{folder}'"
    run = read_json(folder / "run.json", doing)
    kinds = {"partscope": str, "torch": str, "categories": list, "category_images": list, "train_images": int}
    sound = all(isinstance(run.get(key), kind) for key, kind in kinds.items())
    sound = sound and isinstance(run.get("classes"), list | None) and isinstance(run.get("seconds"), dict)
    sound = sound and all(isinstance(run.get(key, {}), dict) for key in ("left_out", "chosen"))  # not in runs of 0.1
    sound = sound and len(run["categories"]) == len(run["category_images"])
    digests = run.get("digests")
    if not (sound and isinstance(digests, dict) and {"weights", "train", "test"} <= digests.keys()):
        raise RunError(doing, f"'{folder / 'run.json'}' is damaged", "restore the file or fit again")
    return run


def settled(job: Job, run: dict[str, Any]) -> dict[str, Any]:
    """Every setting, section by section; those that follow the network as the fit chose them."""
    settings: dict[str, Any] = json.loads(json.dumps(asdict(job)))
    for name, value in run.get("chosen", {}).items():  # runs of 0.1 chose nothing
        group, key = name.split(".")
        settings[group][key] = value
    return settings


def check_run(folder: Path, run: dict[str, Any]) -> None:
    """Writes ``run.json`` into a new folder; in one that has it, checks the digests and what the network chose.

    Raises:
        RunError: it is damaged, tells of other weights, images or choices, or is gone where learning has begun.
    """
    file = folder / "run.json"
    if file.exists():
        then = read_run(folder, "resuming")
        check_digests(folder, then, run["digests"])
        before = then.get("chosen", run["chosen"])  # runs of 0.1 chose nothing
        for name, value in run["chosen"].items():
            if before.get(name) != value:
                raise RunError(
                    f"resuming the run '{folder}'",
                    f"{name} was {before.get(name)!r}, and this version would take {value!r}",
                    f"give --{name} {before.get(name)} in a new folder, or resume with the older version",
                )
    elif (folder / "training.safetensors").exists():
        raise RunError(
            f"resuming the run '{folder}'",
            "it has no run.json, so nothing says which weights and images it learned from",
            "restore run.json, or delete training.safetensors to learn from the start",
        )
    else:
        write_json(file, {**run, "seconds": {}})


def check_digests(folder: Path, run: dict[str, Any], now: dict[str, str]) -> None:
    """Checks that weights and images are those of the fit.

    Raises:
        RunError: one of them is another.
    """
    for name, digest in now.items():
        if run["digests"][name] != digest:
            what = "the performer's weights" if name == "weights" else f"the {name} images"
            raise RunError(
                f"opening the run '{folder}'",
                f"{what} are not those of the fit (digest {digest[:12]}, then {str(run['digests'][name])[:12]})",
                "point --data.root and --performer.weights to the same files, or fit again in another folder",
            )


def check_finished(folder: Path, purpose: str) -> None:
    """Checks that a run has been fitted and diagnosed.

    Raises:
        RunError: it has not.
    """
    doing = f"opening the run '{folder}' {purpose}"
    for name in ("run.json", "explainer.safetensors", "diagnosis.json"):
        if not (folder / name).is_file():
            raise RunError(
                doing, f"it is not finished: no {name}", "run the same `partscope fit` to its end first; it resumes"
            )


def kept_frontier(folder: Path) -> dict[str, Any]:
    """The fits with other settings of eta that a diagnosis holds, as far as they continued the explainer that is there.

    Args:
        folder: of a run.

    Returns:
        ``{"frontier": rows}``, or nothing where there are none.
    """
    rows = _kept(folder, "frontier")
    fits = rows if isinstance(rows, list) else []
    digest = file_digest(folder / "explainer.safetensors") if fits else ""
    kept = [
        fit
        for fit in fits
        if isinstance(fit, dict) and fit.get("explainer") == digest and {"eta", "epochs"} <= fit.keys()
    ]
    return {"frontier": kept} if kept else {}


def kept_seeds(folder: Path, diagnose: dict[str, Any]) -> dict[str, Any]:
    """The fits with other seeds that a diagnosis holds, if they are of the run and were measured in the same way.

    Args:
        folder: of a run.
        diagnose: the settings of the diagnosis.

    Returns:
        ``{"seeds": content}``, or nothing where there are none.
    """
    found = _kept(folder, "seeds")
    if not isinstance(found, dict) or not {"seeds", "numbers"} <= found.keys():
        return {}
    same = found.get("explainer") == file_digest(folder / "explainer.safetensors")
    same = same and found.get("partscope") == __version__ and found.get("diagnose") == measured_by(diagnose)
    return {"seeds": found} if same else {}


def measured_by(diagnose: dict[str, Any]) -> dict[str, Any]:
    """The settings of a diagnosis that headline numbers depend on."""
    return {name: json.loads(json.dumps(diagnose[name])) for name in ("landmarks", "top_images", "resamples")}


def _kept(folder: Path, name: str) -> Any:
    file = folder / "diagnosis.json"
    if not file.exists():
        return None
    try:
        return read_json(file, f"reading the {name}").get(name)
    except RunError:  # a damaged diagnosis is about to be replaced
        return None


def cut_log(file: Path, step: int) -> None:
    """Takes from the log what was written after the last saved step, or cut off in mid-line."""
    if not file.exists():
        return
    kept = []
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except (ValueError, KeyError, TypeError):
            break
    write_text(file, "".join(line + "\n" for line in kept))
