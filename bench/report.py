def line(r):
    if r["ratio"] is None:
        return f"{r['case']:44} {r['peer']:26} failed: {r['reason']}"
    part = f" (from {r['extrapolated_from']})" if r["extrapolated_from"] else ""
    return (f"{r['case']:44} {r['peer']:26} ours {r['ours_s']:.4f} s, peer {r['peer_s']:.4f} s{part}, ratio {r['ratio']:.2f} "
            f"[{r['ratio_low']:.2f}, {r['ratio_high']:.2f}], gap {r['ours_error']:.0e}/{r['peer_error']:.0e} "
            f"subopt {r['ours_suboptimality']:.0e}/{r['peer_suboptimality']:.0e} {r['ours_options']} "
            f"mem {r['ours_rss_mb']:.0f}/{r['peer_rss_mb']:.0f} {r['verdict']}")
def write(rows, output):
    return [output]
