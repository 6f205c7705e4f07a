"""Pictures of which half of the pixels, chosen at random, are missing: filled by ``riata.denoise(mask=)``, beside interpolation.

No noise. The peers are SciPy's griddata (linear and cubic; the nearest known pixel outside the triangles) and scikit-image's
inpaint_biharmonic; what they reach on Set12 with seed 0 is stored (peers.csv), so that scikit-image is needed for other seeds and
sizes alone, and left out where it is not installed. All pictures are rounded to 8 bits.
``--size paper`` takes the twelve pictures of Set12 from $RIATA_DATA (default ../shared/data), which riata may not ship; ``small``
takes crops of 128 x 128 of photographs that come with riata, ``tiny`` one of 48 x 48.

Claims checked: the mean PSNR is at least 2 dB above that of the best interpolation (1 dB on the crops, which hold less to learn
from); known pixels keep their value.
"""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path

import numpy as np
from scipy.interpolate import griddata

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from pictures import set12_or_crops  # noqa: E402
from reproduction import Reproduction, column  # noqa: E402

import riata  # noqa: E402

CROPS = {"coins.png": (100, 150), "camera.png": (60, 200), "ascent.png": (300, 200)}
PEERS = ("linear", "cubic", "biharmonic")


def interpolations(picture: np.ndarray, known: np.ndarray) -> dict[str, np.ndarray]:
    """Of the known pixels, by each of the peers that are installed."""
    here, there = np.argwhere(known), np.argwhere(~known)
    nearest = griddata(here, picture[known], there, "nearest")
    filled = {name: picture.astype(float) for name in ("linear", "cubic")}
    for name, image in filled.items():
        values = griddata(here, picture[known], there, name)
        image[~known] = np.where(np.isnan(values), nearest, values)
    try:
        from skimage.restoration import inpaint_biharmonic
    except ImportError:
        return filled
    return filled | {"biharmonic": 255 * inpaint_biharmonic(np.where(known, picture, 0) / 255, ~known)}


def rounded(image: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def stored_peers(experiment: Reproduction) -> dict[str, dict[str, float]]:
    if not experiment.paper_size or experiment.seed != 0:
        return {}
    with (Path(__file__).parent / "peers.csv").open(newline="") as file:
        return {row["picture"]: {name: float(row[name]) for name in PEERS} for row in csv.DictReader(file)}


def main() -> None:
    experiment = Reproduction(__file__, __doc__.splitlines()[0])
    stored, rows, shown, keeps = stored_peers(experiment), [], None, True
    side = 48 if experiment.size == "tiny" else 128
    for index, (name, clean) in enumerate(set12_or_crops(experiment, CROPS, side)):
        known = np.random.default_rng(2000 + index + experiment.seed).random(clean.shape) < 0.5
        begin = time.perf_counter()
        filled = riata.denoise(np.where(known, clean, 0).astype(np.uint8), mask=known).image
        seconds = time.perf_counter() - begin
        keeps = keeps and np.array_equal(filled[known], clean[known])
        peers = stored.get(name)
        if peers is None or shown is None:
            images = {peer: rounded(image) for peer, image in interpolations(clean, known).items()}
            peers = peers or {peer: riata.psnr(image, clean) for peer, image in images.items()}
            shown = shown or {"known": np.where(known, clean, 0), "cubic": images["cubic"], "riata": filled, "clean": clean}
        rows.append({"picture": name, "height": clean.shape[0], "width": clean.shape[1]} | peers
                    | {"riata": riata.psnr(filled, clean), "seconds": seconds})
        print("  ".join(f"{key} {value:.2f}" if isinstance(value, float) else str(value) for key, value in rows[-1].items()),
              flush=True)
        experiment.write_rows("filling.csv", rows, quiet=True)

    means = {name: float(np.mean(column(rows, name))) for name in (*PEERS, "riata") if name in rows[0]}
    print("  mean PSNR: " + ", ".join(f"{name} {value:.2f} dB" for name, value in means.items()))
    best = max(PEERS, key=lambda name: means.get(name, -np.inf))
    gain, least = means["riata"] - means[best], 2.0 if experiment.paper_size else 1.0
    experiment.claim(f"{gain:.2f} dB >= {least} above {best} interpolation in the mean", gain >= least)
    experiment.claim("known pixels keep their value", keeps)
    draw(experiment, rows, shown)
    experiment.finish()


def draw(experiment: Reproduction, rows: list[dict], shown: dict[str, np.ndarray]) -> None:
    figure, axes = experiment.subplots(1, 5, figsize=(14, 3), width_ratios=[1.6, 1, 1, 1, 1])
    positions = np.arange(len(rows))
    for name, marker in zip((*PEERS, "riata"), "v^so"):
        if name in rows[0]:
            axes[0].plot(positions, column(rows, name), marker, ms=5, label=name)
    axes[0].set_xticks(positions, [row["picture"] for row in rows], rotation=90, fontsize=7)
    axes[0].set_ylabel("PSNR (dB)")
    axes[0].legend(frameon=False, fontsize=7)
    axes[0].grid(alpha=0.3)
    for axis, (name, image) in zip(axes[1:], shown.items()):
        axis.imshow(image, cmap="gray", vmin=0, vmax=255)
        axis.set_title(name, fontsize=9)
        axis.set_axis_off()
    experiment.save_figure(figure, "filling.png")


if __name__ == "__main__":
    main()
