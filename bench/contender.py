"""What one side of a comparison must say about itself."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Contender:
    """`prepare(problem, threads)` makes, outside the clock, whatever layout the library likes best and returns the call
    that is timed; `answer` turns what the call returned into an array for evaluation, outside the clock too."""

    name: str
    task: str
    prepare: Callable[..., Callable[[], Any]]
    package: str  # whose version is reported
    answer: Callable[[Any], Any] = lambda result: result
    dtypes: tuple[str, ...] = ("float32", "float64")
    environment: dict[str, str] = field(default_factory=dict)  # at start of its process
    by_signal: bool = False  # too slow for the whole batch: times a part of it and is extrapolated
    compiles: bool = False  # its first call compiles for the shapes it sees
