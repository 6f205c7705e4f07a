"""What surrounds a run: signals, closed streams, limits, full disks, names that stand for one file. Nothing is lost, one sentence
says what happened, and nothing is left behind.

RIATA_KILLS=300 runs so many kills instead of a few; `make test-long` does.
"""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

KILLS = int(os.environ.get("RIATA_KILLS", 7))
SOON = 0.5  # seconds in which a run that was asked to stop has stopped


@pytest.fixture(autouse=True)
def files(tmp_path, planted, noisy):
    X, D = planted
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "D.npy", D)
    Image.fromarray(noisy).save(tmp_path / "p.png")


def leftovers(folder):
    return [path for path in folder.rglob("*") if "riata" in path.name]


# Signals ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Work that lasts: files X.npy, D.npy, p.png, net.safetensors."""
    folder = tmp_path_factory.mktemp("large")
    random = np.random.default_rng(0)
    D = random.standard_normal((800, 400))
    np.save(folder / "D.npy", D / np.linalg.norm(D, axis=1, keepdims=True))
    np.save(folder / "X.npy", random.standard_normal((300, 400)))
    Image.fromarray(random.integers(0, 255, (300, 300), dtype=np.uint8)).save(folder / "p.png")
    return folder


LONG = {
    "encode": "encode D.npy X.npy -o out.npy --reg 0.001max --method fista --tol 0 --max-iter 1000000",
    "encode --n-layers": "encode D.npy X.npy -o out.npy --reg 0.001max --n-layers 100000",
    "encode --stream": "encode D.npy X.npy -o out.npz --reg 0.001max --method ista --tol 0 --max-iter 1000000 --stream",
    "learn": "learn X.npy -o out.safetensors --reg 0.01 --n-atoms 400 --tol 0 --n-layers 2000",
    "train": "train --kind step --n-layers 1000 --reg 0.01max --dictionary D.npy --data X.npy -o out.safetensors",
    "denoise": "denoise p.png -o out.png --sigma 20 --dct",
}


def is_caught(process, how):
    with open(f"/proc/{process.pid}/status") as status:
        caught = next(line for line in status if line.startswith("SigCgt:"))
    return int(caught.split()[1], 16) >> (how - 1) & 1


def ended_by(run, how, after):
    """Waits until the command listens and works, sends the signal: (exit code, stderr, seconds until it ended)."""
    while not is_caught(run, how):
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.005)
    time.sleep(after)
    assert run.poll() is None, run.stderr.read()
    sent = time.monotonic()
    run.send_signal(how)
    _, errors = run.communicate(timeout=60)
    return run.returncode, errors, time.monotonic() - sent


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("name", LONG)
def test_a_signal_ends_every_command_within_half_a_second(riata_in, large, name, how):
    code, errors, seconds = ended_by(riata_in(large).start(*LONG[name].split()), how, after=0.3)
    assert code == 128 + how, errors
    assert errors.startswith(f"riata {name.split()[0]}: interrupted") and errors.count("\n") == 1
    assert seconds < 4 * SOON  # other tests run beside this one
    assert not leftovers(large)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_what_ctrl_c_keeps_is_kept(riata, tmp_path, safetensors, how):
    run = riata.start("learn", "X.npy", "-o", "m.safetensors", "--n-atoms", 40, "--reg", 0.1, "--tol", 0, "--max-iter", 1000000,
                      "--checkpoint", "c.safetensors", "--checkpoint-every", 1)
    while not (tmp_path / "c.safetensors").exists():
        assert run.poll() is None
        time.sleep(0.01)
    code, errors, _ = ended_by(run, how, after=0)
    assert code == 128 + how and "the best model so far is in m.safetensors" in errors
    assert safetensors.read(tmp_path / "m.safetensors")[1]["status"] == "interrupted"
    assert not leftovers(tmp_path)


def test_nohup_is_respected(riata, tmp_path):
    run = subprocess.Popen(["nohup", COMMAND, *LONG["learn"].replace("--n-layers 2000", "--max-iter 3").split()], cwd=tmp_path,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not is_caught(run, signal.SIGTERM):
        assert run.poll() is None
        time.sleep(0.005)
    run.send_signal(signal.SIGHUP)
    run.communicate(timeout=60)
    assert run.returncode == 0


def test_kills_lose_nothing_and_leave_nothing(riata, tmp_path, safetensors):
    command = ("learn", "X.npy", "-o", "m.safetensors", "--n-atoms", 24, "--reg", 0.1, "--tol", 0, "--max-iter", 60, "--n-threads", 1,
               "--trace", "t.csv")
    start = time.monotonic()
    riata(*command)
    whole, duration = (tmp_path / "m.safetensors").read_bytes(), time.monotonic() - start
    kept = (*command, "--checkpoint", "c.safetensors", "--checkpoint-every", 1, "--resume")
    random = np.random.default_rng(5)
    signals = [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL]
    n_stopped = 0
    for k in range(KILLS):
        how = signals[k % len(signals)]
        run = riata.start(*kept)
        try:
            run.wait(random.uniform(0.2, 0.8) * duration)
        except subprocess.TimeoutExpired:
            run.send_signal(how)
        run.communicate(timeout=60)
        n_stopped += run.returncode != 0
        assert run.returncode in (0, -how, 128 + how)
        for name in ("m.safetensors", "c.safetensors"):
            if (tmp_path / name).exists():
                safetensors.read(tmp_path / name)
        if run.returncode == 0 or k % 10 == 9:  # whole again, from where the last kill left it
            riata(*kept)
            assert (tmp_path / "m.safetensors").read_bytes() == whole
            assert not leftovers(tmp_path)
            (tmp_path / "c.safetensors").unlink()
    assert n_stopped > KILLS / 3
    riata(*kept)
    assert (tmp_path / "m.safetensors").read_bytes() == whole
    assert not leftovers(tmp_path)


def test_what_killed_runs_have_left_is_removed_and_what_runs_use_is_not(riata, tmp_path):
    import fcntl

    for name in (".riata-1-0.tmp", ".riata-4194303-7.tmp", ".riata-spool-aB3xYz.tmp"):
        (tmp_path / name).write_bytes(b"half a model")
    mine = tmp_path / ".riata-4194302-0.tmp"
    mine.write_bytes(b"in use")
    (tmp_path / ".riata-notes.txt").write_bytes(b"not ours")
    with open(mine) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        riata("encode", "D.npy", "X.npy", "-o", "Z.npy", "--reg", 0.1)
        assert {path.name for path in leftovers(tmp_path)} == {mine.name, ".riata-notes.txt"}
    riata("encode", "D.npy", "X.npy", "-o", "Z.npy", "--reg", 0.1)
    assert {path.name for path in leftovers(tmp_path)} == {".riata-notes.txt"}


# Streams, limits, disks ------------------------------------------------------------------------------------------

COMMAND = Path(os.environ.get("RIATA_CLI", Path(__file__).resolve().parents[2] / "build/release/riata")).resolve()
LEARN = "learn X.npy -o new.safetensors --n-atoms 5 --reg 0.1 --max-iter 2"
WARNS = "encode D.npy X.npy -o new.npy --reg 0.001 --max-iter 1"


def shell(folder, line, **options):
    return subprocess.run(["bash", "-c", line.replace("riata", str(COMMAND), 1)], cwd=folder, text=True, capture_output=True,
                          timeout=60, **options)


@pytest.mark.parametrize("stream", ["2>/dev/full", "2>&-", "2>&- >&- <&-", "2> >(exec true)"])
@pytest.mark.parametrize("command, code", [(WARNS, 0), (LEARN, 0), ("learn missing.npy -o new.npy", 2), ("learn --foo", 2),
                                           ("info missing.npy", 1), (LEARN + " --checkpoint nowhere/c", 1)])
def test_a_stderr_that_takes_nothing_changes_nothing(tmp_path, stream, command, code):
    quiet = " --quiet" if ">&- <" in stream and code == 0 else ""
    assert shell(tmp_path, f"riata {command}{quiet} {stream}").returncode == code
    made = {path.name for path in tmp_path.iterdir()} - {"X.npy", "D.npy", "p.png"}
    assert made == ({command.split("-o ")[1].split()[0]} if code == 0 else set())
    for name in made:  # no sentence went into it
        data = (tmp_path / name).read_bytes()
        assert b"riata encode:" not in data and b"riata learn:" not in data


@pytest.mark.parametrize("stream", [">/dev/full", ">&-"])
@pytest.mark.parametrize("command", [LEARN, "info X.npy", "--version", "--help", "learn --help"])
def test_a_stdout_that_takes_nothing_is_a_failure(tmp_path, stream, command):
    done = shell(tmp_path, f"riata {command} {stream}")
    assert done.returncode == 1
    assert re.fullmatch(r"riata[a-z ]*: cannot write to [^\n]*\n", done.stderr), done.stderr


def test_a_reader_that_is_gone_does_not_cost_the_output(tmp_path):
    done = shell(tmp_path, f"set -o pipefail; riata {LEARN} | true; sleep 0.1")
    assert (tmp_path / "new.safetensors").exists() and done.stderr.count("\n") <= 1


def test_a_limit_on_files_keeps_the_old_file_and_says_so(tmp_path):
    (tmp_path / "new.npy").write_bytes(b"old")
    done = shell(tmp_path, "ulimit -f 4; riata encode D.npy X.npy -o new.npy --reg 0.1")
    assert (done.returncode, done.stderr) == (1, "riata encode: cannot write new.npy: File too large\n")
    assert (tmp_path / "new.npy").read_bytes() == b"old" and not leftovers(tmp_path)


def test_a_full_disk_keeps_the_old_file_and_says_so(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True).returncode != 0:
        pytest.skip("mounting is not permitted here")
    try:
        (disk / "new.npy").write_bytes(b"old")
        for command, name in (("encode D.npy X.npy -o disk/new.npy --reg 0.1", "disk/new.npy"),
                              ("encode D.npy X.npy -o disk/new.npz --reg 0.1 --stream", "disk/new.npz"),
                              (f"{LEARN} --n-atoms 600 --checkpoint disk/c".replace("--n-atoms 5 ", ""), "disk/c")):
            done = shell(tmp_path, f"riata {command}")
            assert done.returncode == 1
            assert done.stderr == f"riata {command.split()[0]}: cannot write {name}: No space left on device\n"
            assert [path.name for path in disk.iterdir()] == ["new.npy"] and (disk / "new.npy").read_bytes() == b"old"
    finally:
        subprocess.run(["umount", disk], check=True)


sanitized = pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="AddressSanitizer reserves terabytes of addresses")


@sanitized
@pytest.mark.parametrize("command", ["--version", "--help", "encode --help", "info"])
def test_help_needs_little_memory(tmp_path, command):
    done = shell(tmp_path, f"ulimit -v 300000; riata {command}")
    assert done.returncode == 0 and done.stdout and not done.stderr


@sanitized
@pytest.mark.parametrize("megabytes", [150, 250, 300, 400, 500, 600, 800])
@pytest.mark.parametrize("n_threads", [1, 8])
def test_little_memory_is_said_in_a_sentence(tmp_path, megabytes, n_threads):
    command = f"encode D.npy X.npy -o new.npy --reg 0.1 --n-threads {n_threads}"
    done = shell(tmp_path, f"ulimit -v {megabytes * 1024}; riata {command}")
    assert done.returncode in (0, 1), done.stderr
    assert (done.returncode == 0) == (tmp_path / "new.npy").exists()
    assert done.stderr == "" if done.returncode == 0 else done.stderr.count("\n") == 1, done.stderr
    assert not leftovers(tmp_path)


# One file ----------------------------------------------------------------------------------------------------------


def other_names(folder, name):
    """Names that stand for folder/name, seen from the folder, which need not exist."""
    (folder / "sub").mkdir()
    (folder / "link").symlink_to(folder)
    (folder / "dangling").symlink_to(name)
    (folder / "far").symlink_to("dangling")
    return [f"./{name}", f"sub/../{name}", str(folder / name), f"link/{name}", "dangling", "far", f".//{name}"]


TWO_OUTPUTS = {
    "trace of learn": ("learn X.npy --n-atoms 5 --reg 0.1 --max-iter 1 -o", "--trace"),
    "checkpoint of learn": ("learn X.npy --n-atoms 5 --reg 0.1 --max-iter 1 -o", "--checkpoint"),
    "trace of train": ("train --kind step --n-layers 2 --reg 0.1 --dictionary D.npy --data X.npy --max-iter 1 -o", "--trace"),
    "checkpoint of train": ("train --kind step --n-layers 2 --reg 0.1 --dictionary D.npy --data X.npy --max-iter 1 -o",
                            "--checkpoint"),
    "model of denoise": ("denoise p.png --dct --sigma 20 -o", "--model-out"),
}


@pytest.mark.parametrize("pair", TWO_OUTPUTS)
def test_two_outputs_on_one_file_are_refused(riata, tmp_path, pair):
    command, option = TWO_OUTPUTS[pair]
    for name in other_names(tmp_path, "a.safetensors"):
        done = riata.run(*command.split(), "a.safetensors", option, name)
        assert done.returncode == 2, name
        assert done.stderr == (f"riata {command.split()[0]}: a.safetensors and {name} are one file; choose another name for one "
                               "of them\n")
        assert not (tmp_path / "a.safetensors").exists()


def test_two_outputs_that_are_hard_links_are_refused(riata, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"old")
    os.link(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    done = riata.run(*"learn X.npy --n-atoms 5 --reg 0.1 -o a.safetensors --trace b.safetensors".split())
    assert done.returncode == 2 and (tmp_path / "a.safetensors").read_bytes() == b"old"


INPUTS = {
    "encode D.npy X.npy --reg 0.1 -o": "X.npy",
    "encode D.npy X.npy --reg 0.1 --n-layers 2 -o": "D.npy",
    "learn D.npy --reg 0.1 --n-atoms 5 --init X.npy -o new.safetensors --trace": "X.npy",
    "learn X.npy --reg 0.1 --n-atoms 5 --reference D.npy -o new.safetensors --checkpoint": "D.npy",
    "train --kind step --n-layers 2 --reg 0.1 --dictionary D.npy --data X.npy -o new.safetensors --trace": "X.npy",
    "train --kind step --n-layers 2 --reg 0.1 --dictionary D.npy --data X.npy -o new.safetensors --checkpoint": "D.npy",
    "denoise p.png --sigma 20 -o": "p.png",
    "denoise p.png --sigma 20 -o new.png --model-out": "p.png",
}


@pytest.mark.parametrize("command", INPUTS)
def test_an_output_on_an_input_is_refused(riata, tmp_path, command):
    name = INPUTS[command]
    before = (tmp_path / name).read_bytes()
    for other in other_names(tmp_path, name):
        done = riata.run(*command.split(), other)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, other
        assert f"output {other} is the input itself" in done.stderr
        assert (tmp_path / name).read_bytes() == before


# Options -----------------------------------------------------------------------------------------------------------


def options_of(command):
    """(flags, {option: type}) as --help lists them."""
    text = subprocess.run([COMMAND, command, "--help"], capture_output=True, text=True, check=True).stdout
    flags, valued = [], {}
    for line in text.splitlines():
        if found := re.match(r"\s+(?:-\w,)?(--[a-z0-9-]+)(?: ([A-Z0-9_|a-z]+))?", line):
            if found[2] is None or not re.match(r"[A-Z]|.*\|", found[2]):
                flags.append(found[1])
            else:
                valued[found[1]] = found[2]
    return [flag for flag in flags if flag != "--help"], valued


COMMANDS = {
    "denoise": "denoise p.png -o new.png",
    "learn": "learn X.npy -o new.safetensors --n-atoms 5 --reg 0.1",
    "encode": "encode D.npy X.npy -o new.npy --reg 0.1",
    "train": "train --kind step --n-layers 2 --reg 0.1 --dictionary D.npy --data X.npy -o new.safetensors",
    "infer": "infer D.npy X.npy -o new.npy",
}
BAD_NUMBERS = ["", " ", "1x", " 1", "0x10", "1e999", "-1e999", "1,5", "nan", "inf", "-inf", "--"]


@pytest.mark.parametrize("command", COMMANDS)
def test_no_option_takes_a_value_for_something_else(tmp_path, command):
    flags, valued = options_of(command)
    assert len(valued) > 2
    files = {path.name for path in tmp_path.iterdir()}
    cases = [f"{flag}={value}" for flag in flags for value in ("-0.1max", "false", "0", "5")]
    cases += [f"{option}=" for option in valued]
    for option, kind in valued.items():
        if kind in ("INT", "FLOAT", "UINT"):
            cases += [f"{option}={value}" for value in BAD_NUMBERS + ["99999999999999999999999", "010"] * (kind != "FLOAT")]
    arguments = COMMANDS[command].split()
    for case in cases:
        name = case.split("=")[0]
        given = [a for i, a in enumerate(arguments) if a != name and (i == 0 or arguments[i - 1] != name)]
        done = subprocess.run([COMMAND, *given, case], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, (case, done.returncode, done.stderr)
    for option in valued:
        done = subprocess.run([COMMAND, *arguments, option, ""], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, (option, done.stderr)
    assert {path.name for path in tmp_path.iterdir()} == files


@pytest.mark.parametrize("command", ["denoise", "learn", "encode", "train", "infer", "info"])
def test_the_example_of_each_help_is_understood(riata, command, tmp_path):
    """It fails only for want of its files."""
    riata.folder = tmp_path / "empty"
    riata.folder.mkdir()
    examples = re.findall(r"Example: riata (.*)", riata(command, "--help"))
    assert examples
    for example in examples:
        done = riata.run(*example.split())
        assert done.returncode == 1 and "No such file" in done.stderr, done.stderr


@pytest.mark.parametrize("flag", ["--layers=3", "--atoms=5", "--threads=1"])
def test_an_old_flag_with_its_value_is_refused_with_the_new_one(riata, flag):
    done = riata.run("learn", "X.npy", "-o", "m.safetensors", flag)
    assert done.returncode == 2 and f"is --n-{flag[2:].split('=')[0]} since riata 0.2" in done.stderr
