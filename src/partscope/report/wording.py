"""Plain sentences that read the numbers of a diagnosis; each is computed from the values it names."""

from partscope.report.estimate import Diagnosis, Estimate, locations, percent, plain, words

MOSTLY, HARDLY = 0.4, 0.9
FEW_IMAGES = 100
BRANCHES = {"full": "both tracks", "parts_only": "parts only", "ordinary_only": "ordinary only"}
GATE = "p is a gate between the two tracks, not a share of information."


def counted(count: int, noun: str) -> str:
    """A count with its noun.

    Example:
        >>> counted(1, "filter"), counted(1960, "image"), counted(2, "category")
        ('1 filter', '1,960 images', '2 categories')
    """
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun[:-1]}ies" if noun.endswith("y") else f"{count:,} {noun}s"


def last_target(diagnosis: Diagnosis, branch: str) -> Estimate:
    """The FVU of the last target with both tracks, parts only, or ordinary only."""
    return diagnosis.estimate(f"fidelity.{branch}.fvu.{len(diagnosis.get('fidelity.targets')) - 1}")


def summary(diagnosis: Diagnosis) -> str:
    """What was done and what came out, in one paragraph."""
    counts, performer = diagnosis.get("counts"), diagnosis.get("performer")
    categories = diagnosis.get("categories")
    tested = [f"{counted(counts['test_objects'], 'object')} of {counted(len(categories), 'category')}"]
    if counts["test_negatives"]:
        tested.append(counted(counts["test_negatives"], "negative"))
    dead = f", {counts['dead_filters']:,} of them dead" if counts["dead_filters"] else ", none of them dead"
    sentences = [
        f"An explainer with {counted(counts['filters'], 'part filter')}{dead}, was fitted to "
        f"{performer['name']} at "
        f"the layer {performer['tap']} on {counted(counts['train_images'], 'image')} and measured on "
        f"{counts['test_images']:,} others ({words(tested)})."
    ]
    full, parts = last_target(diagnosis, "full").value, last_target(diagnosis, "parts_only").value
    if full is not None and parts is not None:
        both, alone = _lost(full, _last(diagnosis)), _lost(parts, _last(diagnosis))
        sentences.append(f"With both tracks it {both}; with the part track alone it {alone}.")
    share = diagnosis.estimate("part_share")
    if share.value is not None:
        sentences.append(
            f"Of the performer’s own evidence {percent(share.value)} stands out in few places of the image: parts do "
            "that, and so do a lone blob, a mark at a fixed place and some backgrounds. The rest lies everywhere."
        )
    explainer, top = _location(diagnosis, "explainer"), _location(diagnosis, "top_conv")
    if explainer.value is not None and top.value is not None:
        spread = diagnosis.estimate("diversity.explainer.spread")
        beside = f", while they spread over {plain(spread.value)} of the diagonal" if spread.value is not None else ""
        sentences.append(
            f"Its filters’ location instability is {plain(explainer.value)} against {plain(top.value)} "
            "for the "
            f"performer’s own top-layer channels{beside}."
        )
    return " ".join(sentences)


def read_part_share(diagnosis: Diagnosis) -> str:
    """Reads the part share against what chance makes stand out."""
    share, null = diagnosis.estimate("part_share"), diagnosis.estimate("part_share_null")
    if share.value is None:
        return f"Not measured: {diagnosis.get('absent.part_share', 'the diagnosis gives no reason')}."
    sentence = (
        f"Of the evidence by which the performer tells images apart, {percent(share.value)} stands out in few places. "
        "Parts do that; so do a lone blob, a mark at a fixed place and some backgrounds."
    )
    if null.value is None:
        return sentence
    difference = diagnosis.estimate("part_share_less_null")
    found = "more than" if difference.low is not None and difference.low > 0 else "not clearly more than"
    return (
        f"{sentence} It is {found} the {percent(null.value)} of evidence that is normally distributed over the image."
    )


def read_p(diagnosis: Diagnosis) -> str:
    """Reads p together with what the part track carries alone."""
    p, parts = diagnosis.estimate("p"), last_target(diagnosis, "parts_only")
    if p.value is None or parts.value is None:
        return "p or the fidelity of the part track alone could not be computed, so neither can be read."
    gate = f"The gate gives the part track a weight of {plain(p.value)}"
    alone = f"of the variance of {_last(diagnosis)} is lost when that track works alone"
    if parts.value >= 1:
        return f"{gate}, yet alone that track is no better than guessing the mean of {_last(diagnosis)}."
    if parts.value >= HARDLY:
        return f"{gate}, yet {percent(parts.value)} {alone}: the parts carry almost none of it."
    if parts.value <= MOSTLY:
        return f"{gate}, and only {percent(parts.value)} {alone}: the parts carry most of it."
    return f"{gate}, but {percent(parts.value)} {alone}: the parts carry some of it."


def read_fidelity(diagnosis: Diagnosis) -> str:
    """Reads how closely the explainer stands in for the performer."""
    measure = diagnosis.get("fidelity.measure")
    full, fvu = diagnosis.estimate(f"fidelity.full.{measure}"), last_target(diagnosis, "full")
    loss = "" if fvu.value is None else f" It {_lost(fvu.value, _last(diagnosis))}."
    if full.value is None:
        return f"The classification could not be compared.{loss}"
    if measure == "disagreement":
        changed = percent(full.value)
        return f"With the explainer’s features the network changes its answer on {changed} of the images.{loss}"
    own = diagnosis.estimate("fidelity.performer.error")
    if own.value is None:
        return f"The network errs on {percent(full.value)} of the images with the explainer’s features.{loss}"
    if _apart(own, full):
        verdict = "errs more often than" if full.value > own.value else "errs less often than"
    else:
        verdict = "errs about as often as"
    return (
        f"With the explainer’s features the network {verdict} with its own ({percent(full.value)} against "
        f"{percent(own.value)}).{loss}"
    )


def read_instability(diagnosis: Diagnosis) -> str:
    """Reads location instability against the performer's channels and predictors that see no image."""
    explainer, top = _location(diagnosis, "explainer"), _location(diagnosis, "top_conv")
    if explainer.value is None or top.value is None:
        return "Location instability could not be computed for the filters or for the performer’s channels."
    if not _apart(explainer, top, _location(diagnosis, "explainer_less_top_conv")):
        verdict = "about as steadily as the performer’s own channels"
    elif explainer.value < top.value:
        verdict = "more steadily than the performer’s own channels"
    else:
        verdict = "less steadily than the performer’s own channels"
    figures = f"({plain(explainer.value)} against {plain(top.value)})"
    sentence = f"Filters stay on the same object part {verdict} {figures}"
    constants = {
        "an image-centre constant": _location(diagnosis, "null_center"),
        "the best fixed point": _location(diagnosis, "null_best_fixed"),
    }
    better = {name: e.value for name, e in constants.items() if e.value is not None and e.value <= explainer.value}
    random = _location(diagnosis, "null_random")
    if random.value is not None and (random.value <= explainer.value or not _apart(explainer, random)):
        return f"{sentence}, no steadier than points drawn at random ({plain(random.value)})."
    if better:
        name = next(iter(better))
        return f"{sentence}, but {name} would score {plain(better[name])}: read it together with the spread."
    if diagnosis.get("diversity.collapsed"):
        return f"{sentence}, but the filters have collapsed onto one place, so the number says little."
    fixed = constants["the best fixed point"]
    if fixed.value is not None and not _apart(explainer, fixed):
        return f"{sentence}, about as steadily as the best fixed point ({plain(fixed.value)})."
    return f"{sentence}, and more steadily than the best fixed point would."


def read_following(diagnosis: Diagnosis) -> str:
    """Reads whether peaks move with landmarks, which no constant does."""
    mine, top = (diagnosis.estimate(f"landmark_r2.released.{name}") for name in ("explainer", "top_conv"))
    error, other, null = (
        diagnosis.estimate(f"keypoint_regression.{name}") for name in ("explainer", "top_conv", "null_mean_landmark")
    )
    if mine.value is None or top.value is None:
        return "Too few images show a landmark and a filter's peak together to tell whether they move together."
    sentence = (
        f"A filter’s peak explains {percent(mine.value)} of the movement of the landmark nearest to it; "
        f"the performer’s own channels explain {percent(top.value)}."
    )
    if error.value is None or other.value is None or null.value is None:
        return sentence
    if error.value >= null.value:
        return f"{sentence} All peaks together locate the landmarks no better than their mean does."
    if not _apart(error, other, diagnosis.estimate("keypoint_regression.explainer_less_top_conv")):
        verdict = "about as well as"
    else:
        verdict = "better than" if error.value < other.value else "less well than"
    return f"{sentence} All peaks together locate the landmarks {verdict} the performer’s own channels do."


def read_parts(diagnosis: Diagnosis) -> str:
    """Reads the contributions by part, and whether ablation and the landmarks' names bear them out."""
    parts = [(part["name"], part["contribution"]["value"]) for part in diagnosis.get("parts") if part["filters"]]
    known = [f"{name} {percent(value)}" for name, value in parts if value is not None]
    if not known:
        return "The part track’s contributions to the scores do not add up to more than 0, so no part has a share."
    sentence = f"Of what the part track adds to the score: {words(known)}."
    gap = diagnosis.estimate("contributions.completeness_gap")
    if gap.value is not None:
        sentence += f" Image by image their sum misses what the whole track adds by {percent(gap.value)}."
    rank = "contributions.rank_correlation"
    found, null = diagnosis.estimate(f"{rank}.parts"), diagnosis.estimate(f"{rank}.null_parts")
    if found.value is not None:
        low, high = found.low or -1.0, found.high or 1.0
        order = "in the order of" if low > 0 else "against the order of" if high < 0 else "in no clear order of"
        beside = f"; of the number of filters {plain(null.value)}" if null.value is not None else ""
        sentence += f" Taking parts away changes the score {order} their shares (rank correlation {plain(found.value)}"
        sentence += f" over {counted(found.n, 'part')}{beside})."
    mine, grid = (diagnosis.estimate(f"landmark_agreement.nmi.filters.{n}") for n in ("explainer", "null_grid"))
    if mine.value is None or grid.value is None:
        return sentence
    if not _apart(mine, grid):
        verdict = "about as well as"
    else:
        verdict = "better than" if mine.value > grid.value else "less well than"
    return f"{sentence} The strongest filter at a landmark tells its name {verdict} a fixed grid over the crop does."


CONTROL = "random patch"


def read_mimic(diagnosis: Diagnosis) -> str:
    """Reads how the explainer changes when parts are taken out of the image, against the performer."""
    how = {
        "drawn without": "the image is drawn anew without it",
        "masked": "a square about its landmark is painted in the image’s mean colour",
    }
    content = diagnosis.get("mimic")
    parts = [(k, part["name"]) for k, part in enumerate(content["parts"]) if part["name"] != CONTROL]
    values = [(diagnosis.estimate(f"mimic.parts.{k}.correlation").value, name) for k, name in parts]
    known = sorted((value, name) for value, name in values if value is not None)
    start = f"A part is taken away: {how[content['method']]}. Does the explainer change as the performer does?"
    if not known:
        return start
    (least, weakest), (most, strongest) = known[0], known[-1]
    reach = f"{plain(least)} ({weakest})" + (f" to {plain(most)} ({strongest})" if len(known) > 1 else "")
    control = " The last row paints a square away from all landmarks." if len(parts) < len(content["parts"]) else ""
    return (
        f"{start} The correlation of the changes is {reach}; 1 would be the same direction. Read it beside that with "
        f"another image’s change, and where the size is small not at all.{control}"
    )


def read_spread(diagnosis: Diagnosis) -> str:
    """Reads how far apart the filters look within one image."""
    spread = diagnosis.estimate("diversity.explainer.spread")
    yardsticks = {
        "the landmarks": diagnosis.estimate("diversity.landmarks.spread").value,
        "the performer’s channels": diagnosis.estimate("diversity.top_conv.spread").value,
    }
    known = [f"{name} over {plain(value)}" for name, value in yardsticks.items() if value is not None]
    if spread.value is None:
        return "The spread of the filters’ part locations could not be computed."
    against = f"; {words(known)}" if known else ""
    wide = f"{plain(spread.value)} of the diagonal"
    if diagnosis.get("diversity.collapsed"):
        return f"The filters point at nearly one place: they spread over only {wide}{against}."
    effective = diagnosis.estimate("diversity.explainer.effective_locations").value
    places = f", as if at {locations(effective)} equally used places" if effective is not None else ""
    return f"In one image the filters look at places spread over {wide}{places}{against}."


def collapse(diagnosis: Diagnosis) -> str:
    """Says what a collapse means for the other numbers."""
    spread = diagnosis.estimate("diversity.explainer.spread").value
    landmarks = diagnosis.estimate("diversity.landmarks.spread").value
    beside = landmarks or diagnosis.estimate("diversity.top_conv.spread").value
    whose = "the landmarks" if landmarks else "the performer’s channels"
    known = spread is not None and beside is not None
    figures = f" (spread {plain(spread)}, against {plain(beside)} for {whose})" if known else ""
    return (
        f"Most part filters point at nearly the same place in every image{figures}. A low "
        "location instability is then no sign of parts, and p does not say how much the parts carry."
    )


def limits(diagnosis: Diagnosis) -> list[str]:
    """What the numbers of this report cannot say."""
    counts = diagnosis.get("counts")
    told = "; the table of seeds shows the first" if diagnosis.get("seeds") else "; `fit --seeds 3` shows the first"
    sentences = [
        f"{GATE} The decoder can amplify what the ordinary track passes at a small weight. Only the "
        "errors with one "
        "track silenced show what each track carries.",
        "The part share sees only that evidence stands out in few places of the tap, not that a person would call them "
        "parts; parts over more than two fifths of the image lower it.",
        "A low location instability can be won by a constant: a point fixed at the image centre is "
        "often steadier than any "
        "filter. It speaks for parts only together with the spread and the three nulls.",
        "Intervals say what other test images could have given. They do not contain the differences between seeds, "
        f"between training sets, or between performers{told}.",
    ]
    if diagnosis.get("location_instability"):
        sentences.append(
            f"Parts are named by the annotated landmarks only "
            f"({words(diagnosis.get('location_instability.landmarks'))} "
            "for the instability). A filter may follow a part that has no name here, and a small R² "
            "then says nothing "
            "against it."
        )
    else:
        sentences.append(
            "Without landmarks the parts have no names, and nothing here shows that a filter follows a part."
        )
    if 0 < counts["test_objects"] < FEW_IMAGES:
        sentences.append(
            f"Only {counted(counts['test_objects'], 'test object')}: intervals from so few images are "
            "themselves "
            "uncertain, and small differences should not be read."
        )
    field, diagonal = diagnosis.get("receptive_field"), diagnosis.get("crop.diagonal_px")
    if field and field["images"]:
        sentences.append(
            f"What a filter sees was measured by covering {counted(field['images'], 'image')} of it. The covering "
            f"square is {field['square'] * diagonal:.0f} px wide: no receptive field comes out much smaller than that."
        )
    lost = counts.get("left_out")
    if lost and lost["problems"] and lost["train"] + lost["test"] + lost["unknown"]:
        first = lost["problems"][0]
        sentences.append(
            f"Damaged rows or files were left out: {lost['train']:,} of the training, {lost['test']:,} of "
            f"the test, {lost['unknown']:,} of unknown split (the first fault: {first['where']}, "
            f"{first['what']}). No number "
            "here speaks of them; if damage is commoner in one category, they are not like the rest."
        )
    sentences.append(
        "A contribution is the score’s linear share at each image. It is no experiment: removing the "
        "filter can change "
        "the score by another amount."
    )
    return sentences


def _location(diagnosis: Diagnosis, name: str) -> Estimate:
    return diagnosis.estimate(f"location_instability.released.{name}")


def _last(diagnosis: Diagnosis) -> str:
    return str(diagnosis.get("fidelity.targets")[-1])


def _lost(fvu: float, target: str) -> str:
    if fvu >= 1:
        return f"copies {target} no better than its mean would"
    return f"misses {percent(fvu)} of the variance of {target}"


def _apart(one: Estimate, other: Estimate, difference: Estimate | None = None) -> bool:
    """Whether two numbers differ: by their paired difference where there is one, else by their intervals."""
    if difference is None or difference.low is None or difference.high is None:
        return one.apart(other)
    return difference.low > 0 or difference.high < 0
