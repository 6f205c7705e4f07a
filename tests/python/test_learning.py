"""learn_dictionary, recovery scores and model files."""

import shutil

import numpy as np
import pytest

import riata

METHODS = {"unrolled": {}, "alternating": {}, "truncated": {"backprop": 3}, "alternating_exact": {},
           "stochastic": {}, "online": {}, "pudle_dec": {}, "pudle_lasso": {"batch_size": 100},
           "pudle_ls": {"threshold": "decay"}, "mod": {"n_nonzero": 4}, "ksvd": {"n_nonzero": 4}, "aksvd": {"n_nonzero": 4},
           "admm": {}}


@pytest.fixture(scope="module")
def problem():
    return riata.datasets.planted(n_features=16, n_atoms=24, n_signals=400, density=0.15, noise_std=0.05)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_improves_dictionary_and_objective(problem, method):
    start = riata.datasets.perturbed(problem.dictionary, 0.5, random_state=1)
    result = riata.learn_dictionary(
        problem.signals, 24, None if "n_nonzero" in METHODS[method] else 0.1, method=method, init=start, max_iter=60, **METHODS[method]
    )
    values = np.append(result.initial_value, result.history.value)
    assert values[-1] < values[0]
    assert (np.diff(values) < 0).all() or method not in ("unrolled", "alternating", "truncated", "alternating_exact")  # whose steps are not verified on all
    np.testing.assert_allclose(np.linalg.norm(result.dictionary, axis=1), 1, rtol=1e-12)
    assert riata.recovery_score(result.dictionary, problem.dictionary) > riata.recovery_score(
        start, problem.dictionary
    )
    assert len(result.steps) == (0 if method in ("alternating_exact", "online", "mod", "ksvd", "aksvd", "admm") else 20)
    assert result.status in ("converged", "max_iter")


def test_the_history_is_a_mapping_of_equal_arrays(problem):
    history = riata.learn_dictionary(problem.signals, 24, "0.1max", max_iter=5).history
    assert list(history) == ["value", "step", "seconds", "phase"]
    assert {len(history[name]) for name in history} == {5}
    assert (
        (np.diff(history["seconds"]) >= 0).all() and (history.step > 0).all() and (history.phase == 0).all()
    )


def test_a_fraction_is_of_the_quantile_of_reg_max_at_the_start(problem):
    start = riata.datasets.perturbed(problem.dictionary)
    result = riata.learn_dictionary(problem.signals, 24, "0.1max", init=start, max_iter=1)
    largest = np.sort(riata.reg_max(problem.signals, start))[395]  # of 400 signals four lie above
    assert result.reg == pytest.approx(0.1 * largest, rel=1e-12)


def test_the_value_is_the_loss_at_the_dictionary_returned(problem):
    for loss in ("lasso", "least_squares"):
        result = riata.learn_dictionary(
            problem.signals, 24, 0.1, n_layers=8, loss=loss, max_iter=4, replace_atoms=False
        )
        again = riata.unrolled_gradient(problem.signals, result.dictionary, 0.1, 8, loss=loss, wrt=())
        assert again.value == result.history.value[-1]


def test_learned_steps_end_no_higher(problem):
    options = dict(n_layers=5, max_iter=80, tol=1e-4)
    alone = riata.learn_dictionary(problem.signals, 24, 0.1, **options)
    both = riata.learn_dictionary(problem.signals, 24, 0.1, learn_steps=True, **options | {"max_iter": 160})
    assert both.history.value[-1] <= alone.history.value[-1]
    assert set(both.history.phase) == {0, 1} and not np.allclose(both.steps, 1)


def test_sum_and_mean_give_the_same_dictionary_value_for_value(problem):
    mean, total = (
        riata.learn_dictionary(problem.signals, 24, 0.1, max_iter=5, reduction=r) for r in ("mean", "sum")
    )
    np.testing.assert_allclose(total.history.value, 400 * mean.history.value, rtol=1e-9)
    np.testing.assert_allclose(total.dictionary, mean.dictionary, atol=1e-9)


@pytest.mark.parametrize("random_state", [0, 7, np.random.RandomState(3), np.random.default_rng(3), None])
def test_any_random_state_is_accepted(problem, random_state):
    assert (
        riata.learn_dictionary(problem.signals, 24, 0.1, max_iter=1, random_state=random_state).status
        == "max_iter"
    )


def test_the_same_seed_gives_the_same_bits_for_any_number_of_threads(problem):
    results = [
        riata.learn_dictionary(problem.signals, 24, 0.1, max_iter=8, random_state=4, n_threads=n).dictionary
        for n in (1, 2, 3)
    ]
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_a_callback_sees_every_iteration_and_can_stop(problem):
    seen = []

    def callback(info):
        seen.append((info.phase, info.iteration, info.value, info.step, info.seconds))
        return info.iteration == 3

    result = riata.learn_dictionary(problem.signals, 24, 0.1, callback=callback)
    assert result.status == "interrupted" and len(seen) == 3
    np.testing.assert_array_equal([row[2] for row in seen], result.history.value)


def test_what_a_callback_raises_comes_through(problem):
    def callback(info):
        raise LookupError(f"at {info.iteration}")

    with pytest.raises(LookupError, match="at 1"):
        riata.learn_dictionary(problem.signals, 24, 0.1, callback=callback)


def test_what_a_callback_raises_leaves_a_checkpoint_to_go_on_from(problem, tmp_path):
    def callback(info):
        if info.iteration == 7:
            raise LookupError

    options = dict(n_layers=6, tol=0, max_iter=12)
    whole = riata.learn_dictionary(problem.signals, 24, 0.1, **options)
    options |= dict(checkpoint=tmp_path / "checkpoint.safetensors", checkpoint_every=100)
    with pytest.raises(LookupError):
        riata.learn_dictionary(problem.signals, 24, 0.1, callback=callback, **options)
    seen = []
    resumed = riata.learn_dictionary(
        problem.signals, 24, 0.1, resume=True, callback=lambda info: seen.append(info.iteration), **options
    )
    assert seen[0] == 8
    np.testing.assert_array_equal(resumed.dictionary, whole.dictionary)


def test_what_a_callback_raises_comes_through_where_no_checkpoint_can_be_written(problem, tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()

    def callback(info):
        shutil.rmtree(folder)
        raise LookupError

    with pytest.raises(LookupError):
        riata.learn_dictionary(problem.signals, 24, 0.1, callback=callback, checkpoint=folder / "a.safetensors", checkpoint_every=100)


def test_a_refused_run_leaves_the_checkpoint_as_it_was(problem, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    riata.learn_dictionary(problem.signals, 24, 0.1, max_iter=3, checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(ValueError):
        riata.learn_dictionary(1e200 * problem.signals, 24, 0.1, max_iter=3, checkpoint=path)
    assert path.read_bytes() == before


def test_ctrl_c_in_a_callback_ends_learning_with_the_dictionary_so_far(problem):
    def callback(info):
        if info.iteration == 3:
            raise KeyboardInterrupt

    result = riata.learn_dictionary(problem.signals, 24, 0.1, callback=callback)
    assert result.status == "interrupted" and len(result.history.value) == 3


@pytest.mark.parametrize("method", ["unrolled", "alternating_exact"])
def test_a_resumed_run_has_the_bits_of_an_uninterrupted_one(problem, tmp_path, method):
    path = tmp_path / "checkpoint.safetensors"
    options = dict(method=method, n_layers=6, checkpoint_every=4, tol=0)
    whole = riata.learn_dictionary(problem.signals, 24, 0.1, max_iter=20, **options)
    riata.learn_dictionary(
        problem.signals,
        24,
        0.1,
        max_iter=20,
        checkpoint=path,
        callback=lambda info: info.iteration == 10,
        **options,
    )
    resumed = riata.learn_dictionary(
        problem.signals, 24, 0.1, max_iter=20, checkpoint=path, resume=True, **options
    )
    np.testing.assert_array_equal(resumed.dictionary, whole.dictionary)
    np.testing.assert_array_equal(resumed.history.value, whole.history.value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_files_teach_what_arrays_teach_bit_for_bit(problem, tmp_path, dtype):
    X = problem.signals.astype(dtype)
    paths = [tmp_path / "a.npy", str(tmp_path / "b.npy")]
    np.save(paths[0], X[:150]), np.save(paths[1], X[150:])
    for method, options in {"online": {}, "ksvd": {"reg": None, "n_nonzero": 3}}.items():
        options = {"reg": "0.1max", "method": method, "batch_size": 100, "max_iter": 15, "centre": True} | options
        of_array = riata.learn_dictionary(X, 24, **options)
        for signals in (paths, tuple(paths)):
            of_files = riata.learn_dictionary(signals, 24, **options)
            assert of_files.dictionary.dtype == dtype
            np.testing.assert_array_equal(of_files.dictionary, of_array.dictionary)
            assert of_files.reg == of_array.reg
    init = problem.dictionary
    np.testing.assert_array_equal(riata.learn_dictionary(paths, 24, **options, init=init).dictionary,
                                  riata.learn_dictionary(X, 24, **options, init=init.astype(dtype)).dictionary)  # fmt: skip
    one = riata.learn_dictionary(paths[1], 24, 0.1, method="stochastic", batch_size=50, max_iter=2)
    assert one.dictionary.shape == (24, 16)


def test_files_that_cannot_be_learned_from_are_refused_with_a_sentence(problem, tmp_path):
    good, other, gone = tmp_path / "good.npy", tmp_path / "other.npy", tmp_path / "gone.npy"
    np.save(good, problem.signals), np.save(other, problem.signals[:, :7])
    learn = lambda *paths, **options: riata.learn_dictionary(list(paths), 24, 0.1, **{"method": "online", "batch_size": 50} | options)
    for call, sentence in (
        (lambda: learn(good, other), "has 7 features but .*good.npy has 16"),
        (lambda: learn(good, method="unrolled", batch_size=None), "method 'unrolled' holds all signals in memory"),
        (lambda: learn(good, mask=np.ones((400, 16))), "mask is for signals in memory, and X is a stream"),
        (lambda: learn(good, problem.signals), r"X\[1\] = .*, must be a path"),
        (lambda: learn(good, init=problem.dictionary[:, :7]), "init has 7 features but the signals have 16"),
    ):
        with pytest.raises((ValueError, TypeError), match=sentence):
            call()
    with pytest.raises(OSError, match="cannot read .*gone.npy"):
        learn(good, gone)


class Sliced:
    """What h5py's and zarr's datasets have of an array; what is read of it at once."""

    chunks = None

    def __init__(self, rows):
        self.rows, self.shape, self.dtype, self.largest = rows, rows.shape, rows.dtype, 0

    def __getitem__(self, key):
        self.largest = max(self.largest, key.stop - key.start)
        return self.rows[key]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_arrays_in_a_list_and_datasets_are_learned_from_like_an_array(problem, dtype, tmp_path):
    X = (100 * problem.signals).astype(dtype)
    options = dict(reg="0.1max", method="online", batch_size=50, max_iter=12, validation=0.2, centre=True)
    whole = riata.learn_dictionary(X, 24, **options)
    dataset = Sliced(X)
    for signals in ([X[:130], X[130:131], X[131:]], dataset, [Sliced(X[:200]), X[200:]]):
        found = riata.learn_dictionary(signals, 24, **options)
        np.testing.assert_array_equal(found.dictionary, whole.dictionary)
        assert found.reg == whole.reg
    assert dataset.largest <= 50
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "X.h5", "w") as file:
        file["signals"] = X
        np.testing.assert_array_equal(riata.learn_dictionary(file["signals"], 24, **options).dictionary, whole.dictionary)
        paths = dict(checkpoint=tmp_path / "c", checkpoint_every=4)
        riata.learn_dictionary(file["signals"], 24, **options | dict(max_iter=5), **paths)
        resumed = riata.learn_dictionary(file["signals"], 24, **options, **paths, resume=True)
        np.testing.assert_array_equal(resumed.dictionary, whole.dictionary)


def test_batches_of_an_iterator_are_learned_from_as_they_come(problem):
    X = problem.signals
    pieces = lambda: (X[k : k + 40] for k in range(0, 400, 40))
    options = dict(method="online", random_state=3, init=riata.datasets.perturbed(problem.dictionary, 0.5))
    found = riata.learn_dictionary(pieces(), 24, 0.1, **options)
    assert found.status == "max_iter" and len(found.history.value) == 10 and found.reg == 0.1
    in_order = riata.learn_dictionary(X, 24, 0.1, **options, batch_size=40, shuffle=False, max_iter=10)
    np.testing.assert_allclose(found.dictionary, in_order.dictionary, atol=1e-12)
    seen = []
    stopped = riata.learn_dictionary(pieces(), 24, "0.1max", **options, callback=lambda info: seen.append(info) or len(seen) == 4)
    assert stopped.status == "interrupted" and [info.iteration for info in seen] == [1, 2, 3, 4]
    np.testing.assert_array_equal([info.value for info in seen], stopped.history.value)
    assert len(riata.learn_dictionary(pieces(), 24, 0.1, **options, max_iter=3).history.value) == 3
    assert riata.learn_dictionary(pieces(), 24, 0.1, **options, max_time=1e-9).status == "max_time"
    for call, sentence in (
        (lambda: riata.learn_dictionary(pieces(), 24, 0.1, **options, checkpoint="c"), "checkpoint is for signals that can be read again"),
        (lambda: riata.learn_dictionary(pieces(), 24, 0.1, **options, validation=0.1), "validation is for signals that can be read"),
        (lambda: riata.learn_dictionary(iter([]), 24, 0.1, **options), "an iterator that gave no batch"),
        (lambda: riata.learn_dictionary(iter([X[0]]), 24, 0.1, **options), r"a batch of X has shape \(16,\)"),
        (lambda: riata.learn_dictionary(iter([X, X[:, :7]]), 24, 0.1, **options), "X has 7 features but had 16 before"),
        (lambda: riata.learn_dictionary(iter([X]), 24, 0.1), "method 'unrolled' takes all signals at once"),
        (lambda: riata.learn_dictionary(iter([X]), 24, 0.1, batch_size=3), "of an iterator each array is a mini-batch"),
    ):
        with pytest.raises(ValueError, match=sentence):
            call()


def test_a_dask_array_is_learned_from_chunk_by_chunk(problem):
    da = pytest.importorskip("dask.array")
    X = np.vstack([problem.signals] * 5)
    made = []
    blocks = [da.from_delayed(_delayed(X[k : k + 250], made), (250, 16), float) for k in range(0, 2000, 250)]
    signals = da.concatenate(blocks).rechunk({1: 8})
    options = dict(reg=0.1, method="online", batch_size=50, random_state=1)
    found = riata.learn_dictionary(signals, 24, **options, max_iter=60)
    assert riata.recovery_score(found.dictionary, problem.dictionary) > 0.9
    assert 2000 // 250 < len(made) <= 2 * 2000 // 250
    np.testing.assert_array_equal(riata.learn_dictionary(signals, 24, **options, max_iter=60).dictionary, found.dictionary)
    for call, sentence in (
        (lambda: riata.learn_dictionary(signals, 24, 0.1, method="online"), "of a Dask array learn in batches: give batch_size"),
        (lambda: riata.learn_dictionary(signals[:0], 24, **options), "X holds no signals"),
        (lambda: riata.learn_dictionary(signals[signals[:, 0] > 0], 24, **options), "a Dask array of unknown shape"),
        (lambda: riata.learn_dictionary(signals, 24, **options, resume=True, checkpoint="c"), "X is read once"),
    ):
        with pytest.raises(ValueError, match=sentence):
            call()


def _delayed(rows, made):
    import dask

    return dask.delayed(lambda: made.append(1) or rows)()


def test_arrays_that_are_no_stream_are_refused_with_a_sentence(problem):
    X = problem.signals
    learn = lambda signals: riata.learn_dictionary(signals, 24, 0.1, method="online", batch_size=50, max_iter=20)
    nan = X.copy()
    nan[37, 3] = np.nan
    for signals, sentence in (
        ([X, X[:, :7]], r"X\[1\] has 7 features but X\[0\] has 16"),
        ([X, X.astype(complex)], r"X\[1\] holds complex128"),
        ([X, X.astype(np.float32)], r"X\[1\] is float32 but X\[0\] is float64; they must be equal"),
        ([X, np.ma.masked_array(X)], r"X\[1\] is a masked array"),
        ([X, nan], "signal 437"),
        (Sliced(np.empty((0, 16))), "X holds no signals"),
    ):
        with pytest.raises((ValueError, TypeError), match=sentence):
            learn(signals)


def test_ctrl_c_while_signals_are_read_returns_what_there_is(problem):
    class Interrupting(Sliced):
        n_reads = 0

        def __getitem__(self, key):
            self.n_reads += 1
            if self.n_reads == 520:  # 402 before the first iteration
                raise KeyboardInterrupt
            return super().__getitem__(key)

    signals = Interrupting(problem.signals)
    found = riata.learn_dictionary(signals, 24, "0.1max", method="online", batch_size=4, max_iter=1000)
    assert found.status == "interrupted" and 0 < len(found.history.value) < 1000


def test_a_look_is_better_only_by_more_than_the_least_gain(problem):
    learn = lambda gain: riata.learn_dictionary(
        problem.signals, 24, 0.1, method="online", batch_size=50, max_iter=2000, validation=0.2, max_no_improvement=2, least_gain=gain
    )
    patient, strict = learn(0.0), learn(0.5)
    assert len(strict.history.value) < len(patient.history.value) and strict.status == "stalled"
    with pytest.raises(ValueError, match="least_gain is for signals held out; give validation"):
        riata.learn_dictionary(problem.signals, 24, 0.1, method="online", least_gain=0.1)


def test_atoms_may_be_kept_from_falling_below_zero(problem):
    for method in ("online", "alternating_exact", "unrolled"):
        found = riata.learn_dictionary(np.abs(problem.signals), 24, 0.1, method=method, constraint="non_negative", max_iter=20)
        assert found.dictionary.min() >= 0 and np.linalg.norm(found.dictionary, axis=1).max() <= 1 + 1e-12
    below = -np.abs(problem.dictionary)
    with pytest.raises(ValueError, match="atom 0 of init has no entry above zero"):
        riata.learn_dictionary(problem.signals, 24, 0.1, constraint="non_negative", init=below)


def test_the_validation_curve_tells_the_number_of_atoms(problem):
    X, seen = np.vstack([problem.signals] * 4), []
    curve = riata.validation_curve(X, [6, 24], ["0.05max", 0.2], batch_size=100, max_iter=40, n_runs=2, callback=seen.append)
    assert curve.objective.shape == curve.reg.shape == (2, 2, 2) and curve.stability.shape == (2, 2)
    assert (curve.objective[1] < curve.objective[0]).all() and (curve.explained[1] > curve.explained[0]).all()
    assert (curve.reg[:, 1] == 0.2).all() and [point["n_atoms"] for point in seen] == [6, 6, 24, 24]
    np.testing.assert_array_equal([point["stability"] for point in seen], curve.stability.ravel())
    stopped = riata.validation_curve(X, [6, 24], 0.2, batch_size=100, max_iter=5, callback=lambda point: True)
    assert np.isnan(stopped.objective[1]).all() and not np.isnan(stopped.objective[0]).any()
    classic = riata.validation_curve(X, 24, method="ksvd", n_nonzero=3, batch_size=400, max_iter=5)
    assert (classic.n_nonzero <= 3).all() and np.isnan(classic.reg).all()
    with pytest.raises(ValueError, match="validation = 1, must be > 0 and < 1"):
        riata.validation_curve(X, 24, 0.1, validation=1)


def test_a_run_stopped_before_its_first_evaluation_claims_no_value(problem):
    result = riata.learn_dictionary(problem.signals, 24, 0.1, max_time=1e-12)
    assert result.status == "max_time" and len(result.history.value) == 0
    assert np.isnan(result.initial_value)


def test_max_time_ends_a_run(problem):
    result = riata.learn_dictionary(
        np.tile(problem.signals, (10, 1)), 24, 0.1, tol=0, max_iter=10**6, max_time=0.5
    )
    assert result.status == "max_time"


@pytest.mark.parametrize("init", ["data", "random", "dct"])
@pytest.mark.parametrize("constraint", ["unit_sphere", "unit_ball"])
def test_inits_and_constraints(problem, init, constraint):
    result = riata.learn_dictionary(problem.signals, 24, 0.1, init=init, constraint=constraint, max_iter=3)
    assert result.dictionary.shape == (24, 16)
    assert (np.linalg.norm(result.dictionary, axis=1) <= 1 + 1e-12).all()


def test_centring_makes_offsets_irrelevant(problem):
    offset = problem.signals + np.arange(400)[:, None]
    results = [
        riata.learn_dictionary(X, 24, 0.1, init=problem.dictionary, centre=True, max_iter=3).dictionary
        for X in (problem.signals, offset)
    ]
    np.testing.assert_allclose(results[0], results[1], atol=1e-8)


def test_positive_codes_and_weights_reach_the_loss(problem):
    options = dict(positive=True, weights=np.linspace(0.5, 2, 24))
    result = riata.learn_dictionary(
        problem.signals, 24, 0.1, n_layers=6, max_iter=3, replace_atoms=False, **options
    )
    again = riata.unrolled_gradient(problem.signals, result.dictionary, 0.1, 6, wrt=(), **options)
    assert again.value == result.history.value[-1]


def test_the_recovery_score_ignores_sign_and_order():
    rng = np.random.default_rng(0)
    D = riata.datasets.gaussian_dictionary(10, 12)
    shuffled = (D * rng.choice([-3.0, 0.5], (12, 1)))[rng.permutation(12)]
    assert riata.recovery_score(shuffled, D) == pytest.approx(1, abs=1e-14)
    assert riata.recovery_score(D, shuffled[:5]) == pytest.approx(1, abs=1e-14)
    assert riata.recovery_score(shuffled[:6], D) == pytest.approx(0.5, abs=1e-14)


def test_the_recovery_score_is_the_optimal_assignment():
    from scipy.optimize import linear_sum_assignment

    for seed, (n, m) in enumerate([(8, 8), (5, 9), (9, 5), (1, 3)]):
        A = riata.datasets.gaussian_dictionary(6, n, seed)
        B = riata.datasets.gaussian_dictionary(6, m, seed + 100)
        cosines = np.abs(A @ B.T)
        expected = cosines[linear_sum_assignment(-cosines)].sum() / m
        assert riata.recovery_score(A, B) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_model_survives_the_disk(tmp_path, dtype):
    path = tmp_path / "model.safetensors"
    D = riata.datasets.gaussian_dictionary(6, 9, dtype=dtype)
    riata.save_model(path, D, steps=[1.0, 0.9], metadata={"reg": 0.1, "method": "unrolled"})
    model = riata.load_model(path)
    assert model.dictionary.dtype == dtype
    np.testing.assert_array_equal(model.dictionary, D)
    np.testing.assert_array_equal(model.steps, [1.0, 0.9])
    assert model.metadata["reg"] == "0.1" and model.metadata["method"] == "unrolled"
    riata.save_model(path, model)
    np.testing.assert_array_equal(riata.load_model(path).steps, [1.0, 0.9])


def test_a_learned_result_can_be_saved_as_it_is(problem, tmp_path):
    result = riata.learn_dictionary(problem.signals, 24, 0.1, n_layers=4, max_iter=1)
    riata.save_model(tmp_path / "model.safetensors", result)
    np.testing.assert_array_equal(
        riata.load_model(tmp_path / "model.safetensors").dictionary, result.dictionary
    )


def test_a_saved_result_says_how_it_was_learned(problem, tmp_path):
    path = tmp_path / "model.safetensors"
    options = dict(n_layers=4, max_iter=2, positive=True, centre=True)
    result = riata.learn_dictionary(problem.signals, 24, "0.1max", **options)
    assert result.positive is True and result.centred is True
    riata.save_model(path, result, metadata={"patch": 8, "status": "mine"})
    metadata = riata.load_model(path).metadata
    assert float(metadata["reg"]) == result.reg
    assert float(metadata["value"]) == result.history.value[-1]
    expected = {"positive": "true", "centred": "true", "n_iter": "2", "patch": "8", "status": "mine"}
    assert expected.items() <= metadata.items()
    assert {"n_layers": "4", "algorithm": "fista"}.items() <= metadata.items()


def test_a_saved_result_names_the_layers_it_was_learned_with(problem, tmp_path):
    path = tmp_path / "model.safetensors"
    ista = riata.learn_dictionary(problem.signals, 24, 0.1, n_layers=7, algorithm="ista", max_iter=1)
    assert (ista.n_layers, ista.algorithm) == (7, "ista")
    riata.save_model(path, ista)
    assert {"n_layers": "7", "algorithm": "ista"}.items() <= riata.load_model(path).metadata.items()
    exact = riata.learn_dictionary(problem.signals, 24, 0.1, method="alternating_exact", max_iter=1)
    assert (exact.n_layers, exact.algorithm) == (None, None)
    riata.save_model(path, exact)
    assert not {"n_layers", "algorithm"} & riata.load_model(path).metadata.keys()
    sparse = riata.learn_dictionary(problem.signals, 24, method="aksvd", n_nonzero=3, max_iter=1)
    assert (sparse.reg, sparse.n_nonzero, sparse.algorithm) == (None, 3, None)
    riata.save_model(path, sparse)
    assert riata.load_model(path).metadata["n_nonzero"] == "3" and "reg" not in riata.load_model(path).metadata


@pytest.mark.parametrize("algorithm", ["ista", "fista"])
@pytest.mark.parametrize("bound", ["spectral", "frobenius"])
def test_what_was_learned_with_its_steps_is_a_network_of_the_value_it_ended_at(problem, tmp_path, algorithm, bound):
    path = tmp_path / "model.safetensors"
    result = riata.learn_dictionary(problem.signals, 24, 0.1, n_layers=4, algorithm=algorithm, lipschitz_bound=bound, learn_steps=True,
                                    max_iter=30, tol=1e-2)
    assert not np.all(result.steps == 1)
    riata.save_model(path, result)
    codes = riata.load_network(path).encode(problem.signals)
    value = riata.lasso_objective(problem.signals, result.dictionary, codes, 0.1).mean()
    assert value == pytest.approx(result.history.value[-1], rel=1e-12)


def test_codes_that_were_extrapolated_are_no_network(problem, tmp_path):
    path = tmp_path / "model.safetensors"
    result = riata.learn_dictionary(problem.signals, 24, 0.1, n_layers=4, return_extrapolated=True, max_iter=2, learn_steps=True)
    riata.save_model(path, result)
    with pytest.raises(ValueError, match="it was learned with return_extrapolated, which networks of learned steps do not have"):
        riata.load_network(path)


def test_a_checkpoint_never_overwrites_another_file(tmp_path):
    """Only a checkpoint may lie where a checkpoint goes."""
    path = tmp_path / "signals.npy"
    X = np.random.default_rng(0).standard_normal((20, 4))
    np.save(path, X)
    before = path.read_bytes()
    with pytest.raises(ValueError):
        riata.learn_dictionary(X, 5, 0.1, n_layers=3, max_iter=2, checkpoint=str(path))
    riata.save_model(tmp_path / "model.safetensors", dictionary=X)
    with pytest.raises(ValueError, match="not a riata checkpoint"):
        riata.learn_dictionary(X, 5, 0.1, n_layers=3, max_iter=2, checkpoint=str(tmp_path / "model.safetensors"))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "penalty",
    [
        {},
        dict(positive=True, weights=np.linspace(0.5, 2, 12)),
        dict(penalty="elastic_net", l1_ratio=0.7),
        dict(penalty="group", groups=np.arange(12) // 3),
        dict(penalty="group", groups=np.arange(12) // 3, positive=True, weights=np.array([1.0, 2, 0.5, 1])),
        dict(penalty="l0"),
    ],
)
def test_a_model_remembers_the_penalty_it_was_learned_with(tmp_path, penalty):
    problem = riata.datasets.planted(n_features=8, n_atoms=12, n_signals=60)
    result = riata.learn_dictionary(problem.signals, 12, "0.1max", n_layers=5, max_iter=3, **penalty)
    assert result.penalty.keys() == penalty.keys()
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    riata.save_model(first, result)
    model = riata.load_model(first)
    riata.save_model(second, model)
    assert first.read_bytes() == second.read_bytes()
    for name, value in penalty.items():
        np.testing.assert_array_equal(model.penalty[name], value)
    loss = riata.unrolled_gradient(problem.signals, model.dictionary, result.reg, 5, **model.penalty)
    assert loss.value == pytest.approx(result.history.value[-1], rel=1e-12)


def test_a_file_with_a_penalty_that_does_not_fit_its_atoms_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    riata.save_model(path, np.eye(3), penalty=dict(penalty="group", groups=[0, 0]))
    with pytest.raises(ValueError, match="m.safetensors: groups: 2 entries for 3 atoms"):
        riata.load_model(path)
    riata.save_model(path, np.eye(3), penalty=dict(penalty="group", groups=[0, 0, 1], weights=[1.0, 1, 1]))
    with pytest.raises(ValueError, match="m.safetensors: weights: 3 entries for 2 groups"):
        riata.load_model(path)
    riata.save_model(path, np.eye(3), penalty=dict(weights=[1.0] * 6))
    with pytest.raises(ValueError, match="m.safetensors: weights: 6 entries for 3 atoms"):
        riata.load_model(path)


def test_a_model_keeps_the_penalty_that_it_was_learned_with_and_steps_if_they_were(tmp_path):
    X = np.random.default_rng(0).standard_normal((30, 6))
    weights, path = np.ones(4), tmp_path / "model.safetensors"
    result = riata.learn_dictionary(X, 4, 0.1, n_layers=3, max_iter=1, weights=weights)
    weights[:] = 9
    riata.save_model(path, result)
    model = riata.load_model(path)
    assert model.penalty.get("weights", np.ones(4)).tolist() == [1, 1, 1, 1]
    assert not result.steps_learned and len(model.steps) == 0
    riata.save_model(path, riata.learn_dictionary(X, 4, 0.1, n_layers=3, max_iter=1, learn_steps=True))
    assert len(riata.load_model(path).steps) == 3


def test_one_artefact_decides_no_weight(problem):
    X = problem.signals.copy()
    X[7] *= 1e9
    largest = np.sort(riata.reg_max(X, problem.dictionary))[395]  # of 400 signals four lie above
    learned = riata.learn_dictionary(X, 24, "0.5max", init=problem.dictionary, max_iter=1)
    trained = riata.Network("step", problem.dictionary, 2).fit(X, "0.5max", max_iter=1)
    assert learned.reg == pytest.approx(0.5 * largest) == trained.reg
