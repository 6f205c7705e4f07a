"""Nothing depends on the unit in which signals are given: (u X, u reg) has the codes u Z, whatever u.

A power of two changes no bit but the exponents, and no count of iterations; another unit changes what is certified by
rounding; at the ends of the range a call does as before or refuses in a sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import riata


@dataclass(frozen=True)
class Data:
    """Twelve features, eighteen atoms, thirty signals, in one precision."""

    dtype: type
    X: np.ndarray
    D: np.ndarray
    Z: np.ndarray  # codes near those of X
    cotangent: np.ndarray
    reg: float = 0.125

    def signals(self, unit: float, count: int | None = None) -> np.ndarray:
        return in_unit(self.X[:count], unit)

    def codes(self, unit: float) -> np.ndarray:
        return in_unit(self.Z, unit)


def in_unit(values: Any, unit: float) -> np.ndarray:
    values = np.asarray(values)
    return (values.astype(np.float64) * unit).astype(values.dtype)


def make_data(dtype: type) -> Data:
    p = riata.datasets.planted(n_features=12, n_atoms=18, n_signals=30, density=0.15, random_state=3)
    rng = np.random.default_rng(4)
    X, D = p.signals.astype(dtype), p.dictionary.astype(dtype)
    Z = (p.codes + 0.01 * rng.standard_normal(p.codes.shape)).astype(dtype)
    return Data(dtype, X, D, Z, rng.standard_normal(Z.shape).astype(dtype))


DATA = {dtype: make_data(dtype) for dtype in (np.float64, np.float32)}

Values = dict[str, tuple[Any, int]]  # name -> (array or number, the power of the unit it is measured in)


@dataclass(frozen=True)
class Row:
    """call(data, unit): the function at (unit X, unit reg); what it returns is compared with call(data, 1)."""

    call: Callable[[Data, float], Values]
    compared: tuple[str, ...] = ()  # at a unit that is no power of two: what is certified; () for all
    rtol: dict[type, float] = field(default_factory=lambda: {np.float64: 1e-9, np.float32: 1e-4})
    double_only: bool = False
    squared_reg: bool = False  # reg has the unit's square, so that units nearer to one reach the ends of the range


def encoded(**options: Any) -> Row:
    power = 2 if options.get("penalty") == "l0" else 1

    def call(d: Data, u: float) -> Values:
        options.setdefault("tol", 1e-6)
        r = riata.encode(d.signals(u), d.D, d.reg * u**power, **options)
        values: Values = {"codes": (r.codes, 1), "objective": (r.objective, 2), "n_iter": (r.n_iter, 0)}
        values["status"] = (r.status == "converged", 0)
        if options.get("penalty") != "l0":
            values["gap"] = (r.gap, 2)
        for i, trace in enumerate(r.trace or ()):
            values[f"trace {i}"] = (trace.objective, 2)
            values[f"steps {i}"] = (trace.step, 0)
        return values

    # Codes that differ by rounding may differ in their iterations; objectives are within the gap of each other.
    return Row(call, ("objective", "status"), {np.float64: 1e-6, np.float32: 1e-4}, squared_reg=power == 2)


def certified(method: str, **options: Any) -> Row:
    """To a gap so small that units cannot matter beyond 1e-9."""

    def call(d: Data, u: float) -> Values:
        tol = 1e-13 if d.dtype == np.float64 else 1e-6
        r = riata.encode(d.signals(u), d.D, d.reg * u, method, tol, 100000, **options)
        return {"codes": (r.codes, 1), "objective": (r.objective, 2), "n_iter": (r.n_iter, 0)}

    return Row(call, ("objective",))


def streamed(d: Data, u: float) -> Values:
    blocks: list[Any] = []
    report = riata.encode_stream(d.signals(u), d.D, d.reg * u, blocks.append, tol=1e-13 if d.dtype == np.float64 else 1e-6)
    return {
        "codes": (np.concatenate([b.codes.toarray() for b in blocks]), 1),
        "objective": (report.objective, 2),
        "n_iter": (np.concatenate([b.n_iter for b in blocks]), 0),
    }


def pursued(**stop: Any) -> Row:
    def call(d: Data, u: float) -> Values:
        r = riata.omp(d.signals(u), d.D, **stop)
        return {"codes": (r.codes, 1), "error": (r.error, 2), "n_nonzero": (r.n_nonzero, 0)}

    return Row(call, ("codes", "n_nonzero"))


def path(d: Data, u: float) -> Values:
    r = riata.lasso_path(d.signals(u)[0], d.D)
    return {"regs": (r.regs, 1), "codes": (r.codes, 1)}


def joint(**options: Any) -> Row:
    def call(d: Data, u: float) -> Values:
        r = riata.joint_encode(d.signals(u, 5), d.D, d.reg * u, tol=1e-13 if d.dtype == np.float64 else 1e-6, **options)
        return {
            "codes": (r.codes, 1),
            "objective": (r.objective, 2),
            "gap": (r.gap, 2),
            "n_iter": (r.n_iter, 0),
            "support": (r.support, 0),
        }

    return Row(call, ("objective", "support"))


def judged(function: Callable[..., Any], power: int, **penalty: Any) -> Row:
    return Row(lambda d, u: {"value": (function(d.signals(u), d.D, d.codes(u), d.reg * u, **penalty), power)})


def unrolled(**options: Any) -> Row:
    return Row(lambda d, u: {"codes": (riata.unrolled_encode(d.signals(u), d.D, d.reg * u, 12, **options), 1)})


def differentiated(**options: Any) -> Row:
    def call(d: Data, u: float) -> Values:
        wrt = ("dictionary", "steps", "reg", "signals")
        r = riata.unrolled_gradient(d.signals(u), d.D, d.reg * u, 12, wrt=wrt, **options)
        return {
            "value": (r.value, 2),
            "D": (r.dictionary, 2),
            "codes": (r.codes, 1),
            "steps": (r.steps, 2),
            "reg": (r.reg, 1),
            "X": (r.signals, 1),
        }

    return Row(call, rtol={np.float64: 1e-9, np.float32: 1e-3})


def one_by_one(d: Data, u: float) -> Values:
    encoder = riata.UnrolledEncoder(d.D, 12)
    return {"codes": (np.stack([encoder.encode(x, d.reg * u) for x in d.signals(u)]), 1)}


def implicit(d: Data, u: float) -> Values:
    r = riata.implicit_gradient(d.signals(u), d.D, d.reg * u, d.cotangent)
    return {
        "D": (r.dictionary, 1),
        "X": (r.signals, 0),
        "reg": (r.reg, 0),
        "weights": (r.weights, 1),
        "codes": (r.codes, 1),
    }


def tangent(d: Data, u: float) -> Values:
    dX, dD = d.signals(u)[::-1].copy(), d.D[::-1].copy()
    return {"codes": (riata.implicit_jvp(d.signals(u), d.D, d.reg * u, dX, dD, 0.5 * u), 1)}


def held_out(d: Data, u: float) -> Values:
    r = riata.hypergradient(d.signals(u), d.D, d.reg * u, X_held_out=d.signals(u)[::-1].copy())
    return {"value": (r.value, 2), "reg": (r.reg, 1), "weights": (r.weights, 2)}


def jacobian(layers: int | None) -> Row:
    return Row(lambda d, u: {"J": (riata.code_jacobian(d.signals(u)[0], d.D, d.reg * u, layers, 2), 1)})


def stability(d: Data, u: float) -> Values:
    r = riata.unrolled_stability(d.signals(u, 4), d.D, d.reg * u, 15, return_errors=True)
    return {"growth": (r.growth, 0), "safe": (r.safe_backprop, 0), "errors": (r.errors, 0)}


def network(kind: str) -> Row:
    power = 2 if kind == "iht" else 1

    def call(d: Data, u: float) -> Values:
        options: dict[str, Any] = {"groups": np.arange(len(d.D)) // 3} if kind == "group" else {}
        net, reg = riata.Network(kind, d.D, 4, **options), d.reg * u**power
        targets = d.codes(u) if kind == "iht" else None  # its unsupervised loss has the l1 norm, which knows no such reg
        values: Values = {"loss": (net.loss(d.signals(u), reg, targets), 2)}
        values["codes"] = (net.encode(d.signals(u), reg), 1)
        values["outputs"] = (np.stack(net.layer_outputs(d.signals(u), reg)), 1)
        gradient = net.gradient(d.signals(u), reg, targets=targets)
        values |= {name: (g, 2) for name, g in gradient.parameters.items()}
        return values

    return Row(call, rtol={np.float64: 1e-9, np.float32: 2e-3}, squared_reg=power == 2)


def sources(channels: bool = False, **options: Any) -> Row:
    """Fields and weight in another unit; or all that has the channels' unit, which leaves sources as they are."""
    power = 0 if channels else 1

    def call(d: Data, u: float) -> Values:
        M, G, noise = d.signals(u, 6).T.copy(), d.D.T.copy(), 0.01 * (np.eye(12) + 0.1)
        if channels:
            G, noise = G * u, noise * u**2
        r = riata.sparse_inverse(M, G, noise, 0.5 * u**power, tol=1e-13, **options)
        return {
            "sources": (r.sources, power),
            "active": (r.active, 0),
            "objective": (r.objective, 2 * power),
            "gap_rel": (r.gap_rel, 0),
            "n_iter": (r.n_iter, 0),
        }

    return Row(call, ("objective", "active"), double_only=True, squared_reg=channels)


def transformed(make: Callable[[Data, float], Any]) -> Row:
    return Row(lambda d, u: {"codes": (make(d, u).transform(d.signals(u)), 1)})


GROUPS = np.arange(18) // 3
WEIGHTS = np.linspace(0.5, 2, 18)

# One row per public function that takes signals, and per way through it.
ROWS: dict[str, Row] = {
    "encode": certified("auto"),
    "encode, cd": certified("cd"),
    "encode, fista": certified("fista"),
    "encode, lars": certified("lars"),
    "encode, weights": certified("cd", weights=WEIGHTS),
    "encode, non-negative": certified("cd", positive=True),
    "encode, groups": certified("fista", penalty="group", groups=GROUPS),
    "encode, ista, record": encoded(method="ista", record=True, max_iter=200),
    "encode, fista, record": encoded(method="fista", record=True, restart="objective"),
    "encode, fista, greedy": encoded(method="fista", momentum="greedy"),
    "encode, oista": encoded(method="oista"),
    "encode, oista, exact": encoded(method="oista", support_norm="exact"),
    "encode, backtracking": encoded(method="backtracking"),
    "encode, l0": encoded(penalty="l0"),
    "encode_stream": Row(streamed, ("objective",)),
    "omp, n_nonzero": pursued(n_nonzero=3),
    "omp, tol": pursued(tol=0.01),
    "lasso_path": Row(path),
    "joint_encode": joint(),
    "joint_encode, groups": joint(group_size=3),
    "joint_reg_max": Row(lambda d, u: {"value": (riata.joint_reg_max(d.signals(u), d.D), 1)}),
    "joint_certificate": Row(
        lambda d, u: {"value": (riata.joint_certificate(d.signals(u), d.D, d.codes(u), d.reg * u), 2)}
    ),
    "lasso_objective": judged(riata.lasso_objective, 2),
    "duality_gap": judged(riata.duality_gap, 2),
    "kkt_violation": judged(riata.kkt_violation, 1),
    "lasso_objective, groups": judged(riata.lasso_objective, 2, penalty="group", groups=GROUPS),
    "duality_gap, groups": judged(riata.duality_gap, 2, penalty="group", groups=GROUPS),
    "kkt_violation, groups": judged(riata.kkt_violation, 1, penalty="group", groups=GROUPS),
    "reg_max": Row(lambda d, u: {"value": (riata.reg_max(d.signals(u), d.D), 1)}),
    "reg_max, groups": Row(
        lambda d, u: {"value": (riata.reg_max(d.signals(u), d.D, penalty="group", groups=GROUPS), 1)}
    ),
    "reg_max, l0": Row(lambda d, u: {"value": (riata.reg_max(d.signals(u), d.D, penalty="l0"), 2)}),
    "unrolled_encode": unrolled(),
    "unrolled_encode, ista": unrolled(algorithm="ista"),
    "unrolled_encode, extrapolated": unrolled(return_extrapolated=True),
    "unrolled_gradient": differentiated(),
    "unrolled_gradient, ista, sum": differentiated(algorithm="ista", reduction="sum"),
    "UnrolledEncoder": Row(one_by_one),
    "implicit_gradient": Row(implicit, rtol={np.float64: 1e-6, np.float32: 1e-4}),
    "implicit_jvp": Row(tangent, rtol={np.float64: 1e-6, np.float32: 1e-4}),
    "hypergradient": Row(held_out, rtol={np.float64: 1e-6, np.float32: 1e-4}),
    "code_jacobian": jacobian(12),
    "code_jacobian, exact": jacobian(None),
    "unrolled_stability": Row(stability, ("safe",)),
    "sparse_inverse": sources(),
    "sparse_inverse, l1": sources(penalty="l1"),
    "sparse_inverse, channels": sources(channels=True),
    "SparseCoder": transformed(lambda d, u: riata.SparseCoder(d.D, transform_alpha=d.reg * u)),
}
ROWS |= {
    f"Network, {kind}": network(kind)
    for kind in ("lista", "coupled", "tied", "alista", "step", "hessian", "first_step", "facnet", "iht", "lamp", "group", "fista")
}

BOTH = [np.float64, np.float32]
_at_one: dict[tuple[str, type], Values] = {}


def at_one(name: str, dtype: type) -> Values:
    if (name, dtype) not in _at_one:
        _at_one[name, dtype] = ROWS[name].call(DATA[dtype], 1.0)
    return _at_one[name, dtype]


def skip_unless_it_takes(name: str, dtype: type) -> None:
    if ROWS[name].double_only and dtype == np.float32:
        pytest.skip(f"{name} computes in double alone")


@pytest.mark.parametrize("dtype", BOTH, ids=["float64", "float32"])
@pytest.mark.parametrize("name", ROWS)
def test_a_power_of_two_changes_exponents_alone(name: str, dtype: type) -> None:
    skip_unless_it_takes(name, dtype)
    most = 100 if dtype == np.float64 else 40
    for exponent in (-most, most):
        scaled = ROWS[name].call(DATA[dtype], 2.0**exponent)
        for what, (values, power) in at_one(name, dtype).items():
            expected = np.ldexp(np.asarray(values, dtype=np.float64), exponent * power)
            np.testing.assert_array_equal(np.asarray(scaled[what][0], np.float64), expected, f"2^{exponent}: {what}")


@pytest.mark.parametrize("dtype", BOTH, ids=["float64", "float32"])
@pytest.mark.parametrize("name", ROWS)
def test_a_decimal_unit_changes_what_is_certified_by_rounding(name: str, dtype: type) -> None:
    skip_unless_it_takes(name, dtype)
    row = ROWS[name]
    for unit in (1e-30, 1e-6, 1e30) if dtype == np.float64 else (1e-12, 1e-3, 1e12):
        scaled = row.call(DATA[dtype], unit)
        for what, (values, power) in at_one(name, dtype).items():
            if row.compared and what not in row.compared:
                continue
            expected = np.asarray(values, np.float64)
            atol = row.rtol[dtype] * np.abs(expected).max(initial=0)
            got = np.asarray(scaled[what][0], np.float64) / unit**power
            np.testing.assert_allclose(got, expected, row.rtol[dtype], atol, err_msg=f"{unit}: {what}")


@pytest.mark.parametrize("name", ROWS)
def test_at_the_ends_of_the_range_it_is_the_same_or_refused(name: str) -> None:
    row = ROWS[name]
    for unit in (1e-160, 1e160) if not row.squared_reg else (1e-80, 1e80, 1e-160, 1e160):
        try:
            scaled = row.call(DATA[np.float64], unit)
        except (ValueError, OverflowError) as refused:
            assert 20 < len(str(refused)) < 400, refused
            continue
        for what, (values, power) in at_one(name, np.float64).items():
            got, expected = np.asarray(scaled[what][0], np.float64), np.asarray(values, np.float64)
            assert np.isfinite(got).all(), f"{unit}: {what}"
            if (row.compared and what not in row.compared) or abs(power) > 1:  # 1e-320 has three digits
                continue
            atol = 1e-9 * np.abs(expected).max(initial=0)
            np.testing.assert_allclose(got / unit**power, expected, 1e-6, atol, err_msg=f"{unit}: {what}")


@pytest.mark.parametrize("method", ["auto", "cd", "ista", "fista", "oista", "backtracking", "lars"])
def test_signals_and_atoms_of_extreme_size_are_coded_or_refused(method: str) -> None:
    codes = riata.encode(np.array([[5e-170, 1e-171]]), np.eye(2), 1e-170, method).codes
    np.testing.assert_allclose(codes, [[4e-170, 0]], rtol=1e-6)
    with pytest.raises(ValueError, match="encode: X holds an entry of size 5e"):
        riata.encode(np.array([[5e160, 1e159]]), np.eye(2), 1e160, method)
    for size in (1e160, 1e-160):
        with pytest.raises(ValueError, match="dictionary: the largest entry of D has the size 1e"):
            riata.encode(np.ones((1, 2)), size * np.eye(2), 1.0, method)
    X, D = DATA[np.float32].X, DATA[np.float32].D
    expected = riata.encode(X, D, 0.125, method, 1e-4)
    for size in (1e-22, 1e-30, 1e19, 1e30):
        coded = riata.encode(X, in_unit(D, size), 0.125 * size, method, 1e-4)
        assert (coded.status == "converged").all()
        np.testing.assert_allclose(coded.codes.astype(np.float64) * size, expected.codes, rtol=1e-2, atol=2e-3)


def test_a_tiny_signal_among_ordinary_ones_is_coded_as_alone() -> None:
    d = DATA[np.float64]
    X, reg = d.X.copy(), np.full(len(d.X), d.reg)
    for i, exponent in ((3, -500), (4, 400), (5, -700)):
        X[i], reg[i] = np.ldexp(X[i], exponent), np.ldexp(d.reg, exponent)
    for method in ("cd", "fista", "lars"):
        alone, among = (riata.encode(signals, d.D, r, method) for signals, r in ((d.X, d.reg), (X, reg)))
        np.testing.assert_array_equal(among.n_iter, alone.n_iter)
        np.testing.assert_array_equal(among.codes[3], np.ldexp(alone.codes[3], -500))
        np.testing.assert_array_equal(among.codes[4], np.ldexp(alone.codes[4], 400))
        np.testing.assert_array_equal(among.codes[6], alone.codes[6])
    layers = riata.unrolled_encode(X, d.D, reg, 9)
    np.testing.assert_array_equal(layers[5], np.ldexp(riata.unrolled_encode(d.X, d.D, d.reg, 9)[5], -700))


def test_a_network_does_not_certify_signals_whose_squares_are_no_numbers():
    """Where 1/2 ||x||^2 underflows, a gap of zero says nothing."""
    problem = riata.datasets.planted(n_features=8, n_atoms=5, n_signals=3, density=0.4)
    network = riata.Network("step", problem.dictionary, 3)
    for guards in ({"certify": True}, {"finish": 1e-6}, {"safeguard": True}):
        with pytest.raises(ValueError, match="too small to certify"):
            network.encode(problem.signals * 1e-170, 1e-171, **guards)


def test_a_loss_is_finite_where_the_target_is_much_larger_than_the_signals():
    X = np.full((1, 2), 1e-170)
    value = riata.unrolled_gradient(X, np.eye(2), 1e-171, 3, targets=np.full((1, 2), 1e30)).value
    assert value == pytest.approx(1e60, rel=1e-12)


def test_codes_that_do_not_fit_are_refused():
    X, D = np.float32([[1e30]]), np.float32([[1e-20]])
    with pytest.raises(ValueError, match="overflow"):
        riata.unrolled_encode(X, D, 1.0, 3)
