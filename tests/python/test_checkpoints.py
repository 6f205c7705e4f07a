"""Whose a checkpoint is, who has it open, and the kernels that rounded."""

import os
import subprocess
import sys

import numpy as np
import pytest

import riata

SETUP = """
import numpy as np, riata, sys
problem = riata.datasets.planted(n_features=16, n_atoms=24, n_signals=200, density=0.15, noise_std=0.05)
def learn(path, steps, **more):
    return riata.learn_dictionary(problem.signals, 24, "0.3max", n_layers=8, max_iter=steps, tol=0, checkpoint=path, **more)
def fit(path, steps, **more):
    net = riata.Network("coupled", problem.dictionary, 3)
    net.fit(problem.signals, "0.3max", max_iter=steps, checkpoint=path, **more)
    return net
"""
here = {}
exec(SETUP, here)
learn, fit, problem = here["learn"], here["fit"], here["problem"]


def elsewhere(script, setup=SETUP, **environment):
    """What the script prints in a process of its own."""
    done = subprocess.run([sys.executable, "-c", setup + script], env=os.environ | environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_another_runs_checkpoint_is_overwritten_only_when_told(tmp_path):
    path = tmp_path / "c.safetensors"
    for run, other, said in (
        (learn, {"random_state": 5}, "it was made with seed = 0, this run has 5"),
        (fit, {"loss": "semi"}, 'it was made with loss = "unsupervised", this run has "semi"'),
    ):
        run(path, 2)
        before = path.read_bytes()
        with pytest.raises(ValueError, match=f"belongs to another run: {said}; overwrite_checkpoint puts this one in its place"):
            run(path, 2, **other)
        with pytest.raises(ValueError, match=f"belongs to another run: {said}$"):
            run(path, 2, resume=True, **other)
        assert path.read_bytes() == before
        run(path, 2)  # the same run may begin anew
        run(path, 2, overwrite_checkpoint=True, **other)
        with pytest.raises(ValueError, match="belongs to another run"):
            run(path, 2, resume=True)
        path.unlink()


def test_one_run_at_a_time_has_a_checkpoint(tmp_path):
    path, sentences = tmp_path / "c.safetensors", []

    def callback(info):
        for run in (learn, fit):
            for options in ({}, {"resume": True}, {"overwrite_checkpoint": True}):
                try:
                    run(path, 1, **options)
                except OSError as refused:
                    sentences.append(str(refused))

    for run in (learn, fit):
        for every in (1, 100):  # locked before it is first written, and after
            run(path, 2, checkpoint_every=every, callback=callback)
            path.unlink()
    assert sentences == [f"{path} is in use by another run"] * 48


def test_options_that_make_no_sense_together_are_refused(tmp_path):
    for run in (learn, fit):
        with pytest.raises(ValueError, match="overwrite_checkpoint needs the path of a checkpoint"):
            run(None, 1, overwrite_checkpoint=True)
        with pytest.raises(ValueError, match="overwrite_checkpoint begins anew where resume goes on; leave out one of them"):
            run(tmp_path / "c", 1, overwrite_checkpoint=True, resume=True)


@pytest.mark.parametrize("name", ["learn", "fit"])
def test_a_resumed_run_takes_up_the_instruction_set_of_its_checkpoint(tmp_path, name):
    show = "print([v.tobytes().hex() for v in r.parameters().values()] if hasattr(r, 'parameters') else r.dictionary.tobytes().hex())"
    cut, whole = tmp_path / "c.safetensors", tmp_path / "w.safetensors"
    script = f"{name}({str(cut)!r}, 5); r = {name}({str(whole)!r}, 12); {show}"
    (bits,) = elsewhere(script, RIATA_SIMD="baseline")
    resumed = {"learn": learn, "fit": fit}[name](cut, 12, resume=True)
    values = resumed.dictionary.tobytes().hex() if name == "learn" else [v.tobytes().hex() for v in resumed.parameters().values()]
    assert str(values) == bits
    again = {"learn": learn, "fit": fit}[name](cut, 13, resume=True)  # its own checkpoint names what it took up
    assert again is not None


@pytest.mark.parametrize("name", ["learn", "fit"])
def test_other_blas_kernels_are_refused_unless_the_resume_is_inexact(tmp_path, name):
    cut, run = tmp_path / "c.safetensors", {"learn": learn, "fit": fit}[name]
    elsewhere(f"{name}({str(cut)!r}, 5)", OPENBLAS_CORETYPE="Nehalem")
    with pytest.raises(ValueError, match=r"has the bits of the BLAS kernels 'Nehalem', this process those of '\w+'; start it with "
                                         "OPENBLAS_CORETYPE=Nehalem, or resume_inexact goes on with other rounding"):
        run(cut, 12, resume=True)
    if name == "fit":  # not where what differs is the caller's
        net = riata.Network("coupled", problem.dictionary, 3)
        net.set_parameters({"layer.1.threshold": [0.3]})
        with pytest.raises(ValueError, match="belongs to another run: it was made with parameters_hash = "):
            net.fit(problem.signals, "0.3max", checkpoint=cut, resume_inexact=True)
    resumed = run(cut, 12, resume_inexact=True)
    whole = run(tmp_path / "w.safetensors", 12)
    if name == "learn":
        np.testing.assert_allclose(resumed.dictionary, whole.dictionary, atol=1e-8)
    else:
        for key, values in whole.parameters().items():
            np.testing.assert_allclose(resumed.parameters()[key], values, atol=1e-8)
    run(cut, 13, resume=True)


def test_an_unknown_instruction_set_is_refused_at_every_use():
    script = """
import numpy, riata
X, D = numpy.ones((9, 4)), numpy.eye(4)
calls = [lambda: riata.encode(X, D, 0.1), lambda: riata.unrolled_encode(X, D, 0.1, 3), lambda: riata.learn_dictionary(X, 4, 0.1),
         lambda: riata.Network("step", D, 2), lambda: riata.unrolled_gradient(X, D, 0.1, 3), lambda: riata.encode(X, D, 0.1),
         lambda: riata.lasso_path(X[0], D), lambda: riata.joint_encode(X, D, 0.1), lambda: riata.UnrolledEncoder(D, 3),
         lambda: riata.datasets.gaussian_dictionary(5, 8), lambda: riata.denoise(numpy.ones((20, 20)), 1)]
for call in calls:
    try:
        call()
    except ValueError as refused:
        print(refused)
"""
    sentence = "the environment variable RIATA_SIMD is 'sse', must be 'baseline', 'avx2' or 'avx512'"
    assert elsewhere(script, setup="", RIATA_SIMD="sse") == [sentence] * 11
    assert elsewhere(script, setup="", RIATA_SIMD="") == []
