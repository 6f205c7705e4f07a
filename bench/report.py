"""From JSON lines to a table (.md) and a plot (.png) beside them: python bench/report.py bench/results/latest.jsonl"""

import itertools
import json
import sys
from pathlib import Path

COLOURS = {"faster": "tab:blue", "undecided": "tab:gray", "slower": "tab:red", "accuracy not matched": "tab:orange"}
HEADER = """| peer | riata | peer | ratio | error riata / peer | suboptimality | memory, MB | |
|---|---|---|---|---|---|---|---|
"""


def seconds(value):
    return f"{value:.3g} s" if value >= 0.1 else f"{value * 1e3:.3g} ms" if value >= 1e-4 else f"{value * 1e6:.3g} µs"


def band(row):
    return f"{row['ratio']:.2f} [{row['ratio_low']:.2f}, {row['ratio_high']:.2f}]"


def sentence(row):
    """What the terminal shows of a row."""
    if row["ratio"] is None:
        return f"{row['case']}  {row['peer']}: not measured: {row['reason']}"
    return (f"{row['case']}  {row['peer']}: riata {seconds(row['ours_s'])}, peer {seconds(row['peer_s'])}, ratio {band(row)}, "
            f"error {row['ours_error']:.0e} / {row['peer_error']:.0e}: {row['verdict']}")


def table_line(row):
    peer = f"{row['peer']} ({row['peer_version']})" if row["peer_version"] else row["peer"]
    if row["ratio"] is None:
        return f"| {peer} | | | | | | | not measured: {row['reason']} |"
    subopt = f"{row['ours_suboptimality']:.0e} / {row['peer_suboptimality']:.0e}" if "ours_suboptimality" in row else ""
    # The memory of a part of the batch would not stand beside that of the whole.
    memory = f"{row['ours_rss_mb']:.0f} / " + ("" if row["extrapolated_from"] else f"{row['peer_rss_mb']:.0f}")
    remarks = ["" if row["verdict"] == "faster" else f"**{row['verdict']}**",
               f"extrapolated from {row['extrapolated_from']} signals" if row["extrapolated_from"] else "",
               f"setup {row['peer_setup_s']:.0f} s" if row["peer_setup_s"] > 10 else ""]
    return (f"| {peer} | {seconds(row['ours_s'])} | {seconds(row['peer_s'])} | {band(row)} | {row['ours_error']:.0e} / "
            f"{row['peer_error']:.0e} | {subopt} | {memory} | "
            f"{', '.join(filter(None, remarks))} |")


def table(rows):
    first, loads = rows[0], [row["other_load"] for row in rows if row["ratio"] is not None]
    text = (f"# riata {first['commit']} beside its peers\n\n{first['processor']}, {first['threads']} threads, {first['time']}, "
            f"Python {first['python']}, NumPy {first['numpy']}. Ratio: peer's time / riata's, "
            f"median and 10-90 % band over the rounds.\n")
    if loads:
        text += f"Other programs kept up to {max(loads):.1f} cores busy meanwhile.\n"
    for case, group in itertools.groupby(rows, key=lambda row: row["case"]):
        text += f"\n## {case}\n\n{HEADER}" + "".join(table_line(row) + "\n" for row in group)
    return text


def plot(rows, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    slots = []  # a heading for each case, then its rows
    for case, group in itertools.groupby(rows, key=lambda row: row["case"]):
        slots += [(case, None), *((row["peer"], row) for row in group)]
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.2 * len(slots)), layout="constrained")
    for y, (_, row) in enumerate(slots):
        if row is None:
            axes.axhline(y, color="0.9", lw=8)
        elif row["ratio"] is None:
            axes.text(1, y, " not measured", va="center", fontsize=7)
        else:
            around = [[row["ratio"] - row["ratio_low"]], [row["ratio_high"] - row["ratio"]]]
            axes.errorbar(row["ratio"], y, xerr=around, fmt="o", ms=4, capsize=2, color=COLOURS[row["verdict"]])
    axes.axvline(1, color="black", lw=0.8)
    axes.set(xscale="log", xlabel="peer's time / riata's, at equal accuracy", ylim=(len(slots) - 0.5, -0.5))
    axes.set_yticks(range(len(slots)), [label for label, _ in slots], fontsize=7)
    for label, (_, row) in zip(axes.get_yticklabels(), slots):
        label.set_fontweight("bold" if row is None else "normal")
    handles = [plt.Line2D([], [], marker="o", ls="", color=colour, label=name) for name, colour in COLOURS.items()]
    figure.legend(handles=handles, fontsize=7, ncols=len(handles), loc="outside upper right")
    figure.savefig(path, dpi=150)


def write(results):
    """Table and plot of a file of results; returns their paths."""
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    if not rows:
        return []
    results.with_suffix(".md").write_text(table(rows))
    plot(rows, results.with_suffix(".png"))
    return [results.with_suffix(".md"), results.with_suffix(".png")]


if __name__ == "__main__":
    print(*write(Path(sys.argv[1])), sep="\n")
