"""riata train --kind conv-denoise and riata denoise --network."""

import numpy as np
import pytest
from PIL import Image

import riata as library

SMALL = ("--n-filters", 8, "--kernel-size", 6, "--stride", 3, "--n-layers", 5, "--crop", 31, "--batch-size", 2,
         "--learning-rate", 1e-2)  # fmt: skip


def picture(height, width, phase=0.0):
    i, j = np.mgrid[:height, :width]
    return 120 + 40 * np.sin(0.35 * (i + 2 * j) + phase) + 60.0 * ((i - height / 2) ** 2 + (j - width / 2) ** 2 < 150)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "clean").mkdir()
    for k, size in enumerate([(50, 60), (45, 45), (60, 40)]):
        Image.fromarray(np.rint(picture(*size, k)).astype(np.uint8)).save(tmp_path / "clean" / f"{k}.png")
    clean = picture(51, 48, 0.5)
    noisy = np.clip(np.rint(clean + 25 * np.random.default_rng(1).standard_normal(clean.shape)), 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(tmp_path / "noisy.png")
    Image.fromarray(np.rint(clean).astype(np.uint8)).save(tmp_path / "reference.png")
    return tmp_path


def read(path):
    return np.asarray(Image.open(path))


def test_train_denoise_and_info(riata, folder):
    train = ("train", "clean", "--kind", "conv-denoise", "--sigma", 25, *SMALL, "--max-iter", 300)
    report = trained = riata.json(*train, "-o", "net.safetensors", "--trace", "t.csv")
    assert report["n_iter"] == 300 and report["n_pictures"] == 3 and report["kind"] == "conv-denoise"
    assert (folder / "t.csv").read_text().count("\n") == 301
    pictures = [read(folder / "clean" / f"{k}.png") for k in range(3)]
    model = library.ConvDenoiser(8, 6, 3, n_layers=5, crop=31, batch_size=2, learning_rate=1e-2, max_iter=300).fit(pictures, 25)
    stored = library.load_network(folder / "net.safetensors")
    np.testing.assert_array_equal(stored.kernels_, model.kernels_)

    report = riata.json("denoise", "noisy.png", "-o", "out.png", "--network", "net.safetensors", "--reference", "reference.png")
    assert report["psnr_out"] > report["psnr_in"] + 3 and report["method"] == "network" and report["sigma"] == 25
    np.testing.assert_array_equal(read(folder / "out.png"), model.transform(read(folder / "noisy.png")))
    better = riata.json("denoise", "noisy.png", "-o", "out.png", "--network", "net.safetensors", "--reference", "reference.png",
                        "--shift-average")  # fmt: skip
    assert better["psnr_out"] > report["psnr_out"]
    assert "sigma 20, 8 kernels of 6 x 6" in riata("denoise", "noisy.png", "-o", "o.png", "--network", "net.safetensors", "--sigma", 20)
    assert "conv_denoiser" in riata("info", "net.safetensors")
    other = riata.json("train", *(f"clean/{k}.png" for k in range(3)), *train[2:], "-o", "other.safetensors")
    assert other["value"] == trained["value"]
    assert (folder / "other.safetensors").read_bytes() == (folder / "net.safetensors").read_bytes()


def test_a_run_goes_on_from_its_checkpoint(riata, folder):
    train = ("train", "clean", "--kind=conv-denoise", "--sigma", 25, *SMALL)
    riata(*train, "--max-iter", 9, "-o", "whole.safetensors")
    riata(*train, "--max-iter", 4, "-o", "part.safetensors", "--checkpoint", "c.safetensors")
    riata(*train, "--max-iter", 9, "-o", "resumed.safetensors", "--checkpoint", "c.safetensors", "--resume")
    assert (folder / "resumed.safetensors").read_bytes() == (folder / "whole.safetensors").read_bytes()


@pytest.mark.parametrize("command, sentence", [
    (("train", "clean", "--kind", "conv-denoise"), "--sigma is required"),
    (("train", "--kind", "conv-denoise", "--sigma", 25), "pictures are required"),
    (("train", "clean", "--kind", "conv-denoise", "--sigma", 25), "must have at least the 129 x 129 of --crop"),
    (("train", "empty", "--kind", "conv-denoise", "--sigma", 25), "empty holds no picture"),
    (("train", "bad", "--kind", "conv-denoise", "--sigma", 25, *SMALL), "bad/x.png"),
    (("denoise", "noisy.png", "--network", "net.safetensors", "--n-atoms", 5), "--n-atoms is for dictionaries learned from the picture"),
    (("denoise", "noisy.png", "--shift-average"), "--shift-average is for --network"),
    (("denoise", "noisy.png", "--network", "model.safetensors"), "model.safetensors holds a dictionary, expected a convolutional"),
])  # fmt: skip
def test_bad_input_gets_a_sentence(riata, folder, command, sentence):
    (folder / "empty").mkdir()
    (folder / "bad").mkdir()
    (folder / "bad" / "x.png").write_bytes(b"no picture")
    library.save_model(folder / "model.safetensors", np.eye(4))
    done = riata.run(*command, "-o", "out.png" if command[0] == "denoise" else "out.safetensors")
    assert done.returncode in (1, 2) and sentence in done.stderr and done.stderr.count("\n") == 1
    assert not (folder / "out.png").exists() and not (folder / "out.safetensors").exists()
