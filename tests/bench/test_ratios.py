"""Ratios are taken round by round, and verdicts need the whole band and equal accuracy."""

import pytest
from ratios import extrapolation, summarise, verdict


def test_a_slow_machine_slows_both_and_leaves_the_ratio():
    summary = summarise([(1, 2), (10, 20), (3, 6), (1, 2)])
    assert (summary["ratio"], summary["ratio_low"], summary["ratio_high"]) == (2, 2, 2)
    assert (summary["ours_s"], summary["peer_s"], summary["rounds"]) == (2, 4, 4)


def test_the_band_goes_from_the_tenth_to_the_ninetieth_percentile():
    summary = summarise([(1, k) for k in range(1, 12)])
    assert (summary["ratio_low"], summary["ratio"], summary["ratio_high"]) == (2, 6, 10)


def test_the_time_of_a_part_is_scaled_to_the_whole():
    summary = summarise([(2, 1), (2, 1)], scale=50)
    assert (summary["ours_s"], summary["peer_s"], summary["ratio"]) == (2, 50, 25)


def test_what_is_made_once_is_counted_once():
    def seconds(n):
        return 3 + 0.01 * n

    assert extrapolation(10_000, 500, seconds(500), 64, seconds(64)) * seconds(500) == pytest.approx(seconds(10_000))
    assert extrapolation(10_000, 64, 1.0, 64, 1.0) == 10_000 / 64  # nothing to tell the two apart


@pytest.mark.parametrize(
    "low, high, matched, said",
    [
        (1.1, 1.3, True, "faster"),
        (0.9, 1.3, True, "undecided"),
        (0.5, 0.9, True, "slower"),
        (5.0, 9.0, False, "accuracy not matched"),
    ],
)
def test_verdicts(low, high, matched, said):
    assert verdict({"ratio": (low + high) / 2, "ratio_low": low, "ratio_high": high, "matched": matched}) == said


def test_what_was_not_measured_failed():
    assert verdict({"ratio": None}) == "failed"
