"""From JSON lines to a table (.md) and a plot (.png) beside them: python bench/report.py bench/results/latest.jsonl"""

import itertools
import json
import statistics
import sys
from pathlib import Path

COLOURS = {"faster": "tab:blue", "undecided": "tab:gray", "slower": "tab:red", "accuracy not matched": "tab:orange"}
NEAR_BEST = 1.25  # times riata's best method by name, that "auto" may take
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
               "gap not reached" if row["gap"] and row["peer_error"] > row["gap"] else "",
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


def of_smallest_ratio(rows):
    """The row of whoever is the fastest, or None."""
    return min((row for row in rows if row["ratio"] is not None), key=lambda row: row["ratio"], default=None)


def fastest(rows):
    """(case, row of the fastest peer, row of riata's fastest method by name) for every case that asks for a gap."""
    asked = [row for row in rows if row["gap"]]
    for case, group in itertools.groupby(asked, key=lambda row: row["case"]):
        group = list(group)
        if peer := of_smallest_ratio(row for row in group if not row["own"]):
            yield case, peer, of_smallest_ratio(row for row in group if row["own"])


def summary(cases):
    """Of the rows that `fastest` gives: a table, and in a sentence what is claimed of it."""
    lines = [f"| {case} | {peer['peer']} | {band(peer)} | {peer['verdict']} | "
             + (f"{own['peer']} | {band(own)} |" if own else " | |") for case, peer, own in cases]
    ratios = [peer["ratio"] for _, peer, _ in cases]
    slower = sum(peer["verdict"] == "slower" for _, peer, _ in cases)
    worse = sum(own is not None and own["ratio"] < 1 / NEAR_BEST for *_, own in cases)
    return (f"\n## Against the fastest peer\n\nMedian of the {len(ratios)} cases {statistics.median(ratios):.2f}; "
            f"at least 3 in {sum(ratio >= 3 for ratio in ratios)}; slower in {slower}; riata's best method is more than "
            f"{NEAR_BEST} times as fast as \"auto\" in {worse}.\n\n| case | fastest peer | its time / riata's | | "
            f"riata's best method | its time / that of \"auto\" |\n|---|---|---|---|---|---|\n" + "\n".join(lines) + "\n")


def figure_of_height(slots):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(9, 1.2 + 0.2 * slots), layout="constrained")


def legend(figure, *more):
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], marker="o", ls="", color=colour, label=name) for name, colour in COLOURS.items()]
    figure.legend(handles=[*handles, *more], fontsize=7, ncols=len(handles) + len(more), loc="outside upper right")


def plot_fastest(cases, path):
    """One bar for each case, from 1 to the fastest peer's ratio, with its band; a diamond for riata's best method."""
    from matplotlib.lines import Line2D
    from matplotlib.ticker import LogLocator, NullFormatter

    figure, axes = figure_of_height(len(cases))
    for y, (_, peer, own) in enumerate(cases):
        around = [[peer["ratio"] - peer["ratio_low"]], [peer["ratio_high"] - peer["ratio"]]]
        axes.barh(y, peer["ratio"] - 1, left=1, height=0.7, color=COLOURS[peer["verdict"]], alpha=0.5)
        axes.errorbar(peer["ratio"], y, xerr=around, capsize=2, color=COLOURS[peer["verdict"]])
        if own:
            axes.plot(own["ratio"], y, "D", ms=3, color="black")
    axes.axvline(1, color="black", lw=0.8)
    axes.axvline(1 / NEAR_BEST, color="black", lw=0.5, ls=":")
    axes.set(xscale="log", xlabel="time of the fastest peer / riata's, at equal accuracy", ylim=(len(cases) - 0.5, -0.5))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(range(len(cases)), [f"{case.partition('-')[2]}\n{peer['peer']}" for case, peer, _ in cases], fontsize=5)
    legend(figure, Line2D([], [], marker="D", ls="", color="black", label="riata's best method"))
    figure.savefig(path, dpi=150)


def plot(rows, path):
    slots = []  # a heading for each case, then its rows
    for case, group in itertools.groupby(rows, key=lambda row: row["case"]):
        slots += [(case, None), *((row["peer"], row) for row in group)]
    figure, axes = figure_of_height(len(slots))
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
    legend(figure)
    figure.savefig(path, dpi=150)


def write(results):
    """Table and plots of a file of results; returns their paths."""
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    if not rows:
        return []
    rows = [{"gap": None, "own": False} | row for row in rows]  # files of older runs have neither
    cases, paths = list(fastest(rows)), [results.with_suffix(".md"), results.with_suffix(".png")]
    paths[0].write_text(table(rows) + (summary(cases) if cases else ""))
    plot(rows, paths[1])
    if cases:
        paths.append(results.with_suffix(".fastest.png"))
        plot_fastest(cases, paths[2])
    return paths


if __name__ == "__main__":
    print(*write(Path(sys.argv[1])), sep="\n")
