"""Wrong implementations of the paper's equations, each with the check that must catch it.

A slip here is one that has been made, in print or in code, or that a plausible reading invites.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from maths import checks_explainer, checks_fields, checks_filters, checks_metrics, checks_part_share
from partscope import maths
from partscope.maths import ReceptiveField


class Mutant(NamedTuple):
    """One wrong implementation."""

    name: str
    original: Callable[..., Any]
    wrong: Callable[..., Any]
    check: Callable[[Callable[..., Any]], None]


MUTANTS: list[Mutant] = []


def mutant(original, check):
    """Enter the decorated function as a mutant of `original`, named after itself."""

    def enter(wrong):
        MUTANTS.append(Mutant(wrong.__name__, original, wrong, check))
        return wrong

    return enter


# ---- templates, peaks, masks


@mutant(maths.part_templates, checks_filters.templates_peak_at_their_own_unit)
def template_transposed(n, **settings):
    return maths.part_templates(n, **settings).reshape(n, n, n, n).transpose(0, 1).reshape(n * n, n, n)


@mutant(maths.part_templates, checks_filters.templates_obey_low_and_beta)
def template_always_cut_at_zero(n, *, low=-1.0, **settings):
    return maths.part_templates(n, low=0.0, **settings)


@mutant(maths.part_templates, checks_filters.templates_match_the_formula)
def template_on_a_grid_of_n_minus_one(n, *, beta=4.0, **settings):
    return maths.part_templates(n, beta=beta * n / max(n - 1, 1), **settings)


@mutant(maths.part_templates, checks_filters.templates_match_the_formula)
def template_with_euclidean_distance(n, *, beta=4.0, low=-1.0, dtype=torch.float32):
    unit = maths.unit_to_row_column(torch.arange(n * n), n).to(dtype)
    distance = torch.cdist(unit, unit)
    return (1 - beta * distance / n).clamp(min=low).reshape(n * n, n, n)


@mutant(maths.part_location, checks_filters.peak_is_the_first_in_row_major_order)
def peak_first_in_column_major_order(x):
    height, width = x.shape[-2:]
    location = maths.part_location(x.transpose(-1, -2))
    return maths.PartLocation(location.unit % height * width + location.unit // height, location.peak)


@mutant(maths.part_location, checks_filters.peak_is_found_on_maps_that_are_not_square)
def peak_rows_and_columns_swapped(x):
    height, width = x.shape[-2:]
    unit, peak = maths.part_location(x)
    return maths.PartLocation(unit % width * height + unit // width, peak)


@mutant(maths.unit_to_row_column, checks_filters.units_are_row_major)
def units_column_major(unit, width):
    return maths.unit_to_row_column(unit, width).flip(-1)


@mutant(maths.unit_to_row_column, checks_filters.units_are_row_major)
def units_counted_from_one(unit, width):
    return maths.unit_to_row_column(unit, width) + 1


@mutant(maths.masked, checks_filters.peak_survives_its_mask)
def mask_scaled_by_tau(x):
    return maths.masked(x) * maths.template_scale(x.shape[-1])


@mutant(maths.masked, checks_filters.peak_survives_its_mask)
def mask_around_the_centre_of_mass(x):
    return x * maths.centroid_templates(x).clamp(min=0)


@mutant(maths.masked, checks_filters.masks_match_the_formula)
def mask_not_cut_at_zero(x):
    templates = maths.part_templates(x.shape[-1], dtype=x.dtype)
    return x * templates[maths.part_location(x).unit]


@mutant(maths.masked, checks_filters.mask_is_constant_in_backward)
def mask_with_gradient_through_the_peak(x):
    peak = x.amax((2, 3), keepdim=True)
    return maths.masked(x) * peak / peak.detach()


@mutant(maths.masked, checks_filters.mask_is_constant_in_backward)
def mask_ignored_in_backward(x):
    return x + (maths.masked(x) - x).detach()


# ---- filter loss


def _loss(s, *, prior=None):
    prior = 1 / s.shape[-1] if prior is None else prior
    log_likelihood = s - s.logsumexp(1, keepdim=True)
    log_map = log_likelihood.logsumexp(-1) + math.log(1 / s.shape[-1])
    return -(prior * log_likelihood.exp() * (log_likelihood - log_map[..., None])).sum((1, 2))


@mutant(maths.filter_loss, checks_filters.worked_loss)
def loss_without_its_minus_sign(x):
    return -maths.filter_loss(x)


@mutant(maths.filter_loss, checks_filters.worked_loss)
def loss_templates_cut_at_zero(x):
    n = x.shape[-1]
    positive = maths.part_templates(n, low=0.0, dtype=x.dtype).reshape(n * n, n * n)
    table = maths.template_scale(n) * torch.cat((positive, -torch.ones_like(positive[:1])))
    return _loss(x.flatten(2).transpose(0, 1) @ table.T)


@mutant(maths.filter_loss, checks_filters.worked_loss)
def loss_templates_not_scaled_by_tau(x):
    return _loss(maths.template_fit(x) / maths.template_scale(x.shape[-1]))


@mutant(maths.filter_loss, checks_filters.worked_loss)
def loss_without_the_negative_template(x):
    return _loss(maths.template_fit(x)[..., :-1])


@mutant(maths.filter_loss, checks_filters.worked_loss)
def loss_normalised_over_templates(x):
    return _loss(maths.template_fit(x).transpose(1, 2))


@mutant(maths.filter_loss, checks_filters.worked_loss_by_scale)
def loss_with_activation_spread_removed(x):
    return maths.filter_loss(x / x.amax((0, 2, 3), keepdim=True))


@mutant(maths.filter_loss, checks_filters.loss_matches_the_formula)
def loss_on_masked_maps(x):
    return maths.filter_loss(maths.masked(x))


@mutant(maths.filter_loss, checks_filters.loss_matches_the_formula)
def loss_divided_by_the_number_of_images(x):
    return maths.filter_loss(x) / len(x)


@mutant(maths.filter_loss, checks_filters.loss_is_finite_and_bounded)
def loss_with_plain_exponentials(x):
    likelihood = maths.template_fit(x).exp()
    likelihood = likelihood / likelihood.sum(1, keepdim=True)
    p_map = likelihood.mean(-1, keepdim=True)
    return -(likelihood * (likelihood / p_map).log()).mean(-1).sum(-1)


@mutant(maths.filter_loss, checks_filters.tiny_loss_is_accurate_in_float32)
def loss_as_the_plain_sum(x):
    return _loss(maths.template_fit(x))


@mutant(maths.filter_loss, checks_filters.loss_gradient_is_the_true_one)
def loss_with_constant_z(x):
    s = maths.template_fit(x)
    likelihood = (s - s.logsumexp(1, keepdim=True).detach()).exp()
    information = (likelihood / likelihood.mean(-1, keepdim=True)).log()
    surrogate = -(likelihood * information.detach()).mean(-1).sum(-1)
    return surrogate - surrogate.detach() + maths.filter_loss(x).detach()


@mutant(maths.filter_loss_terms, checks_filters.terms_sum_to_the_loss)
def prior_entropy_with_the_wrong_sign(x):
    terms = maths.filter_loss_terms(x)
    return terms._replace(prior_entropy=-terms.prior_entropy)


@mutant(maths.filter_loss_terms, checks_filters.worked_terms)
def spatial_entropy_as_printed_without_minus(x):
    terms = maths.filter_loss_terms(x)
    return terms._replace(spatial_entropy=-terms.spatial_entropy)


@mutant(maths.filter_loss_terms, checks_filters.worked_terms)
def spatial_entropy_not_renormalised(x):
    s = maths.template_fit(x)
    likelihood = (s - s.logsumexp(1, keepdim=True)).exp()
    posterior = likelihood / likelihood.sum(-1, keepdim=True)
    entropy = torch.special.entr(posterior[..., :-1]).sum(-1)
    return maths.filter_loss_terms(x)._replace(spatial_entropy=(likelihood.mean(-1) * entropy).sum(1))


@mutant(maths.filter_loss_terms, checks_filters.worked_terms)
def prior_over_the_units_only(x):
    terms = maths.filter_loss_terms(x)
    return terms._replace(prior_entropy=torch.full_like(terms.prior_entropy, math.log(x.shape[-1] ** 2)))


# ---- training rules


@mutant(maths.paper_gradient, checks_filters.worked_paper_gradient)
def gradient_as_printed_without_minus(x, positive):
    return -maths.paper_gradient(x, positive)


@mutant(maths.paper_gradient, checks_filters.worked_paper_gradient)
def exact_information_instead_of_the_target_template(x, positive):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(maths.filter_loss(x).sum(), x)[0]


@mutant(maths.paper_gradient, checks_filters.paper_gradient_matches_the_formula)
def labels_ignored(x, positive):
    return maths.paper_gradient(x, torch.ones_like(positive))


@mutant(maths.paper_gradient, checks_filters.paper_gradient_matches_the_formula)
def only_own_kind_in_z(x, positive):
    gradients = [maths.paper_gradient(x, positive, counted=flags) for flags in (positive, ~positive)]
    return gradients[0] + gradients[1]


@mutant(maths.robust_gradient, checks_filters.robust_rule_lowers_negatives_and_raises_the_peak)
def exact_information_for_training(x, positive, mean_peak):
    return exact_information_instead_of_the_target_template(x, positive)


@mutant(maths.robust_gradient, checks_filters.robust_rule_lowers_negatives_and_raises_the_peak)
def negatives_pushed_up(x, positive, mean_peak):
    g = maths.robust_gradient(x, positive, mean_peak)
    return torch.where(positive[..., None, None], g, -g)


@mutant(maths.robust_gradient, checks_filters.robust_rule_lowers_negatives_and_raises_the_peak)
def paper_rule_in_place_of_robust(x, positive, mean_peak):
    return maths.paper_gradient(x, positive)


@mutant(maths.robust_gradient, checks_filters.robust_rule_does_not_depend_on_scale)
def weights_on_raw_activations(x, positive, mean_peak):
    return maths.robust_gradient(x, positive, torch.ones_like(mean_peak))


def _robust(x, positive, mean_peak, *, floor=0.0, live=True, apart=True, low=-1.0, slope=2.0):
    n = x.shape[-1]
    unit, peak = maths.part_location(x)
    table = maths.part_templates(n, low=low, dtype=x.dtype)
    template = torch.where(positive[..., None, None], table[unit], -1.0)
    t = slope * (x * template).mean((2, 3)) / mean_peak
    lists = [positive & ((peak > 0) | (not live)), ~positive]
    lists = lists if apart else [lists[0] | lists[1]]
    w = torch.zeros_like(t)
    for listed in lists:
        for f in range(x.shape[1]):
            v = t[listed[:, f], f]
            if len(v):
                c = v.exp().mean().log()
                share = (v - v.max()).exp() * (v - c + 1).clamp(min=floor)
                w[listed[:, f], f] = share / share.mean()
    return -maths.template_scale(n) * w[..., None, None] * template


@mutant(maths.robust_gradient, checks_filters.robust_gradient_matches_the_formula)
def weights_may_turn_negative(x, positive, mean_peak):
    return _robust(x, positive, mean_peak, floor=-math.inf)


@mutant(maths.robust_gradient, checks_filters.silent_positives_get_no_push)
def silent_positives_listed(x, positive, mean_peak):
    return _robust(x, positive, mean_peak, live=False)


@mutant(maths.robust_gradient, checks_filters.worked_robust_gradient)
def one_list_for_positives_and_negatives(x, positive, mean_peak):
    return _robust(x, positive, mean_peak, apart=False)


@mutant(maths.robust_gradient, checks_filters.worked_robust_gradient)
def positives_never_pushed_down_off_their_peak(x, positive, mean_peak):
    return _robust(x, positive, mean_peak, low=0.0)


@mutant(maths.robust_gradient, checks_filters.worked_robust_gradient)
def weights_with_half_the_slope(x, positive, mean_peak):
    return _robust(x, positive, mean_peak, slope=0.5)


def _released(x, positive, epoch, *, template=maths.centroid_templates, flip=True, weights=(1.0, 1.0)):
    m = template(x)
    fit, activity = (x * m).mean((2, 3)), -x.mean((2, 3))
    other = (x * (m.flip(0, 1) if flip else m)).mean((2, 3))
    w = []
    for s, c, listed in ((fit, other, positive), (activity, activity, ~positive)):
        raw = (2 * s).exp() * (s - 0.5 * (2 * c).exp().mean(0).log() + 0.5) * listed
        w.append((raw / (raw.sum(0) / listed.sum(0)))[..., None, None])
    return 1e-6 / epoch * (weights[1] * w[1] - weights[0] * w[0] * m)


@mutant(maths.released_gradient, checks_filters.worked_released_gradient)
def released_rule_with_own_templates(x, positive, *, epoch):
    return _released(x, positive, epoch, flip=False)


@mutant(maths.released_gradient, checks_filters.worked_released_gradient)
def released_rule_at_the_peak(x, positive, *, epoch):
    def at_peak(x):
        n = x.shape[-1]
        table = maths.part_templates(n, beta=4 * n / (n - 1), dtype=x.dtype)
        return table[maths.part_location(x).unit]

    return _released(x, positive, epoch, template=at_peak)


@mutant(maths.released_gradient, checks_filters.released_gradient_matches_the_formula)
def released_rule_without_decay(x, positive, *, epoch, weight_positive, weight_negative):
    return _released(x, positive, 1, weights=(weight_positive, weight_negative))


@mutant(maths.released_gradient, checks_filters.released_gradient_matches_the_formula)
def released_rule_with_balance_swapped(x, positive, *, epoch, weight_positive, weight_negative):
    return _released(x, positive, epoch, weights=(weight_negative, weight_positive))


@mutant(maths.released_gradient, checks_filters.released_centre_rounds_half_up)
def released_centre_rounds_down(x, positive, *, epoch):
    def rounded_down(x):
        n = x.shape[-1]
        position, mass = torch.arange(n, dtype=x.dtype), x.sum((2, 3))
        row, column = ((x.sum(axis) * position).sum(-1) / mass for axis in (3, 2))
        table = maths.part_templates(n, beta=4 * n / (n - 1), dtype=x.dtype)
        return table[(row.floor() * n + column.floor()).long()]

    return _released(x, positive, epoch, template=rounded_down)


# ---- magnitude, mixing, objective


@mutant(maths.magnitude, checks_explainer.worked_magnitude)
def magnitude_as_a_mean_over_units(x, counted):
    return maths.magnitude(x, counted) / (x.shape[2] * x.shape[3])


@mutant(maths.magnitude, checks_explainer.worked_magnitude)
def magnitude_over_all_images(x, counted):
    return maths.magnitude(x, torch.ones_like(counted))


@mutant(maths.magnitude, checks_explainer.magnitude_is_a_mean_of_sums_of_positive_values)
def magnitude_of_absolute_values(x, counted):
    return maths.magnitude(x.abs(), counted)


@mutant(maths.magnitude, checks_explainer.worked_magnitude)
def magnitude_as_a_frobenius_norm(x, counted):
    return x[counted].flatten(2).norm(dim=-1).mean(0)


@mutant(maths.magnitude, checks_explainer.magnitude_passes_its_gradient)
def magnitude_without_gradient(x, counted):
    return maths.magnitude(x, counted).detach() + 0 * x.sum()


@mutant(maths.clamp_magnitude, checks_explainer.clamped_magnitudes_are_safe)
def floor_as_an_absolute_number(alpha, floor=1e-3):
    return alpha.clamp(min=floor)


@mutant(maths.normalise, checks_explainer.normalised_channels_sum_to_one)
def normalised_by_multiplying(x, alpha):
    return x * alpha[:, None, None]


@mutant(maths.normalise, checks_explainer.normalised_channels_sum_to_one)
def normalised_by_the_square_root(x, alpha):
    return x / alpha[:, None, None].sqrt()


@mutant(maths.limit_magnitude, checks_explainer.no_map_counts_for_more_than_so_many_means)
def limit_that_scales_every_map(x, most):
    return x * most / x.clamp(min=0).sum((2, 3), keepdim=True)


@mutant(maths.limit_magnitude, checks_explainer.no_map_counts_for_more_than_so_many_means)
def limit_of_each_unit(x, most):
    return x.clamp(max=most)


@mutant(maths.limit_magnitude, checks_explainer.no_map_counts_for_more_than_so_many_means)
def limit_of_the_signed_sum(x, most):
    return x * (most / x.sum((2, 3), keepdim=True).clamp(min=most))


@mutant(maths.mixing_weight, checks_explainer.mixing_weight_is_a_sigmoid)
def share_as_a_clamp(w_p):
    return w_p.clamp(0, 1)


@mutant(maths.mix, checks_explainer.mixture_weighs_the_interpretable_track_by_p)
def tracks_swapped(p, interpretable, ordinary):
    return maths.mix(p, ordinary, interpretable)


@mutant(maths.mix, checks_explainer.p_is_the_share_of_the_interpretable_track)
def ordinary_track_not_weighted(p, interpretable, ordinary):
    return p * interpretable + ordinary


@mutant(maths.mixing_loss, checks_explainer.mixing_loss_is_minus_log_p)
def mixing_loss_with_the_wrong_sign(w_p):
    return torch.nn.functional.logsigmoid(w_p)


@mutant(maths.mixing_loss, checks_explainer.mixing_loss_is_minus_log_p)
def mixing_loss_of_the_rounded_share(w_p):
    return -torch.sigmoid(w_p).log()


@mutant(maths.blend, checks_explainer.blend_leaves_the_ordinary_track_alone)
def gradient_to_the_ordinary_track(p, x_f, x_ordinary):
    return maths.mix(p, x_f, x_ordinary)


@mutant(maths.blend, checks_explainer.blend_leaves_the_ordinary_track_alone)
def no_gradient_to_p(p, x_f, x_ordinary):
    return maths.blend(p.detach(), x_f, x_ordinary) + 0 * p


@mutant(maths.positive_norm, checks_explainer.positive_norm_ignores_what_the_relu_removes)
def norm_of_the_whole_feature(target):
    return target.flatten(1).norm(dim=1)


@mutant(maths.reconstruction_scale, checks_explainer.reconstruction_scale_has_two_powers)
def scale_never_squared(mean_norm, power):
    return 1 / mean_norm


@mutant(maths.reconstruction_loss, checks_explainer.reconstruction_loss_is_a_mean_over_images)
def reconstruction_error_not_squared(outputs, targets, scales):
    parts = zip(outputs, targets, scales, strict=True)
    return sum(s * (u - v).flatten(1).norm(dim=1).mean() for u, v, s in parts)


@mutant(maths.reconstruction_loss, checks_explainer.reconstruction_loss_is_a_mean_over_images)
def reconstruction_summed_over_images(outputs, targets, scales):
    return maths.reconstruction_loss(outputs, targets, scales) * len(outputs[0])


@mutant(maths.reconstruction_loss, checks_explainer.reconstruction_loss_is_a_mean_over_images)
def reconstruction_averaged_over_elements(outputs, targets, scales):
    return sum(s * (u - v).square().mean() for u, v, s in zip(outputs, targets, scales, strict=True))


@mutant(maths.map_gradient_norm, checks_explainer.worked_gradient_norm)
def gradient_norm_squared(g):
    return g.square().sum((2, 3)).mean(0)


@mutant(maths.map_gradient_norm, checks_explainer.worked_gradient_norm)
def gradient_norm_over_all_images_at_once(g):
    return g.transpose(0, 1).flatten(1).norm(dim=1)


@mutant(maths.filter_strength, checks_explainer.worked_strength)
def strength_ratio_turned_over(norm_rec, norm_filter, strength):
    return maths.filter_strength(norm_filter, norm_rec, strength)


@mutant(maths.filter_strength, checks_explainer.worked_strength)
def strength_with_an_epsilon_that_bites(norm_rec, norm_filter, strength):
    return torch.where(norm_filter > 0, strength * norm_rec / (norm_filter + 1e-6), 0.0)


@mutant(maths.filter_strength, checks_explainer.worked_strength)
def strength_without_the_zero_case(norm_rec, norm_filter, strength):
    return strength * norm_rec / norm_filter


@mutant(maths.paper_strength, checks_explainer.strength_falls_with_the_epoch)
def strength_without_one_over_300_n(epoch, constant=300.0):
    return 1.0


@mutant(maths.paper_strength, checks_explainer.strength_falls_with_the_epoch)
def strength_without_decay(epoch, constant=300.0):
    return 1 / constant


# ---- receptive fields


@mutant(maths.conv_chain_field, checks_explainer.fields_of_published_nets)
def field_counted_from_one(layers):
    field = maths.conv_chain_field(layers)
    return field._replace(start=field.start + 1)


@mutant(maths.conv_chain_field, checks_explainer.fields_of_published_nets)
def field_with_the_stride_applied_too_early(layers):
    start, spacing, size = 0.0, 1.0, 1.0
    for kernel, stride, padding in layers:
        spacing *= stride
        start += ((kernel - 1) / 2 - padding) * spacing
        size += (kernel - 1) * spacing
    return ReceptiveField(start, spacing, size)


@mutant(maths.conv_chain_field, checks_explainer.fields_of_published_nets)
def field_without_padding(layers):
    return maths.conv_chain_field([(kernel, stride, 0) for kernel, stride, _ in layers])


@mutant(maths.unit_points, checks_explainer.points_of_maps_that_are_not_square)
def fields_swapped(unit, width, field_row, field_column):
    return maths.unit_points(unit, width, field_column, field_row)


@mutant(maths.unit_points, checks_explainer.points_of_maps_that_are_not_square)
def points_as_column_row(unit, width, field_row, field_column):
    return maths.unit_points(unit, width, field_row, field_column).flip(-1)


# ---- location metrics


def _deviation(points, scores, valid, landmarks, present, *, diagonal, top=100, vector=False, ddof=1, early=False):
    rows = []
    for f in range(scores.shape[1]):
        row = []
        for k in range(present.shape[1]):
            order = scores[:, f].argsort(descending=True, stable=True)
            seen = (valid[:, f] & present[:, k])[order]
            order = order[:top][seen[:top]] if early else order[seen][:top]
            offset = points[order, f] - landmarks[order, k]
            spread = offset.std(0, correction=ddof).norm() if vector else offset.norm(dim=-1).std(correction=ddof)
            row.append(spread / diagonal)
        rows.append(torch.stack(row))
    return torch.stack(rows)


@mutant(maths.location_deviation, checks_metrics.worked_deviation)
def deviation_with_the_population_denominator(*case, **settings):
    return _deviation(*case, **settings, ddof=0)


@mutant(maths.location_deviation, checks_metrics.worked_deviation)
def deviation_of_the_offset_vector(*case, **settings):
    return _deviation(*case, **settings, vector=True)


@mutant(maths.location_deviation, checks_metrics.worked_deviation)
def peaks_counted_from_one(points, *case, **settings):
    return maths.location_deviation(points + 16, *case, **settings)


@mutant(maths.location_deviation, checks_metrics.worked_deviation)
def deviation_as_a_fraction_of_the_side(*case, diagonal, **settings):
    return maths.location_deviation(*case, diagonal=diagonal / math.sqrt(2), **settings)


@mutant(maths.location_deviation, checks_metrics.worked_deviation)
def absent_landmark_at_the_origin(points, scores, valid, landmarks, present, **settings):
    everywhere = torch.ones_like(present)
    return maths.location_deviation(points, scores, valid, landmarks.nan_to_num(0.0), everywhere, **settings)


@mutant(maths.location_deviation, checks_metrics.deviation_matches_the_protocol)
def landmark_rows_and_columns_swapped(points, scores, valid, landmarks, present, **settings):
    return maths.location_deviation(points, scores, valid, landmarks.flip(-1), present, **settings)


@mutant(maths.location_deviation, checks_metrics.deviation_matches_the_protocol)
def top_images_chosen_before_the_landmark_is_looked_for(*case, **settings):
    return _deviation(*case, **settings, early=True)


@mutant(maths.location_deviation, checks_metrics.deviation_matches_the_protocol)
def lowest_scores_first(points, scores, *case, **settings):
    return maths.location_deviation(points, -scores, *case, **settings)


@mutant(maths.location_deviation, checks_metrics.deviation_matches_the_protocol)
def all_images_instead_of_the_top(*case, top=100, **settings):
    return maths.location_deviation(*case, top=None, **settings)


@mutant(maths.location_deviation, checks_metrics.silent_maps_take_no_part)
def silent_maps_counted(points, scores, valid, landmarks, present, **settings):
    everywhere = torch.ones_like(valid)
    return maths.location_deviation(points, scores, everywhere, landmarks, present, **settings)


@mutant(maths.location_deviation, checks_metrics.deviation_counts_multiplicities)
def repeats_counted_once(*case, count=None, **settings):
    return maths.location_deviation(*case, count=None if count is None else count.clamp(max=1), **settings)


@mutant(maths.location_deviation, checks_metrics.rigid_offsets_have_no_deviation)
def distance_to_the_crop_instead_of_the_landmark(points, scores, valid, landmarks, present, **settings):
    return maths.location_deviation(points, scores, valid, torch.zeros_like(landmarks), present, **settings)


@mutant(maths.location_deviation, checks_metrics.fewer_than_two_images_have_no_deviation)
def zero_where_nothing_can_be_measured(*case, **settings):
    return maths.location_deviation(*case, **settings).nan_to_num(0.0)


@mutant(maths.location_instability, checks_metrics.a_missing_landmark_takes_no_part)
def a_filter_dropped_for_one_missing_landmark(*case, **settings):
    return maths.location_deviation(*case, **settings).mean(-1)


@mutant(maths.location_instability, checks_metrics.worked_instability)
def instability_of_the_best_landmark(*case, **settings):
    return maths.location_deviation(*case, **settings).amin(-1)


@mutant(maths.layer_instability, checks_metrics.layer_is_the_mean_of_its_filters)
def unmeasured_filters_as_zero(per_filter):
    layer = maths.layer_instability(per_filter)
    return layer._replace(value=per_filter.nan_to_num(0.0).mean(-1))


@mutant(maths.peak_spread, checks_metrics.spread_is_a_population_deviation)
def spread_not_halved(points, valid):
    return maths.peak_spread(points, valid) * math.sqrt(2)


@mutant(maths.peak_spread, checks_metrics.spread_is_a_population_deviation)
def spread_of_silent_filters_too(points, valid):
    return maths.peak_spread(points, valid.any(1, keepdim=True).expand_as(valid))


@mutant(maths.effective_locations, checks_metrics.effective_locations_count_distinct_peaks)
def entropy_instead_of_its_exponential(unit, valid, n_units):
    return maths.effective_locations(unit, valid, n_units).log()


@mutant(maths.effective_locations, checks_metrics.effective_locations_count_distinct_peaks)
def number_of_occupied_units(unit, valid, n_units):
    histogram = torch.zeros(len(unit), n_units).scatter_add(1, unit, valid.float())
    return (histogram > 0).sum(1) / valid.any(1)


@mutant(maths.nearest_landmark_r2, checks_metrics.nearest_landmark_matches_the_definition)
def r2_without_the_mean_offset(points, valid, landmarks, present):
    found = maths.nearest_landmark_r2(points, valid, landmarks, present)
    r2 = []
    for f, k in enumerate(found.landmark.tolist()):
        seen = valid[:, f] & present[:, k]
        mark = landmarks[seen, k]
        unexplained = (points[seen, f] - mark).square().sum()
        r2.append((1 - unexplained / (mark - mark.mean(0)).square().sum()).clamp(min=0))
    return found._replace(r2=torch.stack(r2))


@mutant(maths.nearest_landmark_r2, checks_metrics.a_fixed_point_follows_no_landmark)
def r2_against_the_distance_itself(points, valid, landmarks, present):
    found = maths.nearest_landmark_r2(points, valid, landmarks, present)
    r2 = []
    for f, k in enumerate(found.landmark.tolist()):
        seen = valid[:, f] & present[:, k]
        offset = points[seen, f] - landmarks[seen, k]
        r2.append(1 - (offset - offset.mean(0)).square().sum() / offset.square().sum())
    return found._replace(r2=torch.stack(r2))


@mutant(maths.normalised_mutual_information, checks_metrics.nmi_is_over_the_mean_entropy)
def nmi_over_the_larger_entropy(table):
    share = table.double() / table.double().sum((-2, -1), keepdim=True)
    rows, columns = (torch.special.entr(share.sum(axis)).sum(-1) for axis in (-1, -2))
    mutual = rows + columns - torch.special.entr(share).flatten(-2).sum(-1)
    return mutual / torch.maximum(rows, columns)


@mutant(maths.adjusted_rand_index, checks_metrics.ari_counts_pairs)
def rand_index_not_adjusted(table):
    def paired(n):
        return n * (n - 1) / 2

    joined, pairs = paired(table).sum((-2, -1)), paired(table.sum((-2, -1)))
    rows, columns = paired(table.sum(-1)).sum(-1), paired(table.sum(-2)).sum(-1)
    return (pairs + 2 * joined - rows - columns) / pairs


@mutant(maths.null_center, checks_metrics.centre_null_is_a_filter_at_the_centre)
def centre_counted_from_one(landmarks, present, *, size, **settings):
    return maths.null_best_fixed(landmarks, present, torch.tensor([[size[0] / 2, size[1] / 2]]), size=size, **settings)


@mutant(maths.null_center, checks_metrics.null_averages_random_images)
def null_over_all_images(landmarks, present, *, top, **settings):
    return maths.null_center(landmarks, present, top=None, **settings)


@mutant(maths.null_best_fixed, checks_metrics.best_fixed_null_is_the_least_candidate)
def best_fixed_as_the_mean_candidate(landmarks, present, candidates, **settings):
    values = [maths.null_best_fixed(landmarks, present, c[None], **settings) for c in candidates]
    return torch.stack(values).mean(0)


@mutant(maths.null_random, checks_metrics.random_null_draws_a_point_per_image)
def random_null_with_one_point_for_all_images(landmarks, present, candidates, *, size, generator, draws):
    return maths.null_best_fixed(landmarks, present, candidates, size=size, generator=generator)


# ---- receptive fields by covering, and votes for parts


@mutant(maths.discrepancy_map, checks_fields.worked_discrepancy)
def gains_counted_as_losses(drop, *rest, **settings):
    return maths.discrepancy_map(drop.abs(), *rest, **settings)


@mutant(maths.discrepancy_map, checks_fields.worked_discrepancy)
def discrepancy_left_where_it_is(drop, corners, centres, *rest, **settings):
    return maths.discrepancy_map(drop, corners, torch.zeros_like(centres), *rest, **settings)


@mutant(maths.discrepancy_map, checks_fields.worked_discrepancy)
def discrepancy_with_rows_and_columns_swapped(drop, corners, centres, *rest, **settings):
    return maths.discrepancy_map(drop, corners, centres.flip(-1), *rest, **settings)


@mutant(maths.discrepancy_map, checks_fields.discrepancy_is_the_mean_loss_of_the_squares_on_a_pixel)
def discrepancy_summed_over_overlapping_squares(drop, corners, centres, side, stride, size, keep=0):
    return maths.discrepancy_map(drop, corners, centres, side, side, size, keep)


@mutant(maths.discrepancy_map, checks_fields.discrepancy_keeps_the_largest_losses)
def discrepancy_keeps_the_smallest_losses(drop, corners, centres, side, stride, size, keep=0):
    order = drop.argsort()[: keep or len(drop)]
    return maths.discrepancy_map(drop[order], corners[order], centres[order], side, stride, size)


@mutant(maths.field_overlay, checks_fields.overlay_puts_the_canvas_on_its_points)
def overlay_mirrored(points, canvas, size):
    return maths.field_overlay(points, canvas.flip(0, 1), size)


@mutant(maths.active_units, checks_fields.active_units_are_those_above_the_threshold_or_the_peak)
def active_units_without_the_fallback_to_the_peak(x, tau):
    return (x > 0) & (x >= tau)


# ---- part share


@mutant(maths.smoothed, checks_part_share.windows_average_the_units_that_exist)
def windows_padded_with_nothing(evidence):
    return torch.nn.functional.avg_pool2d(evidence[:, None], 3, 1, 1)[:, 0]


@mutant(maths.evidence_profile, checks_part_share.profiles_fall_map_by_map)
def profile_by_strength_whatever_the_sign(evidence):
    flat = evidence.flatten(1)
    return flat.gather(1, flat.abs().argsort(dim=1, descending=True))


@mutant(maths.normal_profile, checks_part_share.normal_profiles_are_expected_order_statistics)
def normal_profile_without_the_mean(profile):
    return maths.normal_profile(profile) - profile.mean(1, keepdim=True)


@mutant(maths.normal_profile, checks_part_share.normal_profiles_are_expected_order_statistics)
def normal_profile_of_plain_ranks(profile):
    units = profile.shape[1]
    quantile = torch.special.ndtri((units - torch.arange(units) - 0.5) / units).double()
    return profile.mean(1, keepdim=True) + profile.std(1, correction=0, keepdim=True) * quantile * 1.05


@mutant(maths.spread_line, checks_part_share.lines_pass_through_the_middling_ranks)
def line_through_all_ranks(profile):
    rank = torch.arange(profile.shape[1]) - (profile.shape[1] - 1) / 2
    slope = profile @ rank.double() / rank.double().square().sum()
    return (profile.mean(1, keepdim=True) + slope[:, None] * rank).clamp(min=0)


@mutant(maths.spread_line, checks_part_share.lines_pass_through_the_middling_ranks)
def line_that_falls_below_zero(profile):
    line = maths.spread_line(profile)
    return line - (line == 0).double()


def _share(profile, counted, total):
    half = profile.shape[1] // 2
    return counted(profile[:, :half], maths.spread_line(profile)[:, :half]).sum(1) / total(profile)


@mutant(maths.part_share, checks_part_share.what_stands_out_counts_nearly_whole)
def share_of_the_excess_alone(profile):
    return _share(profile, lambda e, line: (e - line).clamp(min=0), lambda e: e.clamp(min=0).sum(1))


@mutant(maths.part_share, checks_part_share.a_line_has_no_parts)
def share_of_the_stronger_half(profile):
    return _share(profile, lambda e, line: e, lambda e: e.clamp(min=0).sum(1))


@mutant(maths.part_share, checks_part_share.evidence_against_is_no_part_of_the_whole)
def share_of_the_net_evidence(profile):
    return _share(profile, lambda e, line: (e - line**2 / e).clamp(min=0), lambda e: e.sum(1))


@mutant(maths.part_share, checks_part_share.the_weaker_half_never_stands_out)
def share_with_the_weaker_half(profile):
    line = maths.spread_line(profile)
    return (profile - line**2 / profile).clamp(min=0).sum(1) / profile.clamp(min=0).sum(1)


@mutant(maths.part_share, checks_part_share.no_evidence_has_no_share)
def share_of_nothing_is_nothing(profile):
    return maths.part_share(profile).nan_to_num(0.0)
