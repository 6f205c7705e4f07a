"""dictlearn: the K-SVD family on numba. It learns; `bench/classics.py` asks it."""

REQUIREMENT = "dictlearn"

CONTENDERS = []
