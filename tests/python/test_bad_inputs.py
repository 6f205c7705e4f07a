"""Every bad input gets its one clear sentence: (call, exception, sentence)."""

import re

import numpy as np
import pytest

import riata
from riata import datasets

X, D = np.ones((5, 4)), np.eye(4)[:3]
Z = np.zeros((5, 3))
NAN, INF = X.copy(), X.copy()
NAN[2, 1], INF[0, 3] = np.nan, -np.inf
IMAGE = np.ones((16, 16))


def f32(A):
    return A.astype(np.float32)


def learn(*args, **options):
    return riata.learn_dictionary(*args, **{"n_atoms": 3, "reg": 0.1, "max_iter": 1} | options)


ARRAYS = [
    (
        lambda: riata.encode(X[0], D, 0.1),
        ValueError,
        "encode: X has shape (4,), expected (n_signals, n_features); reshape a single signal to "
        "(1, n_features) with X.reshape(1, -1)",
    ),
    (
        lambda: riata.encode(X[None], D, 0.1),
        ValueError,
        "encode: X has shape (1, 5, 4), expected (n_signals, n_features)",
    ),
    (
        lambda: riata.encode(3.0, D, 0.1),
        ValueError,
        "encode: X has shape (), expected (n_signals, n_features)",
    ),
    (
        lambda: riata.encode(X, D[0], 0.1),
        ValueError,
        "encode: D has shape (4,), expected (n_atoms, n_features)",
    ),
    (
        lambda: riata.encode(f32(X), D, 0.1),
        TypeError,
        "encode: X is float32 but D is float64; they must be equal (convert one with astype)",
    ),
    (
        lambda: riata.encode(f32(X), D.astype(int), 0.1),
        TypeError,
        "encode: X is float32 but D is float64 (made from int64); they must be equal",
    ),
    (
        lambda: riata.lasso_objective(X, D, f32(Z), 0.1),
        TypeError,
        "lasso_objective: X is float64 but Z is float32",
    ),
    (
        lambda: riata.encode(X.astype(np.float16), D, 0.1),
        TypeError,
        "encode: X is float32 (made from float16) but D is float64; they must be equal (convert one with astype)",
    ),
    (
        lambda: riata.encode(X.astype(complex), D, 0.1),
        TypeError,
        "encode: X holds complex128; expected float32",
    ),
    (lambda: riata.encode(X.astype(object), D, 0.1), TypeError, "encode: X holds object; expected float32"),
    (
        lambda: riata.encode(X.astype(np.longdouble), D, 0.1),
        TypeError,
        "encode: X holds float128; expected float32",
    ),
    (lambda: riata.encode([["a", "b"]], D, 0.1), TypeError, "encode: X holds <U1; expected float32"),
    (lambda: riata.encode(None, D, 0.1), TypeError, "encode: X holds object; expected float32"),
    (
        lambda: riata.encode(np.ma.masked_equal(X, 2), D, 0.1),
        TypeError,
        "encode: X is a masked array, expected a plain one (fill it or drop the rows)",
    ),
    (
        lambda: riata.encode(NAN, D, 0.1),
        ValueError,
        "encode: X holds nan at signal 2, feature 1; expected finite numbers",
    ),
    (
        lambda: riata.encode(INF, D, 0.1),
        ValueError,
        "encode: X holds -inf at signal 0, feature 3; expected finite numbers",
    ),
    (lambda: riata.encode(X, D + np.inf, 0.1), ValueError, "expected finite numbers"),
    (lambda: riata.encode(X[:0], D, 0.1), ValueError, "encode: X holds no signals"),
    (
        lambda: riata.encode(X, D[:0], 0.1),
        ValueError,
        "dictionary: 0 atoms of 4 features, must have at least one of each",
    ),
    (lambda: riata.encode(X[:, :0], D[:, :0], 0.1), ValueError, "dictionary: 3 atoms of 0 features"),
    (
        lambda: riata.encode(X[:, :3], D, 0.1),
        ValueError,
        "encode: signals have 3 features but atoms have 4; they must be equal",
    ),
    (
        lambda: riata.duality_gap(X, D, Z[:3], 0.1),
        ValueError,
        "duality_gap: codes have shape (3, 3), expected (5, 3)",
    ),
    (
        lambda: riata.kkt_violation(X, D, Z * np.nan, 0.1),
        ValueError,
        "kkt_violation: Z holds nan at signal 0, atom 0",
    ),
    (
        lambda: riata.lasso_objective(X, D, Z - 1, 0.1, positive=True),
        ValueError,
        "lasso_objective: positive=True but Z holds the negative code -1",
    ),
    (lambda: riata.encode(X, D, 0.1, init=Z[:2]), ValueError, "init has shape (2, 3), expected (5, 3)"),
    (lambda: riata.encode(X, D, 0.1, init=f32(Z)), TypeError, "encode: X is float64 but init is float32"),
]

NUMBERS = [
    (lambda: riata.encode(X, D, 0), ValueError, "reg = 0, must be > 0 and finite"),
    (lambda: riata.encode(X, D, -0.5), ValueError, "reg = -0.5, must be > 0 and finite"),
    (lambda: riata.encode(X, D, np.nan), ValueError, "reg = nan, must be > 0 and finite"),
    (lambda: riata.encode(X, D, np.inf), ValueError, "reg = inf, must be > 0 and finite"),
    (
        lambda: riata.encode(X, D, "0.1maximum"),
        ValueError,
        "reg = '0.1maximum' is neither a number nor a fraction of reg_max such as 0.1max",
    ),
    (lambda: riata.encode(X, D, "-0.1max"), ValueError, "reg = -0.1, must be > 0 and finite"),
    (
        lambda: riata.encode(X, D, None),
        TypeError,
        "encode: reg = None, must be a number, one number per signal, or a text such as '0.1max'",
    ),
    (lambda: riata.encode(X, D, 1j), TypeError, "encode: reg = 1j, must be a number"),
    (lambda: riata.encode(X, D, [0.1, 0.2]), ValueError, "reg: 2 entries for 5 signals; they must be equal"),
    (
        lambda: riata.encode(X, D, np.full((5, 3), 0.1)),
        ValueError,
        "encode: reg has shape (5, 3), expected a number or (n_signals,)",
    ),
    (
        lambda: riata.encode(X, D, [0.1, 0.1, -1, 0.1, 0.1]),
        ValueError,
        "reg: entry 2 is -1, must be >= 0 and finite",
    ),
    (
        lambda: riata.encode(X, D, 0.1, weights=[1, 2]),
        ValueError,
        "weights: 2 entries for 3 atoms; they must be equal",
    ),
    (
        lambda: riata.encode(X, D, 0.1, weights=[1, 0, 1], positive=True),
        ValueError,
        "encode: weights: entry 1 is 0; that is for penalty = 'l1' without positive",
    ),
    (
        lambda: riata.encode(X, D, 0.1, weights=np.ones((3, 1))),
        ValueError,
        "encode: weights has shape (3, 1), expected (n_atoms,) or (n_signals, n_atoms) = (5, 3)",
    ),
    (
        lambda: riata.encode(X, D, 0.1, weights=np.ones(9)),
        ValueError,
        "encode: weights of 3 signals for 5; they must be equal",
    ),
    (lambda: riata.encode(X, D, 0.1, weights=[]), ValueError, "encode: weights is empty; leave it out, or give one per atom"),
    (
        lambda: riata.lasso_path(X[0], D, weights=[]),
        ValueError,
        "lasso_path: weights is empty; leave it out, or give one per atom",
    ),
    (lambda: riata.encode(X, D, 0.1, method="ksvd"), ValueError, "method = 'ksvd', must be"),
    (lambda: riata.encode(X, D, 0.1, momentum="heavy"), ValueError, "momentum = 'heavy', must be"),
    (lambda: riata.encode(X, D, 0.1, momentum_delay=1), ValueError, "momentum_delay = 1, must be >= 2"),
    (lambda: riata.encode(X, D, 0.1, restart=True), TypeError, "encode: restart = True, must be a string"),
    (lambda: riata.encode(X, D, 0.1, support_norm="svd"), ValueError, "support_norm = 'svd', must be"),
    (lambda: riata.encode(X, D, 0.1, shrink=1.0), ValueError, "shrink = 1, must be between 0 and 1"),
    (lambda: riata.encode(X, D, 0.1, first_step=-1.0), ValueError, "first_step = -1, must be > 0"),
    (
        lambda: riata.encode(X, D, 0.1, method="lars", record=True),
        ValueError,
        "encode: record is for the methods 'ista', 'fista', 'oista' and 'backtracking', not for 'lars'",
    ),
    (lambda: riata.lasso_path(X, D), ValueError, "lasso_path: x has shape (5, 4), expected (n_features,)"),
    (
        lambda: riata.lasso_path(X[0, :3], D),
        ValueError,
        "lasso_path: signals have 3 features but atoms have 4; they must be equal",
    ),
    (lambda: riata.lasso_path(f32(X[0]), D), TypeError, "lasso_path: x is float32 but D is float64"),
    (lambda: riata.lasso_path(X[0], D, reg_min=-1.0), ValueError, "reg_min = -1, must be >= 0 and finite"),
    (lambda: riata.lasso_path(X[0], D, max_knots=0), ValueError, "max_knots = 0, must be >= 1"),
    (lambda: riata.omp(X, D), ValueError, "omp: give n_nonzero, tol or max_error"),
    (lambda: riata.omp(X, D, n_nonzero=0), ValueError, "n_nonzero = 0, must be >= 1"),
    (lambda: riata.omp(X, D, n_nonzero=1.5), TypeError, "omp: n_nonzero = 1.5, must be an integer"),
    (lambda: riata.omp(X, D, tol=-1.0), ValueError, "tol = -1, must be >= 0 and finite"),
    (lambda: riata.omp(X, D, max_error=-1.0), ValueError, "omp: max_error 0 is -1, must be >= 0 and finite"),
    (lambda: riata.omp(X, D, max_error=[]), ValueError, "omp: max_error has 0 numbers, must be one, or one for each"),
    (lambda: riata.omp(X, D, max_error="x"), TypeError, "omp: max_error"),
    (lambda: riata.omp(X, D, 1, selection="best"), ValueError, "selection = 'best', must be 'omp' or 'ols'"),
    (lambda: riata.omp(X, D, 1, gram=np.eye(2)), ValueError, "omp: gram is 2 x 2, must be"),
    (lambda: riata.omp(X, D, 1, covariance=X.astype(np.float32)), TypeError, "omp: D is float64 but covariance is float32"),
    (lambda: riata.omp(NAN, D, 1), ValueError, "omp: X holds nan at signal 2, feature 1; expected finite numbers"),
    (lambda: riata.encode(X, D, 0.1, method=3), TypeError, "encode: method = 3, must be a string"),
    (lambda: riata.encode(X, D, 0.1, tol=-1.0), ValueError, "tol = -1, must be >= 0"),
    (lambda: riata.encode(X, D, 0.1, tol="small"), TypeError, "encode: tol = 'small', must be a number"),
    (lambda: riata.encode(X, D, 0.1, max_iter=0), ValueError, "max_iter = 0, must be >= 1"),
    (lambda: riata.encode(X, D, 0.1, max_iter=2.5), TypeError, "encode: max_iter = 2.5, must be an integer"),
    (
        lambda: riata.encode(X, D, 0.1, max_iter=2**31),
        ValueError,
        "encode: max_iter = 2147483648, must be at most 2147483647",
    ),
    (
        lambda: riata.encode(X, D, 0.1, n_threads=0),
        ValueError,
        "encode: n_threads = 0, must be >= 1 (None means all cores)",
    ),
    (lambda: riata.encode(X, D, 0.1, n_threads=-1), ValueError, "encode: n_threads = -1, must be >= 1"),
]

UNROLLED = [
    (lambda: riata.unrolled_encode(X, D, 0.1, 0), ValueError, "n_layers = 0, must be between 1 and 1000000"),
    (
        lambda: riata.unrolled_encode(X, D, 0.1, 10**7),
        ValueError,
        "n_layers = 10000000, must be between 1 and 1000000",
    ),
    (
        lambda: riata.unrolled_encode(X, D, 0.1, 5, algorithm="cd"),
        ValueError,
        "algorithm = 'cd', must be 'fista' or 'ista'",
    ),
    (
        lambda: riata.unrolled_encode(X, D, 0.1, 5, steps=np.ones(4)),
        ValueError,
        "steps: 4 entries for 5 layers; they must be equal",
    ),
    (
        lambda: riata.unrolled_encode(X, D, 0.1, 2, steps=[1, np.nan]),
        ValueError,
        "steps: entry 1 is nan, must be finite",
    ),
    (
        lambda: riata.unrolled_encode(X, D, 0.1, 5, lipschitz=0.0),
        ValueError,
        "lipschitz = 0, must be > 0 and finite",
    ),
    (
        lambda: riata.unrolled_encode(X, D, 0.1, 5, init=Z.T),
        ValueError,
        "unrolled_encode: init has shape (3, 5), expected (5, 3)",
    ),
    (
        lambda: riata.unrolled_gradient(X, D, 0.1, 5, backprop=6),
        ValueError,
        "backprop = 6, must be between 0 and n_layers = 5",
    ),
    (
        lambda: riata.unrolled_gradient(X, D, 0.1, 5, backprop=-1),
        ValueError,
        "backprop = -1, must be between 0 and n_layers = 5",
    ),
    (
        lambda: riata.unrolled_gradient(X, D, 0.1, 5, loss="l1"),
        ValueError,
        "loss = 'l1', must be 'lasso' or 'least_squares'",
    ),
    (
        lambda: riata.unrolled_gradient(X, D, 0.1, 5, reduction="max"),
        ValueError,
        "reduction = 'max', must be 'mean' or 'sum'",
    ),
    (
        lambda: riata.unrolled_gradient(X, D, 0.1, 5, wrt=("dictionary", "codes")),
        ValueError,
        "unrolled_gradient: wrt names 'codes', must be among 'dictionary', 'steps', 'reg', 'signals'",
    ),
    (
        lambda: riata.unrolled_gradient(X, D, 0.1, 5, targets=X[:2]),
        ValueError,
        "unrolled_gradient: targets has shape (2, 4), expected the signals' (5, 4)",
    ),
]

LEARNING = [
    (lambda: learn(X, n_atoms=0), ValueError, "n_atoms = 0, must be >= 1"),
    (
        lambda: learn(X, n_atoms=2**60),
        ValueError,
        "n_atoms = 1152921504606846976 with 4 features does not fit in memory",
    ),
    (
        lambda: learn(X, n_atoms=2**70),
        ValueError,
        "learn_dictionary: n_atoms = 1180591620717411303424, must be at most",
    ),
    (lambda: learn(X, n_atoms="3"), TypeError, "learn_dictionary: n_atoms = '3', must be an integer"),
    (lambda: learn(X[:0]), ValueError, "learn_dictionary: X holds no signals"),
    (lambda: learn(NAN), ValueError, "learn_dictionary: X holds nan at signal 2, feature 1"),
    (
        lambda: learn(X, reg=np.full(5, 0.1)),
        ValueError,
        "reg: learning takes one weight for the batch, not one per signal",
    ),
    (lambda: learn(X * 0, reg="0.1max"), ValueError, "reg: reg_max of the batch is 0"),
    (
        lambda: learn(X, method="magic"),
        ValueError,
        "method = 'magic', must be 'unrolled', 'alternating', 'truncated', 'alternating_exact', 'stochastic', 'online', 'pudle_dec', 'pudle_lasso', 'pudle_ls', 'noodl', 'mod', 'ksvd', 'aksvd', 'arora', 'arora_unbiased' or 'admm'",
    ),
    (lambda: learn(X, method="mod"), ValueError, "method 'mod' needs n_nonzero, the atoms of a code"),
    (
        lambda: learn(X, method="aksvd", n_nonzero=2),
        ValueError,
        "method 'aksvd' takes n_nonzero, the atoms of a code, and no reg",
    ),
    (
        lambda: learn(X, reg=None),
        ValueError,
        "reg is missing: method 'unrolled' needs it, as a number or a fraction such as 0.1max",
    ),
    (
        lambda: learn(X, method="truncated"),
        ValueError,
        "method 'truncated' needs backprop, the layers to keep",
    ),
    (
        lambda: learn(X, algorithm="newton"),
        ValueError,
        "algorithm = 'newton', must be 'fista' or 'ista'",
    ),
    (lambda: learn(X, backprop=3), ValueError, "backprop is for method 'truncated' alone"),
    (
        lambda: learn(X, method="alternating", learn_steps=True),
        ValueError,
        "learn_steps needs a method that differentiates layers ('unrolled', 'truncated' or 'stochastic')",
    ),
    (lambda: learn(X, init="svd"), ValueError, "init = 'svd', must be 'data', 'random' or 'dct'"),
    (
        lambda: learn(X, init=D, n_atoms=5),
        ValueError,
        "learn_dictionary: init has 3 atoms but n_atoms = 5; they must be equal",
    ),
    (
        lambda: learn(X, init=D[:, :2]),
        ValueError,
        "learn_dictionary: init has 2 features but the signals have 4; they must be equal",
    ),
    (
        lambda: learn(X, init=D * [[1], [0], [1]]),
        ValueError,
        "learn_dictionary: atom 1 of init is zero; expected atoms with a direction",
    ),
    (
        lambda: learn(X, init=D * 0, constraint="unit_ball"),
        ValueError,
        "learn_dictionary: atom 0 of init is zero; expected atoms with a direction",
    ),
    (lambda: learn(X, init=f32(D)), TypeError, "learn_dictionary: X is float64 but init is float32"),
    (
        lambda: learn(X, lipschitz_bound="exact"),
        ValueError,
        "lipschitz_bound = 'exact', must be 'spectral' or 'frobenius'",
    ),
    (
        lambda: learn(X, constraint="simplex"),
        ValueError,
        "constraint = 'simplex', must be 'unit_sphere', 'unit_ball' or 'non_negative'",
    ),
    (lambda: learn(X, max_iter=0), ValueError, "max_iter = 0, must be >= 1"),
    (lambda: learn(X, max_time=0.0), ValueError, "max_time = 0, must be > 0 seconds"),
    (lambda: learn(X, tol=np.inf), ValueError, "tol = inf, must be >= 0 and finite"),
    (lambda: learn(X, resume=True), ValueError, "resume needs the path of a checkpoint"),
    (
        lambda: learn(X, random_state="seed"),
        TypeError,
        "learn_dictionary: random_state = 'seed', must be None, an integer",
    ),
    (
        lambda: learn(X, random_state=-1),
        ValueError,
        "learn_dictionary: random_state = -1, must be between 0 and 2**64 - 1",
    ),
    (lambda: learn(X, callback=3), TypeError, "learn_dictionary: callback = 3, must be callable"),
    (lambda: riata.recovery_score(D[:, :2], D), ValueError, "features"),
]

DATA = [
    (
        lambda: datasets.gaussian_dictionary(0, 3),
        ValueError,
        "gaussian_dictionary: 0 features and 3 atoms, must be at least 1",
    ),
    (
        lambda: datasets.gaussian_dictionary(2**40, 2**40),
        ValueError,
        "gaussian_dictionary: 1099511627776 features times 1099511627776 atoms do not fit in memory",
    ),
    (
        lambda: datasets.gaussian_dictionary(3, 3, dtype=int),
        TypeError,
        "gaussian_dictionary: dtype = int64, must be float32 or float64",
    ),
    (lambda: datasets.signals_on_b_infinity(D, 5, law="cauchy"), ValueError, "law = 'cauchy', must be"),
    (
        lambda: datasets.scale_to_b_infinity(X * [0, 0, 0, 1], D=D),
        ValueError,
        "scale_to_b_infinity: signal 0 is orthogonal to every atom",
    ),
    (lambda: datasets.planted(density=0.0), ValueError, "planted: density = 0, must be in (0, 1]"),
    (lambda: datasets.planted(noise_std=-1.0), ValueError, "planted: noise_std = -1, must be >= 0"),
    (lambda: datasets.planted(n_signals=0), ValueError, "planted: 0 signals, must be at least 1"),
]

IMAGES = [
    (
        lambda: riata.extract_patches(IMAGE, 17),
        ValueError,
        "the image is 16 x 16 pixels, smaller than a patch of 17 x 17",
    ),
    (lambda: riata.extract_patches(IMAGE, 0), ValueError, "patch = 0, must be >= 1"),
    (lambda: riata.extract_patches(IMAGE, 4, stride=0), ValueError, "stride = 0, must be >= 1"),
    (
        lambda: riata.extract_patches(IMAGE[0], 4),
        ValueError,
        "extract_patches: image has shape (16,), expected (height, width)",
    ),
    (
        lambda: riata.average_patches(np.ones((4, 5)), (16, 16)),
        ValueError,
        "average_patches: patches have 5 entries, which is no square",
    ),
    (lambda: riata.average_patches(np.ones((4, 9)), (16, 16)), ValueError, "patches"),
    (
        lambda: riata.psnr(IMAGE, IMAGE[1:]),
        ValueError,
        "psnr: image has shape (16, 16) but reference has (15, 16); they must be equal",
    ),
    (lambda: riata.psnr(IMAGE, IMAGE, peak=0.0), ValueError, "psnr: peak = 0.0, must be > 0 and finite"),
    (
        lambda: riata.psnr(IMAGE * np.nan, IMAGE),
        ValueError,
        "psnr: the pictures hold NaN or infinity; expected finite numbers",
    ),
    (
        lambda: riata.average_patches(np.ones((4, 9)), (16,)),
        ValueError,
        "average_patches: shape = (16,), must be (height, width)",
    ),
    (
        lambda: riata.average_patches(np.ones((4, 9)), 16),
        ValueError,
        "average_patches: shape = 16, must be (height, width)",
    ),
    (lambda: riata.psnr(IMAGE[:0], IMAGE[:0]), ValueError, "psnr: the pictures are empty"),
    (
        lambda: riata.psnr(IMAGE.astype("u1"), IMAGE.astype("u2")),
        TypeError,
        "psnr: image is uint8 but reference is uint16",
    ),
    (
        lambda: riata.denoise(IMAGE.astype(int)),
        TypeError,
        "denoise: image holds int64; expected uint8, uint16, float32 or float64",
    ),
    (
        lambda: riata.denoise(IMAGE[0]),
        ValueError,
        "denoise: image has shape (16,), expected (height, width) or (height, width, channels)",
    ),
    (lambda: riata.denoise(IMAGE * np.nan, sigma=10), ValueError, "finite"),
    (
        lambda: riata.denoise(np.full((16, 16), 1e300), sigma=10),
        ValueError,
        "denoise: image holds numbers too large for the single precision it is computed in",
    ),
    (
        lambda: riata.denoise(IMAGE[:0], sigma=10),
        ValueError,
        "denoise: image has shape (0, 16), expected at least one pixel",
    ),
    (lambda: riata.denoise(IMAGE, sigma=10, callback=3), TypeError, "denoise: callback = 3, must be callable"),
    (
        lambda: riata.denoise(IMAGE, sigma=5, method="truncated"),
        ValueError,
        "denoise: method = 'truncated', must be 'unrolled' or 'alternating'",
    ),
    (
        lambda: riata.denoise(IMAGE, sigma=5, method="magic"),
        ValueError,
        "denoise: method = 'magic', must be 'unrolled' or 'alternating'",
    ),
    (lambda: riata.denoise(IMAGE, sigma=-1.0), ValueError, "sigma = -1, must be"),
    (lambda: riata.denoise(IMAGE, sigma=5, patch=32), ValueError, "smaller than a patch of 32 x 32"),
    (
        lambda: riata.denoise(IMAGE, sigma=5, reference=IMAGE[1:]),
        ValueError,
        "psnr: image has shape (16, 16) but reference has (15, 16); they must be equal",
    ),
]


@pytest.mark.parametrize("call, exception, sentence", ARRAYS + NUMBERS + UNROLLED + LEARNING + DATA + IMAGES)
def test_a_bad_input_is_refused_with_its_sentence(call, exception, sentence):
    with pytest.raises(exception, match=re.escape(sentence)) as caught:
        call()
    assert "\n" not in str(caught.value) and type(caught.value) is exception


def test_a_sparse_matrix_is_refused():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(
        TypeError,
        match=re.escape("encode: X is a sparse matrix, expected a dense array (convert with X.toarray())"),
    ):
        riata.encode(sparse.csr_matrix(X), D, 0.1)


def test_failing_files_are_os_errors_and_damaged_ones_value_errors(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(OSError, match="cannot read .*model.safetensors: No such file or directory"):
        riata.load_model(path)
    with pytest.raises(OSError, match="cannot write .*nowhere"):
        riata.save_model(tmp_path / "nowhere" / "model.safetensors", D)
    with pytest.raises(OSError, match="cannot write .*nowhere"):
        learn(X, checkpoint=tmp_path / "nowhere" / "c.safetensors", checkpoint_every=1)
    path.write_bytes(b"no model at all")
    with pytest.raises(ValueError, match="model.safetensors"):
        riata.load_model(path)
    riata.save_model(path, D)
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(ValueError, match="model.safetensors"):
        riata.load_model(path)
    path.write_bytes(whole.replace(b'"format_version":"1"', b'"format_version":"9"'))
    assert path.read_bytes() != whole
    with pytest.raises(ValueError, match="version 9"):
        riata.load_model(path)


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "c.safetensors"
    signals = datasets.planted(n_features=8, n_atoms=10, n_signals=60).signals
    options = dict(checkpoint=path, checkpoint_every=1, resume=True, max_iter=2)
    learn(signals, **options)
    with pytest.raises(ValueError, match="c.safetensors"):
        learn(signals, **options | {"reg": 0.2})
