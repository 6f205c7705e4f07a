"""Nothing that learns or trains depends on the unit of the signals: powers of two give the same bits, scaled, and as many
iterations; other factors the same objective, to rounding; and where squares leave the range of numbers, a sentence."""

import warnings

import numpy as np
import pytest

import riata

P = riata.datasets.planted(n_features=8, n_atoms=12, n_signals=60, density=0.2, noise_std=0.02)
GROUPS = np.arange(12) // 3
POWERS = {"float64": (-100, 100), "float32": (-40, 40)}
DECIMALS = {"float64": (1e-30, 1e-8, 1e13, 1e30), "float32": (1e-12, 1e-4, 1e12)}


def learn(**options):
    """A call at a unit of the signals: what comes back as (value, which power of the unit it has)."""

    def call(unit, dtype):
        given = {"n_layers": 5, "max_iter": 15, "reg": 0.1 * unit} | options
        result = riata.learn_dictionary((unit * P.signals).astype(dtype), 12, **given)
        return {"value": (result.history.value, 2), "initial": (result.initial_value, 2), "status": (result.status, 0),
                "dictionary": (result.dictionary, 0), "steps": (result.steps, 0), "reg": (result.reg, 1)}

    return call


def train(kind, reg_power=1, **options):
    def call(unit, dtype):
        net = riata.Network(kind, P.dictionary.astype(dtype), 3, groups=GROUPS if kind == "group" else None)
        unit = np.float64(unit)
        given = {"targets": (unit * P.codes).astype(dtype)} if options.get("loss") == "supervised" else {}
        result = net.fit((unit * P.signals).astype(dtype), 0.05 * unit**reg_power, **{"max_iter": 12} | options | given)
        return {"value": (np.append(result.history.value, result.value), 2), "status": (result.status, 0),
                **{name: (array, 0) for name, array in net.parameters().items()}}

    return call


def estimate(make, names):
    def call(unit, dtype):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = make(unit, dtype).fit((unit * P.signals).astype(dtype))
            codes = model.transform((unit * P.signals).astype(dtype))
        return {"codes": (codes, 1), "iterations": (model.n_iter_, 0)} | {
            name: (getattr(model, name), power) for name, power in names.items()}

    return call


def clean(**options):
    def call(unit, dtype):
        picture = 40 + 20 * np.add.outer(np.sin(np.arange(24.0)), np.cos(np.arange(20.0) / 2))
        noisy = unit * (picture + 5 * np.random.default_rng(0).standard_normal(picture.shape))
        given = {name: unit * value for name, value in options.items() if name in ("sigma", "reg")}
        result = riata.denoise(noisy.astype(dtype), n_atoms=20, patch=4, **options | given)
        return {"value": (result.history.value, 2), "image": (result.image, 1), "dictionary": (result.dictionary, 0),
                "sigma": (result.sigma, 1), "reg": (result.reg, 1)}

    return call


CALLS = {
    "unrolled": learn(),
    "unrolled 0.1max": learn(reg="0.1max", init="random"),
    "least squares": learn(loss="least_squares", init="dct"),
    "truncated": learn(method="truncated", backprop=2, constraint="unit_ball"),
    "alternating": learn(method="alternating", reduction="sum", centre=True),
    "alternating_exact": learn(method="alternating_exact", max_iter=6),
    "stochastic": learn(method="stochastic", max_iter=6, batch_size=30),
    "online": learn(method="online", max_iter=6, batch_size=30),
    "learned steps": learn(learn_steps=True, tol=1e-2, max_iter=25, algorithm="ista"),
    "positive": learn(positive=True, weights=np.linspace(0.5, 2, 12), lipschitz_bound="frobenius"),
    **{kind: train(kind) for kind in "lista coupled tied alista step hessian first_step facnet lamp group fista".split()},
    "iht": train("iht", 2, loss="supervised"),
    **{f"{kind} {mode}": train(kind, mode=mode, loss=loss) for kind, mode, loss in [
        ("coupled", "recursive", "supervised"), ("facnet", "greedy", "unsupervised"), ("step", "recursive", "semi")]},
    **{f"{kind} adam": train(kind, optimizer="adam", batch_size=20, validation=0.2, random_state=3)
       for kind in "lista step facnet lamp".split()},
    "adam recursive": train("coupled", optimizer="adam", mode="recursive", loss="supervised", learning_rate=1e-2, max_iter=30),
    "DictionaryLearning": estimate(
        lambda unit, dtype: riata.DictionaryLearning(12, alpha=0.1 * unit, n_layers=5, max_iter=10, random_state=0),
        {"components_": 0, "error_": 2}),
    "LISTA": estimate(
        lambda unit, dtype: riata.LISTA(P.dictionary.astype(dtype), n_layers=3, reg=0.1 * unit, max_iter=10), {"loss_": 2}),
    "denoise": clean(sigma=5.0),
    "denoise plain": clean(plain=True),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_power_of_two_gives_the_same_bits(name):
    for dtype, powers in POWERS.items():
        expected = CALLS[name](1.0, dtype)
        for power in powers:
            found = CALLS[name](2.0**power, dtype)
            for part, (value, degree) in expected.items():
                if isinstance(value, str):
                    assert found[part][0] == value, (dtype, power, part)
                    continue
                here = np.asarray(found[part][0])
                np.testing.assert_array_equal(np.ldexp(here, -power * degree) if degree else here, value,
                                              err_msg=f"{dtype}, 2^{power}, {part}")


# Single precision rounds the signals themselves, otherwise in each unit, and denoise() computes in it.
TOLERANCES = {"float64": 1e-6, "float32": 4e-5}


@pytest.mark.parametrize("name", CALLS)
def test_any_factor_gives_the_same_objective(name):
    for dtype, units in DECIMALS.items():
        expected = CALLS[name](1.0, dtype)
        for unit in units:
            found = CALLS[name](unit, dtype)
            if "image" in expected:
                assert np.abs(found["image"][0] / unit - expected["image"][0]).mean() < 1  # a fifth of the noise
            for part in {"value", "loss_", "error_"} & set(expected) if "image" not in expected else ():
                assert found[part][0][-1] == pytest.approx(expected[part][0][-1] * unit**2, rel=TOLERANCES[dtype], abs=0)


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("name", CALLS)
def test_where_squares_leave_the_range_of_numbers_the_result_is_the_same_or_a_sentence(name):
    expected = CALLS[name](1.0, "float64")
    for unit in (1e-160, 1e160):
        try:
            found = CALLS[name](unit, "float64")
        except ValueError as refused:
            assert len(str(refused)) < 300 and "\n" not in str(refused)
            continue
        for part in ("dictionary", "image"):
            if part in expected:
                value, degree = expected[part]
                np.testing.assert_allclose(found[part][0] / unit**degree, value, rtol=1e-5, atol=1e-5 * np.abs(value).max())


@pytest.mark.parametrize("unit", [1e-8, 1e-4, 1e13])
def test_volts_and_teslas_learn_what_numbers_near_one_do(unit):
    p = riata.datasets.planted(n_features=20, n_atoms=30, n_signals=1000, density=0.1)
    result = riata.learn_dictionary(unit * p.signals, 30, "0.15max", max_iter=120)
    assert riata.recovery_score(result.dictionary, p.dictionary) > 0.98
    for kind in ("step", "lista"):
        nets = [riata.Network(kind, p.dictionary, 3) for _ in range(2)]
        alone, here = (net.fit(c * p.signals[:200], "0.1max", max_iter=20) for net, c in zip(nets, (1.0, unit), strict=True))
        assert here.value == pytest.approx(unit**2 * alone.value, rel=1e-6)
        assert len(here.history.value) == 20


def test_adam_moves_where_squares_of_single_precision_are_nearly_zero():
    X, D, targets = (np.float32(2.0**power) * array.astype("float32")
                     for power, array in ((-50, P.signals), (12, P.dictionary), (-62, P.codes)))
    net = riata.Network("facnet", D, 2)
    result = net.fit(X, 0.05 * 2.0**-38, "supervised", targets, optimizer="adam", learning_rate=0.01, max_iter=5)
    assert result.status == "max_iter"
    moved = [name for name, array in riata.Network("facnet", D, 2).parameters().items() if (net.parameters()[name] != array).any()]
    assert moved and all(np.isfinite(array).all() for array in net.parameters().values())
