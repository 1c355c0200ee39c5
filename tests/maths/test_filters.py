"""Templates, mask, filter loss and its training rules."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maths import checks_explainer, checks_filters
from maths.cases import MAPS, POSITIVE, close, random_flags, random_maps, tensor
from partscope import maths
from partscope.errors import PerformerError, SettingsError
from partscope.maths import filter_loss as module_filter_loss
from reference import filters as reference
from reference import worked

FEW = settings(deadline=None, max_examples=20)
SEEDS = st.integers(0, 10**6)

CHECKS = [
    (checks_filters.templates_match_the_formula, maths.part_templates),
    (checks_filters.templates_peak_at_their_own_unit, maths.part_templates),
    (checks_filters.templates_obey_low_and_beta, maths.part_templates),
    (checks_filters.peak_is_the_first_in_row_major_order, maths.part_location),
    (checks_filters.peak_is_found_on_maps_that_are_not_square, maths.part_location),
    (checks_filters.units_are_row_major, maths.unit_to_row_column),
    (checks_filters.worked_masks, maths.masked),
    (checks_filters.masks_match_the_formula, maths.masked),
    (checks_filters.peak_survives_its_mask, maths.masked),
    (checks_filters.mask_is_constant_in_backward, maths.masked),
    (checks_filters.worked_loss, module_filter_loss),
    (checks_filters.worked_loss_by_scale, module_filter_loss),
    (checks_filters.loss_matches_the_formula, module_filter_loss),
    (checks_filters.loss_is_finite_and_bounded, module_filter_loss),
    (checks_filters.tiny_loss_is_accurate_in_float32, module_filter_loss),
    (checks_filters.loss_gradient_is_the_true_one, module_filter_loss),
    (checks_filters.worked_terms, maths.filter_loss_terms),
    (checks_filters.terms_sum_to_the_loss, maths.filter_loss_terms),
    (checks_filters.worked_paper_gradient, maths.paper_gradient),
    (checks_filters.paper_gradient_matches_the_formula, maths.paper_gradient),
    (checks_filters.worked_robust_gradient, maths.robust_gradient),
    (checks_filters.robust_gradient_matches_the_formula, maths.robust_gradient),
    (checks_filters.robust_rule_lowers_negatives_and_raises_the_peak, maths.robust_gradient),
    (checks_filters.robust_rule_does_not_depend_on_scale, maths.robust_gradient),
    (checks_filters.silent_positives_get_no_push, maths.robust_gradient),
    (checks_filters.worked_released_gradient, maths.released_gradient),
    (checks_filters.released_gradient_matches_the_formula, maths.released_gradient),
    (checks_filters.released_centre_rounds_half_up, maths.released_gradient),
]


@pytest.mark.parametrize(("check", "implementation"), CHECKS, ids=lambda v: v.__name__)
def test_check(check, implementation):
    check(implementation)


def test_the_function_hides_its_module():
    from partscope.maths import filter_loss, filter_loss_terms

    assert callable(filter_loss) and callable(filter_loss_terms)


def test_worked_intermediate_values_of_the_reference():
    for f in range(2):
        maps = worked.MAPS[:, f]
        templates = reference.all_templates(3)
        fit = [[18 * (m * t).sum() for t in templates] for m in maps]
        close(tensor(fit).flatten(), [float(v) for v in worked.FIT_18[f].split()], 6e-5)
        _, given_mu, marginal = reference.densities(maps)
        close(tensor(marginal), worked.P_MAP[f], 6e-7)
        targets = [reference.target(m, p)[0] for m, p in zip(maps, worked.POSITIVE[:, f], strict=True)]
        chosen = tensor([given_mu[m][u] for m, u in enumerate(targets)])
        close(chosen, worked.P_TARGET[f], 6e-7)
        close((chosen / tensor(marginal)).log(), worked.INFORMATION[f], 6e-6)
        close(
            reference.robust_weights(maps, worked.POSITIVE[:, f], worked.MEAN_PEAK[f]),
            worked.ROBUST_WEIGHT[f],
            6e-7,
        )
        log_z = (maths.template_fit(MAPS)[f]).logsumexp(0)
        close(log_z, [float(v) for v in worked.LOG_Z[f].split()], 6e-7)


def test_worked_gradient_with_constant_z():
    for (m, f), row in worked.CONSTANT_Z_1000.items():
        gradient = reference.loss_gradient(worked.MAPS[:, f], constant_z=True)
        close(1000 * gradient[m][0], row, 6e-7)


def test_worked_peaks_and_targets():
    unit = maths.part_location(MAPS).unit
    assert unit[:2].T.tolist() == [[4, 0], [0, 0]]


def test_loss_gradcheck():
    x = random_maps(60, n_images=3, n_filters=2, side=3).requires_grad_()
    assert torch.autograd.gradcheck(maths.filter_loss, x)
    assert torch.autograd.gradcheck(lambda v: tuple(maths.filter_loss_terms(v))[1:], x)


def test_loss_in_chunks_is_the_same(monkeypatch):
    x = random_maps(61, n_filters=7)
    whole, terms = maths.filter_loss(x), maths.filter_loss_terms(x)
    import sys

    monkeypatch.setattr(sys.modules["partscope.maths.filter_loss"], "_ELEMENTS_AT_ONCE", 200)
    close(maths.filter_loss(x), whole, 1e-14)
    close(torch.stack(list(maths.filter_loss_terms(x))), torch.stack(list(terms)), 1e-14)


@FEW
@given(SEEDS, st.integers(1, 6), st.integers(2, 5), st.floats(1e-3, 1e3))
def test_information_is_never_negative_and_bounded(seed, n_images, side, scale):
    loss = maths.filter_loss(random_maps(seed, n_images, 2, side, scale))
    assert (loss <= 1e-12).all()
    assert (loss >= -min(torch.tensor(v).log().item() for v in (n_images, side**2 + 1.0)) - 1e-12).all()


@FEW
@given(SEEDS)
def test_order_of_images_and_filters_does_not_matter(seed):
    x = random_maps(seed, n_images=6, n_filters=4)
    generator = torch.Generator().manual_seed(seed)
    images, filters = torch.randperm(6, generator=generator), torch.randperm(4, generator=generator)
    shuffled = x[images][:, filters]
    positive, mean_peak = random_flags(seed, 6, 4), x.amax((2, 3)).mean(0)
    close(maths.filter_loss(shuffled), maths.filter_loss(x)[filters], 1e-13)
    moved = positive[images][:, filters]
    close(maths.paper_gradient(shuffled, moved), maths.paper_gradient(x, positive)[images][:, filters], 1e-13)
    close(
        maths.robust_gradient(shuffled, moved, mean_peak[filters]),
        maths.robust_gradient(x, positive, mean_peak)[images][:, filters],
        1e-13,
    )


@FEW
@given(SEEDS, st.integers(1, 8))
def test_peak_survives_its_mask_for_any_side(seed, side):
    x = random_maps(seed, side=side)
    close(maths.masked(x).amax((2, 3)), x.amax((2, 3)), 0)


@FEW
@given(st.integers(2, 9), st.data())
def test_template_of_an_asymmetric_unit_peaks_there(n, data):
    row, column = data.draw(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda v: v[0] != v[1]))
    template = maths.part_templates(n)[row * n + column]
    assert template[row, column] == 1
    assert template[column, row] < 1


@pytest.mark.parametrize("rule", ["robust", "paper", "released"])
def test_images_that_do_not_count(rule):
    def gradient(x, positive, counted):
        if rule == "robust":
            return maths.robust_gradient(x, positive, x.new_ones(x.shape[1]), counted=counted)
        if rule == "paper":
            return maths.paper_gradient(x, positive, counted=counted)
        return maths.released_gradient(_symmetric(x), positive, epoch=1, counted=counted)

    def _symmetric(x):
        # the released rule pairs image m with the template of image M - 1 - m: equal images keep the pairs
        return x[:1].expand_as(x)

    checks_explainer.counted_images_only(gradient)


@pytest.mark.parametrize("rule", ["robust", "paper", "released"])
@pytest.mark.parametrize("flag", [True, False])
def test_a_list_may_be_empty(rule, flag):
    x, positive = random_maps(62).float(), torch.full((5, 3), flag)
    g = {
        "robust": lambda: maths.robust_gradient(x, positive, torch.ones(3)),
        "paper": lambda: maths.paper_gradient(x, positive),
        "released": lambda: maths.released_gradient(x, positive, epoch=1),
    }[rule]()
    assert g.isfinite().all() and g.dtype == torch.float32
    assert g.abs().amax() > 0


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_rules_are_finite_at_extreme_scales(scale):
    x, positive = random_maps(63, n_images=8, scale=scale).float(), random_flags(64, 8, 3)
    x[0] = 0
    for g in (
        maths.robust_gradient(x, positive, torch.full((3,), scale)),
        maths.robust_gradient(x, positive, torch.zeros(3)),
        maths.paper_gradient(x, positive),
        maths.released_gradient(x, positive, epoch=1),
    ):
        assert g.isfinite().all()


def test_balance_weights_scale_their_list():
    x, positive = random_maps(65), random_flags(66, 5, 3)
    mean_peak, double = x.new_ones(3), tensor([2.0, 1.0, 3.0])
    plain = maths.robust_gradient(x, positive, mean_peak)
    found = maths.robust_gradient(x, positive, mean_peak, weight_positive=double, weight_negative=0.5)
    factor = torch.where(positive, double, 0.5)
    close(found, factor[..., None, None] * plain, 1e-15)


def test_a_mean_peak_of_zero_counts_as_one():
    x, positive = random_maps(69), random_flags(70, 5, 3)
    zero, one = (torch.full((3,), v, dtype=torch.float64) for v in (0.0, 1.0))
    close(maths.robust_gradient(x, positive, zero), maths.robust_gradient(x, positive, one), 0)


def test_rules_pass_no_gradient():
    x = random_maps(67).requires_grad_()
    positive = random_flags(68, 5, 3)
    for g in (
        maths.robust_gradient(x, positive, torch.ones(3, dtype=torch.float64)),
        maths.paper_gradient(x, positive),
        maths.released_gradient(x, positive, epoch=1),
    ):
        assert not g.requires_grad


def test_descending_the_robust_rule_makes_single_peaks_and_silences_negatives():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(32, 1, 7, 7, generator=generator)
    positive = (torch.arange(32) < 24)[:, None]
    start = x.sum((2, 3))
    for _ in range(200):
        g = maths.robust_gradient(x, positive, x[:24].amax((2, 3)).mean(0))
        x = (x - 0.5 * g / g.flatten(2).norm(dim=-1).mean()).clamp(min=0)
    share = (x.amax((2, 3)) / x.sum((2, 3)).clamp(min=1e-9))[:24]
    assert (x[24:].sum((2, 3)) < 1e-3 * start[24:]).all()
    assert share.median() > 0.2


def test_maps_that_are_not_square_are_refused_in_words():
    for call in (
        lambda: maths.masked(torch.ones(1, 1, 3, 4)),
        lambda: maths.filter_loss(torch.ones(1, 1, 3, 4)),
        lambda: maths.paper_gradient(torch.ones(1, 1, 3, 4), torch.ones(1, 1, dtype=torch.bool)),
        lambda: maths.released_gradient(torch.ones(1, 1, 3, 4), torch.ones(1, 1, dtype=torch.bool), epoch=1),
    ):
        with pytest.raises(PerformerError) as error:
            call()
        assert str(error.value) == (
            "while placing part templates on a feature map\n"
            "  got: maps of 3 x 4 units\n"
            "  do:  tap a layer whose maps are square: templates, masks and the filter loss need them"
        )


def test_epoch_zero_is_refused_in_words():
    with pytest.raises(SettingsError, match=r"got: epoch 0\n  do:  count epochs from 1: the weight is 0.1 / epoch"):
        maths.released_gradient(MAPS, POSITIVE, epoch=0)
