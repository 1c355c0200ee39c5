"""What each choice of the recipe is worth, on drawn creatures: the numbers behind the decision records.

Command:   python benchmarks/ablations.py [--only NAME ...] [--seeds 1] [--keep]
Expected:  about a minute a row and seed on two cores.
Last result: docs/results.md, "Ablations on drawn creatures"; `--keep` keeps the rows for benchmarks/figures.py.
"""

import argparse
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from kept import has_kept, keep, kept
from rich.console import Console

from partscope import DataSettings, FitSettings, Job, fit, resolve

ROWS: dict[str, dict[str, dict[str, Any]]] = {
    "default": {},  # of these ablations: see FIT
    "alpha_running": {"explainer": {"magnitude": "running"}},
    "no_decoder_scale": {"explainer": {"decoder_scale": False}},
    "start_he": {"explainer": {"start": "he"}},
    "targets_relu": {"performer": {"targets": ("relu6", "relu7")}},
    "no_masks": {"explainer": {"masks": False}},
    "no_ordinary_dropout": {"fit": {"ordinary_dropout": 0.0}},
    "filter_none": {"fit": {"filter_loss": "none"}},
    "strength_paper": {"fit": {"filter_strength": 1 / 300, "filter_decay": True}},
    "strength_1": {"fit": {"filter_strength": 1.0}},
    "strength_10": {"fit": {"filter_strength": 10.0}},
    "rule_released": {"fit": {"filter_loss": "released"}},
    "rule_paper": {"fit": {"filter_loss": "paper"}},
    "eta_0.1": {"fit": {"eta": 0.1}},
    "eta_2": {"fit": {"eta": 2.0}},
    "preset_paper": {"fit": {"preset": "paper"}},
}
"""Changes to the default job, by name; the names are those of the decision records."""


FIT = FitSettings(
    epochs=8, batch_size=64, learning_rate=1e-3, decoder_learning_rate=1e-3, ordinary_dropout=0.25, filter_strength=3.0
)
"""The recipe around which the ablations vary: that of version 0.1, before decision 0021."""


def job_of(changes: dict[str, dict[str, Any]], seed: int, data_seed: int) -> Job:
    """The demo's job with some settings changed; the paper preset keeps the demo's number of epochs."""
    job = Job(data=DataSettings(seed=data_seed), fit=FIT)
    job = resolve(
        replace(
            job,
            performer=replace(job.performer, **changes.get("performer", {})),
            explainer=replace(job.explainer, **changes.get("explainer", {})),
            fit=replace(job.fit, seed=seed, **changes.get("fit", {})),
        )
    )
    return replace(job, fit=replace(job.fit, epochs=FIT.epochs))


def main() -> None:
    """Fits every row on the same cached features and prints one table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=list(ROWS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--data-seed", type=int, default=0, help="other drawings: settings are chosen on seed 5")
    parser.add_argument("--keep", action="store_true", help="keep the rows beside those of other settings")
    options = parser.parse_args()
    console = Console(stderr=True)
    print("| setting | seed | instability | spread, px | p | FVU | FVU, parts only | error, % |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only:
            shared = Path(folder) / ("features" + "".join(ROWS[name].get("performer", {}).get("targets", ())))
            runs = []
            for seed in range(options.seeds):
                out = Path(folder) / "run"
                out.mkdir()
                if shared.exists():
                    shared.rename(out / "features")
                with console.status(f"{name}, seed {seed}"):
                    for _ in fit(job_of(ROWS[name], seed, options.data_seed), out):
                        pass
                runs.append(measures(json.loads((out / "diagnosis.json").read_text())))
                (out / "features").rename(shared)
                shutil.rmtree(out)
                print(f"| {name} | {seed} | " + " | ".join(f"{v:.4g}" for v in list(runs[-1].values())[:6]) + " |")
            if options.keep:
                before = kept("ablations")["rows"] if has_kept("ablations") else {}
                rows = {**before, name: runs}
                keep("ablations", "python benchmarks/ablations.py --keep", {"rows": rows})


def measures(found: dict[str, Any]) -> dict[str, float]:
    """The numbers of one row: six of the explainer, then what they are read beside."""
    released, diversity, fidelity = found["location_instability"]["released"], found["diversity"], found["fidelity"]
    diagonal = found["crop"]["diagonal_px"]
    return {
        "instability": released["explainer"]["value"],
        "spread": diversity["explainer"]["spread"]["value"] * diagonal,
        "p": found["p"]["value"],
        "fvu": fidelity["full"]["fvu"][-1]["value"],
        "fvu_parts_only": fidelity["parts_only"]["fvu"][-1]["value"],
        "error": fidelity["full"]["error"]["value"] * 100,
        "top_conv": released["top_conv"]["value"],
        "landmarks": diversity["landmarks"]["spread"]["value"] * diagonal,
        "performer_error": fidelity["performer"]["error"]["value"] * 100,
    }


if __name__ == "__main__":
    main()
