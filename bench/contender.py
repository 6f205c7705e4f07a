"""What one side of a comparison must say about itself."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any


def tolerances(gap):
    """For those whose stopping rule is not the gap: the first whose answer has it is kept, and they overshoot both ways."""
    return [{"tol": 10.0**-k} for k in range(1, 15)]


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
    settings: Callable[[float], Iterable[dict[str, Any]]] = lambda gap: [{}]  # for a gap that is asked, from quick to exact
    by_signal: bool = False  # may be too slow for the whole batch: codes a part of it then and is extrapolated
    compiles: bool = False  # its first call compiles for the shapes it sees
