"""Each bad input gives its one sentence on stderr and its exit code, prints nothing else and leaves nothing behind.

2: wrong usage or bad data; 1: the world failed.
"""

import os

import numpy as np
import pytest
from PIL import Image

LEARN = "learn X.npy -o new.safetensors --n-atoms 5 --reg 0.1 "
ENCODE = "encode D.npy X.npy -o new.npz --reg 0.1 "
DENOISE = "denoise p.png -o new.png --sigma 25 "
TRAIN = "train --kind step --n-layers 3 --reg 0.1 --dictionary D.npy --data X.npy -o new.safetensors "
INFER = "infer net.safetensors X.npy -o new.npy "

CASES = [
    # usage
    ("", 2, "a command is required: denoise, learn, encode, train, infer or info (riata --help tells more)"),
    ("learn X.npy -o new.safetensors --n-atoms 5", 2, "--reg is required"),
    ("learn -o new.safetensors --n-atoms 5 --reg 1", 2, "IN is required"),
    ("learn X.npy --n-atoms 5 --reg 1", 2, "--output is required"),
    ("learn X.npy -o new.safetensors --reg 1", 2, "--n-atoms is required unless --init names a file"),
    (LEARN + "--foo", 2, "The following argument was not expected: --foo"),
    (LEARN + "--n-layers many", 2, "Could not convert: --n-layers = many"),
    (LEARN + "--n-layers 2.5", 2, "Could not convert: --n-layers = 2.5"),
    (DENOISE + "--seed -1", 2, "seed = '-1', must be an integer from 0 to 18446744073709551615"),
    # learn: numbers and choices
    (LEARN.replace("0.1", "0"), 2, "reg = 0, must be > 0 and finite"),
    (LEARN.replace("0.1", "-1"), 2, "reg = -1, must be > 0 and finite"),
    (LEARN.replace("0.1", "nan"), 2, "reg = nan, must be > 0 and finite"),
    (LEARN.replace("0.1", "much"), 2, "reg = 'much' is neither a number nor a fraction of reg_max such as 0.1max"),
    (LEARN.replace("5", "0"), 2, "n_atoms = 0, must be >= 1"),
    (LEARN.replace("5", "9000000000000"), 2, "n_atoms = 9000000000000 with 16 features does not fit in memory"),
    (LEARN + "--n-layers 0", 2, "n_layers = 0, must be between 1 and 1000000"),
    (LEARN + "--method magic", 2,
     "method = 'magic', must be 'unrolled', 'alternating', 'truncated', 'alternating_exact', 'stochastic', 'online', 'pudle_dec', 'pudle_lasso', 'pudle_ls', 'noodl', 'mod', 'ksvd', 'aksvd', 'arora', 'arora_unbiased' or 'admm'"),
    (LEARN + "--method ksvd", 2, "method 'ksvd' needs n_nonzero, the atoms of a code"),
    (LEARN + "--method ksvd --n-nonzero 2", 2, "method 'ksvd' takes n_nonzero, the atoms of a code, and no reg"),
    (LEARN + "--n-nonzero 2", 2, "n_nonzero is for 'mod', 'ksvd' and 'aksvd', not for 'unrolled'"),
    (LEARN + "--method truncated", 2, "method 'truncated' needs backprop, the layers to keep"),
    (LEARN + "--method truncated --backprop 21", 2, "backprop = 21, must be between 0 and n_layers = 20"),
    (LEARN + "--backprop 3", 2, "backprop is for method 'truncated' alone"),
    (LEARN + "--method alternating --learn-steps", 2,
     "learn_steps needs a method that differentiates layers ('unrolled', 'truncated' or 'stochastic')"),
    (LEARN + "--method alternating_exact --loss least_squares", 2,
     "loss = 'least_squares' needs unrolled layers; 'alternating_exact' minimises the lasso loss"),
    (LEARN + "--algorithm newton", 2, "algorithm = 'newton', must be 'fista' or 'ista'"),
    (LEARN + "--constraint none", 2, "constraint = 'none', must be 'unit_sphere', 'unit_ball' or 'non_negative'"),
    (LEARN + "--init zeros", 2, "init = 'zeros', must be 'data', 'random' or 'dct'"),
    (LEARN + "--dtype float16", 2, "dtype = 'float16', must be 'float32' or 'float64'"),
    (LEARN + "--max-iter 0", 2, "max_iter = 0, must be >= 1"),
    (LEARN + "--tol -1", 2, "tol = -1, must be >= 0 and finite"),
    (LEARN + "--max-time 0", 2, "max_time = 0, must be > 0 seconds"),
    (LEARN + "--n-threads -2", 2, "n_threads = -2, must be >= 0 (0 means all cores)"),
    (LEARN + "--resume", 2, "resume needs the path of a checkpoint"),
    (LEARN + "--checkpoint new.c --checkpoint-every 0", 2, "checkpoint_every = 0, must be >= 1"),
    # learn: files
    (LEARN.replace("X.npy", "missing.npy"), 1, "cannot read missing.npy: No such file or directory"),
    (LEARN.replace("X.npy", "folder.npy"), 1, "cannot read folder.npy: Is a directory"),
    (LEARN.replace("X.npy", "nan.npy"), 2, "nan.npy: the array holds nan at signal 3, feature 2; expected finite numbers"),
    (LEARN.replace("X.npy", "inf.npy"), 2, "inf.npy: the array holds -inf at signal 0, feature 15; expected finite numbers"),
    (LEARN.replace("X.npy", "empty.npy"), 2, "empty.npy has shape (0, 16); expected at least one row and one column"),
    (LEARN.replace("X.npy", "vector.npy"), 2, "vector.npy has 1 dimension; expected 2: (n_signals, n_features)"),
    (LEARN.replace("X.npy", "cube.npy"), 2, "cube.npy has 3 dimensions; expected 2: (n_signals, n_features)"),
    (LEARN.replace("X.npy", "objects.npy"), 2,
     "objects.npy holds Python objects; expected float32, float64 or integers (convert with numpy.astype)"),
    (LEARN.replace("X.npy", "huge.npy"), 2, "huge.npy has the impossible shape (4611686018427387904, 16)"),
    (LEARN.replace("X.npy", "uncountable.npy"), 2, "uncountable.npy has a dimension too large to count"),
    (LEARN.replace("X.npy", "cut.npy"), 2, "cut.npy is truncated: header promises 6400 bytes, file holds 6300"),
    (LEARN.replace("X.npy", "text.npy"), 2, "text.npy is not an .npy file"),
    (LEARN.replace("X.npy", "text.txt"), 2, "text.txt is not a PNG, JPEG or TIFF image"),
    (LEARN.replace("X.npy", "two.npz"), 2, "two.npz holds several arrays (a, b); choose one, as in two.npz:a"),
    (LEARN.replace("X.npy", "two.npz:c"), 2, "two.npz has no array 'c'; it holds: a, b"),
    (LEARN.replace("X.npy", "cut.npz"), 2, "cut.npz is not a zip archive, or is truncated"),
    (LEARN.replace("X.npy", "X.npy X32.npy"), 2, "X32.npy is float32 but X.npy is float64; they must be equal"),
    (LEARN.replace("X.npy", "X.npy wide.npy"), 2, "wide.npy has 17 features but X.npy has 16; they must be equal"),
    (LEARN.replace("X.npy", "X.npy p.png"), 2, "arrays and pictures cannot be mixed in one run"),
    (LEARN.replace("X.npy", "zeros.npy").replace("0.1", "0.1max"), 2,
     "reg: reg_max of the batch is 0 (all signals are zero), so a fraction of it is no weight"),
    (LEARN.replace("X.npy", "p.png") + "--patch 49", 2, "the image is 48 x 48 pixels, smaller than a patch of 49 x 49"),
    (LEARN.replace("X.npy", "p.png") + "--patch 0", 2, "patch = 0, must be >= 1"),
    (LEARN.replace("X.npy", "p.png") + "--max-patches 0", 2, "max_patches = 0, must be >= 1"),
    (LEARN + "--init D.npy", 2, "--n-atoms 5 but D.npy holds 24 atoms; they must be equal"),
    ("learn X32.npy -o new.safetensors --reg 0.1 --init D.npy", 2,
     "D.npy is float64 but the signals are float32; they must be equal (convert one with numpy.astype)"),
    ("learn X.npy -o new.safetensors --reg 0.1 --init wide.npy", 2,
     "learn_dictionary: init has 17 features but the signals have 16; they must be equal"),
    (LEARN + "--reference wide.npy", 2, "wide.npy has 17 features but the signals have 16; they must be equal"),
    (LEARN + "--checkpoint other.ckpt --resume", 2,
     "checkpoint other.ckpt belongs to another run: it was made with n_atoms = 6, this run has 5"),
    (LEARN + "--checkpoint model.safetensors --resume", 2, "checkpoint model.safetensors: not a riata checkpoint"),
    (LEARN + "--checkpoint cut.ckpt --resume", 2, None),
    # outputs
    (LEARN.replace("new.", "nowhere/new."), 1, "cannot write nowhere/new.safetensors: No such file or directory"),
    (LEARN.replace("new.", "text.txt/new."), 1, "cannot write text.txt/new.safetensors: Not a directory"),
    (LEARN.replace("new.safetensors", "folder.npy"), 1, "cannot write folder.npy: Is a directory"),
    (LEARN.replace("new.", "full."), 1, "cannot write full.safetensors: No space left on device"),
    (LEARN.replace("new.safetensors", "new.bin"), 2,
     "new.bin has the extension '.bin'; models are written as .safetensors"),
    (LEARN.replace("new.safetensors", "X.npy"), 2, "output X.npy is the input itself; choose another name"),
    (LEARN.replace("new.safetensors", "link.safetensors"), 2,
     "output link.safetensors is the input itself; choose another name"),
    (LEARN + "--trace new.safetensors", 2,
     "new.safetensors and new.safetensors are one file; choose another name for one of them"),
    (LEARN + "--trace nowhere/t.csv", 1, "cannot write nowhere/t.csv: No such file or directory"),
    # encode
    ("encode D.npy X.npy -o new.npz", 2, "--reg is required: D.npy does not say with which weight it was learned"),
    (ENCODE.replace("0.1", "-1max"), 2, "reg = -1, must be > 0 and finite"),
    (ENCODE.replace("new.npz", "new.txt"), 2, "new.txt has the extension '.txt'; codes are written as .npy or .npz"),
    (ENCODE + "--method ksvd", 2,
     "method = 'ksvd', must be 'auto', 'ista', 'fista', 'oista', 'backtracking', 'cd' or 'lars'"),
    (ENCODE + "--method lars --n-layers 3", 2, "method = 'lars' has no layers; with --n-layers choose 'ista' or 'fista'"),
    (ENCODE + "--penalty ridge", 2, "penalty = 'ridge', must be 'l1', 'elastic_net', 'group' or 'l0'"),
    (ENCODE + "--penalty elastic_net --l1-ratio 2", 2, "l1_ratio = 2, must be > 0 and <= 1"),
    (ENCODE + "--l1-ratio 0.5", 2, "l1_ratio is for the penalty 'elastic_net', not for 'l1'"),
    (ENCODE + "--penalty group", 2, "penalty = 'group' needs groups, one label >= 0 per atom"),
    (ENCODE + "--penalty group --groups X.npy", 2, "X.npy has 2 dimensions; expected 1: (n_atoms,)"),
    (ENCODE + "--penalty group --groups halves.npy", 2, "halves.npy: entry 1 is 0.5, must be an integer"),
    (ENCODE + "--penalty group --groups p.png", 2, "p.png is no array (.npy, .npz)"),
    (ENCODE + "--weights X.npy", 2, "X.npy has the shape (50, 16), expected (24,), one per group, or (n_signals, 24)"),
    (ENCODE + "--weights D.npy", 2, "D.npy has the shape (24, 16), expected (24,), one per group, or (n_signals, 24)"),
    (ENCODE + "--weights none.npy", 2, "none.npy holds no weights"),
    (ENCODE + "--weights p.png", 2, "p.png is no array (.npy, .npz)"),
    (ENCODE + "--penalty l0 --positive", 2, "positive is for the penalties 'l1', 'elastic_net' and 'group', not for 'l0'"),
    (ENCODE + "--penalty l0 --method cd", 2, "method = 'cd' does not fit penalty = 'l0'; choose one of 'auto', 'ista'"),
    (ENCODE + "--momentum heavy", 2, "momentum = 'heavy', must be 'beck_teboulle', 'chambolle_dossal' or 'greedy'"),
    (ENCODE + "--restart yes", 2, "restart = 'yes', must be 'gradient', 'objective' or 'never'"),
    (ENCODE + "--method cd --n-layers 3", 2, "method = 'cd' has no layers; with --n-layers choose 'ista' or 'fista'"),
    (ENCODE.replace("X.npy", "X32.npy"), 2,
     "D.npy is float64 but the signals are float32; they must be equal (convert one with numpy.astype)"),
    (ENCODE.replace("X.npy", "wide.npy"), 2,
     "wide.npy has 17 features but the atoms of D.npy have 16; they must be equal"),
    (ENCODE.replace("D.npy", "vector.npy"), 2, "vector.npy has 1 dimension; expected 2: (n_atoms, n_features)"),
    (ENCODE.replace("D.npy", "wide.npy").replace("X.npy", "p.png"), 2,
     "wide.npy has atoms of 17 features, which are no square patches of a picture"),
    (ENCODE.replace("D.npy", "text.txt"), 2, "text.txt is neither a model (.safetensors) nor an array (.npy, .npz)"),
    (ENCODE.replace("D.npy", "future.safetensors"), 2,
     "future.safetensors has model format version 2; this riata reads version 1 (update riata)"),
    (ENCODE.replace("D.npy", "foreign.safetensors"), 2, "foreign.safetensors is not a riata model"),
    (ENCODE.replace("D.npy", "hollow.safetensors"), 2, "hollow.safetensors: tensor 'dictionary' is missing"),
    (ENCODE.replace("D.npy", "cut.safetensors"), 2, None),
    (ENCODE.replace("D.npy", "short.safetensors"), 2, "short.safetensors is not a safetensors file: it holds 5 bytes"),
    (ENCODE.replace("D.npy", "stepped.safetensors") + "--n-layers 4", 2,
     "steps: 3 entries for 4 layers; they must be equal"),
    # denoise
    (DENOISE.replace("25", "-1"), 2, "sigma = -1, must be > 0 and finite"),
    (DENOISE.replace("25", "inf"), 2, "sigma = inf, must be > 0 and finite"),
    (DENOISE.replace("25", "-1 --mask p.png"), 2, "sigma = -1, must be >= 0 and finite"),
    (DENOISE + "--mask none.png", 1, "cannot read none.png: No such file or directory"),
    (DENOISE + "--reg 0", 2, "reg = 0, must be > 0 and finite"),
    (DENOISE + "--n-atoms 0", 2, "n_atoms = 0, must be between 1 and 65536"),
    (DENOISE + "--patch 1", 2, "patch = 1, must be between 2 and 64"),
    (DENOISE + "--patch 50", 2, "the picture is 48 x 48 pixels, smaller than a patch of 50 x 50"),
    (DENOISE + "--n-layers -3", 2, "n_layers = -3, must be between 1 and 1000000"),
    (DENOISE + "--max-time -1", 2, "max_time = -1, must be > 0 seconds"),
    (DENOISE + "--method truncated", 2, "method = 'truncated', must be 'unrolled' or 'alternating'"),
    (DENOISE + "--method magic", 2, "method = 'magic', must be 'unrolled' or 'alternating'"),
    (DENOISE + "--reference small.png", 2,
     "psnr: the picture is 48 x 48 with 1 channels, the reference 20 x 20 with 1; they must be equal"),
    (DENOISE.replace("p.png", "missing.png"), 1, "cannot read missing.png: No such file or directory"),
    (DENOISE.replace("p.png", "cut.png"), 2, "cut.png is not a readable PNG: Read Error (truncated?)"),
    (DENOISE.replace("p.png", "X.npy"), 2, "X.npy is not a PNG, JPEG or TIFF image"),
    (DENOISE.replace("new.png", "p.png"), 2, "output p.png is the input itself; choose another name"),
    (DENOISE.replace("new.png", "link.png"), 2, "output link.png is the input itself; choose another name"),
    (DENOISE.replace("new.png", "nowhere/new.png"), 1, "cannot write nowhere/new.png: No such file or directory"),
    (DENOISE.replace("new.png", "full.png") + "--dct --n-atoms 64", 1, "cannot write full.png: No space left on device"),
    (DENOISE.replace("new.png", "new.gif"), 2,
     "new.gif has the extension '.gif'; images are written as .png, .jpg, .jpeg, .tif or .tiff"),
    (DENOISE.replace("p.png", "deep.png").replace("new.png", "new.jpg"), 2,
     "new.jpg: a JPEG holds neither 16 bits nor alpha; write .png or .tif"),
    (DENOISE + "--model-out new.npz", 2, "new.npz has the extension '.npz'; models are written as .safetensors"),
    # train
    (TRAIN.replace("--kind step ", ""), 2, "--kind is required unless --init names a network"),
    (TRAIN.replace("--n-layers 3 ", ""), 2, "--n-layers is required unless --init names a network"),
    (TRAIN.replace("--dictionary D.npy ", ""), 2, "--dictionary is required unless --init names a network"),
    (TRAIN.replace("--data X.npy ", ""), 2, "--data is required"),
    (TRAIN.replace("--reg 0.1 ", ""), 2, "--reg is required: D.npy does not say with which weight it was learned"),
    (TRAIN.replace("step", "deep"), 2, "kind = 'deep', must be one of alista, coupled, facnet, first_step, fista, group, hessian, "
     "iht, lamp, lista, step, tied"),
    (TRAIN.replace("--n-layers 3", "--n-layers 0"), 2, "n_layers = 0, must be between 1 and 10000"),
    (TRAIN.replace("0.1", "0.1*mox"), 2, "reg = '0.1*mox' is neither a number nor a fraction of reg_max such as 0.1max"),
    (TRAIN.replace("X.npy", "X32.npy"), 2,
     "D.npy is float64 but the signals are float32; they must be equal (convert one with numpy.astype)"),
    (TRAIN.replace("X.npy", "wide.npy"), 2, "wide.npy has 17 features but the atoms of D.npy have 16; they must be equal"),
    (TRAIN.replace("X.npy", "missing.npy"), 1, "cannot read missing.npy: No such file or directory"),
    (TRAIN.replace("new.safetensors", "new.bin"), 2,
     "new.bin has the extension '.bin'; networks are written as .safetensors or .npz"),
    (TRAIN.replace("new.safetensors", "full.safetensors") + "--max-iter 1", 1, "cannot write full.safetensors: No space left on device"),
    (TRAIN + "--threshold atom", 2, "threshold = 'atom', must be 'scalar' for the kind 'step'"),
    (TRAIN + "--support-selection 5 30", 2, "support_selection is given, but the kind 'step' has none; coupled, tied and alista do"),
    (TRAIN + "--groups X.npy", 2, "X.npy has 2 dimensions; expected 1: (n_atoms,)"),
    (TRAIN + "--loss lasso", 2, "loss = 'lasso', must be 'unsupervised', 'supervised' or 'semi'"),
    (TRAIN + "--loss supervised", 2, "loss = 'supervised' needs targets, one code per signal"),
    (TRAIN + "--loss supervised --targets vector.npy", 2, "vector.npy has 1 dimension; expected 2: (n_signals, n_atoms)"),
    (TRAIN + "--loss supervised --targets X.npy", 2, "targets have shape (50, 16), expected (50, 24)"),
    (TRAIN + "--mode all", 2, "mode = 'all', must be 'oneshot', 'recursive' or 'greedy'"),
    (TRAIN + "--optimizer sgd", 2, "optimizer = 'sgd', must be 'backtracking' or 'adam'"),
    (TRAIN + "--batch-size 5", 2, "batch_size is for optimizer = 'adam' alone"),
    (TRAIN + "--max-iter -1", 2, "max_iter = -1, must be >= 1"),
    (TRAIN + "--max-iter 0", 2, "--max-iter 0 writes the network where it starts and reads no data; leave out --data"),
    (TRAIN.replace("--data X.npy ", "").replace("0.1", "0.1max") + "--max-iter 0", 2,
     "--max-iter 0 reads no signals, so --reg must be a number"),
    (TRAIN + "--max-time 0", 2, "max_time = 0, must be > 0 seconds"),
    (TRAIN + "--n-threads -2", 2, "n_threads = -2, must be >= 0 (0 means all cores)"),
    (TRAIN + "--resume", 2, "resume needs the path of a checkpoint"),
    (TRAIN + "--init net.safetensors", 2, "--kind is that of net.safetensors; leave it out"),
    (TRAIN + "--init X.npy", 2, "X.npy is neither a network (.safetensors) nor its arrays (.npz)"),
    (TRAIN + "--init two.npz", 2, "two.npz: a network of kind 'step' with 3 layers has no 'a'"),
    ("train --init model.safetensors --data X.npy -o new.safetensors", 2, "model.safetensors holds a dictionary, expected a network"),
    ("train --init net.safetensors --data X.npy -o net.safetensors", 2, "output net.safetensors is the input itself; choose another name"),
    # infer
    (INFER.replace("net.", "start."), 2, "--reg is required: start.safetensors was not trained"),
    (INFER.replace("net.", "model."), 2, "model.safetensors holds a dictionary, expected a network"),
    (INFER.replace("net.", "missing."), 1, "cannot read missing.safetensors: No such file or directory"),
    (INFER.replace("X.npy", "wide.npy"), 2, "wide.npy has 17 features but the atoms of net.safetensors have 16; they must be equal"),
    (INFER.replace("X.npy", "X32.npy"), 2,
     "net.safetensors is float64 but the signals are float32; they must be equal (convert one with numpy.astype)"),
    (INFER.replace("new.npy", "new.txt"), 2, "new.txt has the extension '.txt'; codes are written as .npy or .npz"),
    (INFER + "--n-layers 4", 2, "n_layers = 4, must be between 1 and the network's 3"),
    (INFER + "--reg 0", 2, "reg = 0, must be > 0 and finite"),
    (INFER + "--finish -1", 2, "finish = -1, must be >= 0 and finite"),
    (INFER + "--finish nan", 2, "finish = nan, must be >= 0 and finite"),
    (INFER + "--n-threads -1", 2, "n_threads = -1, must be >= 0 (0 means all cores)"),
    # info
    ("info missing.npy", 1, "cannot read missing.npy: No such file or directory"),
    ("info X.npy text.txt", 2, "text.txt is not a PNG, JPEG or TIFF image"),
]


def npy(path, shape, data=b"", descr="<f8"):
    """An .npy file whose header says what it likes."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data)


def spoilt(X, row, column, value):
    X = X.copy()
    X[row, column] = value
    return X


@pytest.fixture(scope="module")
def folder(tmp_path_factory, planted, photograph, safetensors):
    here = tmp_path_factory.mktemp("bad")
    X, D = planted[0][:50], planted[1]
    arrays = {"X": X, "X32": X.astype(np.float32), "D": D, "nan": spoilt(X, 3, 2, np.nan), "inf": spoilt(X, 0, 15, -np.inf),
              "empty": X[:0], "vector": X[0], "cube": X[None], "wide": np.ones((4, 17)),
              "zeros": np.zeros((9, 16)), "none": X[0, :0], "halves": np.arange(24) / 2, "objects": np.array([[None] * 16])}
    for name, array in arrays.items():
        np.save(here / f"{name}.npy", array)
    (here / "cut.npy").write_bytes((here / "X.npy").read_bytes()[:-100])
    npy(here / "huge.npy", (2**62, 16))
    npy(here / "uncountable.npy", (2**70, 16))
    for name in ("text.npy", "text.txt"):
        (here / name).write_text("no data here\n")
    (here / "folder.npy").mkdir()
    np.savez(here / "two.npz", a=X, b=X)
    (here / "cut.npz").write_bytes((here / "two.npz").read_bytes()[:500])

    Image.fromarray(photograph).save(here / "p.png")
    Image.fromarray(photograph[:20, :20]).save(here / "small.png")
    Image.fromarray(photograph.astype(np.uint16) * 257).save(here / "deep.png")
    (here / "cut.png").write_bytes((here / "p.png").read_bytes()[:700])
    (here / "link.png").symlink_to("p.png")
    (here / "link.safetensors").symlink_to("X.npy")
    for name in ("full.png", "full.safetensors"):
        (here / name).symlink_to("/dev/full")

    good = {"format": "riata", "format_version": "1", "kind": "dictionary"}
    models = {"model": ({"dictionary": D}, good), "future": ({"dictionary": D}, good | {"format_version": "2"}),
              "foreign": ({"dictionary": D}, {}), "hollow": ({"atoms": D}, good),
              "stepped": ({"dictionary": D, "steps": np.ones(3)}, good)}
    for name, (tensors, metadata) in models.items():
        safetensors.write(here / f"{name}.safetensors", tensors, metadata)
    (here / "cut.safetensors").write_bytes((here / "model.safetensors").read_bytes()[:-9])
    (here / "short.safetensors").write_bytes(b"12345")
    return here


@pytest.fixture(scope="module")
def bad_riata(folder, riata_in):
    from_here = riata_in(folder)
    learn = ("learn", "X.npy", "-o", "other.safetensors", "--n-atoms", 6, "--reg", 0.1, "--max-iter", 2)
    from_here(*learn, "--checkpoint", "other.ckpt")
    network = ("train", "--kind", "step", "--n-layers", 3, "--dictionary", "D.npy")
    from_here(*network, "--data", "X.npy", "--reg", 0.1, "--max-iter", 1, "-o", "net.safetensors")
    from_here(*network, "--max-iter", 0, "-o", "start.safetensors")
    (folder / "cut.ckpt").write_bytes((folder / "other.ckpt").read_bytes()[:-9])
    return from_here


def contents(folder):
    return {f.name: os.lstat(f).st_mtime_ns for f in folder.iterdir()}


@pytest.mark.parametrize("command, code, sentence", CASES, ids=[case[0] or "nothing" for case in CASES])
def test_one_sentence_one_code_and_nothing_left_behind(bad_riata, folder, command, code, sentence):
    before = contents(folder)
    done = bad_riata.run(*command.split())
    if sentence is None:  # where in the file it is cut decides the words
        assert done.stderr.startswith(f"riata {command.split()[0]}: cut.") and " is truncated" in done.stderr
        assert done.stderr.count("\n") == 1
    else:
        assert done.stderr == f"riata{' ' * bool(command)}{command.split(' ')[0]}: {sentence}\n"
    assert done.returncode == code
    assert done.stdout == ""
    assert contents(folder) == before


def test_output_that_cannot_be_printed_is_a_failure(bad_riata):
    with open("/dev/full", "w") as full:
        done = bad_riata.run("info", stdout=full)
    assert done.returncode == 1 and done.stderr == "riata info: cannot write to standard output\n"


def test_an_unknown_command_is_named(bad_riata):
    done = bad_riata.run("clean")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "riata: The following argument was not expected: clean\n"
