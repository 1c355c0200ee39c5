"""Which filter is whose, followed from batch to batch."""

import torch

from partscope.training import OnlineState


def maps(totals: list[list[float]]) -> torch.Tensor:
    """Maps of 1 x 2 units whose first unit is the given number."""
    first = torch.tensor(totals)[:, :, None, None]
    return torch.cat([first, torch.zeros_like(first)], 3)


def test_a_filter_belongs_to_the_category_that_excites_it_most() -> None:
    state = OnlineState(3, torch.tensor([True, True]))
    state.see(maps([[1.0, 5.0, 0.0], [3.0, 1.0, 0.0]]), torch.tensor([0, 1]))
    assert state.category.tolist() == [1, 0, 0]
    for _ in range(50):
        state.see(maps([[9.0, 0.0, 0.0], [0.0, 9.0, 1.0]]), torch.tensor([0, 1]))
    assert state.category.tolist() == [0, 1, 1]


def test_means_move_by_a_tenth_after_their_first_batch_and_ignore_negatives() -> None:
    state = OnlineState(1, torch.tensor([True, True]))
    state.see(maps([[2.0], [4.0], [99.0]]), torch.tensor([0, 0, -1]))
    assert state.activation.tolist() == [[3.0, 0.0]]
    assert state.seen.tolist() == [True, False]
    state.see(maps([[13.0]]), torch.tensor([0]))
    torch.testing.assert_close(state.activation, torch.tensor([[4.0, 0.0]]))


def test_other_owns_no_filter_however_much_it_excites() -> None:
    state = OnlineState(2, torch.tensor([True, False]))
    state.see(maps([[1.0, 0.0], [9.0, 9.0]]), torch.tensor([0, 1]))
    assert state.category.tolist() == [0, 0]
    assert OnlineState(2, torch.tensor([False, False])).category.tolist() == [-1, -1]


def test_a_category_not_seen_yet_owns_no_filter() -> None:
    state = OnlineState(1, torch.tensor([True, True]))
    assert state.category.tolist() == [-1]
    state.see(maps([[0.0]]), torch.tensor([1]))
    assert state.category.tolist() == [1]


def test_positives_are_the_images_of_each_filters_category() -> None:
    state = OnlineState(2, torch.tensor([True, True]))
    batch, category = maps([[4.0, 0.0], [2.0, 0.0], [0.0, 6.0], [0.0, 0.0]]), torch.tensor([0, 0, 1, -1])
    state.see(batch, category)
    assert state.positives(batch, category).tolist() == [[True, False], [True, False], [False, True], [False, False]]
    assert state.mean_peak.tolist() == [3.0, 6.0]
    state.positives(maps([[13.0, 0.0]]), torch.tensor([0]))
    torch.testing.assert_close(state.mean_peak, torch.tensor([4.0, 6.0]))


def test_norms_start_at_the_first_batch_and_then_move_by_a_tenth() -> None:
    state = OnlineState(2, torch.tensor([True]))
    state.measure(torch.tensor([4.0, 6.0]), torch.tensor([2.0, 0.0]), True)
    assert state.strength(0.5).tolist() == [1.0, 0.0]
    state.measure(torch.tensor([14.0, 6.0]), torch.tensor([2.0, 0.0]), False)
    torch.testing.assert_close(state.strength(0.5), torch.tensor([1.25, 0.0]))
