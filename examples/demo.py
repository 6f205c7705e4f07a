"""The demo: a photograph, noise, and the dictionary that riata learns from the noisy picture alone to clean it.

Writes noisy.png, denoised.png, dictionary.png and comparison.png into build/demo.
"""

import argparse
import time
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

import riata

matplotlib.use("Agg")  # files only: no screen needed
import matplotlib.pyplot as plt  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


def add_noise(image, sigma, seed=0):
    """Gaussian noise of standard deviation sigma, rounded to the 8 bits that a noisy PNG holds."""
    noisy = image + sigma * np.random.default_rng(seed).standard_normal(image.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def compare(pictures, path):
    """Pictures side by side, each under its title."""
    figure, axes = plt.subplots(1, len(pictures), figsize=(5 * len(pictures), 5.4), layout="constrained")
    for axis, (title, picture) in zip(axes, pictures.items()):
        axis.imshow(picture, cmap="gray", interpolation="nearest")
        axis.set_title(title)
        axis.set_axis_off()
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", nargs="?", default=ROOT / "examples/images/camera.png")
    parser.add_argument("--sigma", type=float, default=25.0, help="standard deviation of the noise (of 255)")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "build/demo", help="folder of the pictures")
    args = parser.parse_args()

    clean = np.asarray(Image.open(args.image))
    noisy = add_noise(clean, args.sigma)
    print(f"learning a dictionary from the noisy picture ({clean.shape[1]} x {clean.shape[0]}, sigma {args.sigma:g}) ...",
          flush=True)
    start = time.perf_counter()
    result = riata.denoise(noisy, sigma=args.sigma, reference=clean, random_state=0)
    seconds = time.perf_counter() - start

    denoised = np.clip(np.rint(result.image), 0, 255).astype(np.uint8)
    by_contrast = np.argsort(-result.dictionary.std(axis=1), kind="stable")
    atoms = (riata.plot.mosaic(result.dictionary[by_contrast]) + 1) / 2
    args.output.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noisy).save(args.output / "noisy.png")
    Image.fromarray(denoised).save(args.output / "denoised.png")
    pixels = Image.fromarray((255 * atoms).astype(np.uint8))
    pixels.resize((4 * pixels.width, 4 * pixels.height), Image.Resampling.NEAREST).save(args.output / "dictionary.png")
    compare({f"noisy, {result.psnr_in:.2f} dB": noisy, f"denoised, {result.psnr_out:.2f} dB": denoised, "clean": clean,
             f"the {len(result.dictionary)} atoms learned": atoms}, args.output / "comparison.png")

    print(f"PSNR {result.psnr_in:.2f} dB -> {result.psnr_out:.2f} dB in {seconds:.0f} s")
    for name in ("noisy", "denoised", "dictionary", "comparison"):
        print(args.output / f"{name}.png")


if __name__ == "__main__":
    main()
