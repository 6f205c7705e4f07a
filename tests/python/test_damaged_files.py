"""Checkpoints, models and networks are not believed: each value, shape, type and count is edited in turn."""

import json
import re

import numpy as np
import pytest

import riata

HUGE = np.iinfo(np.int64).max


@pytest.fixture(scope="module")
def problem():
    return riata.datasets.planted(n_features=6, n_atoms=8, n_signals=40, density=0.3, noise_std=0.05, random_state=3)


def other_values(array):
    """The array with one entry replaced, in turn."""
    for place in {0, array.size - 1} if array.size else ():
        value = array.flat[place]
        if array.dtype == np.int64:
            values = (-1, value + 1, value + 2**32, HUGE)
        else:
            values = (np.nan, -np.inf, -value, 5 * value + 1, 1e300, np.nextafter(value, 9))
        for other in values:
            edited = array.copy()
            with np.errstate(over="ignore"):
                edited.flat[place] = other
            if edited.tobytes() != array.tobytes():
                yield f"[{place}] = {other}", edited


def other_shapes(array):
    """The same values in another shape or type, or another number of them."""
    flat = array.ravel()
    yield "is transposed", np.ascontiguousarray(array.T) if array.ndim == 2 else flat.reshape(1, -1)
    yield "is flat", flat if array.ndim != 1 else flat.reshape(-1, 1)
    yield "has one more", np.append(flat, flat[-1:] if array.size else np.zeros(1, array.dtype))
    yield "has one less", flat[:-1].copy()
    yield "is empty", np.zeros((0, 4) if array.ndim == 2 else 0, array.dtype)
    for dtype in (np.float32, np.float64, np.int64):
        if dtype != array.dtype:
            with np.errstate(invalid="ignore"):
                yield f"is {np.dtype(dtype)}", array.astype(dtype)


def edits(tensors):
    """(what was done, tensors)"""
    for name, array in tensors.items():
        yield f"{name} is missing", {key: value for key, value in tensors.items() if key != name}
        for generate in (other_values, other_shapes):
            for what, edited in generate(array):
                if (edited.shape, edited.dtype, edited.tobytes()) != (array.shape, array.dtype, array.tobytes()):
                    yield f"{name} {what}", tensors | {name: edited}


def refusal(call):
    """(what it returns, None) or (None, the sentence)"""
    try:
        return call(), None
    except (ValueError, OSError) as refused:
        sentence = str(refused)
        assert len(sentence) <= 500 and "\n" not in sentence
        return None, sentence


def learning(**options):
    def run(problem, path, steps, **more):
        result = riata.learn_dictionary(
            problem.signals, 8, 0.1, n_layers=3, tol=options.get("tol", 0.0), max_iter=steps, checkpoint=path,
            checkpoint_every=100, **{key: value for key, value in options.items() if key != "tol"}, **more)
        return [result.dictionary, result.steps, result.history.value, [result.initial_value, result.n_replaced]]
    return run


def training(kind, **options):
    def run(problem, path, steps, **more):
        net = riata.Network(kind, problem.dictionary, 2)
        steps = steps if options.get("mode", "oneshot") == "oneshot" else 12
        if "resume" not in more and steps == 12:  # stages are of a length that the whole run has, so it is stopped
            more["callback"] = lambda info: info.iteration == 7
        result = net.fit(problem.signals, 0.1, max_iter=steps, checkpoint=path, checkpoint_every=100, **options, **more)
        return [*net.parameters().values(), result.history.value, [result.initial_value, result.value]]
    return run


adam = dict(optimizer="adam", batch_size=8, learning_rate=1e-2)
RUNS = {
    "unrolled": learning(),
    "in the second phase": learning(learn_steps=True, tol=0.5),
    "exact codes": learning(method="alternating_exact"),
    "online": learning(method="online", batch_size=20, validation=0.2),
    "stochastic": learning(method="stochastic", batch_size=20),
    "pudle": learning(method="pudle_ls", threshold="hard", batch_size=20),
    "oneshot": training("step", positive_steps=True),
    "recursive": training("hessian", mode="recursive"),
    "rotations": training("facnet"),
    "adam": training("alista", **adam),
    "adam with validation": training("tied", mode="recursive", validation=0.25, validate_every=2, **adam),
}


@pytest.mark.parametrize("name", RUNS)
def test_no_edit_of_a_checkpoint_is_believed(problem, tmp_path, safetensors, name):
    run, path = RUNS[name], tmp_path / "c.safetensors"
    cut, whole = (1, 2) if name == "in the second phase" else (4, 7)
    run(problem, path, cut)
    tensors, metadata = safetensors.read(path)
    expected = run(problem, path, whole, resume=True)
    accepted = []
    for what, edited in edits(tensors):
        for digest in ("old", "none"):
            kept = metadata if digest == "old" else {key: text for key, text in metadata.items() if key != "digest"}
            safetensors.write(path, edited, kept)
            arrays, sentence = refusal(lambda: run(problem, path, whole, resume=True))
            if sentence is not None:
                # What is huge, but finite, is refused by what it leads to.
                assert digest == "none" or sentence.startswith((f"checkpoint {path}", "checkpoint: ")), (what, sentence)
                continue
            accepted.append(what)
            assert all(np.isfinite(array).all() for array in arrays), what
            if digest == "old" and not all(np.array_equal(a, b) for a, b in zip(arrays, expected, strict=True)):
                pytest.fail(f"{what}: accepted, with another result")
    assert len(accepted) < 200, f"{len(accepted)} edits were accepted: {accepted}"


def with_fingerprint(metadata, text):
    return {key: value for key, value in metadata.items() if key != "digest"} | {"fingerprint": text}


@pytest.mark.parametrize(
    "fingerprint, sentence",
    [
        ("[" * 200_000 + "]" * 200_000, "its fingerprint is unreadable"),
        ('{"reg": ' + "[" * 200_000 + "]" * 200_000 + "}", "its fingerprint is unreadable"),
        ('{"reg": ' + '{"a":' * 100_000 + "1" + "}" * 100_001, "its fingerprint is unreadable"),
        ("[" * 1_000_000, "its fingerprint is unreadable"),
        ("7", "its fingerprint is unreadable"),
        ('{"reg": "' + "x" * 100_000 + '"}', "it was made with "),
    ],
)
def test_a_fingerprint_that_is_none_is_refused(problem, tmp_path, safetensors, fingerprint, sentence):
    path = tmp_path / "c.safetensors"
    learning()(problem, path, 2)
    tensors, metadata = safetensors.read(path)
    safetensors.write(path, tensors, with_fingerprint(metadata, fingerprint))
    for more in ({"resume": True}, {}):
        _, refused = refusal(lambda: learning()(problem, path, 2, **more))
        assert refused.startswith(f"checkpoint {path} belongs to another run: {sentence}"), refused


def test_no_edit_of_a_network_gives_what_is_not_finite(problem, tmp_path, safetensors):
    path = tmp_path / "net.safetensors"
    for kind, options in {"facnet": {}, "group": {"groups": [0, 0, 1, 1, 2, 2, 3, 3]},
                          "tied": {"support_selection": (20, 50), "threshold": "atom"}}.items():
        net = riata.Network(kind, problem.dictionary, 2, **options)
        net.reg = 0.1
        net.save(path)
        tensors, metadata = safetensors.read(path)
        for what, edited in edits(tensors):
            safetensors.write(path, edited, metadata)
            loaded, sentence = refusal(lambda: riata.load_network(path))
            if sentence is None:
                assert all(np.isfinite(array).all() for array in (loaded.dictionary, *loaded.parameters().values())), (kind, what)
                assert loaded.parameters().keys() == net.parameters().keys()
            else:
                assert str(path) in sentence, (kind, what, sentence)
        for key in metadata:
            for text in ("", "nan", "inf", "-inf", "-1", "0", "1e400", "99999999999", "10000", "x", "1", "4"):
                safetensors.write(path, tensors, metadata | {key: text})
                loaded, sentence = refusal(lambda: riata.load_network(path))
                if sentence is not None:
                    assert str(path) in sentence, (kind, key, text, sentence)
                else:
                    assert key != "n_layers" and (loaded.reg is None or 0 < loaded.reg < np.inf), (kind, key, text)


def test_no_edit_of_learned_steps_gives_a_network_of_what_is_not_finite(problem, tmp_path, safetensors):
    path = tmp_path / "m.safetensors"
    riata.save_model(path, problem.dictionary, [1.0, 0.5], {"reg": 0.1, "n_layers": 2, "algorithm": "ista"})
    tensors, metadata = safetensors.read(path)
    assert riata.load_network(path).kind == "step"
    for what, edited in edits(tensors):
        safetensors.write(path, edited, metadata)
        loaded, sentence = refusal(lambda: riata.load_network(path))
        if sentence is None:
            assert all(np.isfinite(array).all() for array in (loaded.dictionary, *loaded.parameters().values())), what
        else:
            assert str(path) in sentence, (what, sentence)
    for key in metadata:
        for text in ("", "nan", "inf", "-1", "0", "99999999999", "x", "4"):
            safetensors.write(path, tensors, metadata | {key: text})
            loaded, sentence = refusal(lambda: riata.load_network(path))
            assert str(path) in sentence if sentence else loaded.reg is None or 0 < loaded.reg < np.inf, (key, text, sentence)


def test_the_layers_of_a_network_file_are_counted_before_memory_is_taken(tmp_path, safetensors, problem):
    path = tmp_path / "net.safetensors"
    riata.Network("step", np.ones((40_000, 1)), 2).save(path)
    tensors, metadata = safetensors.read(path)
    safetensors.write(path, tensors, metadata | {"n_layers": "10000"})
    with pytest.raises(ValueError, match=re.escape(f"{path}: tensor 'layer.10.step' is missing")):
        riata.load_network(path)
    safetensors.write(path, tensors, metadata | {"n_layers": "1"})
    with pytest.raises(ValueError, match=re.escape(f"{path}: a network of kind 'step' with 1 layers has no 'layer.1.step'")):
        riata.load_network(path)
    # Each layer would take 40 000 x 40 000 numbers.
    safetensors.write(path, tensors, metadata | {"network": "lista"})
    with pytest.raises(ValueError, match=re.escape(f"{path}: tensor 'layer.0.threshold' is missing")):
        riata.load_network(path)
    fitting = {f"layer.{t}.{name}": np.ones(1) for t in range(2) for name in ("threshold", "weight_x", "weight_z")}
    safetensors.write(path, {"dictionary": tensors["dictionary"]} | fitting, metadata | {"network": "lista"})
    with pytest.raises(ValueError, match=re.escape("'layer.0.weight_x' has shape (1), expected (40000)")):
        riata.load_network(path)


def test_no_edit_of_a_model_gives_what_is_not_finite(problem, tmp_path, safetensors):
    path = tmp_path / "m.safetensors"
    riata.save_model(path, problem.dictionary, steps=[1.0, 0.5])
    tensors, metadata = safetensors.read(path)
    for what, edited in edits(tensors):
        safetensors.write(path, edited, metadata)
        model, sentence = refusal(lambda: riata.load_model(path))
        if sentence is None:
            assert np.isfinite(model.dictionary).all() and np.isfinite(model.steps).all() and model.dictionary.size, what
        else:
            assert str(path) in sentence, (what, sentence)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_steps_that_are_not_finite_are_neither_saved_nor_loaded(problem, tmp_path, safetensors, bad):
    path = tmp_path / "m.safetensors"
    with pytest.raises(ValueError, match=f"save_model: steps holds {bad} at entry 1"):
        riata.save_model(path, problem.dictionary, steps=[1.0, bad])
    assert not path.exists()
    safetensors.write(path, {"dictionary": problem.dictionary, "steps": np.array([1.0, bad])},
                      {"format": "riata", "format_version": "1", "kind": "dictionary"})
    with pytest.raises(ValueError, match=re.escape(f"{path}: steps holds {bad} at entry 1; expected finite numbers")):
        riata.load_model(path)


def test_a_checkpoint_from_before_digests_and_kernels_were_kept_resumes(problem, tmp_path, safetensors):
    path = tmp_path / "c.safetensors"
    run = RUNS["unrolled"]
    run(problem, path, 4)
    tensors, metadata = safetensors.read(path)
    run_of_old = {key: value for key, value in json.loads(metadata["fingerprint"]).items() if key not in ("simd", "blas")}
    safetensors.write(path, tensors, {"format": metadata["format"], "fingerprint": json.dumps(run_of_old)})
    resumed = run(problem, path, 7, resume=True)
    whole = run(problem, tmp_path / "w.safetensors", 7)
    assert all(np.array_equal(a, b) for a, b in zip(resumed, whole, strict=True))


def test_half_precision_tensors_are_read_into_float32(tmp_path, problem, safetensors):
    path, D = tmp_path / "m.safetensors", problem.dictionary.astype(np.float32)
    good = {"format": "riata", "format_version": "1", "kind": "dictionary"}
    safetensors.write(path, {"dictionary": D.astype(np.float16)}, good)
    model = riata.load_model(path)
    assert model.dictionary.dtype == np.float32
    np.testing.assert_array_equal(model.dictionary, D.astype(np.float16))
    bits = D.view(np.uint32) >> 16  # bfloat16 is the upper half of float32
    safetensors.write(path, {"dictionary": bits.astype(np.uint16).view(np.float16)}, good)
    raw = path.read_bytes().replace(b'"F16"', b'"BF16"', 1)
    path.write_bytes((int.from_bytes(raw[:8], "little") + 1).to_bytes(8, "little") + raw[8:])
    np.testing.assert_array_equal(riata.load_model(path).dictionary.view(np.uint32), bits << 16)
