"""Location metrics, image by image."""

import math
import statistics


def chosen_images(scores, eligible, top, count):
    """Image indices, best score first, each repeated as often as it occurs, at most `top` of them."""
    order = sorted((i for i in range(len(scores)) if eligible[i]), key=lambda i: (-scores[i], i))
    chosen = [i for i in order for _ in range(count[i])]
    return chosen if top is None else chosen[:top]


def deviation(points, scores, valid, landmarks, present, diagonal, top, count=None):
    """One filter, one landmark."""
    n = len(scores)
    count = [1] * n if count is None else count
    chosen = chosen_images(scores, [valid[i] and present[i] for i in range(n)], top, count)
    if len(chosen) < 2:
        return math.nan
    return statistics.stdev(math.dist(points[i], landmarks[i]) / diagonal for i in chosen)


def spread(points):
    rows, columns = [p[0] for p in points], [p[1] for p in points]
    return math.sqrt((statistics.pvariance(rows) + statistics.pvariance(columns)) / 2)


def effective_locations(units):
    entropy = 0.0
    for u in set(units):
        h = units.count(u) / len(units)
        entropy -= h * math.log(h)
    return math.exp(entropy)


def _mean(points):
    return [sum(p[a] for p in points) / len(points) for a in (0, 1)]


def nearest_landmark(points, valid, landmarks, present):
    """One filter; `landmarks[i][k]`. Returns the landmark's index and R^2."""
    best, index, r2 = math.inf, -1, math.nan
    for k in range(len(present[0])):
        shown = [i for i in range(len(points)) if valid[i] and present[i][k]]
        if len(shown) < 3:
            continue
        distance = sum(math.dist(points[i], landmarks[i][k]) for i in shown) / len(shown)
        if distance >= best:
            continue
        offsets = [[points[i][a] - landmarks[i][k][a] for a in (0, 1)] for i in shown]
        marks = [landmarks[i][k] for i in shown]
        unexplained = sum(math.dist(o, _mean(offsets)) ** 2 for o in offsets)
        movement = sum(math.dist(p, _mean(marks)) ** 2 for p in marks)
        best, index, r2 = distance, k, max(0.0, 1 - unexplained / movement)
    return index, r2
