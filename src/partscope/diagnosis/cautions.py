"""What a reader of the numbers must be warned of."""

from typing import Any

from partscope.data import told_left_out


def cautions(content: dict[str, Any]) -> list[str]:
    """Plain sentences on what makes the numbers of a diagnosis mean less than they seem to."""
    said = []
    if content["diversity"]["collapsed"]:
        spread = {
            layer: found["spread"]["value"] for layer, found in content["diversity"].items() if layer != "collapsed"
        }
        own, landmarks = spread["explainer"], spread.get("landmarks")
        beside = landmarks or spread["top_conv"]
        whose = "the landmarks'" if landmarks else "the performer's top conv layer's"
        said.append(
            f"The filters have collapsed onto one place: their part locations spread over {_percent(own)} of the "
            f"crop's diagonal, {whose} over {_percent(beside)}. A low location instability then means nothing."
        )
    parts = content["fidelity"]["parts_only"]["fvu"][-1]["value"]
    if parts is not None and parts > 0.5:
        said.append(
            f"The part track alone loses {_percent(parts)} of the last target's variance: p says how much "
            "magnitude passes through it, not how much information."
        )
    own = content["fidelity"].get("performer", {}).get("error", {}).get("value")
    named = len(content["categories"]) + int(content["counts"]["test_negatives"] > 0)
    if own is not None and own >= max(0.5, 1 - 1 / named):  # of one category, half may be wrong by chance too
        said.append(
            f"The performer's own error is {_percent(own)}, no better than guessing: its scores may stand in another "
            "order than the categories. Errors and contributions then mean nothing."
        )
    lost = told_left_out(content["counts"]["left_out"])
    if lost:
        said.append(lost)
    if content["counts"]["test_images"] < 100:
        said.append(f"Only {content['counts']['test_images']} test images: intervals are wide and may be too narrow.")
    dead = content["counts"]["dead_filters"]
    if dead > 0.1 * content["counts"]["filters"]:
        said.append(f"{dead} of {content['counts']['filters']} filters are silent on every image of their category.")
    return said


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
