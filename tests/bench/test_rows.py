"""Every row holds what its readers rely on, whether it was measured or not; losses and failures stay in the table."""

import json
from argparse import Namespace
from dataclasses import replace

import pytest
import report
from cases import CASES, Case, unit_reg_max
from contender import Contender
from peers import CONTENDERS, contender_named
from run import rows_of
from tasks import TASKS
from worker import Failed, Worker

PROMISED = {
    "case", "peer", "peer_version", "ours_s", "peer_s", "ratio", "ratio_low", "ratio_high", "ours_rss_mb", "peer_rss_mb",
    "ours_error", "peer_error", "threads", "dtype", "commit", "seed", "data", "processor", "time", "verdict", "reason",
}  # fmt: skip
TINY = Case("encode", unit_reg_max, 100, 8, 16, 0.3, "float64")


@pytest.fixture(scope="module")
def rows():
    absent = Contender("absent", "encode", None, "riata-no-such-package")
    broken = Contender("broken", "encode", None, "numpy")  # no worker knows it
    contenders = [contender_named("encode", "scikit-learn lasso_cd"), absent, broken]
    return list(rows_of(TINY, contenders, Namespace(threads=1, seconds=0.1)))


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


def test_the_list_of_cases_and_peers_is_sound():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert len({(c.task, c.name) for c in CONTENDERS}) == len(CONTENDERS)
    for case in CASES:
        problem = replace(case, n_signals=4).problem()
        assert problem.X.shape == (4, case.n_features) and problem.D.shape == (case.n_atoms, case.n_features)
        assert any(c.task == case.task and case.dtype in c.dtypes for c in CONTENDERS)
