"""Part shares of performers whose class evidence was planted, against what each performer really uses.

Command:   python benchmarks/planted.py --work FOLDER [--seeds 0 1 2] [--networks plain resnet] [--keep]
           python benchmarks/planted.py --work FOLDER --seeds 100 --tried [--keep]
           python benchmarks/planted.py --work FOLDER --etas [--keep]
Expected:  about ten minutes of one core without performers in FOLDER, four with them.
Last result: docs/results.md, "Planted truth".
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from kept import keep
from planted_truth.baseline import keep_only_advantage
from planted_truth.explained import EXPLAINED, p_at_etas
from planted_truth.networks import ARCHITECTURES
from planted_truth.performers import Planted, held_out, planted
from planted_truth.scenes import MIXTURES
from planted_truth.tried import NAMES, candidates

from partscope.diagnosis.contributions import rank_correlation
from partscope.diagnosis.part_share import contrast, part_share_numbers
from partscope.training import FeatureSource, FeatureStore, compute_features

IMAGES = 200
LEARNED = 0.8
"""Accuracy below which a performer did not learn what was planted, and is left out."""


def measured(network: Planted, tried: bool = False) -> dict[str, Any]:
    """One row: truth, part share with its interval, baseline; and the definitions that were tried."""
    images, _ = held_out(network.mixture, network.seed, IMAGES)
    source = FeatureSource("planted", len(images), lambda first: iter(images[first:].split(100)))
    *_, store = compute_features(network.performer, source, None, 1000)
    assert isinstance(store, FeatureStore)
    started = time.process_time()
    found = contrast(network.performer, store)
    numbers = part_share_numbers(found)
    baseline = keep_only_advantage(network.performer, store.rows(range(len(store))).tap)
    others = candidates(network.performer, store, found, baseline) if tried and found else {}
    return {
        "mixture": network.mixture,
        "architecture": network.architecture,
        "seed": network.seed,
        "causal": network.truth["causal"],
        "effect": network.truth["effect"],
        "accuracy": network.truth["accuracy"],
        **{name: number.as_json() for name, number in numbers.items()},
        "baseline": baseline,
        "tried": others,
        "seconds": time.process_time() - started,
    }


def agreement(found: list[float], truth: list[float]) -> dict[str, float]:
    """Mean absolute error and Spearman's rank correlation."""
    error = sum(abs(f - t) for f, t in zip(found, truth, strict=True)) / len(found)
    spearman = float(rank_correlation(*torch.tensor([found, truth], dtype=torch.float64)))
    return {"error": error, "spearman": spearman, "n": len(found)}


def judged(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the targets ask: over texture and parts mixtures, and over all carriers."""
    learned = [r for r in rows if r["accuracy"] >= LEARNED]
    graded = [r for r in learned if "parts" in r["mixture"] or r["mixture"] == "texture only"]
    content: dict[str, Any] = {"left_out": len(rows) - len(learned), "learned": LEARNED}
    for name, chosen in (("mixtures", graded), ("all", learned)):
        truth = [r["causal"]["parts"] for r in chosen]
        content[name] = {
            "part_share": agreement([r["part_share"]["value"] for r in chosen], truth),
            "baseline": agreement([r["baseline"] for r in chosen], truth),
        }
    hits = [r["part_share"]["low"] <= r["causal"]["parts"] <= r["part_share"]["high"] for r in graded]
    content["covered"] = sum(hits) / len(hits)
    return content


def p_beside(work: Path, networks: list[str], keeping: bool) -> None:
    """Prints the paper's p of three mixtures at several etas."""
    chosen = [(mixture, architecture) for mixture in EXPLAINED for architecture in networks]
    rows = []
    for mixture, architecture in chosen:
        rows.append(p_at_etas(planted(mixture, architecture, 0, work)))
        print(rows[-1], flush=True)
    if keeping:
        keep("planted_etas", "python benchmarks/planted.py --work FOLDER --etas --keep", {"rows": rows})


def main() -> None:
    """Measures every performer and prints a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, required=True, help="folder of the trained performers; made if needed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tried", action="store_true", help="judge other definitions as well (on development seeds)")
    parser.add_argument("--etas", action="store_true", help="the paper's p at several etas, and nothing else")
    parser.add_argument("--networks", nargs="+", choices=ARCHITECTURES, default=list(ARCHITECTURES))
    parser.add_argument("--keep", action="store_true", help="keep the rows for benchmarks/figures.py")
    options = parser.parse_args()
    if options.etas:
        p_beside(options.work, options.networks, options.keep)
        return
    rows = []
    print("| mixture | network | seed | accuracy | causal share | part share | A |\n|---|---|--:|--:|--:|--:|--:|")
    for mixture in MIXTURES:
        for seed in options.seeds:
            for architecture in options.networks:
                row = measured(planted(mixture, architecture, seed, options.work), options.tried)
                rows.append(row)
                share = row["part_share"]
                text = "–" if share["value"] is None or math.isnan(share["value"]) else f"{share['value']:.2f}"
                print(
                    f"| {mixture} | {architecture} | {seed} | {row['accuracy']:.2f} | {row['causal']['parts']:.2f} | "
                    f"{text} | {row['baseline']:.2f} |",
                    flush=True,
                )
    content = judged(rows)
    if options.tried:
        graded = [r for r in rows if r["accuracy"] >= LEARNED]
        truth = [r["causal"]["parts"] for r in graded]
        content["tried"] = {name: agreement([r["tried"][name] for r in graded], truth) for name in NAMES}
        mixed = [r for r in graded if "parts" in r["mixture"] or r["mixture"] == "texture only"]
        truth = [r["causal"]["parts"] for r in mixed]
        content["tried_mixtures"] = {name: agreement([r["tried"][name] for r in mixed], truth) for name in NAMES}
    print(json.dumps(content, indent=1))
    if options.keep:
        asked = f"--seeds {' '.join(map(str, options.seeds))} --networks {' '.join(options.networks)}"
        command = f"python benchmarks/planted.py --work FOLDER {asked}{' --tried' * options.tried} --keep"
        names = {"names": NAMES} if options.tried else {}
        keep("planted_tried" if options.tried else "planted_truth", command, {"rows": rows, **names, **content})


if __name__ == "__main__":
    main()
