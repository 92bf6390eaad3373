"""How files are cut into slices, by hand."""

import numpy as np
import pytest

from keras_audiogan.data import choose_mode, plan_slices


def cut(lengths, slice_length, **options):
    plan = plan_slices(np.array(lengths), slice_length, **options)
    return list(zip(plan.files.tolist(), plan.starts.tolist(), strict=True))


def test_slicing_by_hand():
    # 10: exactly two; 12: a rest below half a slice is left out; 13: half a
    # slice or more gets a slice that ends with the file; 3: padded.
    assert cut([10, 12, 13, 3], 5, mode="slice") == [
        (0, 0),
        (0, 5),
        (1, 0),
        (1, 5),
        (2, 0),
        (2, 5),
        (2, 8),
        (3, 0),
    ]
    assert cut([10, 11], 4, mode="slice", overlap=0.5) == [
        (0, 0),
        (0, 2),
        (0, 4),
        (0, 6),
        (1, 0),
        (1, 2),
        (1, 4),
        (1, 6),
        (1, 7),
    ]


def test_padding_by_hand():
    plan = plan_slices(np.array([3, 10, 11, 40]), 10, mode="pad")
    assert plan.files.tolist() == [0, 1, 2, 3]
    assert plan.starts.tolist() == [0, 0, 0, 0]
    assert (plan.num_padded, plan.num_cut, plan.samples_unused) == (1, 2, 31)


def test_offset_copies_by_hand():
    # Level 2: copies cut 10 % and 20 % of a slice later. The padded file
    # moves right by 1 and by 2 samples; only 1 fits.
    assert cut([21, 9], 10, mode="slice", offset_augmentation=2) == [
        (0, 0),
        (0, 10),
        (0, 1),
        (0, 11),
        (0, 2),
        (1, 0),
        (1, -1),
    ]
    assert cut([12, 9], 10, mode="pad", offset_augmentation=3) == [
        (0, 0),
        (0, 1),
        (0, 2),
        (1, 0),
        (1, -1),
    ]


def test_random_starts_stay_inside():
    plan = plan_slices(np.array([25, 4, 10]), 10, mode="slice")
    assert plan.starts.tolist() == [0, 10, 15, 0, 0]
    assert plan.lows.tolist() == [0, 5, 10, -6, 0]
    assert plan.highs.tolist() == [5, 15, 15, 0, 0]
    padded = plan_slices(np.array([25, 4]), 10, mode="pad")
    assert padded.lows.tolist() == [0, -6]
    assert padded.highs.tolist() == [0, 0]


def test_the_mode_follows_the_median():
    assert choose_mode(np.array([5, 9, 100]), 10) == "pad"
    assert choose_mode(np.array([5, 11, 100]), 10) == "slice"
    assert plan_slices(np.array([5, 9, 100]), 10).mode == "pad"


def test_slices_of_a_file():
    plan = plan_slices(np.array([30, 10, 20]), 10, mode="slice")
    assert [plan.of_file(i) for i in range(3)] == [(0, 3), (3, 4), (4, 6)]
    assert len(plan) == 6


@pytest.mark.parametrize(
    "options",
    [
        {"slice_length": 0},
        {"mode": "cut"},
        {"overlap": 1.0},
        {"overlap": -0.1},
        {"offset_augmentation": 10},
    ],
)
def test_bad_plans_are_refused(options):
    with pytest.raises(ValueError, match="Received"):
        plan_slices(**({"lengths": np.array([5]), "slice_length": 3} | options))
