# %% [markdown]
# # Which parts does this network use, where, and how much?
#
# A walk through `partscope` on drawn creatures: birds, beetles, fish and other animals whose parts are known
# exactly, and a small network that tells them apart. At the end stands a sentence that the numbers bear, and a list
# of sentences that they do not bear. With your own network and photographs only the first cell changes
# ([how](how-to/own-network.md)).
#
# It takes a minute or two on a laptop's processor.

# %%
from dataclasses import replace

import torch
from IPython.display import Image, display
from PIL import Image as Picture
from PIL import ImageDraw

from partscope import FigureSettings, draw_figure, fit, load_performer, load_photos, open_diagnosis
from partscope.run import open_run
from partscope.settings import demo_job

TRAIN, TEST, EPOCHS = 1500, 400, 8
job = demo_job()
job = replace(job, data=replace(job.data, train_images=TRAIN, test_images=TEST), fit=replace(job.fit, epochs=EPOCHS))

# %% [markdown]
# ## What the network sees
#
# Each image carries *landmarks*, the centres of its parts. They evaluate and never train: the explainer does not
# see them.

# %%
performer = load_performer(job.performer)
photos = load_photos(job.data, performer.input_size, "test")
strip = Picture.new("RGB", (5 * 196, 192), "white")
for k in range(5):
    sample = photos[k]
    pixels = (sample.image.permute(1, 2, 0) * 255).round().byte().numpy()
    shown = Picture.fromarray(pixels).resize((192, 192))
    pen = ImageDraw.Draw(shown)
    for row, column in (2 * sample.landmarks[sample.present]).tolist():
        pen.ellipse([column - 4, row - 4, column + 4, row + 4], fill="white", outline="black")
    strip.paste(shown, (196 * k, 0))
print(photos.categories, photos.landmark_names, sep="\n")
strip

# %% [markdown]
# ## Fit an explainer, and measure
#
# `fit` is a generator: it yields its progress, and whoever calls it decides what to do with that. The network is
# never changed. Given again, the same call resumes, or finds that nothing is left to do.

# %%
stages = []
for event in fit(job, "creatures"):
    if event.stage not in stages:
        stages.append(event.stage)
print(*stages, sep="\n")

# %% [markdown]
# The explainer has two tracks. The *interpretable* one has filters that are masked to a single peak each, the
# *ordinary* one carries the rest; p is the weight of the first in their sum.


# %%
def finish(steps):
    """The result of a generator that yields its progress."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


run = finish(open_run("creatures"))
run.subject.explainer

# %% [markdown]
# ## Is it true to the network?
#
# First of all: does the explainer stand in for the network? Below are the headline numbers, each with its 95 %
# interval and its count. Look at *fidelity* before anything else. Where the explainer loses much of the features
# (FVU near 1), no other number describes the network.

# %%
found = open_diagnosis("creatures")
found

# %% [markdown]
# ## Which parts, and where?
#
# The filters that add most to the scores, each on the test images that excite it most, with a ring round the place
# where it peaks. A row that shows one thing is a part; a row that does not is none, whatever its share.

# %%
for part in found.parts[:4]:
    display(part)

# %% [markdown]
# Rings can flatter. Do peaks move *with* a part, more than a point would that looks at no image at all?


# %%
def said(field):
    number = found.estimate(field)
    if number.value is None:
        return "not computed"
    between = "" if number.low is None else f"  ({number.low:.3f} to {number.high:.3f})"
    return f"{number.value:.3f}{between}"


rows = [
    ("location instability, filters", "location_instability.released.explainer"),
    ("   network's top layer", "location_instability.released.top_conv"),
    ("   null: the image's centre", "location_instability.released.null_center"),
    ("R2 with the nearest landmark, filters", "landmark_r2.released.explainer"),
    ("   network's top layer", "landmark_r2.released.top_conv"),
    ("NMI with the landmarks' names, filters", "landmark_agreement.nmi.filters.explainer"),
    ("   network's top layer", "landmark_agreement.nmi.filters.top_conv"),
    ("   null: a fixed grid", "landmark_agreement.nmi.filters.null_grid"),
    ("PCK, landmarks found from all peaks", "landmark_agreement.pck.explainer"),
    ("   null: the mean landmark", "landmark_agreement.pck.null_mean_landmark"),
    ("spread of peaks within an image, filters", "diversity.explainer.spread"),
    ("   the landmarks' own", "diversity.landmarks.spread"),
]
for name, field in rows:
    print(f"{name:42}{said(field)}")

# %% [markdown]
# Lower is better for the instability, higher for R², NMI and PCK. Note the nulls. The image's centre is often about
# as *steady* as the filters, because the creatures are centred: a low instability alone proves nothing. R² cannot
# be won by standing still, so there the null is 0. Where the filters' spread is well below the landmarks' own, they
# look at few of the parts, whatever else the numbers say.
#
# ## How much does each part add?
#
# Filters vote for the landmark that they follow on half of the test images; the vote is checked on the other half,
# against the landmarks of *another* image. A part's contribution is its filters' share of what the part track adds
# to the score.

# %%
print(f"{'part':12}{'filters':>8}   contribution                 vote confirmed   by another image's landmarks")
for k, part in enumerate(found.get("parts")):
    if part["filters"]:
        checks = [said(f"parts.{k}.{name}")[:5] if name in part else "-" for name in ("confirmed", "null_confirmed")]
        print(
            f"{part['name']:12}{len(part['filters']):8}   {said(f'parts.{k}.contribution'):29}{checks[0]:17}{checks[1]}"
        )
print("\np", said("p"), "  part share of the network's own evidence", said("part_share"))

# %% [markdown]
# Those shares are gradient x activation, a linear reading. So take the first part away and look: its filters are
# replaced by their mean over the training images, and the network goes on from what the explainer rebuilds.

# %%
explainer, store, labels = run.subject.explainer, run.subject.store, run.subject.labels
strongest = next(part for part in found.get("parts") if part["filters"])
objects = (labels.category >= 0).nonzero().flatten()
features = store.rows(objects)
right = run.subject.right[objects][:, None]


@torch.no_grad()
def scores_without(filters):
    parts, ordinary = explainer.encode(features.tap)
    track = parts.output.clone()
    track[:, filters] = explainer.mean_interpretable[filters]
    return performer.resume(explainer.decode(track, ordinary.output)[-1], "last")


whole, without = scores_without([]), scores_without(strongest["filters"])
fall = (whole - without).gather(1, right)[:, 0]
print(f"without '{strongest['name']}' ({len(strongest['filters'])} filters) the right score falls by {fall.mean():.2f}")
for c, name in enumerate(labels.names):
    own = labels.category[objects] == c
    if own.any():
        print(f"   {name:8}{fall[own].mean():6.2f}")
changed = (whole.argmax(1) != without.argmax(1)).float().mean()
print(f"{100 * changed:.0f} % of the answers change")

# %% [markdown]
# Is that much? Compare with as many filters drawn at random: a null for ablation. Here it is as large.
# Contributions count from zero, ablation from the filters' mean, so that a part that is there in every image adds
# much and is missed little.

# %%
generator = torch.Generator().manual_seed(0)
falls = []
for _ in range(20):
    drawn = torch.randperm(len(found.get("filters")), generator=generator)[: len(strongest["filters"])]
    falls.append(float((whole - scores_without(drawn)).gather(1, right).mean()))
falls = torch.tensor(falls)
print(f"random filters, as many: mean {falls.mean():.2f}, from {falls.min():.2f} to {falls.max():.2f} in 20 draws")

# %% [markdown]
# The paper's Fig. 5 of this run: Grad-CAM of explainer and network, and the same contributions.

# %%
drawn = finish(draw_figure("parts", ["creatures"], "parts.png", FigureSettings(rows=4)))
picture = Picture.open(drawn.path).convert("RGB")
picture.thumbnail((1000, 1000))
picture.quantize(200).save("small.png", optimize=True)
Image("small.png", alt=drawn.caption)

# %% [markdown]
# ## What may be said now
#
# *On these creatures the explainer stands in for the network (FVU, error). Its filters follow parts: R² lies far above
# that of the network's own channels, and votes are confirmed on images that did not vote. About half of what they add
# to the score comes from filters that follow the torso, and most of the rest from filters without a landmark of their
# own. Taking the torso's filters away costs no more than taking as many others, so this run does not show that the
# torso matters more than they do.*
#
# What may **not** be said:
#
# * *"The network uses p parts."* p is a gate and follows eta, a weight that somebody chose. Read it with FVU of the
#   parts alone, and with the part share.
# * *"Taking the part away changes the answer that much."* The share is linear; the ablation above is the
#   experiment, and its null stands below it.
# * *"These are all its parts."* Filters without a majority are `other`, and a part that has no landmark has no
#   name.
# * *"So it would be for another seed, another training set, other photographs."* The intervals redraw test images
#   only. Fit again with other seeds to see the rest.
#
# The run's folder has all of it in `diagnosis.json` ([every field](diagnosis.md)), and `report.html`, one file to
# open and to click through ([how to read it](how-to/read-the-report.md)).
