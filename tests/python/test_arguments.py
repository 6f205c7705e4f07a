"""Every argument of every public function, given what it cannot take: one short line that a terminal shows as it is, or an answer.

And what looks wrong but is not: NumPy's scalars, arrays of no dimensions, other memory layouts, names that are not UTF-8."""

import dataclasses
import decimal
import fractions
import inspect
import os
import pathlib
import warnings

import numpy as np
import pytest
import scipy.sparse

import riata
import riata.plot
from riata import datasets
from riata._arguments import shown

PROBLEM = datasets.planted(n_features=4, n_atoms=6, n_signals=8, density=0.3)
X, D, Z = PROBLEM.signals, PROBLEM.dictionary, PROBLEM.codes
GROUPS = np.arange(6) // 2
NETWORK = dict(kind="coupled", dictionary=D, n_layers=2)
FIELDS = dict(M=X.T, G=D.T, noise_cov=np.eye(4), reg="0.5max")
IMAGE = 100 + 10 * np.random.default_rng(0).standard_normal((9, 9))
FEW = dict(max_iter=2)


def network():
    return riata.Network(**NETWORK)


def fitted(make, X=X):
    """The estimator's constructor, then fit and transform: scikit-learn checks when fitting."""

    def call(**options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return make(**options).fit(X).transform(X)

    call.__signature__ = inspect.signature(make)
    return call


def method(name):
    """Of a network made anew for each call."""

    def call(**options):
        return getattr(network(), name)(**options)

    call.__signature__ = inspect.signature(getattr(network(), name))
    return call


CALLS = {
    "encode": (riata.encode, dict(X=X, D=D, reg=0.1)),
    "encode_stream": (riata.encode_stream, dict(X=X, D=D, reg=0.1, output=lambda block: None)),
    "lasso_path": (riata.lasso_path, dict(x=X[0], D=D)),
    "omp": (riata.omp, dict(X=X, D=D, n_nonzero=2)),
    "lars": (riata.lars, dict(X=X, D=D, n_nonzero=2)),
    "lasso_objective": (riata.lasso_objective, dict(X=X, D=D, Z=Z, reg=0.1)),
    "duality_gap": (riata.duality_gap, dict(X=X, D=D, Z=Z, reg=0.1)),
    "kkt_violation": (riata.kkt_violation, dict(X=X, D=D, Z=Z, reg=0.1)),
    "reg_max": (riata.reg_max, dict(X=X, D=D)),
    "conv_encode": (riata.conv_encode, dict(X=X, atoms=D[:, :3], reg=0.1)),
    "conv_reg_max": (riata.conv_reg_max, dict(X=X, atoms=D[:, :3])),
    "conv_decode": (riata.conv_decode, dict(Z=Z[:, None], atoms=D[:1, :3])),
    "joint_encode": (riata.joint_encode, dict(X=X, D=D, reg=0.1)),
    "joint_reg_max": (riata.joint_reg_max, dict(X=X, D=D)),
    "joint_certificate": (riata.joint_certificate, dict(X=X, D=D, Z=Z, reg=0.1)),
    "prox_tv": (riata.prox_tv, dict(Y=X, weight=0.1)),
    "prox_tv_vjp": (riata.prox_tv_vjp, dict(Y=X, weight=0.1, cotangent=X)),
    "hrf": (riata.hrf, dict(tr=2.0)),
    "tv_solve": (riata.tv_solve, dict(X=X, operator=D.T, reg=0.1)),
    "tv_reg_max": (riata.tv_reg_max, dict(X=X, operator=D[0])),
    "unrolled_encode": (riata.unrolled_encode, dict(X=X, D=D, reg=0.1, n_layers=3)),
    "unrolled_gradient": (riata.unrolled_gradient, dict(X=X, D=D, reg=0.1, n_layers=3)),
    "UnrolledEncoder": (riata.UnrolledEncoder, dict(D=D, n_layers=3)),
    "UnrolledEncoder.encode": (riata.UnrolledEncoder(D, 3).encode, dict(x=X[0], reg=0.1)),
    "code_jacobian": (riata.code_jacobian, dict(x=X[0], D=D, reg=0.1, n_layers=3, row=0)),
    "unrolled_stability": (riata.unrolled_stability, dict(X=X, D=D, reg=0.1, n_layers=3)),
    "implicit_gradient": (riata.implicit_gradient, dict(X=X, D=D, reg=0.1, cotangent=Z)),
    "implicit_jvp": (riata.implicit_jvp, dict(X=X, D=D, reg=0.1, dreg=1.0)),
    "hypergradient": (riata.hypergradient, dict(X=X, D=D, reg=0.1, X_held_out=X)),
    "learn_dictionary": (riata.learn_dictionary, dict(X=X, n_atoms=6, reg=0.1, n_layers=3) | FEW),
    "learn_patterns": (riata.learn_patterns, dict(X=X, n_atoms=2, n_times_atom=3, n_layers=3) | FEW),
    "learn_kernels": (riata.learn_kernels, dict(images=IMAGE, n_atoms=2, kernel_size=3, n_layers=3) | FEW),
    "save_patterns": (riata.save_patterns, dict(path="patterns.safetensors", patterns=riata.learn_patterns(X, 2, 3, **FEW))),
    "load_patterns": (riata.load_patterns, dict(path="patterns.safetensors")),
    "pattern_events": (riata.pattern_events, dict(Z=Z[:, None], atoms=D[:1, :3])),
    "explained_variance": (riata.explained_variance, dict(X=X, atoms=D[:1, :3], Z=Z[:, None, :2].copy())),
    "validation_curve": (riata.validation_curve, dict(X=X, n_atoms=6, reg=0.1, max_iter=2)),
    "recovery_score": (riata.recovery_score, dict(D=D, D_ref=D)),
    "save_model": (riata.save_model, dict(path="model.safetensors", dictionary=D)),
    "load_model": (riata.load_model, dict(path="model.safetensors")),
    "load_network": (riata.load_network, dict(path="net.safetensors")),
    "Network": (riata.Network, NETWORK),
    "Network.fit": (method("fit"), dict(X=X, reg=0.1) | FEW),
    "Network.encode": (method("encode"), dict(X=X, reg=0.1)),
    "Network.layer_outputs": (method("layer_outputs"), dict(X=X, reg=0.1)),
    "Network.loss": (method("loss"), dict(X=X, reg=0.1)),
    "Network.gradient": (method("gradient"), dict(X=X, reg=0.1)),
    "Network.set_parameters": (method("set_parameters"), dict(parameters={})),
    "Network.save": (method("save"), dict(path="net.safetensors")),
    "Network.save_parameters": (method("save_parameters"), dict(path="arrays.npz")),
    "Network.load_parameters": (method("load_parameters"), dict(path="arrays.npz")),
    "analytic_weight": (riata.analytic_weight, dict(D=D)),
    "sparse_inverse": (riata.sparse_inverse, FIELDS),
    "whitener": (riata.whitener, dict(noise_cov=np.eye(4))),
    "denoise": (riata.denoise, dict(image=IMAGE, learn=False, n_atoms=20, patch=3)),
    "psnr": (riata.psnr, dict(image=IMAGE, reference=IMAGE)),
    "extract_patches": (riata.extract_patches, dict(image=IMAGE, patch=3)),
    "average_patches": (riata.average_patches, dict(patches=riata.extract_patches(IMAGE, 3), shape=(9, 9))),
    "gaussian_dictionary": (datasets.gaussian_dictionary, dict(n_features=4, n_atoms=6)),
    "dct_dictionary": (datasets.dct_dictionary, dict(n_features=4, n_atoms=6)),
    "signals_on_b_infinity": (datasets.signals_on_b_infinity, dict(D=D, n_signals=3)),
    "scale_to_b_infinity": (datasets.scale_to_b_infinity, dict(X=X, D=D)),
    "planted": (datasets.planted, dict(n_features=4, n_atoms=6, n_signals=8)),
    "blocks": (datasets.blocks, dict(operator=D[0], n_signals=3, n_times=9)),
    "perturbed": (datasets.perturbed, dict(D=D)),
    "mosaic": (riata.plot.mosaic, dict(D=D)),
    "convergence": (riata.plot.convergence, dict(results={}, ax=object())),
    "SparseCoder": (fitted(riata.SparseCoder), dict(dictionary=D, transform_alpha=0.1)),
    "SparseCoder, omp": (fitted(riata.SparseCoder), dict(dictionary=D, transform_algorithm="omp")),
    "DictionaryLearning": (fitted(riata.DictionaryLearning), dict(n_components=6, alpha=0.1, n_layers=3) | FEW),
    "ConvolutionalDictionaryLearning": (
        fitted(riata.ConvolutionalDictionaryLearning), dict(n_components=2, n_times_atom=3, n_layers=3) | FEW),
    "ConvolutionalDictionaryLearning2D": (
        fitted(riata.ConvolutionalDictionaryLearning2D, IMAGE), dict(n_components=2, kernel_size=3, n_layers=3) | FEW),
    "LISTA": (fitted(riata.LISTA), dict(dictionary=D, kind="coupled", n_layers=2, reg=0.1) | FEW),
}


class Raising:
    def __repr__(self):
        raise RuntimeError("no repr")


class Long:
    def __repr__(self):
        return "line\n\x1b[31m" * 10_000


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


WRONG = {
    "huge int": 10**5000,
    "2**70": 2**70,
    "-2**70": -(2**70),
    "2**63": np.uint64(2**63),
    "-1": -1,
    "True": True,
    "numpy True": np.True_,
    "nan": float("nan"),
    "-inf": -np.inf,
    "1e-400": np.longdouble("1e-400"),
    "fraction": fractions.Fraction(10**400, 3),
    "decimal": decimal.Decimal("0.5"),
    "complex": 1j,
    "text": "no\nsuch\0\x1b[2Jname" * 1000,
    "lone surrogate": "\ud800",
    "empty text": "",
    "bytes": b"\xff\0" * 1000,
    "none": None,
    "dict": {"a\n" * 1000: 1},
    "raising repr": Raising(),
    "long repr": Long(),
    "deep list": nested(2000),
    "ragged list": [[1, 2], [3]] * 500,
    "list of objects": [Raising(), Long()],
    "generator": None,  # made anew for each call
    "sparse": scipy.sparse.eye(6, format="csr"),
    "masked": np.ma.masked_equal(X, X[0, 0]),
    "object array": np.array([Long(), None], dtype=object),
    "structured": np.zeros(3, dtype=[("a" * 600, "f8")]),
    "dates": np.zeros(3, "M8[s]"),
    "complex array": X + 1j,
    "big unsigned": np.full(6, 2**63 + 5, np.uint64),
    "0-d": np.array(1.5),
    "empty": np.zeros((0, 4)),
    "four dimensions": np.zeros((1, 1, 1, 1)),
    "odd type": type("Odd\nname", (), {})(),
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")


def arguments():
    for name, (function, base) in CALLS.items():
        for parameter in inspect.signature(function).parameters:
            yield name, parameter


def refused_badly(function, arguments):
    """What is wrong with how the call ended, or None."""
    try:
        function(**arguments)
    except (TypeError, ValueError, OSError) as error:
        sentence = str(error)
        if len(sentence) > 500 or not sentence.isprintable():
            return f"{len(sentence)} characters: {sentence[:200]!r}"
        if "incompatible function arguments" in sentence or isinstance(error, UnicodeError) or not sentence:
            return f"{type(error).__name__}: {sentence[:300]!r}"
    except MemoryError:
        pass
    except BaseException as error:  # noqa: BLE001
        return f"{type(error).__name__}: {str(error)[:300]!r}"
    return None


@pytest.mark.parametrize("name", CALLS)
def test_what_an_argument_cannot_take_is_refused_in_one_short_line(name):
    function, base = CALLS[name]
    failures = []
    for parameter in inspect.signature(function).parameters:
        for kind, value in WRONG.items():
            value = (i for i in range(3)) if kind == "generator" else value
            failure = refused_badly(function, base | {parameter: value})
            if failure:
                failures.append(f"{parameter} = {kind}: {failure}")
    assert not failures, f"{len(failures)}:\n" + "\n".join(failures[:40])


def test_the_sweep_knows_every_public_function():
    swept = {name.split(",")[0] for name in CALLS}
    classes = {"ConvolutionalDictionaryLearning", "LISTA", "DictionaryLearning", "SparseCoder", "Network", "UnrolledEncoder"}
    functions = {name for name in riata.__all__ if inspect.isfunction(getattr(riata, name))}
    functions |= {name for name in datasets.__all__ if inspect.isfunction(getattr(datasets, name))}
    methods = {f"Network.{name}" for name, _ in inspect.getmembers(riata.Network, inspect.isfunction) if name[0] != "_"}
    missing = (functions | classes | methods) - swept - {"Network.parameters"}
    assert not missing


ODD = [
    "a\nb\0\x1b[31m" * 50, b"\0\xff" * 500, 10**5000, -(10**40), nested(5000), [[1] * 1000] * 1000, np.zeros((3, 4)), Raising(),
    Long(), [Raising()], {i: i for i in range(1000)}, "\ud800\u202e", np.array(0.1), (i for i in range(3)), np.ndarray, set(range(99)),
    scipy.sparse.eye(3), np.zeros(3, [("a\n" * 300, "f8")]), type("A\n" * 300, (), {})(), lambda: None,
]  # fmt: skip


@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__[:20].strip())
def test_any_value_is_shown_in_one_short_line(value):
    text = shown(value)
    assert 0 < len(text) <= 100 and text.isprintable()


def test_what_is_shown_says_what_it_is():
    assert shown("a") == "'a'" and shown(0.1) == "0.1" and shown(None) == "None" and shown([1, 2]) == "[1, 2]"
    assert shown(np.zeros((3, 4))) == "ndarray of shape (3, 4)"
    assert shown("a\nb") == r"'a\nb'" and shown("x" * 1000).endswith("...")
    assert shown(10**400) == "an integer of 1329 bits"


def unaligned(array):
    memory = np.empty(array.nbytes + 1, np.uint8)
    view = memory[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def strided(array):
    wide = np.zeros(tuple(2 * n for n in array.shape), array.dtype)
    view = wide[tuple(slice(None, None, -2) for _ in array.shape)]
    view[...] = array
    return view


def read_only(array):
    array = array.copy()
    array.setflags(write=False)
    return array


LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "negative strides": strided,
    "not aligned": unaligned,
    "read-only": read_only,
    "foreign byte order": lambda array: array.astype(array.dtype.newbyteorder()),
    "list": np.ndarray.tolist,
    "list of arrays": list,
    "memory view": memoryview,
}


def numbers_of(result):
    """All numbers of a result, in order."""
    if result is None or isinstance(result, (str, bool)):
        return []
    if isinstance(result, (int, float, np.number, np.ndarray)):
        array = np.asarray(result)
        return [array.astype(float).ravel()] if array.dtype.kind in "biuf" else []
    if scipy.sparse.issparse(result):
        return numbers_of(result.toarray())
    if isinstance(result, riata.Network):
        return numbers_of(result.parameters())
    if isinstance(result, riata.UnrolledEncoder):
        return numbers_of(result.encode(X[0], 0.1))
    if isinstance(result, dict):
        return [number for value in result.values() for number in numbers_of(value)]
    if dataclasses.is_dataclass(result):
        return [n for name, value in vars(result).items() if name != "seconds" for n in numbers_of(value)]
    return [number for value in result for number in numbers_of(value)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_of_arrays_in_memory_makes_no_difference(layout):
    for name, (function, base) in CALLS.items():
        arrays = {key: value for key, value in base.items() if isinstance(value, np.ndarray)}
        if not arrays:
            continue
        other = {key: LAYOUTS[layout](value) for key, value in arrays.items()}
        expected, found = (np.concatenate(numbers_of(function(**base | change)) or [[0]]) for change in ({}, other))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12, err_msg=f"{name}, {layout}")


INTEGERS = (np.int8, np.uint16, np.int64, np.array)
REALS = (np.float16, np.float32, np.longdouble, np.array, fractions.Fraction)


def test_numbers_of_numpy_are_numbers():
    for name, (function, base) in CALLS.items():
        if name in ("load_model", "load_network", "load_patterns", "Network.load_parameters", "convergence"):
            continue
        defaults = {k: p.default for k, p in inspect.signature(function).parameters.items() if p.default is not p.empty}
        for key, value in (defaults | base).items():
            kinds = INTEGERS if type(value) is int else REALS if type(value) is float else ()
            for kind in kinds:
                if kind in (np.int8, np.uint16) and value > np.iinfo(kind).max:
                    continue
                try:
                    function(**base | {key: kind(value)})
                except Exception as error:
                    raise AssertionError(f"{name}: {key} = {kind(value)!r}") from error


NAMES = {
    "text": "plain",
    "not UTF-8": os.fsdecode(b"caf\xe9 \xff"),
    "bytes": b"caf\xe9",
    "accents": "Ünïcödé \u4f60",
    "path": pathlib.Path("folder", "file"),
}


@pytest.mark.parametrize("kind", NAMES)
def test_files_have_any_name_that_the_system_gives(kind, tmp_path):
    os.makedirs("folder", exist_ok=True)
    name = NAMES[kind]

    def file(ending):
        if isinstance(name, bytes):
            return name + ending.encode()
        return pathlib.Path(f"{name}{ending}") if isinstance(name, pathlib.Path) else name + ending

    net = network()
    net.fit(X, 0.1, max_iter=2, checkpoint=file(".checkpoint"))
    net.save(file(".safetensors"))
    np.testing.assert_array_equal(riata.load_network(file(".safetensors")).encode(X), net.encode(X))
    net.save_parameters(file(".npz"))
    net.load_parameters(file(".npz"))
    riata.save_model(file(".model.safetensors"), D)
    np.testing.assert_array_equal(riata.load_model(file(".model.safetensors")).dictionary, D)
    riata.learn_dictionary(X, 6, 0.1, n_layers=3, max_iter=2, checkpoint=file(".learned"))
    with open(os.fsencode(file(".npy")), "wb") as stream:
        np.save(stream, X)
    riata.encode_stream(file(".npy"), D, 0.1, file(".codes.npz"))
    with open(os.fsencode(file(".codes.npz")), "rb") as stream:
        assert tuple(np.load(stream)["shape"]) == (8, 6)
    kept = {os.fsencode(path) for path in pathlib.Path(".").rglob("*") if path.is_file()}
    assert kept == {os.fsencode(os.path.normpath(os.fsdecode(file(e)))) for e in (
        ".checkpoint", ".safetensors", ".npz", ".model.safetensors", ".learned", ".npy", ".codes.npz"
    )}  # fmt: skip
    with pytest.raises(OSError) as failed:
        riata.load_model(file(".missing"))
    assert str(failed.value).isprintable() and len(str(failed.value)) <= 500


def test_a_name_with_a_nul_or_none_at_all_is_refused_and_nothing_is_written():
    pathlib.Path("keep.safetensors").write_text("kept")
    bad = ("keep.safetensors\0.new.safetensors", b"keep.safetensors\0", pathlib.Path("keep.safetensors\0"), "", b"")
    for path in bad:
        for call in (
            lambda: network().save(path),  # noqa: B023
            lambda: network().save_parameters(path),  # noqa: B023
            lambda: network().load_parameters(path),  # noqa: B023
            lambda: riata.load_network(path),  # noqa: B023
            lambda: riata.save_model(path, D),  # noqa: B023
            lambda: riata.load_model(path),  # noqa: B023
            lambda: riata.encode_stream(X, D, 0.1, path),  # noqa: B023
            lambda: riata.encode_stream(path, D, 0.1, print),  # noqa: B023
            lambda: riata.learn_dictionary(X, 6, 0.1, checkpoint=path),  # noqa: B023
            lambda: network().fit(X, 0.1, checkpoint=path),  # noqa: B023
        ):
            with pytest.raises(ValueError, match="a name with a NUL, which would cut it|is no name|is no path") as refused:
                call()
            assert str(refused.value).isprintable()
    assert os.listdir() == ["keep.safetensors"] and pathlib.Path("keep.safetensors").read_text() == "kept"


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_half_precision_is_read_into_single(half):
    dtype = np.float16
    if half == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    x, d = X.astype(dtype), D.astype(dtype)
    expected = riata.encode(x.astype(np.float32), d.astype(np.float32), 0.1)
    found = riata.encode(x, d, 0.1)
    assert found.codes.dtype == np.float32
    np.testing.assert_array_equal(found.codes, expected.codes)
    np.testing.assert_array_equal(riata.encode(x, d.astype(np.float32), 0.1).codes, expected.codes)
    with pytest.raises(TypeError, match=rf"X is float32 \(made from {half}\) but D is float64; they must be equal"):
        riata.encode(x, D, 0.1)
    np.testing.assert_array_equal(
        riata.encode(X, D, np.full(8, 0.5, dtype)).codes, riata.encode(X, D, 0.5).codes
    )


def test_data_frames_of_nullable_numbers_are_numbers_and_what_is_missing_is_nan():
    pandas = pytest.importorskip("pandas")
    expected = riata.encode(X, D, 0.1).codes
    for frame in (pandas.DataFrame(X), pandas.DataFrame(X).astype("Float64"), pandas.DataFrame(X).convert_dtypes()):
        np.testing.assert_array_equal(riata.encode(frame, D, 0.1).codes, expected)
    single = pandas.DataFrame(X.astype(np.float32)).astype("Float32")
    assert riata.encode(single, D.astype(np.float32), 0.1).codes.dtype == np.float32
    mixed = pandas.DataFrame({0: [1, 2], 1: [True, False], 2: [0.5, 1.5], 3: [0, 1]}).astype({0: "Int64", 1: "boolean"})
    np.testing.assert_array_equal(
        riata.encode(mixed, D, 0.1).codes, riata.encode(mixed.astype(float).to_numpy(), D, 0.1).codes
    )
    mixed.iloc[1, 0] = pandas.NA
    with pytest.raises(ValueError, match="encode: X holds nan at signal 1, feature 0; expected finite numbers"):
        riata.encode(mixed, D, 0.1)
    with pytest.raises(TypeError, match="encode: X holds"):
        riata.encode(pandas.DataFrame({"a": ["x", "y"]}), D, 0.1)
    series = pandas.Series([0.1] * 8).astype("Float64")
    np.testing.assert_array_equal(riata.encode(X, D, series).codes, expected)
    groups = pandas.Series(GROUPS).astype("Int64")
    found = riata.encode(X, D, 0.1, penalty="group", groups=groups).codes
    np.testing.assert_array_equal(found, riata.encode(X, D, 0.1, penalty="group", groups=GROUPS).codes)


def test_labels_that_no_signed_integer_holds_are_refused():
    with pytest.raises(ValueError, match="encode: groups holds 9223372036854775813, must be at most 9223372036854775807"):
        riata.encode(X, D, 0.1, penalty="group", groups=WRONG["big unsigned"])
    np.testing.assert_array_equal(
        riata.encode(X, D, 0.1, penalty="group", groups=GROUPS.astype(np.uint64)).codes,
        riata.encode(X, D, 0.1, penalty="group", groups=GROUPS).codes,
    )


@pytest.mark.parametrize("scale", [1e20, 1e36])
def test_signals_too_large_for_single_precision_are_learned_from_or_blamed(scale):
    large = (X * scale).astype(np.float32)
    for call in (
        lambda: riata.learn_dictionary(large, 6, "0.1max", n_layers=3, max_iter=2).dictionary,
        lambda: riata.DictionaryLearning(6, alpha="0.1max", n_layers=3, max_iter=2).fit(large).components_,
    ):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert np.isfinite(call()).all()
        except ValueError as refused:
            assert "X holds" in str(refused) or "signals" in str(refused)
            assert "dictionary: D" not in str(refused)
