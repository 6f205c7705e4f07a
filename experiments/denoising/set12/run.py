"""Denoising at sigma = 25 with the command's defaults, picture by picture, against an overcomplete DCT in the same code.

The noisy pictures are 8-bit PNGs (rounded, clipped), noise seed 1000 + index; the PSNR is of the PNG that the command writes.
``--size small`` takes 256 x 256 crops of photographs that come with riata, ``tiny`` one of 96 x 96.
``--size paper`` takes the twelve pictures of Set12 and the first 34 of BSD68 from $RIATA_DATA (default ../shared/data), which riata may not ship; it skips what is not there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from reproduction import Reproduction  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
COMMAND = ROOT / "build" / "release" / "riata"
SIGMA = 25
PUBLISHED = {"TI-DCT 8x8": 28.76, "K-SVD": 29.2, "BM3D": 29.97}  # Set12, sigma = 25, dB


def denoise(clean: np.ndarray, seed: int, *options: str) -> dict:
    noisy = np.clip(np.rint(clean + SIGMA * np.random.default_rng(seed).standard_normal(clean.shape)), 0, 255)
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: str(Path(folder) / f"{name}.png") for name in ("clean", "noisy", "out")}
        Image.fromarray(clean).save(paths["clean"])
        Image.fromarray(noisy.astype(np.uint8)).save(paths["noisy"])
        done = subprocess.run([COMMAND, "denoise", paths["noisy"], "-o", paths["out"], "--sigma", str(SIGMA), "--reference",
                               paths["clean"], "--json", *options], capture_output=True, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1])


def pictures(experiment: Reproduction) -> dict[str, list[tuple[str, np.ndarray]]]:
    if not experiment.paper_size:
        shipped, side = [], 96 if experiment.size == "tiny" else 256
        chosen = (("camera.png", (60, 130)), ("coins.png", (20, 60)))
        for name, corner in chosen[:1] if side == 96 else chosen:
            picture = np.asarray(Image.open(ROOT / "examples" / "images" / name))
            shipped.append((name, picture[corner[0]:corner[0] + side, corner[1]:corner[1] + side]))
        return {"shipped": shipped}
    data = Path(os.environ.get("RIATA_DATA", ROOT.parent / "shared" / "data")) / "images"
    sets = {}
    for name in ("Set12", "BSD68_first34"):
        files = sorted((data / name).glob("*.png"))
        if files:
            sets[name] = [(file.name, np.asarray(Image.open(file))) for file in files]
        else:
            print(f"skipped {name}: not found in {data}")
    return sets


def main() -> None:
    experiment = Reproduction(__file__, __doc__.splitlines()[0])
    rows = []
    for set_name, files in pictures(experiment).items():
        for index, (name, clean) in enumerate(files):
            learned = denoise(clean, 1000 + index + experiment.seed)
            row = {"set": set_name, "picture": name, "width": clean.shape[1], "height": clean.shape[0],
                   "psnr_in": learned["psnr_in"], "psnr_out": learned["psnr_out"], "seconds": learned["seconds"]}
            if set_name != "BSD68_first34":
                row["psnr_dct"] = denoise(clean, 1000 + index + experiment.seed, "--dct")["psnr_out"]
            else:
                row["psnr_dct"] = float("nan")
            rows.append(row)
            print("  ".join(f"{key} {value:.2f}" if isinstance(value, float) else str(value) for key, value in row.items()),
                  flush=True)
        experiment.write_rows("denoising.csv", rows)

    for set_name in dict.fromkeys(row["set"] for row in rows):
        chosen = [row for row in rows if row["set"] == set_name]
        mean = float(np.mean([row["psnr_out"] for row in chosen]))
        gain = float(np.mean([row["psnr_out"] - row["psnr_dct"] for row in chosen]))
        target = {"Set12": 29.5, "BSD68_first34": 28.2}.get(set_name)
        if target:
            experiment.claim(f"{set_name}: mean PSNR {mean:.2f} dB >= {target}", mean >= target)
        if set_name != "BSD68_first34":
            least = 0.6 if set_name == "Set12" else 0.4  # two small crops hold less to learn from
            experiment.claim(f"{set_name}: learned beats the DCT by {gain:.2f} dB >= {least}", gain >= least)
        small = [row["seconds"] for row in chosen if row["width"] == row["height"] == 256]
        if small:
            print(f"  {set_name}: median {np.median(small):.1f} s per 256 x 256 picture")
    draw(experiment, rows)
    experiment.finish()


def draw(experiment: Reproduction, rows: list[dict]) -> None:
    figure, axis = experiment.subplots(figsize=(max(5, 0.35 * len(rows)), 3.8))
    positions = np.arange(len(rows))
    axis.plot(positions, [row["psnr_out"] for row in rows], "o", label="learned from the noisy picture")
    axis.plot(positions, [row["psnr_dct"] for row in rows], "s", ms=4, label="overcomplete DCT, same code")
    if any(row["set"] == "Set12" for row in rows):
        for (name, value), style in zip(PUBLISHED.items(), (":", "--", "-.")):
            axis.axhline(value, color="grey", lw=1, ls=style, label=f"{name}, mean of Set12")
    axis.set_xticks(positions, [row["picture"].removesuffix(".png") for row in rows], rotation=90, fontsize=7)
    axis.set_ylabel("PSNR (dB)")
    axis.legend(frameon=False, fontsize=8)
    axis.grid(alpha=0.3)
    experiment.save_figure(figure, "denoising.png")


if __name__ == "__main__":
    main()
