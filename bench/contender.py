"""What one side of a comparison must say about itself."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Contender:
    """`prepare(problem, threads, **variant)` makes, outside the clock, whatever layout the library likes best and returns the
    call that is timed; `answer` turns what the call returned into an array for evaluation, outside the clock too."""

    name: str
    task: str
    prepare: Callable[..., Callable[[], Any]]
    package: str  # whose version is reported
    answer: Callable[[Any], Any] = lambda result: result
    dtypes: tuple[str, ...] = ("float32", "float64")
    environment: dict[str, str | None] = field(default_factory=dict)  # at the start of its process; None: unset
    variants: tuple[dict[str, Any], ...] = ({},)  # ways of calling it; the fastest is kept
    by_signal: bool = False  # too slow for the whole batch: codes a part of it and is extrapolated
    compiles: bool = False  # its first call compiles for the shapes it sees
