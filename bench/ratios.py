"""From the seconds of rounds to one ratio with its spread, and to a verdict."""

import numpy as np


def summarise(seconds, scale=1.0):
    """Medians and the ratio peer / ours of `seconds` (rounds, 2), columns ours and peer.

    The ratio is taken round by round, then its median and the band from the 10th to the 90th percentile: what slows the
    machine for a while slows both. `scale` multiplies the peer's seconds (it coded fewer signals).
    """
    seconds = np.asarray(seconds) * [1.0, scale]
    low, middle, high = np.quantile(seconds[:, 1] / seconds[:, 0], [0.1, 0.5, 0.9])
    ours, peer = np.median(seconds, axis=0)
    return {"ours_s": float(ours), "peer_s": float(peer), "ratio": float(middle), "ratio_low": float(low),
            "ratio_high": float(high), "rounds": len(seconds)}


def extrapolation(n_signals, part, seconds, few, few_seconds):
    """Factor from the seconds of `part` signals to those of all of them: seconds(n) = a + b n through the calls of `few` and of
    `part` signals, so that what is made once, a Gram matrix for instance, is counted once."""
    if part <= 2 * few:
        return n_signals / part
    slope = max(seconds - few_seconds, 0.0) / (part - few)
    return 1 + (n_signals - part) * slope / seconds


def verdict(row):
    """"faster" or "slower" only where the whole band says so, and never without equal accuracy."""
    if row["ratio"] is None:
        return "failed"
    if not row["matched"]:
        return "accuracy not matched"
    if row["ratio_low"] > 1:
        return "faster"
    return "slower" if row["ratio_high"] < 1 else "undecided"
