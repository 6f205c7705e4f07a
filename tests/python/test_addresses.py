"""The same numbers give the same bits wherever they lie in memory: every public function, at odd addresses."""

import inspect

import numpy as np
import pytest

import riata

P = riata.datasets.planted(n_features=37, n_atoms=45, n_signals=29, density=0.15, noise_std=0.05)
D, X, Z = P.dictionary, P.signals, P.codes
RNG = np.random.default_rng(0)
IMAGE = 100 + 20 * RNG.standard_normal((23, 27))
GROUPS = np.arange(45) // 5
WEIGHTS = np.linspace(0.5, 2, 45)
PER_SIGNAL = np.linspace(0.05, 0.2, 29)
COVARIANCE = np.cov(RNG.standard_normal((37, 200)))
FEW = 6  # signals, where calls take long


def moved(value, offset):
    """A copy that begins `offset` bytes after a multiple of 64; of every array in what is given."""
    if isinstance(value, dict):
        return {name: moved(part, offset) for name, part in value.items()}
    if not isinstance(value, np.ndarray):
        return value
    memory = np.empty(value.nbytes + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    copy = memory[start : start + value.nbytes].view(value.dtype).reshape(value.shape)
    copy[...] = value
    assert copy.ctypes.data % 64 == offset
    return copy


def bits(result):
    """What a result holds, but for times and addresses."""
    if isinstance(result, np.ndarray):
        return result.tobytes()
    if hasattr(result, "toarray"):
        return result.toarray().tobytes()
    if isinstance(result, (list, tuple)):
        return [bits(part) for part in result]
    if isinstance(result, dict) or hasattr(result, "keys"):
        return {name: bits(result[name]) for name in result if name != "seconds"}
    if hasattr(result, "__dict__") and type(result).__module__.startswith("riata"):
        return {name: bits(part) for name, part in vars(result).items() if name != "seconds"}
    return repr(result)


def fit(kind, D, X, **options):
    net = riata.Network(kind, D, 3, groups=GROUPS if kind == "group" else None)
    result = net.fit(X, 0.1, max_iter=4, **options)
    gradient = net.gradient(X, wrt=("reg", "signals", "codes"))
    return result, net.parameters(), net.encode(X), net.layer_outputs(X), net.loss(X), gradient


def estimate(model, X):
    codes = model.fit(X).transform(X)
    return codes, model.inverse_transform(codes)


# A call per public function and path: the arrays by name, as they are moved.
CALLS = {
    **{f"encode {method}": lambda X, D, method=method: riata.encode(X, D, 0.1, method=method, max_iter=50)
       for method in ("cd", "fista", "ista", "oista", "backtracking", "lars")},
    "encode init": lambda X, D, Z, WEIGHTS: riata.encode(X, D, "0.3max", init=Z, weights=WEIGHTS, max_iter=30),
    "encode per signal": lambda X, D, PER_SIGNAL: riata.encode(X, D, PER_SIGNAL, positive=True, max_iter=30),
    **{f"encode {penalty}": lambda X, D, penalty=penalty: riata.encode(
        X, D, 0.1, penalty=penalty, max_iter=30, **({"groups": GROUPS} if penalty == "group" else {}))
       for penalty in ("elastic_net", "group", "l0")},
    "lasso_path": lambda X, D: riata.lasso_path(X[0], D, 0.05),
    "omp": lambda X, D: riata.omp(X, D, n_nonzero=4),
    "lars": lambda X, D: riata.lars(X, D, n_nonzero=4),
    "reg_max": lambda X, D, WEIGHTS: (riata.reg_max(X, D), riata.reg_max(X, D, weights=WEIGHTS)),
    "lasso_objective": lambda X, D, Z: riata.lasso_objective(X, D, Z, 0.1),
    "duality_gap": lambda X, D, Z: riata.duality_gap(X, D, Z, 0.1),
    "kkt_violation": lambda X, D, Z: riata.kkt_violation(X, D, Z, 0.1),
    **{f"conv_encode {b}": lambda X, D, b=b: riata.conv_encode(X[:FEW], D[:3, :7].copy(), "0.1max", boundary=b, max_iter=50) for b in ("valid", "full")},
    "conv_reg_max": lambda X, D: riata.conv_reg_max(X[:FEW], D[:3, :7].copy()),
    "conv_decode": lambda Z, D: riata.conv_decode(Z[:FEW, None], D[:1, :7].copy()),
    **{f"learn_patterns {m}": lambda X, m=m: riata.learn_patterns(X[:FEW].reshape(2, 3, 37), 3, 7, rank_one=m == "stochastic", method=m, n_layers=5, max_iter=3)
       for m in ("stochastic", "unrolled", "alternating_exact")},
    **{f"learn_kernels {m}": lambda IMAGE, m=m: riata.learn_kernels(IMAGE, 3, 5, method=m, n_layers=5, max_iter=3)
       for m in ("stochastic", "unrolled", "alternating_exact")},
    "pattern_events": lambda Z, D: riata.pattern_events(Z[:FEW, None], D[:1, :7].copy(), 0.1, return_amplitudes=True),
    "explained_variance": lambda X, D, Z: riata.explained_variance(X[:FEW], D[:1, :7].copy(), Z[:FEW, None, :31].copy()),
    "prox_tv": lambda X, PER_SIGNAL: riata.prox_tv(X, PER_SIGNAL),
    "prox_tv_vjp": lambda X, T, WEIGHTS: riata.prox_tv_vjp(X, 0.1, T, jump_weights=WEIGHTS[:36]),
    **{f"tv_solve {m}": lambda X, D, m=m: riata.tv_solve(X, D.T.copy(), "0.2max", m, max_iter=50)
       for m in ("working-set", "synthesis", "apgd", "condat-vu")},
    "tv_reg_max": lambda X, D: riata.tv_reg_max(X, D[0]),
    "hrf": lambda: riata.hrf(0.7),
    "joint_encode": lambda X, D: riata.joint_encode(X, D, 0.5, max_iter=50),
    "joint_reg_max": lambda X, D: (riata.joint_reg_max(X, D), riata.joint_reg_max(X, D, group_size=5)),
    "joint_certificate": lambda X, D, Z: riata.joint_certificate(X, D, Z, 0.5),
    **{f"unrolled_encode {m}": lambda X, D, m=m: riata.unrolled_encode(X, D, 0.1, 7, m) for m in ("ista", "fista")},
    "unrolled_gradient": lambda X, D: riata.unrolled_gradient(X, D, 0.1, 7, wrt=("dictionary", "steps", "reg", "signals")),
    "unrolled_gradient least_squares": lambda X, D, T: riata.unrolled_gradient(X, D, 0.1, 7, loss="least_squares", targets=T),
    "UnrolledEncoder": lambda X, D: [riata.UnrolledEncoder(D, 7).encode(x, 0.1) for x in X[:FEW]],
    "code_jacobian": lambda X, D: riata.code_jacobian(X[0], D, 0.1, 7, row=3),
    "unrolled_stability": lambda X, D: riata.unrolled_stability(X[:FEW], D, 0.1, 12),
    "implicit_gradient": lambda X, D, Z: riata.implicit_gradient(X, D, 0.1, Z),
    "implicit_jvp": lambda X, D: riata.implicit_jvp(X[:FEW], D, 0.1, dX=X[:FEW], dD=D),
    "hypergradient": lambda X, D, T, E: riata.hypergradient(X[:FEW], D, 0.1, X_held_out=T[:FEW], D_held_out=E),
    **{f"learn_dictionary {method}": lambda X, method=method: riata.learn_dictionary(
        X, 30, 0.1, n_layers=4, max_iter=3, method=method, centre=True, **({"backprop": 2} if method == "truncated" else {}))
       for method in ("unrolled", "alternating", "truncated", "alternating_exact", "stochastic", "online", "admm")},
    "validation_curve": lambda X: riata.validation_curve(X, [10, 20], 0.1, batch_size=10, max_iter=3),
    "learn_dictionary init": lambda X, D: riata.learn_dictionary(X, 45, "0.1max", n_layers=4, max_iter=3, init=D, learn_steps=True),
    "recovery_score": lambda D, E: riata.recovery_score(D, E),
    **{f"Network {kind}": lambda X, D, kind=kind: fit(kind, D, X)
       for kind in "lista coupled tied alista step hessian first_step facnet iht lamp group fista".split()},
    "Network supervised": lambda X, D, Z: fit("coupled", D, X, loss="supervised", targets=Z),
    "Network adam": lambda X, D: fit("lista", D, X, optimizer="adam", batch_size=10),
    "analytic_weight": lambda D: riata.analytic_weight(D),
    "denoise": lambda IMAGE: riata.denoise(IMAGE, n_atoms=20, patch=4),
    "psnr": lambda IMAGE, OTHER: riata.psnr(IMAGE, OTHER),
    "extract_patches": lambda IMAGE: riata.extract_patches(IMAGE, 5, 3),
    "average_patches": lambda PATCHES: riata.average_patches(PATCHES, (23, 27), 3),
    "whitener": lambda COVARIANCE: riata.whitener(COVARIANCE),
    "sparse_inverse": lambda M, G, COVARIANCE: riata.sparse_inverse(M, G, COVARIANCE, "0.3max"),
    "datasets": lambda X, D: (riata.datasets.perturbed(D), riata.datasets.scale_to_b_infinity(X, D=D),
                              riata.datasets.signals_on_b_infinity(D, 5)),
    "SparseCoder": lambda X, D: estimate(riata.SparseCoder(D), X),
    "DictionaryLearning": lambda X: estimate(riata.DictionaryLearning(20, n_layers=4, max_iter=2, random_state=0), X),
    "ConvolutionalDictionaryLearning": lambda X: estimate(riata.ConvolutionalDictionaryLearning(2, 7, n_layers=4, max_iter=2), X[:FEW]),
    "ConvolutionalDictionaryLearning2D": lambda IMAGE: estimate(riata.ConvolutionalDictionaryLearning2D(2, 5, n_layers=4, max_iter=2), IMAGE),
    "LISTA": lambda X, D: estimate(riata.LISTA(D, n_layers=2, reg=0.1, max_iter=3), X),
}
ARRAYS = {"X": X, "D": D, "Z": Z, "T": X[::-1], "E": D[::-1], "WEIGHTS": WEIGHTS, "PER_SIGNAL": PER_SIGNAL, "IMAGE": IMAGE,
          "OTHER": IMAGE[::-1], "PATCHES": riata.extract_patches(IMAGE, 5, 3), "COVARIANCE": COVARIANCE, "M": X.T, "G": D.T}
# What takes no numbers from the caller, or is a file's.
ELSEWHERE = {"encode_stream", "load_model", "load_network", "load_patterns", "save_model", "save_patterns", "datasets", "plot"}


def test_every_public_function_is_called():
    called = {name.split()[0] for name in CALLS}
    functions = {name for name in riata.__all__ if inspect.isfunction(getattr(riata, name))}
    assert functions - ELSEWHERE <= called, functions - ELSEWHERE - called


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", CALLS)
def test_the_same_numbers_at_another_address_give_the_same_bits(name):
    names = [n for n, p in inspect.signature(CALLS[name]).parameters.items() if p.default is p.empty]
    for dtype, offsets in {"float64": (8, 4), "float32": (4, 8, 12)}.items():
        arrays = {n: np.ascontiguousarray(ARRAYS[n], dtype) for n in names}
        expected = bits(CALLS[name](**moved(arrays, 0)))
        for offset in offsets:
            assert bits(CALLS[name](**moved(arrays, offset))) == expected, (dtype, offset)
