"""Which epoch of a new classifier is kept, and what that does to the explainer: on validation images, one seed.

Command:   python benchmarks/explainer/heads.py --root DATA [--tasks birds cat horse] [--keep]
Expected:  three quarters of an hour of one core.
Last result: docs/decisions/0029-the-last-epoch-of-a-new-head.md.

*least loss*: a fifth of the photographs is held back and chooses the epoch, mirror images and crops on the side of
their photograph; *last*: all of them are learned from, to the end of the cosine course.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import HEAD, changed, line, measure
from kept import has_kept, keep, kept
from recipes import RECIPES
from tasks import TASKS, located, split

from partscope import Job
from partscope.data import batches
from partscope.performers import Performer, load_performer, with_head
from partscope.performers import head as heads
from partscope.performers.course import cosine
from partscope.performers.learning import NetworkLearner, validation_rows
from partscope.training.prepare import HEAD_LEARNING_RATE

WAYS = {"least loss": 0.2, "last": 0.0}
"""Share of the photographs that is held back."""


def headed(job: Job, share: float) -> tuple[Performer, int]:
    """The job's performer with a classifier of its own, trained on the images that the bench learns from; its epoch."""
    performer = load_performer(job.performer)
    photos, _ = split(job, performer.input_size, "validation")
    with torch.no_grad():
        tops = [performer.top_output(performer.features(images).tap).flatten(1) for images, _ in batches(photos, 64)]
    features, groups = torch.cat(tops), [photos.file_digest(i) for i in range(len(photos))]
    labels = torch.tensor([photos.category_of(i) for i in range(len(photos))]) >= 0
    torch.manual_seed(0)
    kept, held = validation_rows(groups, share)
    head = heads._fresh_head(features.shape[1], job.performer.head_width, 1)
    scale = 1 / features.square().mean().sqrt()
    learner = NetworkLearner(
        head,
        torch.optim.AdamW(head.parameters(), lr=HEAD_LEARNING_RATE, weight_decay=1e-2),
        heads._Rows(features, scale),
        labels.float()[:, None],
        kept=kept,
        held=held,
        loss="logistic",
        epochs=job.performer.head_epochs,
        batch_size=64,
        course=cosine(HEAD_LEARNING_RATE),
        random_state=torch.get_rng_state(),
    )
    for _ in learner:
        pass
    head.load_state_dict(learner.best)
    with torch.no_grad():
        next(head.parameters()).mul_(scale)
    return with_head(performer, head.eval()), learner.best_epoch


def main() -> None:
    """Prints a row a task and way."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True)
    one_category = ["birds", "cat", "horse"]
    parser.add_argument("--tasks", nargs="*", choices=one_category, default=one_category)
    parser.add_argument("--work", type=Path, default=Path("bench-heads"))
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    rows: dict[str, dict[str, Any]] = kept("heads")["rows"] if options.keep and has_kept("heads") else {}
    print(HEAD)
    print("|---|---|" + "--:|" * 13)
    for task in options.tasks:
        changes = RECIPES["default"].get(task, {})
        name = f"{task}-validation" + "".join(f"-{k.split('.')[1]}={v}" for k, v in changes.items())
        for way, share in WAYS.items():
            work = options.work / way.replace(" ", "-")
            file, about = work / name / "performer.safetensors", work / name / "epoch.json"
            if not file.exists():
                performer, epoch = headed(changed(located(TASKS[task], options.root), changes), share)
                file.parent.mkdir(parents=True, exist_ok=True)
                about.write_text(json.dumps(epoch))
                save_file({k: v.contiguous() for k, v in performer.saved_state().items()}, file)
            row = measure(task, changes, 0, "validation", options.root, work) | {"epoch": json.loads(about.read_text())}
            rows.setdefault(task, {})[way] = row
            print(line(task, way, [row]), flush=True)
    if options.keep:
        keep("heads", "python benchmarks/explainer/heads.py --root DATA --keep", {"rows": rows})


if __name__ == "__main__":
    main()
