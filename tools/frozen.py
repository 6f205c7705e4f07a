#!/usr/bin/env python3
"""What riata gives today, kept in a folder, and how far another build is from it.

    tools/frozen.py store [FOLDER] [--only PATTERN]      runs the calls of frozen_calls.py, keeps what they give and write
    tools/frozen.py compare [FOLDER] [--only PATTERN]    runs them again with the riata that is importable: a row per call

FOLDER is build/frozen by default; a PATTERN such as "learn/*" picks calls by name. Every call must give equal bits but for those
in ALLOWED. Exit code 1: a call is further off, fails, or lacks a value that was stored; or no call uses some public function,
class or method of riata. Bits are those of one machine, named beside them. The command is $RIATA_CLI, or build/release/riata.
"""

import argparse
import dataclasses
import fnmatch
import hashlib
import inspect
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before the library is loaded: whatever shares the machine has its cores

import numpy as np  # noqa: E402

import frozen_calls  # noqa: E402
import riata  # noqa: E402

# (pattern of calls, kind, reason); the first that fits counts. Kinds:
# "bytes"   a file has other bytes, but all that it holds equal bits;
# "single"  one evaluation: arrays within 1e-12 of their largest number, 1e-5 where the call has single precision; all else equal;
# "run"     many evaluations: every `objective` within 1e-4 of itself; types, names and the shapes of codes as they were.
SELECTED = "no longer taken back from a sum, but left out"
FIXED = "a code is fixed where rounding moves it"
RECORDS = "records have new names"
GROUP_ISTA = "the safeguard's layers multiply with D, and scale by 1/L after"
LOSS = "one loss for all layers: fit and penalty are added one after the other"
STEP = "the two derivatives by a step that is a threshold too are added before they are rounded"
ALLOWED = [(f"network/*/{call}/*", "single", LOSS) for call in ("start", "moved")]
ALLOWED += [("network/*-selection/gradient/*", "single", SELECTED), ("network/*-selection/*", "run", SELECTED),
            ("save/network/*-selection/*", "single", SELECTED),
            ("network/group/safeguard/*", "single", GROUP_ISTA), ("network/group/both/*", "single", GROUP_ISTA)]
for kind in ("step", "first_step"):
    ALLOWED += [(f"network/{kind}/gradient/*", "single", STEP), (f"network/{kind}/line-search/*", "run", STEP),
                (f"fit/{kind}/*", "run", STEP), (f"save/network/{kind}/*", "single", STEP)]
ALLOWED += [("command/train/step", "single", STEP), ("command/train/*", "single", LOSS), ("network/*/gradient/*", "single", LOSS)]
ALLOWED += [(pattern, "run", LOSS) for pattern in ("network/*/line-search/*", "network/*/adam/*", "fit/*", "LISTA/certified/*")]
ALLOWED += [(f"{door}/network/*", "single", LOSS) for door in ("save", "load")]
ALLOWED += [("encode*l0/*float32", "run", FIXED), ("encode/csr-l0/float32", "run", FIXED)]
ALLOWED += [("save/*", "bytes", RECORDS), ("command/*", "bytes", RECORDS)]
SINGLE, SINGLE_FLOAT32, RUN = 1e-12, 1e-5, 1e-4
# Field of a result, a record, or the command's JSON -> its name in the stored outputs; values and calls have _ where - was stored.
RENAMED = {"n_layers": "layers", "n_iter": "iterations", "value": "final_value", "phase": "stage", "dictionary": "gradient",
           "steps": "step_gradient", "reg": "reg_gradient", "signals": "signal_gradient"}
UNSTABLE = {"seconds", "threads", "version", "riata_version"}  # fields that say when or by what they were made
VARIABLE = {"history", "trace", "told", "error_", "loss_", "data", "indices", "support", "active"}  # whose shape is the run's
PLACE = frozen_calls.PLACE


# Named values of what a call returns ----------------------------------------------------------------------------------


def contents(path):
    """What a file holds, as far as numpy reads it."""
    if path.suffix != ".safetensors":
        return np.load(path) if path.suffix == ".npy" else dict(np.load(path)) if path.suffix == ".npz" else {}
    data = path.read_bytes()
    first = 8 + int.from_bytes(data[:8], "little")
    found, kinds = json.loads(data[8:first]), {"F32": np.float32, "F64": np.float64, "I64": np.int64}
    for name in found.keys() - {"__metadata__"}:
        begin, end = (first + offset for offset in found[name]["data_offsets"])
        found[name] = np.frombuffer(data[begin:end], kinds[found[name]["dtype"]]).reshape(found[name]["shape"])
    return found


def as_number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return text


def flatten(name, value, found, files):
    """Puts arrays, numbers and texts under their names into `found`, and files into `files`."""
    under = name and name + "."
    if isinstance(value, Path):
        found[under + "sha256"], files[value.name] = np.array(hashlib.sha256(value.read_bytes()).hexdigest()), value
        return flatten(name, contents(value), found, files)
    if hasattr(value, "tocsr"):
        value = {"dense": value.toarray(), "data": value.data, "indices": value.indices, "indptr": value.indptr}
    if dataclasses.is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)) and not all(isinstance(v, (int, float, str)) for v in value):
        value = {str(i): v for i, v in enumerate(value)}
    if not isinstance(value, Mapping):
        found[name or "result"] = np.asarray("None" if value is None else as_number(value) if "metadata" in name else value)
        return
    for key in value.keys() - UNSTABLE:
        flatten(under + key, value[key], found, files)


# Differences ----------------------------------------------------------------------------------------------------------


def stored_name(name, olds):
    """The name under which a new value is stored."""
    parts = name.split(".")
    renamed = (".".join((*parts[:k], RENAMED[part], *parts[k + 1 :])) for k, part in enumerate(parts) if part in RENAMED)
    return name if name in olds else next((old for old in renamed if old in olds), name)


def distance(name, new, olds):
    """max |new - old| in units of the largest old number; a gap, a difference of objectives, in units of those or of 1."""
    old, finite = olds[name], np.isfinite(olds[name])
    if not np.array_equal(np.where(finite, 0, old), np.where(np.isfinite(new), 0, new), equal_nan=True):
        return np.inf
    beside = olds.get(name[: -len("gap")] + "objective", np.ones(1)) if name.endswith("gap") else old
    scale = max(np.abs(values[np.isfinite(values)]).max(initial=0.0) for values in (old, beside))
    worst = np.abs(new[finite].astype(float) - old[finite]).max(initial=0.0)
    return float(worst / scale) if scale > 0 else np.inf if worst > 0 else 0.0


def change(kind, single, name, new, olds):
    """(is it allowed?, relative difference, what is to be said) of one value; None where its bits are equal."""
    old, parts = olds[name], set(name.split("."))
    if (new.dtype.str, new.shape, new.tobytes()) == (old.dtype.str, old.shape, old.tobytes()):
        return None
    if "sha256" in parts:
        return kind != "", 0.0, f"{name[: -len('.sha256')]} has other bytes"
    if new.dtype.kind != old.dtype.kind or (old.dtype.kind in "fi" and new.dtype != old.dtype):
        return False, 0.0, f"{name} is {new.dtype} instead of {old.dtype}"
    if new.shape != old.shape:
        return kind == "run" and bool(VARIABLE & parts), 0.0, f"{name} has shape {new.shape} instead of {old.shape}"
    if old.dtype.kind == "U" and (str(new) == str(old).replace("-", "_") or (parts & {"method"} and str(old) == "auto")):
        return None  # values have _ now, and the command says which method it was
    if old.dtype.kind != "f":
        said = f"{(new != old).sum()} of {old.size} differ" if old.ndim else f"{new} instead of {old}"
        return kind == "run", 0.0, f"{name}: {said}"
    far = distance(name, new, olds)
    allowed = {"single": far <= single, "run": far <= RUN or not is_objective(name)}
    return allowed.get(kind, False), far, f"{name} {far:.1e}" if far > 1e-3 else ""


def is_objective(name):
    parts = name.split(".")
    return parts[0 if parts[-1].isdigit() else -1] == "objective" and not VARIABLE & set(parts)


def judge(name, news, olds):
    """(is it as it must be?, verdict, largest relative difference, that of an objective, what else is to be said) of a call."""
    _, kind, reason = next((row for row in ALLOWED if fnmatch.fnmatch(name, row[0])), ("", "", ""))
    single = SINGLE_FLOAT32 if "float32" in name or any(values.dtype == np.float32 for values in olds.values()) else SINGLE
    news = {stored_name(key, olds): value for key, value in news.items()}
    found = {key: change(kind, single, key, news[key], olds) for key in sorted(olds.keys() & news.keys())}
    found = {key: changed for key, changed in found.items() if changed is not None}
    missing, new = (", ".join(sorted(a.keys() - b.keys())) for a, b in ((olds, news), (news, olds)))
    fine = not missing and all(allowed for allowed, _, _ in found.values())
    if kind == "run" and found:
        fine = fine and any(map(is_objective, olds))  # without one it is no run
    words = [f"missing: {missing}"] * bool(missing) + [said for *_, said in found.values() if said] + [f"new: {new}"] * bool(new)
    farthest = max((far for _, far, _ in found.values()), default=0.0)
    objective = max((found[key][1] for key in found if is_objective(key)), default=0.0)
    verdict = "DIFFERS" if not fine else f"{kind} ({reason})" if found else "equal bits"
    return fine, verdict, farthest, objective, "; ".join(words[:3]) + f"; and {len(words) - 3} more" * (len(words) > 3)


# Running --------------------------------------------------------------------------------------------------------------


def outputs_of(function, ran):
    """(named values, files) of a call; the code that ran is added to `ran`."""
    found, files = {}, {}
    sys.setprofile(lambda frame, event, _: ran.add(frame.f_code) if event == "call" else None)
    try:
        flatten("", function(), found, files)
    finally:
        sys.setprofile(None)
    return found, files


def untouched(ran):
    """Public functions, classes and methods of riata of which no code ran."""
    public = {f"{home.__name__}.{name}": getattr(home, name) for home in (riata, riata.datasets) for name in home.__all__}
    for name, value in [(name, value) for name, value in public.items() if isinstance(value, type)]:
        public |= {f"{name}.{key}": v for key, v in vars(value).items() if key == "__init__" or not key.startswith("_")}
    codes = {name: getattr(inspect.unwrap(getattr(value, "fget", value)), "__code__", None) for name, value in public.items()}
    return sorted(name for name, code in codes.items() if code is not None and code not in ran)


def identity():
    """Which riata, on which kernels as its own checkpoints name them."""
    checkpoint, folder = PLACE.scratch.with_name("checkpoint.safetensors"), Path(riata.__file__).parent
    riata.learn_dictionary(np.eye(4), 4, 0.1, n_layers=2, max_iter=1, checkpoint=checkpoint)
    run = json.loads(contents(checkpoint)["__metadata__"].get("fingerprint", "{}"))
    git = ["git", "-C", folder, "describe", "--always", "--dirty", "--abbrev=40"]
    commit = subprocess.run(git, text=True, capture_output=True).stdout.strip()
    files = [file for file in (*folder.glob("*.so"), frozen_calls.COMMAND) if file.exists()]
    built = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    return {"version": riata.__version__, "commit": commit, "instruction set": run.get("simd"), "BLAS kernels": run.get("blas"),
            "numpy": np.__version__, **built}


def keep(name, found, files):
    path = PLACE.stored / "calls" / f"{name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **found)
    for file in files.values():
        frozen_calls.stored(name).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, frozen_calls.stored(name))


def store(folder, only):
    folder.mkdir(parents=True, exist_ok=True)
    if only == "*":
        shutil.rmtree(folder / "calls", ignore_errors=True)
    np.savez(folder / "inputs.npz", **frozen_calls.make_inputs())
    (folder / "identity.json").write_text(json.dumps(identity(), indent=2) + "\n")
    return run_all(only, lambda name, found, files: keep(name, found, files) or True)


def compare(folder, only):
    then = json.loads((folder / "identity.json").read_text())
    for key, value in identity().items():
        print(f"{key}: {value}" + f", stored with {then.get(key)}" * (value != then.get(key)))
    kept = {str(path.relative_to(folder / "calls"))[: -len(".npz")].replace("-", "_"): path for path in (folder / "calls").rglob("*.npz")}
    print(f"{'':46} {'':12} {'relative':>9} {'objective':>9}")

    def fits(name, found, _):
        if name.replace("-", "_") not in kept:
            print(f"{name:46} is not stored")
            return True
        fine, verdict, far, objective, words = judge(name, found, dict(np.load(kept[name.replace("-", "_")])))
        print(f"{name:46} {verdict:12} {far:9.1e} {objective:9.1e}  {words}".rstrip())
        return fine

    names = {name.replace("-", "_") for name, _ in frozen_calls.calls(only)}
    gone = sorted(name for name in kept if fnmatch.fnmatch(name, only) and name not in names)
    print(*(f"{name:46} is stored, but no call now" for name in gone), sep="\n", end="\n" * bool(gone))
    return run_all(only, fits) or bool(gone) or names.isdisjoint(kept)


def run_all(only, take):
    """Is there anything wrong? `take` says of each call's outputs whether they are fine."""
    ran, wrong, seconds = set(), [], {}
    for name, function in frozen_calls.calls(only):
        start = time.monotonic()
        try:
            fine = take(name, *outputs_of(function, ran))
        except Exception as error:
            fine = print(f"{name:46} FAILED: {type(error).__name__}: {error}")
        wrong += [name] * (not fine)
        seconds[name] = time.monotonic() - start
    rest = untouched(ran) if only == "*" else []
    slowest = ", ".join(f"{name} {seconds[name]:.1f} s" for name in sorted(seconds, key=seconds.get)[-3:])
    print(f"{len(seconds)} calls in {sum(seconds.values()):.0f} s (slowest: {slowest})")
    print(f"{len(wrong)} wrong: {', '.join(wrong[:5]) or 'none'}" + " and so on" * (len(wrong) > 5))
    print(*(f"no call uses {name}" for name in rest), sep="\n", end="\n" * bool(rest))
    return bool(wrong or rest or not seconds)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("do", choices=["store", "compare"])
    arguments.add_argument("folder", nargs="?", type=Path, default=Path(__file__).resolve().parent.parent / "build/frozen")
    arguments.add_argument("--only", default="*", metavar="PATTERN")
    given = arguments.parse_args()
    warnings.simplefilter("ignore")  # of estimators that stop at max_iter, and of runs
    logging.disable()  # that are interrupted
    with tempfile.TemporaryDirectory() as scratch:
        PLACE.stored, PLACE.scratch = given.folder.resolve(), Path(scratch) / "call"
        return int({"store": store, "compare": compare}[given.do](PLACE.stored, given.only))


if __name__ == "__main__":
    sys.exit(main())
