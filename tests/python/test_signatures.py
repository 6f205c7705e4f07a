"""The names, orders and defaults that scripts outside the project rely on; what importing riata brings."""

import doctest
import importlib
import inspect
import logging
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest

import riata

NO_DEFAULT = inspect.Parameter.empty
X, D = np.random.default_rng(0).standard_normal((2, 8, 8))
LEARNED = riata.learn_dictionary(X, 6, 0.1, max_iter=1)
KEPT = {
    "encode": dict(
        X=NO_DEFAULT, D=NO_DEFAULT, reg=NO_DEFAULT, method="auto", tol=1e-6, max_iter=10000, n_threads=None
    ),
    "encode_stream": dict(
        X=NO_DEFAULT,
        D=NO_DEFAULT,
        reg=NO_DEFAULT,
        output=NO_DEFAULT,
        method="auto",
        tol=1e-6,
        max_iter=10000,
        n_threads=None,
    ),
    "unrolled_encode": dict(
        X=NO_DEFAULT,
        D=NO_DEFAULT,
        reg=NO_DEFAULT,
        n_layers=NO_DEFAULT,
        algorithm="fista",
        steps=None,
        lipschitz=None,
        init=None,
        return_extrapolated=False,
        n_threads=None,
    ),
    "Network": dict(
        kind=NO_DEFAULT,
        dictionary=NO_DEFAULT,
        n_layers=NO_DEFAULT,
        threshold="scalar",
        groups=None,
        support_selection=None,
    ),
    "Network.fit": dict(
        self=NO_DEFAULT,
        X=NO_DEFAULT,
        reg=NO_DEFAULT,
        loss="unsupervised",
        targets=None,
        mode="oneshot",
        optimizer="backtracking",
        batch_size=None,
        learning_rate=None,
        positive_steps=False,
        max_iter=300,
        max_time=None,
        tol=0.0,
        checkpoint=None,
        callback=None,
        random_state=0,
    ),
    "Network.encode": dict(self=NO_DEFAULT, X=NO_DEFAULT, reg=None, n_layers=None),
    "analytic_weight": dict(D=NO_DEFAULT),
    "load_network": dict(path=NO_DEFAULT),
    "lasso_objective": dict(X=NO_DEFAULT, D=NO_DEFAULT, Z=NO_DEFAULT, reg=NO_DEFAULT),
    "duality_gap": dict(X=NO_DEFAULT, D=NO_DEFAULT, Z=NO_DEFAULT, reg=NO_DEFAULT),
    "kkt_violation": dict(X=NO_DEFAULT, D=NO_DEFAULT, Z=NO_DEFAULT, reg=NO_DEFAULT),
    "reg_max": dict(X=NO_DEFAULT, D=NO_DEFAULT),
    "conv_encode": dict(X=NO_DEFAULT, atoms=NO_DEFAULT, reg=NO_DEFAULT, positive=True, boundary="valid", tol=1e-6, method="auto", output="dense", n_threads=None),
    "conv_reg_max": dict(X=NO_DEFAULT, atoms=NO_DEFAULT, positive=True, boundary="valid"),
    "conv_decode": dict(Z=NO_DEFAULT, atoms=NO_DEFAULT, n_times=None, boundary="valid"),
    "learn_patterns": dict(
        X=NO_DEFAULT,
        n_atoms=NO_DEFAULT,
        n_times_atom=NO_DEFAULT,
        reg="0.1max",
        rank_one=True,
        window=False,
        method="online",
        n_layers=30,
        positive=True,
        n_times_window=None,
        batch_size=None,
        max_iter=300,
        max_time=None,
        tol=1e-6,
        init="data",
        checkpoint=None,
        checkpoint_every=10,
        resume=False,
        random_state=0,
        n_threads=None,
        callback=None,
    ),
    "save_patterns": dict(path=NO_DEFAULT, patterns=NO_DEFAULT, metadata=None),
    "load_patterns": dict(path=NO_DEFAULT),
    "pattern_events": dict(Z=NO_DEFAULT, atoms=NO_DEFAULT, min_amplitude=0.3, n_times=None, boundary="valid", return_amplitudes=False),
    "explained_variance": dict(X=NO_DEFAULT, atoms=NO_DEFAULT, Z=NO_DEFAULT, boundary="valid"),
    "ConvolutionalDictionaryLearning": dict(n_components=NO_DEFAULT, n_times_atom=NO_DEFAULT),
    "learn_kernels": dict(
        images=NO_DEFAULT,
        n_atoms=NO_DEFAULT,
        kernel_size=8,
        reg="0.1max",
        method="unrolled",
        n_layers=20,
        boundary="full",
        mask=None,
        positive=False,
        stride=1,
        crop_size=None,
        batch_size=None,
        max_iter=300,
        max_time=None,
        tol=1e-6,
        init="data",
        checkpoint=None,
        checkpoint_every=10,
        resume=False,
        random_state=0,
        n_threads=None,
        callback=None,
    ),
    "ConvolutionalDictionaryLearning2D": dict(n_components=NO_DEFAULT, kernel_size=8),
    "joint_encode": dict(X=NO_DEFAULT, D=NO_DEFAULT, reg=NO_DEFAULT, tol=1e-6, max_iter=100000),
    "joint_reg_max": dict(X=NO_DEFAULT, D=NO_DEFAULT, group_size=1),
    "joint_certificate": dict(X=NO_DEFAULT, D=NO_DEFAULT, Z=NO_DEFAULT, reg=NO_DEFAULT, group_size=1),
    "prox_tv": dict(Y=NO_DEFAULT, weight=NO_DEFAULT, n_threads=None),
    "prox_tv_vjp": dict(Y=NO_DEFAULT, weight=NO_DEFAULT, cotangent=NO_DEFAULT, n_threads=None),
    "hrf": dict(tr=NO_DEFAULT, model="spm", dilation=1.0),
    "tv_solve": dict(X=NO_DEFAULT, operator=NO_DEFAULT, reg=NO_DEFAULT, method="auto", tol=1e-6, mask=None),
    "tv_reg_max": dict(X=NO_DEFAULT, operator=NO_DEFAULT, mask=None),
    "sparse_inverse": dict(
        M=NO_DEFAULT, G=NO_DEFAULT, noise_cov=NO_DEFAULT, reg=NO_DEFAULT, depth=0.8, penalty="group"
    ),
    "whitener": dict(noise_cov=NO_DEFAULT, channel_types=None, rank_tol=1e-6),
    "unrolled_gradient": dict(
        X=NO_DEFAULT,
        D=NO_DEFAULT,
        reg=NO_DEFAULT,
        n_layers=NO_DEFAULT,
        algorithm="fista",
        loss="lasso",
        backprop=None,
        lipschitz=None,
        steps=None,
        targets=None,
        wrt=("dictionary", "steps", "reg"),
        return_codes=True,
        return_extrapolated=False,
        reduction="mean",
        n_threads=None,
    ),
    "learn_dictionary": dict(
        X=NO_DEFAULT,
        n_atoms=NO_DEFAULT,
        reg=None,
        n_layers=20,
        method="unrolled",
        backprop=None,
        learn_steps=False,
        init="data",
        lipschitz_bound="spectral",
        return_extrapolated=False,
        max_iter=300,
        max_time=None,
        tol=1e-6,
        checkpoint=None,
        checkpoint_every=10,
        resume=False,
        random_state=0,
        n_threads=None,
        callback=None,
    ),
    "code_jacobian": dict(
        x=NO_DEFAULT,
        D=NO_DEFAULT,
        reg=NO_DEFAULT,
        n_layers=NO_DEFAULT,
        row=NO_DEFAULT,
        algorithm="ista",
        backprop=None,
    ),
    "implicit_gradient": dict(
        X=NO_DEFAULT, D=NO_DEFAULT, reg=NO_DEFAULT, cotangent=NO_DEFAULT, codes=None, tol=1e-12
    ),
    "implicit_jvp": dict(
        X=NO_DEFAULT, D=NO_DEFAULT, reg=NO_DEFAULT, dX=None, dD=None, dreg=None, codes=None, tol=1e-12
    ),
    "hypergradient": dict(
        X=NO_DEFAULT,
        D=NO_DEFAULT,
        reg=NO_DEFAULT,
        loss="least_squares",
        X_held_out=None,
        D_held_out=None,
        codes=None,
        tol=1e-12,
    ),
    "unrolled_stability": dict(
        X=NO_DEFAULT, D=NO_DEFAULT, reg=NO_DEFAULT, n_layers=NO_DEFAULT, algorithm="ista"
    ),
    "recovery_score": dict(D=NO_DEFAULT, D_ref=NO_DEFAULT),
    "denoise": dict(
        image=NO_DEFAULT,
        sigma=None,
        reference=None,
        n_atoms=None,
        patch=None,
        n_layers=12,
        reg=None,
        method="unrolled",
        plain=False,
        random_state=0,
        n_threads=None,
    ),
    "extract_patches": dict(image=NO_DEFAULT, patch=NO_DEFAULT, stride=1),
    "average_patches": dict(patches=NO_DEFAULT, shape=NO_DEFAULT, stride=1),
    "psnr": dict(image=NO_DEFAULT, reference=NO_DEFAULT, peak=None),
    "save_model": dict(path=NO_DEFAULT, dictionary=NO_DEFAULT, steps=None, metadata=None, penalty=None),
    "load_model": dict(path=NO_DEFAULT),
    "datasets.signals_on_b_infinity": dict(
        D=NO_DEFAULT, n_signals=NO_DEFAULT, law="gaussian", random_state=0
    ),
    "datasets.scale_to_b_infinity": dict(X=NO_DEFAULT),  # D by its name: 0.1 had it first
}
PENALISED = [
    "encode",
    "encode_stream",
    "unrolled_encode",
    "lasso_objective",
    "duality_gap",
    "kkt_violation",
    "reg_max",
    "unrolled_gradient",
    "code_jacobian",
    "implicit_gradient",
    "implicit_jvp",
    "hypergradient",
    "unrolled_stability",
    "learn_dictionary",
]


def function(name):
    module, _, last = name.rpartition(".")
    return getattr(getattr(riata, module) if module else riata, last)


@pytest.mark.parametrize("name", KEPT)
def test_a_signature_is_kept(name):
    parameters = list(inspect.signature(function(name)).parameters.values())
    positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert {p.name: p.default for p in positional} == KEPT[name]
    assert [p.name for p in positional] == list(KEPT[name])


@pytest.mark.parametrize("name", PENALISED)
def test_positive_and_weights_may_follow(name):
    parameters = inspect.signature(function(name)).parameters
    assert parameters["positive"].default is False
    assert parameters["weights"].default is None


def test_everything_public_has_a_docstring_and_type_hints():
    for name in riata.__all__:
        value = getattr(riata, name)
        if inspect.isfunction(value):
            signature = inspect.signature(value)
            assert "Parameters" in value.__doc__ or "Parameters as in" in value.__doc__, name
            assert signature.return_annotation is not inspect.Signature.empty, name
            assert all(p.annotation is not p.empty for p in signature.parameters.values()), name
        else:
            assert value.__doc__ or name == "__version__", name


def test_every_parameter_is_documented():
    for name in [*PENALISED[:3], *PENALISED[7:], "lasso_path", "omp", "lars", "validation_curve", "denoise", "conv_encode", "learn_patterns", "pattern_events", "explained_variance", "ConvolutionalDictionaryLearning", "joint_encode", "sparse_inverse", "prox_tv", "tv_solve", "learn_kernels", "ConvolutionalDictionaryLearning2D"]:
        section = inspect.getdoc(function(name)).split("Returns\n")[0]
        documented = {
            word.strip()
            for line in section.splitlines()
            if line and not line.startswith(" ")
            for word in line.split(" : ")[0].split(",")
        }
        assert set(inspect.signature(function(name)).parameters) <= documented, name


NOT_IN_PYTHON = {"encode": {"check_every"}, "tv_solve": {"check_every"}, "encode_stream": {"check_every", "record"}, "lasso_path": {"penalty", "l1_ratio", "groups"},
                 "lars": {"penalty", "l1_ratio", "groups"},
                 "implicit_gradient": {"penalty", "l1_ratio", "groups"},
                 "unrolled_stability": {"return_extrapolated", "penalty", "l1_ratio", "groups", "decay"},
                 "learn_patterns": {"forgetting", "threshold", "decay", "decay_every", "step", "learning_rate", "eps", "least_code",
                                    "lipschitz_bound", "return_extrapolated", "constraint", "centre", "replace_atoms", "weights", "penalty",
                                    "l1_ratio", "groups"},
                 "learn_kernels": {"forgetting", "threshold", "decay", "decay_every", "step", "learning_rate", "eps", "least_code", "n_nonzero",
                                   "lipschitz_bound", "return_extrapolated", "constraint", "centre", "weights", "penalty", "l1_ratio", "groups"},
                 "learn_dictionary": {"forgetting", "decay", "decay_every", "step", "learning_rate", "eps", "least_code"}}  # fmt: skip


@pytest.mark.parametrize("name", riata._riata.options)
def test_every_option_of_the_library_is_a_keyword_with_its_default(name):
    parameters = inspect.signature(function("Network" if name == "Network" else name)).parameters
    for option, (kind, _, default) in riata._riata.options[name].items():
        if option in NOT_IN_PYTHON.get(name, ()):
            continue
        parameter = parameters["random_state" if kind == "seed" else option]
        assert parameter.default in (default, NO_DEFAULT), f"{name}: {option}"


@pytest.mark.parametrize(
    ("call", "now"),
    [
        (lambda: riata.unrolled_encode(X, D, 0.1, layers=3), "unrolled_encode: layers is called n_layers since riata 0.2"),
        (lambda: riata.unrolled_gradient(X, D, 0.1, 3, method="ista"), "unrolled_gradient: method is called algorithm"),
        (lambda: riata.unrolled_gradient(X, D, 0.1, 3, target=X), "unrolled_gradient: target is called targets"),
        (lambda: riata.UnrolledEncoder(D, layers=3), "UnrolledEncoder: layers is called n_layers"),
        (lambda: riata.code_jacobian(X[0], D, 0.1, layers=3, row=0), "code_jacobian: layers is called n_layers"),
        (lambda: riata.unrolled_stability(X, D, 0.1, layers=3), "unrolled_stability: layers is called n_layers"),
        (lambda: riata.learn_dictionary(X, 6, 0.1, lipschitz="frobenius"), "learn_dictionary: lipschitz is called lipschitz_bound"),
        (lambda: riata.denoise(X, layers=3), "denoise: layers is called n_layers"),
        (lambda: riata.DictionaryLearning(layers=3), "DictionaryLearning: layers is called n_layers"),
        (lambda: riata.unrolled_gradient(X, D, 0.1, 3).step_gradient, "it is called steps since riata 0.2"),
        (lambda: LEARNED.layers, "LearnResult has no layers; it is called n_layers since riata 0.2"),
        (lambda: riata.TrainingHistory, "module 'riata' has no TrainingHistory; it is called History since riata 0.2"),
        (lambda: riata.Network("step", D, 2).fit(X, 0.1, max_iter=1, callback=lambda info: info.stage),
         "TrainingInfo has no stage; it is called phase since riata 0.2"),
        (lambda: riata.datasets.scale_to_b_infinity(D, X), "takes 1 positional argument"),
        (lambda: riata.encode(X, D, 0.1, penalty="elastic-net"), "penalty = 'elastic-net' is 'elastic_net' since riata 0.2"),
    ],
)
def test_an_old_name_is_refused_with_the_new_one(call, now):
    with pytest.raises((TypeError, ValueError, AttributeError), match=re.escape(now)):
        call()


@pytest.mark.parametrize(
    "module",
    [
        "coding",
        "datasets",
        "derivatives",
        "estimators",
        "imaging",
        "joint",
        "kernel_estimators",
        "kernels",
        "learning",
        "networks",
        "neuro",
        "pattern_estimators",
        "patterns",
        "plot",
        "unrolling",
    ],
)
def test_the_examples_in_the_docstrings_run(module):
    results = doctest.testmod(importlib.import_module(f"riata.{module}"))
    assert results.attempted > 0 and results.failed == 0


def test_importing_riata_imports_neither_scikit_learn_nor_matplotlib():
    code = (
        "import sys, riata; print([m for m in ('sklearn', 'scipy', 'matplotlib', 'torch', 'mne', 'tqdm') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_version_is_the_one_of_the_library():
    assert riata.__version__ == riata._riata.version
    assert riata.__version__.count(".") == 2


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'riata' has no attribute 'fista'"):
        _ = riata.fista


def test_results_are_short_in_print_and_can_be_pickled():
    problem = riata.datasets.planted(n_features=8, n_atoms=10, n_signals=20)
    results = [
        riata.encode(problem.signals, problem.dictionary, 0.1),
        riata.unrolled_gradient(problem.signals, problem.dictionary, 0.1, 5),
        riata.unrolled_stability(problem.signals, problem.dictionary, 0.1, 20),
        riata.implicit_gradient(problem.signals, problem.dictionary, 0.1, problem.codes),
        riata.hypergradient(problem.signals, problem.dictionary, 0.1, X_held_out=problem.signals),
        riata.learn_dictionary(problem.signals, 10, 0.1, max_iter=2),
        riata.joint_encode(problem.signals, problem.dictionary, "0.5max"),
        riata.sparse_inverse(problem.signals.T, problem.dictionary.T, np.eye(8), "0.5max"),
        problem,
    ]
    for result in results:
        assert len(repr(result)) < 150
        copy = pickle.loads(pickle.dumps(result))
        assert repr(copy) == repr(result)


def test_verbose_learning_goes_to_the_logger(caplog, capsys):
    X = riata.datasets.planted(n_features=8, n_atoms=10, n_signals=50).signals
    with caplog.at_level(logging.INFO, logger="riata"):
        result = riata.learn_dictionary(X, 10, 0.1, max_iter=3, verbose=True, progress=True)
    assert len(caplog.records) == len(result.history.value)
    assert capsys.readouterr() == ("", "")
