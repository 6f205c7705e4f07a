"""riata learn, encode and info of recordings: EDF, BDF and .npy."""

import json
import os
import signal
import time

import numpy as np
import pytest
import scipy.sparse

from riata import Network, _riata, load_network

RATE, N_CHANNELS, N_TIMES = 100, 3, 1200
NAMES = ("EEG Fp1", "EEG Cz", "EEG O2")
PATTERNS = {"rank_one": True, "window": False, "method": "online", "n_layers": 30, "positive": True}


def edf(digital, rate=RATE, names=NAMES, units=("uV",) * 3, kind="", more=()):
    """EDF of one second a record; `more`: further signals, (label, samples in a record, bytes of all records)."""
    n_records = digital.shape[1] // rate
    signals = [(name, rate, unit) for name, unit in zip(names, units)] + [(label, n, "") for label, n, _ in more]
    header = (f"{0:<8}{'X':<80}{'Startdate 02-MAR-2002':<80}{'02.03.02':<8}{'13.36.05':<8}"
              f"{256 * (len(signals) + 1):<8}{kind:<44}{n_records:<8}{1:<8}{len(signals):<4}")
    for field, width in ((lambda s: s[0], 16), (lambda s: "", 80), (lambda s: s[2], 8), (lambda s: -200, 8), (lambda s: 200, 8),
                         (lambda s: -32768, 8), (lambda s: 32767, 8), (lambda s: "", 80), (lambda s: s[1], 8), (lambda s: "", 32)):
        header += "".join(f"{field(s):<{width}}" for s in signals)
    records = b"".join(
        digital[:, r * rate : (r + 1) * rate].astype("<i2").tobytes()
        + b"".join(data[2 * n * r : 2 * n * (r + 1)] for _, n, data in more)
        for r in range(n_records))
    return header.encode("ascii") + records


def times_of_records(onsets, n=20):
    """The signal of EDF+ that tells when records begin."""
    return ("EDF Annotations", n, b"".join(f"+{onset}\x14\x14".encode().ljust(2 * n, b"\0") for onset in onsets))


def volts(digital):
    """What the header says of the numbers, in the reader's order of operations."""
    gain = (200.0 - -200.0) / (32767.0 - -32768.0)
    return ((digital - -32768.0) * gain + -200.0) * 1e-6


@pytest.fixture(scope="module")
def digital():
    """Two patterns, one over channels times one in time, and noise, as 16-bit numbers."""
    random = np.random.default_rng(3)
    t = np.arange(25)
    v = np.stack([np.sin(np.pi * t / 24), np.sin(4 * np.pi * t / 24)])
    u = random.standard_normal((2, N_CHANNELS))
    X = 0.05 * random.standard_normal((N_CHANNELS, N_TIMES))
    for k in range(2):
        z = np.zeros(N_TIMES - 24)
        z[random.integers(0, len(z), 25)] = random.uniform(1, 2, 25)
        X += u[k][:, None] * np.convolve(z, v[k])
    return np.rint(3000 * X).astype(int)


@pytest.fixture
def recording(tmp_path, digital):
    (tmp_path / "x.edf").write_bytes(edf(digital))


LEARN = ("learn", "x.edf", "-o", "p.safetensors", "--n-atoms", 2, "--duration", "250ms", "--max-iter", 8)


def learned_in_python(X, rank_one=True, dtype=np.float64, **options):
    X = np.ascontiguousarray(X.reshape(len(X) if X.ndim == 3 else 1, -1), dtype)
    return _riata.learn_patterns(X, N_CHANNELS, 2, 25, "0.1max", None, PATTERNS | {"max_iter": 8, "rank_one": rank_one} | options)


def test_learn_info_and_encode(riata, tmp_path, digital, recording):
    report = riata.json(*LEARN)
    assert (report["n_atoms"], report["n_times_atom"], report["n_channels"], report["n_times"]) == (2, 25, 3, N_TIMES)
    assert report["rate"] == RATE and report["unit"] == "V" and report["method"] == "online"
    X = volts(digital)
    of_python = learned_in_python(X)
    model = _riata.load_patterns(bytes(tmp_path / "p.safetensors"))
    for name in ("atoms", "u", "v"):
        np.testing.assert_array_equal(model[name], of_python[name])
    assert float(model["metadata"]["reg"]) == of_python["reg"] == report["reg"]
    assert json.loads(model["metadata"]["channel_names"]) == list(NAMES)
    assert model["metadata"]["rate"] == "100" and model["metadata"]["unit"] == "V" and model["metadata"]["positive"] == "true"

    text = riata("info", "p.safetensors")
    assert text.startswith("p.safetensors: patterns, 2 of rank one of 25 samples (0.25 s at 100 Hz), 3 channels, in V, learned at ")

    report = riata.json("encode", "x.edf", "--model", "p.safetensors", "-o", "a.npz", "--tol", 1e-5)
    assert report["status"] == "converged" and report["relative_gap"] <= 1e-5
    Z = scipy.sparse.load_npz(tmp_path / "a.npz")
    assert Z.shape == (2, N_TIMES - 24)
    assert report["n_activations"] == list(np.diff(Z.indptr))
    fit = sum(np.stack([np.convolve(Z[[k]].toarray()[0], d) for d in model["atoms"][k].reshape(3, 25)]) for k in range(2))
    objective = 0.5 * np.sum((X - fit) ** 2) + of_python["reg"] * abs(Z).sum()
    assert report["objective"] == pytest.approx(objective, rel=1e-10)
    assert 0 <= report["gap"] <= 1e-5 * 0.5 * np.sum(X**2)

    # In the order of today's dictionaries, and dense.
    riata("encode", "p.safetensors", "x.edf", "-o", "a.npy", "--tol", 1e-5)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), Z.toarray())
    text = riata("encode", "x.edf", "--model", "p.safetensors", "-o", "a.npz", "--reg", "0.5max")
    assert f"at {N_TIMES - 24} positions" in text and "gap" in text and "objective" in text
    counts = np.diff(scipy.sparse.load_npz(tmp_path / "a.npz").indptr)
    assert text.endswith(f"Activations of each pattern: {counts[0]} {counts[1]}\n")


@pytest.mark.parametrize("shape", ["recording", "trials", "channel"])
def test_arrays_are_read_as_python_has_them(riata, tmp_path, digital, shape):
    X = volts(digital)
    X = {"recording": X, "trials": np.ascontiguousarray(X.reshape(3, 4, 300).swapaxes(0, 1)), "channel": X[0]}[shape]
    np.save(tmp_path / "x.npy", X)
    riata("learn", "x.npy", *LEARN[2:], "--rate", RATE)
    n_channels = 1 if shape == "channel" else 3
    rows = np.ascontiguousarray(X.reshape(len(X) if X.ndim == 3 else 1, -1))
    of_python = _riata.learn_patterns(rows, n_channels, 2, 25, "0.1max", None, PATTERNS | {"max_iter": 8})
    model = _riata.load_patterns(bytes(tmp_path / "p.safetensors"))
    np.testing.assert_array_equal(model["atoms"], of_python["atoms"])
    assert "channel_names" not in model["metadata"] and "unit" not in model["metadata"]
    riata("encode", "x.npy", "--model", "p.safetensors", "-o", "a.npz", "--tol", 1e-3)
    assert scipy.sparse.load_npz(tmp_path / "a.npz").shape == ((8 if X.ndim == 3 else 2), X.shape[-1] - 24)
    riata("encode", "x.npy", "--model", "p.safetensors", "-o", "a.npy", "--tol", 1e-3)
    assert np.load(tmp_path / "a.npy").shape == ((4,) if X.ndim == 3 else ()) + (2, X.shape[-1] - 24)


@pytest.mark.parametrize("flags, options, dtype", [
    (("--no-rank1",), {"rank_one": False}, np.float64),
    (("--window", "--no-positive"), {"window": True, "positive": False}, np.float64),
    (("--n-times-window", 100, "--batch-size", 4, "--seed", 5), {"n_times_window": 100, "batch_size": 4, "seed": 5}, np.float64),
    (("--method", "unrolled", "--n-layers", 10, "--init", "random"), {"method": "unrolled", "n_layers": 10, "init": "random"},
     np.float64),
    (("--dtype", "float32", "--n-threads", 2), {}, np.float32),
])
def test_flags_are_pythons_options(riata, tmp_path, digital, recording, flags, options, dtype):
    riata(*LEARN, *flags)
    of_python = learned_in_python(volts(digital), dtype=dtype, **options)
    model = _riata.load_patterns(bytes(tmp_path / "p.safetensors"))
    assert model["atoms"].dtype == dtype
    np.testing.assert_array_equal(model["atoms"], of_python["atoms"])
    assert (model["window"] is not None) == options.get("window", False)
    assert model["metadata"]["positive"] == ("true" if options.get("positive", True) else "false")
    riata("encode", "x.edf", "--model", "p.safetensors", "-o", "a.npz", "--tol", 1e-3)
    Z = scipy.sparse.load_npz(tmp_path / "a.npz")
    assert Z.dtype == dtype and (Z.data.min() < 0) == (not options.get("positive", True))


def test_threads_change_no_bit(riata, tmp_path, recording):
    files = []
    for n in (1, 3):
        riata(*LEARN, "--n-threads", n)
        riata("encode", "x.edf", "--model", "p.safetensors", "-o", "a.npz", "--n-threads", n)
        files.append((tmp_path / "p.safetensors").read_bytes() + (tmp_path / "a.npz").read_bytes())
    assert files[0] == files[1]


def test_channels_are_chosen_and_found_by_name(riata, tmp_path, digital, recording):
    riata(*LEARN, "--channels", "EEG O2, EEG Fp1")
    model = _riata.load_patterns(bytes(tmp_path / "p.safetensors"))
    assert json.loads(model["metadata"]["channel_names"]) == ["EEG O2", "EEG Fp1"]
    riata("encode", "x.edf", "--model", "p.safetensors", "-o", "a.npy")
    (tmp_path / "y.edf").write_bytes(edf(digital[[2, 1, 0]], names=[NAMES[2], NAMES[1], NAMES[0]], units=("uV", "%", "uV")))
    riata("encode", "y.edf", "--model", "p.safetensors", "-o", "b.npy")
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    np.save(tmp_path / "x.npy", volts(digital))
    riata("encode", "x.npy", "--model", "p.safetensors", "-o", "b.npy", "--channels", "2,0")
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_units_of_voltage_are_one(riata, tmp_path, digital):
    (tmp_path / "x.edf").write_bytes(edf(digital, units=("uV", "mV", "uV")))
    riata(*LEARN)
    X = volts(digital)
    gain = (200.0 - -200.0) / (32767.0 - -32768.0)
    X[1] = ((digital[1] - -32768.0) * gain + -200.0) * 1e-3
    np.testing.assert_array_equal(_riata.load_patterns(bytes(tmp_path / "p.safetensors"))["atoms"], learned_in_python(X)["atoms"])


def test_five_kills_change_nothing(riata, tmp_path, recording):
    learn = (*LEARN[:-1], 40, "--seed", 3, "--n-threads", 2, "--n-times-window", 100)
    start = time.monotonic()
    riata(*learn)
    duration = time.monotonic() - start
    whole = (tmp_path / "p.safetensors").read_bytes()
    resumed = (*learn, "--checkpoint", "c.safetensors", "--checkpoint-every", 1, "--resume")
    stopped = riata.interrupt_five_times(resumed, signal.SIGKILL, duration)
    (tmp_path / "p.safetensors").unlink(missing_ok=True)
    riata(*resumed)
    assert stopped >= 2, f"only {stopped} interruptions hit a run of {duration:.2f} s"
    assert (tmp_path / "p.safetensors").read_bytes() == whole


def test_ctrl_c_leaves_the_patterns_so_far(riata, tmp_path, recording):
    run = riata.start(*LEARN[:-1], 10**6, "--max-time", 100, "--checkpoint", "c.safetensors", "--checkpoint-every", 1)
    while not (tmp_path / "c.safetensors").exists():
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    model = _riata.load_patterns(bytes(tmp_path / "p.safetensors"))
    assert model["metadata"]["status"] == "interrupted"
    assert errors.endswith("the patterns so far are in p.safetensors (--resume continues)\n")


def test_info_of_a_recording(riata, tmp_path, digital):
    marks = ("EDF Annotations", 20, b"".join(f"+{r}\x14\x14\0+{r}.5\x14blink\x14".encode().ljust(40, b"\0") for r in range(12)))
    slow = ("Temp", 2, np.zeros(24, "<i2").tobytes())
    (tmp_path / "x.edf").write_bytes(edf(digital, kind="EDF+C", more=(slow, marks)))
    report = riata.json("info", "x.edf")["files"][0]
    assert report["kind"] == "recording" and report["start"] == "2002-03-02T13:36:05" and report["seconds"] == 12
    assert report["n_annotations"] == 12
    assert report["channels"][2] == {"name": "EEG O2", "rate": 100.0, "unit": "uV", "n_times": 1200}
    assert report["channels"][3] == {"name": "Temp", "rate": 2.0, "unit": "", "n_times": 24}
    assert riata("info", "x.edf").splitlines() == [
        "x.edf: recording, 2002-03-02T13:36:05, 4 channels, 12 s, 12 annotations",
        *(f"  {name} 100 Hz, 1200 samples, in uV" for name in NAMES), "  Temp 2 Hz, 24 samples"]


def spoilt(digital, how):
    """Files that are refused."""
    if how == "rates":
        return edf(digital, more=(("Temp", 2, np.zeros(24, "<i2").tobytes()),))
    if how == "units":
        return edf(digital, units=("uV", "mV", "Boolean"))
    if how == "constant":
        flat = digital.copy()
        flat[[0, 2]] = 7
        return edf(flat)
    if how == "truncated":
        return edf(digital)[:-10]
    if how == "gap":
        return edf(digital, kind="EDF+D", more=(times_of_records([*range(6), *range(7, 13)]),))
    if how == "twice":
        return edf(digital, names=("EEG", "EEG", "Cz"))
    if how == "short":
        return edf(digital[:, :100], rate=10)
    return edf(digital)


BAD = {
    "rates": ("rates", (),
        "x.edf: the channels have several rates: 100 Hz for 3 of them, 2 Hz for 'Temp'; choose those of one with --channels "
        "NAME,NAME,..."),
    "units": ("units", (),
        "x.edf: the channels have several units: V for 2 of them, 'Boolean' for 'EEG O2'; choose those of one with --channels "
        "NAME,NAME,..."),
    "constant": ("constant", (),
        "x.edf: channels 'EEG Fp1', 'EEG O2' are the same at all samples; choose the others with --channels NAME,NAME,..."),
    "truncated": ("truncated", (),
        "x.edf is truncated: its header promises 12 records of 600 bytes, the file holds 11 whole ones"),
    "gap": ("gap", (),
        "x.edf is discontinuous: a gap of 1 s at 6 s, where its record 6 begins; only recordings without gaps are read (cut it "
        "there)"),
    "unknown": ("", ("--channels", "Pz"), "x.edf has no channel 'Pz'; it has 'EEG Fp1', 'EEG Cz', 'EEG O2'"),
    "empty name": ("", ("--channels", "EEG Cz,"), "--channels 'EEG Cz,' holds an empty name"),
    "chosen twice": ("", ("--channels", "EEG Cz,EEG Cz"), "x.edf: channel 'EEG Cz' is chosen twice"),
    "two of a name": ("twice", ("--channels", "EEG"), "x.edf has 2 channels 'EEG'; which one is meant is not known"),
    "short": ("short", ("--duration", "11s"),
        "x.edf holds 100 samples (10 s) of each channel, fewer than the 110 samples (11 s) of a pattern"),
    "duration": ("", ("--duration", "1m"),
        "--duration '1m', must be seconds (1s), milliseconds (250ms) or a number of samples (64)"),
    "half a sample": ("", ("--duration", "2.5"),
        "--duration '2.5', must be seconds (1s), milliseconds (250ms) or a number of samples (64)"),
    "no sample": ("", ("--duration", "1ms"), "--duration 1ms is 0 samples at 100 Hz; expected 1 to 1000000000"),
    "other rate": ("", ("--rate", 250), "--rate 250 but x.edf has 100 Hz; leave out --rate"),
    "flag of signals": ("", ("--centre",), "--centre is for signals and pictures, not for recordings"),
    "penalty": ("", ("--penalty", "elastic_net", "--l1-ratio", 0.5), "--penalty is for signals and pictures, not for recordings"),
    "method": ("", ("--method", "pudle_ls"), "method = 'pudle_ls' is not for patterns"),
    "window": ("", ("--no-rank1", "--window"), "window is for patterns of rank one"),
    "init": ("", ("--init", "D.npy"), "--init D.npy, but patterns of recordings begin with 'data' or 'random'"),
    "both signs": ("", ("--positive", "--no-positive"), "--positive and --no-positive exclude each other"),
    "extension": ("", ("-o", "p.npz"), "p.npz has the extension '.npz'; models are written as .safetensors"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_recordings_are_refused_in_a_sentence(riata, tmp_path, digital, case):
    how, flags, sentence = BAD[case]
    (tmp_path / "x.edf").write_bytes(spoilt(digital, how))
    arguments = list(LEARN)
    for flag in ("--duration", "-o"):
        if flag in flags:
            at = arguments.index(flag)
            del arguments[at : at + 2]
    before = {f.name for f in tmp_path.iterdir()}
    done = riata.run(*arguments, *flags)
    assert done.returncode == 2
    assert done.stderr.startswith(f"riata learn: {sentence}") and done.stderr.count("\n") == 1, done.stderr
    assert {f.name for f in tmp_path.iterdir()} == before


@pytest.mark.parametrize("value, shape, sentence", [
    (np.nan, (3, 1200), "x.npy: channel 1 holds nan at sample 700; expected finite numbers"),
    (-np.inf, (2, 3, 600), "x.npy: channel 0 holds -inf at sample 100 of trial 1; expected finite numbers"),
])
def test_samples_that_are_no_numbers_are_refused(riata, tmp_path, value, shape, sentence):
    X = np.random.default_rng(0).standard_normal(shape)
    X.reshape(-1)[1900] = value
    np.save(tmp_path / "x.npy", X)
    done = riata.run("learn", "x.npy", *LEARN[2:-4], "--duration", 25)
    assert (done.returncode, done.stderr) == (2, f"riata learn: {sentence}\n")


@pytest.mark.parametrize("arguments, sentence", [
    ("learn x.npy -o p.safetensors --n-atoms 2 --duration 250ms",
     "--duration 250ms is a time, and x.npy does not say its rate; give --rate, or samples (--duration 64)"),
    ("learn x.npy -o p.safetensors --n-atoms 2 --rate 100 --reg 0.1",
     "--rate is for recordings: .edf, .bdf, or .npy with --duration"),
    ("learn x.npy -o p.safetensors --n-atoms 2 --duration 25 --channels 3",
     "x.npy has no channel '3'; it has those of the numbers 0 to 2"),
    ("learn x.npy y.npy -o p.safetensors --n-atoms 2 --duration 25", "recordings are learned from one at a time, and there are 2"),
    ("learn x.txt -o p.safetensors --n-atoms 2 --duration 25", "x.txt is no recording: expected .edf, .bdf or .npy"),
    ("learn x.npy -o p.safetensors --duration 25", "--n-atoms is required"),
    ("learn x.edf -o p.safetensors --n-atoms 2", "--duration is required: how long the patterns of x.edf are, as in --duration 1s"),
    ("learn four.npy -o p.safetensors --n-atoms 2 --duration 25",
     "four.npy has 4 dimensions, expected (n_channels, n_times), (n_trials, n_channels, n_times) or (n_times,)"),
    ("learn fortran.npy -o p.safetensors --n-atoms 2 --duration 25",
     "fortran.npy is in Fortran order, so it cannot be read in pieces; save numpy.ascontiguousarray of it"),
    ("encode x.edf -o a.npz", "IN is required"),
    ("encode x.edf x.npy --model m.safetensors -o a.npz", "--model names the dictionary, so x.npy is one file too many"),
    ("encode D.npy x.edf -o a.npz", "x.edf is a recording, and D.npy holds no patterns (riata learn x.edf --duration 1s ...)"),
    ("encode x.edf --model m.safetensors -o a.npz --n-layers 3", "--n-layers is for signals and pictures, not for recordings"),
    ("encode x.edf --model m.safetensors -o a.txt", "a.txt has the extension '.txt'; activations are written as .npy or .npz"),
    ("encode fast.edf --model m.safetensors -o a.npz",
     "fast.edf has 120 Hz but the patterns of m.safetensors were learned at 100 Hz; they must be equal (resample the recording)"),
    ("encode other.edf --model m.safetensors -o a.npz", "other.edf has no channel 'EEG O2'; it has 'EEG Fp1', 'EEG Cz', 'EEG Oz'"),
    ("encode degrees.edf --model m.safetensors -o a.npz",
     "degrees.edf is in 'degC' but the patterns of m.safetensors were learned in 'V'; they must be equal"),
    ("encode x.npy --model m.safetensors -o a.npz --channels 0,1",
     "x.npy has 2 channels but the patterns of m.safetensors have 3; they must be equal (choose some with --channels)"),
    ("encode brief.npy --model m.safetensors -o a.npz",
     "brief.npy holds 20 samples of each channel, fewer than the 25 samples (0.25 s) of a pattern of m.safetensors"),
    ("encode nan.npy --model m.safetensors -o a.npz", "nan.npy: channel 2 holds nan at sample 5; expected finite numbers"),
    ("encode X.npy D.npy -o a.npz --reg 1 --channels 1", "--channels is for recordings, and X.npy holds no patterns"),
])
def test_other_bad_input_is_refused_in_a_sentence(riata, tmp_path, digital, arguments, sentence):
    (tmp_path / "x.edf").write_bytes(edf(digital))
    (tmp_path / "fast.edf").write_bytes(edf(digital, rate=120))
    (tmp_path / "other.edf").write_bytes(edf(digital, names=("EEG Fp1", "EEG Cz", "EEG Oz")))
    (tmp_path / "degrees.edf").write_bytes(edf(digital, units=("degC",) * 3))
    (tmp_path / "x.txt").write_text("")
    X = volts(digital)
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "four.npy", X[None, None])
    np.save(tmp_path / "fortran.npy", np.asfortranarray(X))
    np.save(tmp_path / "brief.npy", X[:, :20])
    np.save(tmp_path / "nan.npy", np.where(np.arange(N_TIMES) == 5, [[0], [0], [np.nan]], X))
    u, v = np.eye(2, 3), np.eye(2, 25)
    _riata.save_patterns(bytes(tmp_path / "m.safetensors"), u, v, None, 3,
                         {"rate": "100", "unit": "V", "reg": "1e-5", "channel_names": json.dumps(NAMES)})
    before = {f.name for f in tmp_path.iterdir()}
    done = riata.run(*arguments.split())
    command = arguments.split()[0]
    assert (done.returncode, done.stderr) == (2, f"riata {command}: {sentence}\n")
    assert {f.name for f in tmp_path.iterdir()} == before


def test_patterns_are_no_dictionary(riata, tmp_path, recording):
    riata(*LEARN)
    np.save(tmp_path / "X.npy", np.ones((4, 75)))
    done = riata.run("learn", "X.npy", "-o", "d.safetensors", "--init", "p.safetensors", "--reg", 0.1)
    assert (done.returncode, done.stderr) == (2, "riata learn: p.safetensors holds patterns of recordings, expected a dictionary\n")


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="memory is read from /proc")
def test_memory_does_not_grow_with_the_array(riata, tmp_path):
    X = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.float32, shape=(4, 8_000_000))  # 128 MB
    X[:] = np.random.default_rng(0).standard_normal(8000, np.float32).repeat(1000)
    del X
    peak = riata.peak_megabytes("learn", "x.npy", "-o", "p.safetensors", "--n-atoms", 1, "--duration", 8, "--max-iter", 1,
                                "--n-times-window", 20, "--n-threads", 1)
    assert peak < 110


@pytest.mark.parametrize("kind", ["step", "alista", "coupled"])
def test_networks_over_patterns_are_trained_and_run(riata, tmp_path, digital, recording, kind):
    riata(*LEARN)
    train = ("train", "--data", "x.edf", "--kind", kind, "--n-layers", 4, "--dictionary", "p.safetensors", "-o", "n.safetensors")
    report = riata.json(*train, "--max-iter", 10, "--n-times-window", 100)
    assert report["n_signals"] == N_TIMES // 100 and report["n_atoms"] == 2 and report["value"] < report["initial_value"]
    assert report["reg"] == pytest.approx(float(_riata.load_patterns(bytes(tmp_path / "p.safetensors"))["metadata"]["reg"]))

    net = load_network(tmp_path / "n.safetensors")
    X = volts(digital)
    windows = np.ascontiguousarray(X.reshape(3, -1, 100).swapaxes(0, 1))
    of_python = Network(kind, _patterns(tmp_path), 4, positive=True)
    assert of_python.fit(windows, report["reg"], max_iter=10).value == report["value"]
    np.testing.assert_array_equal(net.encode(windows), of_python.encode(windows))

    report = riata.json("infer", "n.safetensors", "x.edf", "-o", "a.npz", "--finish", 1e-6)
    Z = scipy.sparse.load_npz(tmp_path / "a.npz")
    assert report["n_not_converged"] == 0 and Z.shape == (2, N_TIMES - 24) and Z.data.min() > 0
    assert report["gap"] <= 1e-6 * 0.5 * np.sum(X**2)
    riata("infer", "n.safetensors", "x.edf", "-o", "a.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), net.encode(X[np.newaxis])[0])
    text = riata("info", "n.safetensors")
    assert "patterns of 25 samples" in text and kind in text

    riata("train", "--data", "x.edf", "--init", "n.safetensors", "-o", "m.safetensors", "--max-iter", 2)
    assert riata("train", *train[3:], "--max-iter", 0).endswith("for 2 patterns of 25 samples in 3 channels, not trained\n")


def _patterns(folder):
    model = _riata.load_patterns(bytes(folder / "p.safetensors"))
    return model["u"], model["v"]


@pytest.mark.parametrize("command, sentence", [
    (("train", "--data", "x.edf", "--kind", "step", "--n-layers", 2, "--dictionary", "p.safetensors", "--centre"),
     "--centre is for signals and pictures, and p.safetensors holds patterns of recordings"),
    (("train", "--data", "x.edf", "--kind", "lista", "--n-layers", 2, "--dictionary", "p.safetensors"),
     "--kind lista takes no patterns, whose recordings have any length"),
    (("train", "--data", "x.edf", "--kind", "step", "--n-layers", 2, "--dictionary", "p.safetensors", "--n-times-window", 9),
     "--n-times-window 9 is shorter than the patterns of p.safetensors, which have 25 samples"),
    (("train", "--data", "two.npy", "--kind", "step", "--n-layers", 2, "--dictionary", "p.safetensors"),
     "two.npy has 2 channels but the patterns of p.safetensors have 3; they must be equal"),
    (("train", "--data", "x.edf", "--kind", "facnet", "--n-layers", 2, "--dictionary", "p.safetensors"),
     "--kind facnet takes no patterns, whose recordings have any length"),
    (("train", "--kind", "step", "--n-layers", 2, "--dictionary", "p.safetensors", "--max-iter", 0, "--max-patches", 3),
     "--max-patches is for signals and pictures"),
    (("train", "--data", "X.npy", "--kind", "step", "--n-layers", 2, "--dictionary", "D.npy", "--reg", 1, "--rate", 9),
     "--rate is for recordings, and D.npy holds no patterns"),
])
def test_training_over_patterns_refuses_in_a_sentence(riata, tmp_path, digital, recording, command, sentence):
    riata(*LEARN)
    np.save(tmp_path / "two.npy", volts(digital)[:2])
    np.save(tmp_path / "X.npy", np.ones((5, 4)))
    np.save(tmp_path / "D.npy", np.eye(4))
    done = riata.run(*command, "-o", "n.safetensors")
    assert done.returncode == 2 and sentence in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "n.safetensors").exists()
