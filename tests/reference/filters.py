"""Templates, mask, filter loss and its training rules, one filter at a time: `maps` is (M, n, n) float64."""

import math

import numpy as np


def template(n, row, column, beta=4.0, low=-1.0):
    t = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            t[i, j] = max(1 - beta * (abs(i - row) + abs(j - column)) / n, low)
    return t


def peak(m):
    best = (0, 0)
    for i in range(m.shape[0]):
        for j in range(m.shape[1]):
            if m[i, j] > m[best]:
                best = (i, j)
    return best


def mask(m):
    row, column = peak(m)
    return template(len(m), row, column, low=0.0)


def all_templates(n):
    """n^2 scaled templates and the negative one."""
    tau = 0.5 / n**2
    found = [tau * template(n, i, j) for i in range(n) for j in range(n)]
    return [*found, -tau * np.ones((n, n))]


def densities(maps):
    """p(mu), p(x_m|mu) as [m][mu], p(x_m)."""
    n = maps.shape[1]
    templates = all_templates(n)
    alpha = n**2 / (1 + n**2)
    prior = [alpha / n**2] * n**2 + [1 - alpha]
    fit = [[float((m * t).sum()) for t in templates] for m in maps]
    z = [sum(math.exp(row[u]) for row in fit) for u in range(len(templates))]
    given = [[math.exp(row[u]) / z[u] for u in range(len(templates))] for row in fit]
    marginal = [sum(prior[u] * row[u] for u in range(len(templates))) for row in given]
    return prior, given, marginal


def loss(maps):
    prior, given, marginal = densities(maps)
    total = 0.0
    for u, p_u in enumerate(prior):
        for m in range(len(maps)):
            total -= p_u * given[m][u] * math.log(given[m][u] / marginal[m])
    return total


def loss_terms(maps):
    prior, given, marginal = densities(maps)
    prior_entropy = -sum(p * math.log(p) for p in prior)
    category = spatial = 0.0
    for m in range(len(maps)):
        posterior = [prior[u] * given[m][u] / marginal[m] for u in range(len(prior))]
        there, absent = sum(posterior[:-1]), posterior[-1]
        category -= marginal[m] * (there * math.log(there) + absent * math.log(absent))
        spatial -= marginal[m] * there * sum(p / there * math.log(p / there) for p in posterior[:-1])
    return prior_entropy, category, spatial


def loss_gradient(maps, *, constant_z=False):
    prior, given, marginal = densities(maps)
    templates = all_templates(maps.shape[1])
    gradient = np.zeros_like(maps)
    for u, t in enumerate(templates):
        information = [math.log(given[m][u] / marginal[m]) for m in range(len(maps))]
        divergence = sum(given[m][u] * information[m] for m in range(len(maps)))
        for m in range(len(maps)):
            bracket = information[m] - (0 if constant_z else divergence)
            gradient[m] -= prior[u] * given[m][u] * bracket * t
    return gradient


def target(m, positive, low=-1.0):
    n = len(m)
    if not positive:
        return n * n, -np.ones((n, n))
    row, column = peak(m)
    return row * n + column, template(n, row, column, low=low)


def paper_gradient(maps, positive):
    prior, given, marginal = densities(maps)
    tau = 0.5 / maps.shape[1] ** 2
    gradient = np.zeros_like(maps)
    for m in range(len(maps)):
        u, t = target(maps[m], positive[m])
        information = math.log(given[m][u] / marginal[m])
        gradient[m] = -prior[u] * given[m][u] * information * tau * t
    return gradient


def robust_weights(maps, positive, mean_peak):
    weights = [0.0] * len(maps)
    for kind in (True, False):
        listed = [m for m in range(len(maps)) if positive[m] == kind and (not kind or maps[m].max() > 0)]
        if not listed:
            continue
        t = {m: 2 * float((maps[m] / mean_peak * target(maps[m], kind)[1]).mean()) for m in listed}
        c = math.log(sum(math.exp(v) for v in t.values()) / len(t))
        highest = max(t.values())
        w = {m: math.exp(v - highest) * max(v - c + 1, 0) for m, v in t.items()}
        mean = sum(w.values()) / len(w)
        for m in listed:
            weights[m] = w[m] / mean if mean > 0 else 1.0
    return weights


def robust_gradient(maps, positive, mean_peak):
    tau = 0.5 / maps.shape[1] ** 2
    weights = robust_weights(maps, positive, mean_peak)
    return np.stack([-w * tau * target(m, p)[1] for w, m, p in zip(weights, maps, positive, strict=True)])


def released_template(m):
    n = len(m)
    mass = max(m.sum(), 1e-9)
    row = sum((i + 1) * m[i, :].sum() for i in range(n)) / mass
    column = sum((j + 1) * m[:, j].sum() for j in range(n)) / mass
    row, column = (max(math.floor(v + 0.5), 1) - 1 for v in (row, column))
    grid = [-1 + 2 * i / (n - 1) for i in range(n)]
    t = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            t[i, j] = max(1 - 2.0 * (abs(grid[i] - grid[row]) + abs(grid[j] - grid[column])), -1)
    return t


def released_gradient(x, positive, epoch, weight_positive=1.0, weight_negative=1.0):
    """All filters together: `x` is (M, D, n, n), `positive` (M, D)."""
    n_images, n_filters = x.shape[:2]
    templates = np.stack([[released_template(x[m, f]) for f in range(n_filters)] for m in range(n_images)]).reshape(
        x.shape
    )
    gradient = np.zeros_like(x)
    a = 0.5
    for f in range(n_filters):
        others = [float((x[m, f] * templates[n_images - 1 - m, n_filters - 1 - f]).mean()) for m in range(n_images)]
        c_positive = a * math.log(sum(math.exp(v / a) for v in others) / n_images)
        c_negative = a * math.log(sum(math.exp(-x[m, f].mean() / a) for m in range(n_images)) / n_images)
        for kind in (True, False):
            listed = [m for m in range(n_images) if positive[m, f] == kind]
            raw = []
            for m in listed:
                s = float((x[m, f] * templates[m, f]).mean()) if kind else -float(x[m, f].mean())
                raw.append(math.exp(s / a) * (s - (c_positive if kind else c_negative) + a))
            for m, w in zip(listed, raw, strict=True):
                share = w / (sum(raw) / len(raw)) * 0.1 / epoch
                if kind:
                    gradient[m, f] -= 1e-5 * weight_positive * share * templates[m, f]
                else:
                    gradient[m, f] += 1e-5 * weight_negative * share
    return gradient
