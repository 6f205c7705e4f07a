"""SparseCoder, DictionaryLearning and LISTA keep scikit-learn's contract."""

import pickle
import re
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import riata
from riata import LISTA, DictionaryLearning, MiniBatchDictionaryLearning, SparseCoder


@pytest.fixture(scope="module")
def problem():
    return riata.datasets.planted(n_features=12, n_atoms=20, n_signals=150)


@parametrize_with_checks([DictionaryLearning(), MiniBatchDictionaryLearning(), MiniBatchDictionaryLearning(fit_algorithm="aksvd")])
def test_dictionary_learning_passes_every_check(estimator, check):
    check(estimator)


class Recording:
    """Notes the widths of data that its dictionary could not take."""

    widths: set = set()

    @classmethod
    def _require_features(cls, X, dictionary):
        if X.shape[1] != dictionary.shape[1]:
            Recording.widths.add(X.shape[1])
        super()._require_features(X, dictionary)


class RecordingSparseCoder(Recording, SparseCoder):
    pass


class RecordingLISTA(Recording, LISTA):
    pass


# Checks whose data have several widths, which one dictionary cannot take.
CANNOT_APPLY: dict[str, str] = {}


def atoms(width):
    return np.random.RandomState(0).normal(size=(5, width))


@parametrize_with_checks([RecordingSparseCoder(atoms(3)), RecordingLISTA(atoms(3), n_layers=3, reg=0.1, max_iter=5)])
def test_coders_in_a_given_dictionary_pass_every_check_at_the_width_of_their_data(estimator, check):
    """Each check makes up its own data: tried with a dictionary of 3 features, then of the data's number."""
    name = getattr(check, "func", check).__name__
    if name in CANNOT_APPLY:
        pytest.skip(CANNOT_APPLY[name])
    Recording.widths.clear()
    try:
        check(estimator)
    except Exception:
        if len(Recording.widths) != 1:
            raise
        (width,) = Recording.widths
        check(clone(estimator).set_params(dictionary=atoms(width)))


@pytest.mark.parametrize(
    "make",
    [
        lambda p: SparseCoder(p.dictionary, transform_alpha=0.1, split_sign=True),
        lambda p: DictionaryLearning(20, alpha=0.1, tol=1e-2, random_state=0),
        lambda p: LISTA(p.dictionary, kind="coupled", n_layers=3, reg=0.1, max_iter=5),
    ],
)
def test_clone_parameters_repr_and_pickle(problem, make):
    estimator = make(problem)
    parameters = estimator.get_params()
    twin = clone(estimator)
    assert set(twin.get_params()) == set(parameters)
    name = next(name for name in parameters if name.endswith("max_iter"))
    assert twin.set_params(**{name: 77}).get_params()[name] == 77
    assert repr(estimator).startswith(type(estimator).__name__ + "(")
    estimator.fit(problem.signals)
    again = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(again.transform(problem.signals), estimator.transform(problem.signals))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_precision_is_kept(problem, dtype):
    X = problem.signals.astype(dtype)
    coder = SparseCoder(problem.dictionary, transform_alpha=0.1)
    assert coder.fit_transform(X).dtype == dtype
    model = DictionaryLearning(20, alpha=0.1, tol=1e-2, random_state=0).fit(X)
    assert model.components_.dtype == model.transform(X).dtype == dtype
    assert model.inverse_transform(model.transform(X)).dtype == dtype


def test_the_coder_is_encode(problem):
    X, D = problem.signals, problem.dictionary
    codes = SparseCoder(D, transform_alpha="0.2max", positive_code=True).transform(
        X
    )  # without fit, as scikit-learn's
    np.testing.assert_array_equal(
        codes, riata.encode(X, D, "0.2max", method="cd", max_iter=1000, positive=True).codes
    )
    halves = SparseCoder(D, transform_alpha=0.1, split_sign=True).fit(X)
    split, codes = halves.transform(X), SparseCoder(D, transform_alpha=0.1).transform(X)
    np.testing.assert_array_equal(split[:, :20] - split[:, 20:], codes)
    assert split.min() >= 0 and len(halves.get_feature_names_out()) == 40
    np.testing.assert_allclose(halves.inverse_transform(split), codes @ D, atol=1e-12)


def test_the_coder_agrees_with_scikit_learns(problem):
    from sklearn.decomposition import SparseCoder as Theirs

    options = dict(transform_algorithm="lasso_cd", transform_alpha=0.3)
    ours, theirs = (
        C(problem.dictionary, **options).fit_transform(problem.signals) for C in (SparseCoder, Theirs)
    )
    np.testing.assert_allclose(
        riata.lasso_objective(problem.signals, problem.dictionary, ours, 0.3),
        riata.lasso_objective(problem.signals, problem.dictionary, theirs, 0.3),
        rtol=1e-3,
    )


@pytest.mark.parametrize("n_nonzero", [None, 1, 3])
def test_matching_pursuit_is_scikit_learns(problem, n_nonzero):
    from sklearn.decomposition import SparseCoder as Theirs

    options = dict(transform_algorithm="omp", transform_n_nonzero_coefs=n_nonzero)
    ours, theirs = (C(problem.dictionary, **options).fit_transform(problem.signals) for C in (SparseCoder, Theirs))
    np.testing.assert_allclose(ours, theirs, atol=1e-8)
    np.testing.assert_array_equal(ours, riata.omp(problem.signals, problem.dictionary, n_nonzero or 1).codes)
    model = DictionaryLearning(20, alpha=0.1, tol=1e-2, random_state=0, split_sign=True, **options).fit(problem.signals)
    codes = model.transform(problem.signals)
    assert codes.shape == (150, 40) and (np.count_nonzero(codes, axis=1) <= (n_nonzero or 1)).all()


def verbose_estimators(problem):
    return [
        DictionaryLearning(20, alpha=0.1, max_iter=4, tol=0, random_state=0),
        LISTA(problem.dictionary, kind="coupled", n_layers=3, reg=0.1, max_iter=4),
    ]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n_jobs", [None, 1, 2])
def test_verbose_prints_a_line_per_iteration_and_silence_nothing(problem, capsys, n_jobs):
    for model in verbose_estimators(problem):
        name, seen = type(model).__name__, []
        for silent in (False, 0):
            model.set_params(verbose=silent, n_jobs=n_jobs).fit(problem.signals)
            assert capsys.readouterr() == ("", "")
        for loud in (True, 2):
            seen.clear()
            model.set_params(verbose=loud, callback=lambda info: seen.append(info.value)).fit(problem.signals)  # noqa: B023
            out, err = capsys.readouterr()
            lines = out.splitlines()
            assert err == "" and len(lines) == model.n_iter_ + 1 == len(seen) + 1
            for i, (line, value) in enumerate(zip(lines, seen), start=1):
                assert line.startswith(f"[{name}] iteration {i}: loss {value:.6g}") and line.endswith(" s")
            assert lines[-1].startswith(f"[{name}] max_iter after 4 iterations: loss {seen[-1]:.6g}")
        model.set_params(callback=lambda info: True).fit(problem.signals)
        assert "interrupted after 1 iterations" in capsys.readouterr().out


def test_data_frames_give_feature_names_and_may_hold_nullable_numbers(problem):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(problem.signals, columns=[f"channel {i}" for i in range(12)])
    for model in (*verbose_estimators(problem), SparseCoder(problem.dictionary, transform_alpha=0.1)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            expected = model.fit(frame).transform(frame)
        assert list(model.feature_names_in_) == list(frame.columns)
        np.testing.assert_array_equal(model.transform(frame.astype("Float64")), expected)
        with pytest.raises(ValueError, match="feature names"):
            model.transform(frame.rename(columns={"channel 0": "other"}))
        named = model.set_output(transform="pandas").transform(frame)
        assert list(named.columns) == list(model.get_feature_names_out())


def test_dictionary_learning_is_learn_dictionary(problem):
    X = problem.signals
    model = DictionaryLearning(20, alpha=0.1, n_layers=7, max_iter=6, tol=0, random_state=5)
    with pytest.warns(ConvergenceWarning, match="the fit stopped at max_iter = 6"):
        model.fit(X)
    result = riata.learn_dictionary(X, 20, 0.1, n_layers=7, max_iter=6, tol=0, random_state=5)
    np.testing.assert_array_equal(model.components_, result.dictionary)
    np.testing.assert_array_equal(model.error_, result.history.value)
    assert model.n_iter_ == 6 and model.n_features_in_ == 12 and len(model.steps_) == 7
    model.set_params(transform_algorithm="unrolled")
    np.testing.assert_array_equal(model.transform(X), riata.unrolled_encode(X, result.dictionary, 0.1, 7))


@pytest.mark.parametrize(
    "options",
    [
        dict(fit_algorithm="alternating"),
        dict(fit_algorithm="truncated", backprop=2),
        dict(fit_algorithm="alternating_exact"),
        dict(learn_steps=True),
        dict(dict_init="dct"),
        dict(positive_code=True),
        dict(constraint="unit_ball"),
    ],
)
def test_the_options_of_the_learner_pass_through(problem, options):
    model = DictionaryLearning(20, alpha=0.1, tol=1e-2, random_state=0, **options).fit(problem.signals)
    codes = model.transform(problem.signals)
    assert codes.shape == (150, 20) and len(model.steps_) == 20
    assert codes.min() >= 0 or not options.get("positive_code")


@pytest.mark.parametrize("algorithm", ["mod", "ksvd", "aksvd"])
def test_the_classics_code_with_so_many_atoms_and_end_without_a_warning(problem, algorithm):
    model = DictionaryLearning(20, fit_algorithm=algorithm, transform_algorithm="omp", transform_n_nonzero_coefs=3, max_iter=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        codes = model.fit_transform(problem.signals)
    assert (np.count_nonzero(codes, axis=1) == 3).all() and model.alpha_ is None and model.n_iter_ == 5
    learned = riata.learn_dictionary(problem.signals, 20, method=algorithm, n_nonzero=3, max_iter=5)
    error = np.linalg.norm(problem.signals - model.inverse_transform(codes))
    assert error**2 / 2 / len(codes) < 0.8 * learned.initial_value


def many(n_signals=3000):
    return riata.datasets.planted(n_features=12, n_atoms=20, n_signals=n_signals, density=0.1, noise_std=0.05)


@pytest.mark.parametrize("algorithm", ["online", "stochastic", "aksvd", "lars"])
def test_mini_batches_recover_the_atoms_and_fit_ends_by_samples_held_out(algorithm):
    problem = many()
    model = MiniBatchDictionaryLearning(20, alpha=0.1, fit_algorithm=algorithm, batch_size=100, max_iter=10, random_state=0,
                                        transform_n_nonzero_coefs=2)  # fmt: skip
    model.fit(problem.signals)
    assert riata.recovery_score(model.components_, problem.dictionary) > 0.8
    assert 1 <= model.n_iter_ <= 10 and model.n_steps_ <= 10 * 27
    codes = model.transform(problem.signals)
    assert (np.count_nonzero(codes, axis=1) <= 2).all()
    assert np.linalg.norm(problem.signals - model.inverse_transform(codes)) < np.linalg.norm(problem.signals)


@pytest.mark.parametrize("algorithm", ["online", "stochastic", "ksvd"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_partial_fit_goes_on_bit_for_bit_from_a_pickle(algorithm, dtype):
    problem = many()
    batches = np.split(problem.signals.astype(dtype), 30)
    one = MiniBatchDictionaryLearning(20, alpha="0.1max", fit_algorithm=algorithm, random_state=0, transform_n_nonzero_coefs=2)
    other = clone(one)
    for k, batch in enumerate(batches):
        one.partial_fit(batch)
        other.partial_fit(batch)
        if k == 11:
            other = pickle.loads(pickle.dumps(other))
    np.testing.assert_array_equal(one.components_, other.components_)
    assert one.components_.dtype == dtype and one.n_steps_ == other.n_steps_ == 30 and one.alpha_ == other.alpha_
    assert (one.alpha_ is None) == (algorithm == "ksvd")
    assert riata.recovery_score(one.components_.astype(float), problem.dictionary) > 0.8


def test_partial_fit_after_fit_begins_where_that_ended(problem):
    model = MiniBatchDictionaryLearning(20, alpha="0.2max", max_iter=2, batch_size=50, random_state=0).fit(problem.signals)
    components, alpha = model.components_, model.alpha_
    model.partial_fit(problem.signals[:40])
    assert model.alpha_ == alpha and 0.8 < riata.recovery_score(components, model.components_) < 1
    with pytest.raises(ValueError, match="X has 3 features"):
        model.partial_fit(np.ones((5, 3)))
    assert not hasattr(model.fit(problem.signals), "_learner")
    np.testing.assert_array_equal(model.components_, components)


def test_fit_takes_any_number_of_samples(problem):
    for n in (*range(1, 6), *range(97, 150, 4)):
        model = MiniBatchDictionaryLearning(3, alpha=0.1, max_iter=1).fit(problem.signals[:n])
        assert model.components_.shape == (3, 12) and model.n_iter_ == 1


def test_what_a_first_partial_fit_was_refused_for_can_be_mended_and_what_decides_stays(problem):
    model = MiniBatchDictionaryLearning(3, alpha=0.1, dict_init=np.zeros((3, 12)))
    with pytest.raises(ValueError, match="atom 0 of init is zero"):
        model.partial_fit(problem.signals)
    model.set_params(dict_init=problem.signals[:3]).partial_fit(problem.signals)
    model.set_params(verbose=True, transform_alpha=0.3).partial_fit(problem.signals)
    with pytest.raises(ValueError, match="alpha was 0.1 at the first partial_fit and is 5.0; fit anew, or clone"):
        model.set_params(alpha=5.0).partial_fit(problem.signals)


def test_threads_may_call_partial_fit_of_one_learner(problem):
    model = MiniBatchDictionaryLearning(20, alpha=0.1, n_jobs=1, random_state=0)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda k: model.partial_fit(problem.signals[k % 100 : k % 100 + 50]) and None, range(120)))
    assert np.isfinite(model.components_).all()


def test_mini_batches_refuse_what_they_cannot_do(problem):
    for parameters, sentence in (
        (dict(fit_algorithm="unrolled"), "fit_algorithm = 'unrolled', must be one of 'online', 'stochastic'"),
        (dict(batch_size=0), "max_iter = 1000 and batch_size = 0, must be >= 1"),
        (dict(alpha=-1), "reg = -1, must be > 0 and finite"),
        (dict(max_no_improvement=0), "max_no_improvement = 0, must be >= 1"),
        (dict(dict_init=np.ones((3, 12))), "init has 3 atoms but n_atoms = 20; they must be equal"),
    ):
        for fit in ("fit", "partial_fit"):
            if {"batch_size", "max_no_improvement"} & parameters.keys() and fit == "partial_fit":
                continue
            with pytest.raises(ValueError, match=re.escape(sentence)):
                getattr(MiniBatchDictionaryLearning(20).set_params(**parameters), fit)(problem.signals)


def test_dict_init_and_callback_are_used(problem):
    seen = []
    model = DictionaryLearning(
        20,
        alpha=0.1,
        dict_init=problem.dictionary.astype(np.float32),
        callback=lambda info: seen.append(info.iteration) or info.iteration == 2,
    )
    model.fit(problem.signals)
    assert seen == [1, 2] and riata.recovery_score(model.components_, problem.dictionary) > 0.95


def test_no_bit_depends_on_n_jobs(problem):
    models = [
        DictionaryLearning(20, alpha=0.1, tol=1e-3, random_state=0, n_jobs=n).fit(problem.signals)
        for n in (None, 1, 2, -1, -2)
    ]
    for model in models[1:]:
        np.testing.assert_array_equal(model.components_, models[0].components_)


def test_unfinished_codes_are_a_convergence_warning(problem):
    coder = SparseCoder(problem.dictionary, transform_alpha="0.1max", transform_max_iter=1)
    with pytest.warns(ConvergenceWarning, match=r"\d+ of 150 signals stopped at transform_max_iter = 1"):
        coder.fit_transform(problem.signals)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        coder.set_params(transform_max_iter=10000).fit_transform(problem.signals)


def test_a_fraction_is_a_number_once_it_is_fitted(problem):
    model = DictionaryLearning(20, alpha="0.2max", max_iter=3, random_state=0).fit(problem.signals)
    one = problem.signals[:1]
    codes = riata.encode(10 * one, model.components_, model.alpha_, method="cd").codes
    np.testing.assert_allclose(model.transform(10 * one), codes, atol=1e-3 * np.abs(codes).max())
    assert model.alpha_ == riata.learn_dictionary(problem.signals, 20, "0.2max", max_iter=3).reg


def test_they_work_in_a_pipeline(problem):
    pipeline = make_pipeline(StandardScaler(), DictionaryLearning(20, alpha=0.1, tol=1e-2, random_state=0))
    assert pipeline.fit_transform(problem.signals).shape == (150, 20)


@pytest.mark.parametrize(
    "make, sentence",
    [
        (
            lambda p: SparseCoder(p.dictionary, transform_algorithm="cd").fit_transform(p.signals),
            "transform_algorithm = 'cd', must be one of 'lasso_cd', 'lasso_lars', 'lasso_fista', 'omp', 'lars', 'threshold'",
        ),
        (
            lambda p: SparseCoder(p.dictionary, transform_algorithm="omp", positive_code=True).fit_transform(p.signals),
            "Positive constraint not supported for 'omp' coding method.",
        ),
        (
            lambda p: SparseCoder(p.dictionary, transform_algorithm="omp", transform_n_nonzero_coefs=0).fit_transform(p.signals),
            "n_nonzero = 0, must be >= 1",
        ),
        (
            lambda p: SparseCoder(p.dictionary).fit(p.signals[:, :5]),
            "X has 5 features, but SparseCoder is expecting 12 features as input",
        ),
        (
            lambda p: SparseCoder(p.dictionary).inverse_transform(np.ones((2, 3))),
            "Expected 20, got 3.",
        ),
        (
            lambda p: DictionaryLearning(fit_algorithm="exact").fit(p.signals),
            "fit_algorithm = 'exact', must be one of 'unrolled', 'alternating', 'truncated'",
        ),
        (
            lambda p: DictionaryLearning(dict_init=np.ones((3, 12)), n_components=4).fit(p.signals),
            "init has 3 atoms but n_atoms = 4; they must be equal",
        ),
        (lambda p: LISTA(p.dictionary, kind="deep").fit(p.signals), "kind = 'deep', must be one of alista, coupled"),
        (lambda p: LISTA(p.dictionary, reg=-1).fit(p.signals), "reg = -1, must be > 0 and finite"),
        (lambda p: LISTA(p.dictionary, loss="supervised").fit(p.signals), "loss = 'supervised' needs targets"),
        (
            lambda p: LISTA(p.dictionary).fit(p.signals[:, :5]),
            "X has 5 features, but LISTA is expecting 12 features as input",
        ),
        (
            lambda p: LISTA(p.dictionary, max_iter=1).fit(p.signals).inverse_transform(np.ones((2, 3))),
            "Expected 20, got 3.",
        ),
        (lambda p: DictionaryLearning(alpha=-1).fit(p.signals), "reg = -1, must be > 0 and finite"),
    ],
)
def test_bad_parameters_are_named_when_fitting(problem, make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(problem)


def test_lista_is_network(problem):
    X, D = problem.signals, problem.dictionary
    model = LISTA(kind="coupled", n_layers=4, dictionary=D, reg="0.2max", threshold="atom", mode="recursive", max_iter=12)
    codes = model.fit_transform(X)
    network = riata.Network("coupled", D, 4, threshold="atom")
    result = network.fit(X, "0.2max", mode="recursive", max_iter=12)
    np.testing.assert_array_equal(codes, network.encode(X))
    np.testing.assert_array_equal(model.loss_, result.history.value)
    assert model.n_iter_ == 12 and model.n_features_in_ == 12
    np.testing.assert_array_equal(model.get_feature_names_out()[[0, -1]], ["lista0", "lista19"])
    np.testing.assert_array_equal(model.inverse_transform(codes), codes @ D)
    model.set_params(transform_reg="0.5*max")
    np.testing.assert_array_equal(model.transform(X), network.encode(X, "0.5max"))
    assert model.transform(X.astype(np.float32)).dtype == np.float32
    assert model.fit(X.astype(np.float32)).network_.dictionary.dtype == np.float32


def test_lista_takes_codes_as_y_and_the_options_of_training(problem):
    X, D = problem.signals, problem.dictionary
    options = dict(loss="supervised", optimizer="adam", batch_size=30, learning_rate=1e-3, validation=0.2, max_iter=60)
    model = LISTA(D, kind="alista", n_layers=3, reg=0.1, support_selection=(5, 20), random_state=4, **options)
    model.fit(X, problem.codes)
    network = riata.Network("alista", D, 3, support_selection=(5, 20))
    before = network.loss(X, 0.1, problem.codes)
    network.fit(X, 0.1, targets=problem.codes, random_state=4, **options)
    np.testing.assert_array_equal(model.transform(X), network.encode(X))
    assert network.loss(X, None, problem.codes) < before
    group = LISTA(D, kind="group", n_layers=2, groups=np.arange(20) // 4, reg=0.1, max_iter=3).fit(X)
    np.testing.assert_array_equal(group.network_.groups, np.arange(20) // 4)


def test_unfitted_use_is_refused(problem):
    for estimator in (DictionaryLearning(), LISTA(problem.dictionary)):
        for method in ("transform", "inverse_transform"):
            with pytest.raises(NotFittedError):
                getattr(estimator, method)(problem.signals)


@pytest.mark.parametrize(
    "n_jobs, exception, sentence",
    [
        (0, ValueError, "n_jobs = 0, must be >= 1, negative or None"),
        ("2", TypeError, "n_jobs = '2', must be an integer"),
    ],
)
def test_a_bad_n_jobs_is_refused_by_its_own_name(problem, n_jobs, exception, sentence):
    with pytest.raises(exception, match="DictionaryLearning: " + sentence):
        DictionaryLearning(5, n_jobs=n_jobs).fit(problem.signals)
    with pytest.raises(exception, match="LISTA: " + sentence):
        LISTA(problem.dictionary, n_jobs=n_jobs).fit(problem.signals)
    with pytest.raises(exception, match="SparseCoder: " + sentence):
        SparseCoder(problem.dictionary, n_jobs=n_jobs).fit_transform(problem.signals)
