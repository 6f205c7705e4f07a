"""Every row holds what its readers rely on, whether it was measured or not; losses and failures stay in the table."""

import json
from argparse import Namespace
from dataclasses import replace

import numpy as np
import pytest
import report
import riata
from cases import CASES, Case, unit_reg_max
from contender import Contender, tolerances
from peers import CONTENDERS, contender_named
from run import first_that_reaches, rows_of
from signals import gaussian
from tasks import TASKS
from worker import Failed, Worker

PROMISED = {
    "case", "peer", "peer_version", "ours_s", "peer_s", "ratio", "ratio_low", "ratio_high", "ours_rss_mb", "peer_rss_mb",
    "ours_error", "peer_error", "threads", "dtype", "gap", "own", "commit", "seed", "data", "processor", "time", "verdict", "reason",
}  # fmt: skip
TINY = Case("encode", unit_reg_max, 100, 8, 16, 0.3, "float64")


@pytest.fixture(scope="module")
def rows():
    absent = Contender("absent", "encode", None, "riata-no-such-package")
    broken = Contender("broken", "encode", None, "numpy")  # no worker knows it
    contenders = [contender_named("encode", "scikit-learn lasso_cd"), absent, broken]
    return list(rows_of(TINY, contenders, Namespace(threads=1, seconds=0.1, cap=1)))


@pytest.fixture(scope="module")
def coder_rows():
    contenders = [contender_named("coders", name) for name in ("scikit-learn Lasso with Gram matrix", "riata fista")]
    case = Case("coders", gaussian, 100, 8, 16, 0.3, "float64", gap=1e-4)
    return list(rows_of(case, contenders, Namespace(threads=1, seconds=0.1, cap=1)))


def test_every_row_has_the_promised_columns(rows):
    for row in rows:
        assert PROMISED <= row.keys()
        json.dumps(row)


def test_a_measured_row_compares_at_equal_accuracy(rows):
    row = rows[0]
    assert row["reason"] is None and row["matched"]
    assert row["rounds"] % 2 == 0
    assert row["ratio_low"] <= row["ratio"] <= row["ratio_high"]
    assert row["ours_error"] <= max(row["peer_error"], TASKS["encode"].FLOORS["float64"]["error"])
    assert 0 <= row["peer_suboptimality"] < 1e-3


def test_a_peer_that_is_absent_or_breaks_has_a_row_with_the_reason(rows):
    assert (rows[1]["verdict"], rows[1]["reason"]) == ("failed", "not installed")
    assert rows[2]["verdict"] == "failed" and rows[2]["reason"].startswith("prepare: ")


def test_where_a_gap_is_asked_both_sides_have_it(coder_rows):
    for row in coder_rows:
        assert PROMISED <= row.keys()
        assert row["reason"] is None and row["matched"] and row["gap"] == 1e-4
        assert row["ours_error"] <= 1e-4 and row["peer_error"] <= 1e-4
    assert [row["own"] for row in coder_rows] == [False, True]


@pytest.mark.parametrize("needed", range(1, 15))
def test_a_peer_is_set_to_the_loosest_tolerance_that_has_the_gap(needed):
    settings = tolerances(1e-6)
    gaps = {one["tol"]: 1e-7 if k >= needed else 1e-5 for k, one in enumerate(settings, start=1)}
    assert settings[first_that_reaches(1e-6, settings, lambda one: gaps[one["tol"]], 60)]["tol"] == 10.0**-needed


def test_a_peer_that_never_has_the_gap_is_set_to_the_first_of_its_smallest():
    settings = tolerances(1e-9)
    assert settings[first_that_reaches(1e-9, settings, lambda one: max(one["tol"], 1e-8), 60)]["tol"] == pytest.approx(1e-8)


def test_the_summary_holds_the_fastest_peer_and_riatas_best_method(coder_rows, tmp_path):
    peer, own = (row | {"ratio_low": 0.9, "ratio_high": 5.0} for row in coder_rows)
    peers = [peer | {"peer": name, "ratio": ratio} for name, ratio in (("slow", 4.0), ("quick", 3.0), ("absent", None))]
    methods = [own | {"peer": name, "ratio": ratio} for name, ratio in (("riata a", 0.7), ("riata b", 2.0))]
    ((_, fastest, best),) = report.fastest([*peers, *methods])
    assert (fastest["peer"], best["peer"]) == ("quick", "riata a")
    text = report.summary([(peer["case"], fastest, best)])
    assert "cases 3.00; at least 3 in 1; slower in 0;" in text and 'as fast as "auto" in 1.' in text
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in coder_rows))
    table, _, bars = report.write(tmp_path / "r.jsonl")
    assert "Against the fastest peer" in table.read_text() and bars.stat().st_size > 1000


def test_table_and_plot_show_every_row_and_mark_the_losses(rows, tmp_path):
    lost = rows[0] | {"peer": "winner", "verdict": "slower"}
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, lost]))
    table, plot = report.write(tmp_path / "r.jsonl")
    text = table.read_text()
    assert all(row["peer"] in text for row in rows)
    assert "not measured: not installed" in text
    assert "| **slower**" in next(line for line in text.splitlines() if line.startswith("| winner"))
    assert plot.stat().st_size > 1000


def test_a_worker_that_dies_says_how():
    with Worker({}) as worker, pytest.raises(Failed, match="AttributeError"):
        worker.ask("no_such_command")
    with Worker({}) as worker:
        worker._process.kill()
        with pytest.raises(Failed, match="the process ended with -9"):
            worker.ask("seconds", repeats=1)


def test_signals_are_in_the_unit_of_their_median_reg_max():
    for case in CASES:
        if case.task == "coders" and case.data.__name__ != "learned":
            problem = replace(case, n_signals=20).problem()
            assert np.median(riata.reg_max(problem.X, problem.D)) == pytest.approx(1, rel=1e-5), case.name


def test_the_coders_meet_all_that_they_are_said_to():
    coders = [case for case in CASES if case.task == "coders"]
    assert {case.gap for case in coders} == {1e-3, 1e-6, 1e-9} and {case.reg for case in coders} == {0.1, 0.3, 0.5}
    assert {case.dtype for case in coders} == {"float32", "float64"}
    assert {case.n_signals for case in coders} >= {1, 1_000_000}
    assert {case.data.__name__ for case in coders} == {
        "patches", "learned", "digits", "gaussian", "nonnegative", "cumulative_sum", "duplicated", "uneven_norms"}


def test_the_list_of_cases_and_peers_is_sound():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert len({(c.task, c.name) for c in CONTENDERS}) == len(CONTENDERS)
    for case in CASES:
        problem = replace(case, n_signals=4).problem()
        assert problem.X.shape == (4, case.n_features) and problem.D.shape == (case.n_atoms, case.n_features)
        assert any(c.task == case.task and case.dtype in c.dtypes for c in CONTENDERS)
