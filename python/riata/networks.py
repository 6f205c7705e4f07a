"""Unfolded networks for sparse coding: the LISTA family, trained, saved and run."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from . import _riata
from ._arguments import (
    Array,
    as_bool,
    as_callback,
    as_float,
    as_float_array,
    as_int,
    as_matrix,
    as_metadata,
    as_names,
    as_optional_float,
    as_optional_int,
    as_options,
    as_pair,
    as_path,
    as_reg,
    as_text,
    as_threads,
    shown,
)
from ._layouts import layout_of
from ._results import EncodeResult, NetworkGradient, History, TrainingResult
from .coding import _STATUS_NAMES
from .convolution import as_atoms, channels_of

_CORES = {np.dtype(np.float32): _riata.NetworkFloat32, np.dtype(np.float64): _riata.NetworkFloat64}
_DICTIONARY = "(n_atoms, n_features)"


class _Lock:
    """A lock that a forked child finds open: the thread that held it is not there."""

    def __init__(self) -> None:
        self._of = (os.getpid(), threading.Lock())

    def __enter__(self) -> None:
        if self._of[0] != os.getpid():
            self._of = (os.getpid(), threading.Lock())
        self._of[1].acquire()

    def __exit__(self, *_: object) -> None:
        self._of[1].release()


class Network:
    """A network of `n_layers` layers for one dictionary, at the start of its kind.

    Most kinds start as ISTA: "lista", "coupled", "tied", "step", "hessian", "first_step", "facnet", and
    "group" as that of the group Lasso. "fista" starts as FISTA, "iht" as iterative hard thresholding, "lamp" as approximate
    message passing, "alista" with the analytic weight in the place of the dictionary.

    Parameters
    ----------
    kind : str
        One of those. What is learned: "lista" two weights and a threshold per layer; "coupled" and "group"
        one weight and a threshold per layer; "tied" one weight for all layers, a step and a threshold per
        layer; "alista" the steps and thresholds; "step" and "fista" the steps; "hessian" a symmetric matrix and a
        threshold per layer; "first_step" the first layer as "coupled", the others as "step"; "facnet" a
        rotation and scales per layer; "iht" as "lista"; "lamp" a weight and a threshold per layer.
    dictionary : array (n_atoms, n_features), or (n_atoms, n_channels, n_times_atom), or a pair (u, v)
        The dictionary; its precision is the network's. Patterns of recordings, as in `conv_encode`, are a convolution: then signals
        are trials (n_signals, n_channels, n_times) of any length, or (n_signals, n_times) of one channel, and codes are (n_signals,
        n_atoms, n_positions). Of the kinds above "coupled", "tied", "alista", "step", "fista" and "first_step" take them; weights
        are patterns too, (n_atoms, n_channels n_times_atom) among the parameters.
    n_layers : int
        Number of layers.
    threshold : {"scalar", "atom"}
        One threshold per layer, or one per layer and atom; "lista", "coupled", "tied" and "hessian" alone.
    groups : array (n_atoms,) of int, optional
        For "group": one label >= 0 per atom; atoms with equal labels are a group.
    support_selection : (p, p_max), optional
        Layer t leaves the largest min((t + 1) p, p_max) per cent of the entries unshrunk, as far as they
        exceed their thresholds; "coupled", "tied" and "alista" alone.
    lipschitz : float, optional
        What the first steps are the inverse of; ||D||_2^2 by default.
    positive : bool
        Codes >= 0; not for "facnet", "iht" and "group", nor with `support_selection`.
    boundary : {"valid", "full", "circular"}
        Of patterns: where they may lie, as in `conv_encode`.

    Attributes
    ----------
    kind, n_layers, threshold, support_selection, groups, lipschitz, positive
        As given or found.
    boundary : str or None
        As given; None where the dictionary is a matrix.
    dictionary : ndarray (n_atoms, n_features), or (n_atoms, n_channels, n_times_atom)
    reg : float or None
        The weight of the last training, the default of `encode`; None before.
    metadata : dict of str
        Free text, stored in the file; keys that the file itself uses, as "reg" and "n_layers", are passed over.

    Examples
    --------
    >>> import riata
    >>> problem = riata.datasets.planted(n_features=10, n_atoms=15, n_signals=200, density=0.2)
    >>> net = riata.Network("step", problem.dictionary, 5)
    >>> result = net.fit(problem.signals, 0.1, max_iter=20)
    >>> bool(result.value < result.initial_value)
    True
    >>> net.encode(problem.signals).shape
    (200, 15)
    """

    def __init__(
        self,
        kind: str,
        dictionary: Any,
        n_layers: int,
        threshold: str = "scalar",
        groups: Any = None,
        support_selection: tuple[float, float] | None = None,
        *,
        lipschitz: float | None = None,
        positive: bool = False,
        boundary: str = "valid",
    ) -> None:
        where = "Network"
        options = as_options(where, where, locals())
        kind, n_layers = as_text(where, "kind", kind), as_int(where, "n_layers", n_layers)
        selection, boundary = _as_selection(where, support_selection), as_text(where, "boundary", boundary)
        if isinstance(dictionary, tuple) or np.ndim(dictionary) == 3:
            kernels, u, n_channels = _as_patterns(where, "dictionary", dictionary)
            make = _CORES[kernels.dtype].of_convolution
            core = make(kind, kernels, u, n_channels, boundary, n_layers, selection, options)
        else:
            if boundary != "valid":
                raise ValueError(f"{where}: boundary = {boundary!r}, but the dictionary is a matrix; boundaries are for patterns")
            dictionary = as_matrix(where, "dictionary", dictionary, _DICTIONARY)
            core = _CORES[dictionary.dtype](kind, dictionary, n_layers, selection, options)
        self._begin(core, None, {})

    @classmethod
    def _of(cls, core: Any, reg: float | None, metadata: Mapping[str, str]) -> Network:
        net = cls.__new__(cls)
        net._begin(core, reg, metadata)
        return net

    def _begin(self, core: Any, reg: float | None, metadata: Mapping[str, str]) -> None:
        # In one piece, so that other threads find parameters and weight of one training, whatever this one does.
        self._state: tuple[Any, float | None, dict[str, str]] = (core, reg, dict(metadata))
        self._changes = _Lock()  # held by what puts another state, or other parameters, in the place of those it found

    @property
    def reg(self) -> float | None:
        return self._state[1]

    @reg.setter
    def reg(self, reg: float | None) -> None:
        reg = as_optional_float("Network", "reg", reg)
        if reg is not None and not 0 < reg < math.inf:
            raise ValueError(f"Network: reg = {reg}, must be > 0 and finite")
        with self._changes:
            self._state = (self._state[0], reg, self._state[2])

    @property
    def metadata(self) -> dict[str, str]:
        return self._state[2]

    @metadata.setter
    def metadata(self, metadata: dict[str, str]) -> None:
        metadata = as_metadata("Network", metadata)
        with self._changes:
            self._state = (*self._state[:2], metadata)

    _core = property(lambda self: self._state[0])
    kind = property(lambda self: self._core.kind)
    n_layers = property(lambda self: self._core.n_layers)
    threshold = property(lambda self: self._core.threshold)
    groups = property(lambda self: np.array(self._core.groups, dtype=np.int64) if self._core.groups else None)
    support_selection = property(lambda self: self._core.support_selection)
    lipschitz = property(lambda self: self._core.lipschitz)
    positive = property(lambda self: self._core.positive)
    boundary = property(lambda self: None if self._core.convolution is None else self._core.convolution[2])

    @property
    def dictionary(self) -> Array:
        atoms, shape = self._core.dictionary(), self._core.convolution
        return atoms if shape is None else atoms.reshape(len(atoms), *shape[:2])

    def fit(
        self,
        X: Any,
        reg: Any,
        loss: str = "unsupervised",
        targets: Any = None,
        mode: str = "oneshot",
        optimizer: str = "backtracking",
        batch_size: int | None = None,
        learning_rate: float | None = None,
        positive_steps: bool = False,
        max_iter: int = 300,
        max_time: float | None = None,
        tol: float = 0.0,
        checkpoint: str | os.PathLike[str] | None = None,
        callback: Callable[[Any], Any] | None = None,
        random_state: Any = 0,
        *,
        checkpoint_every: int = 10,
        resume: bool = False,
        n_threads: int | None = None,
        validation: float = 0.0,
        validate_every: int = 10,
        patience: int = 4000,
        resume_inexact: bool = False,
        overwrite_checkpoint: bool = False,
        mask: Any = None,
    ) -> TrainingResult:
        """Train the network from where it is.

        Nothing depends on the unit of the signals (reg of "iht" has its square). Ctrl-C stops the run and leaves the
        network at its last accepted step, with status "interrupted". So does what a callback raises, after which the
        exception goes on. A start that `positive_steps` or the kind rules out is first moved to the nearest that they
        allow, for steps nearly zero: from there "tied" and "alista" may not learn.

        Parameters
        ----------
        X : array (n_signals, n_features), over patterns (n_signals, n_channels, n_times)
            Signals, in the dictionary's precision.
        reg : float or str
            Weight of the penalty; a fraction such as "0.1max" is of the 0.99 quantile of the signals' `reg_max`.
        loss : {"unsupervised", "supervised", "semi"}
            Mean over the signals of the objective at the output; of 1/2 ||z - target||^2; or of the same with
            the solutions as targets, to a relative gap of 1e-10 (float32: 1e-6) or as near as 100 000 passes come.
        targets : array (n_signals, n_atoms), optional
            For "supervised".
        mode : {"oneshot", "recursive", "greedy"}
            All layers at once; layer after layer, with the loss at the output of the last one that moves; or
            with the loss at the last layer of all.
        optimizer : {"backtracking", "adam"}
            Full batches and a verified line search, or mini-batches and Adam.
        batch_size : int, optional
            Signals per step of "adam".
        learning_rate : float, optional
            First step of each stage in units of loss / ||gradient||^2, 1 by default; the rate of "adam", 5e-4 by default.
        positive_steps : bool
            Keep steps positive; "tied", "alista", "step" and "first_step" alone.
        max_iter : int
            Accepted steps, all stages together.
        max_time : float, optional
            Seconds, after the targets of "semi" are found.
        tol : float
            Relative decrease of an accepted step that ends a stage, unless a block of parameters alone still lowers the
            loss by 1e-4; above 1e-4 `tol` ends it all the same, as "stalled". "backtracking" alone.
        checkpoint : path, optional
            File from which a killed run resumes, bit for bit. As in `learn_dictionary`, one of another run is not
            overwritten unless told, and only one run at a time can have it.
        callback : callable, optional
            Called after every accepted step with an object that has phase (its stage), n_layers, iteration, value, ista
            (the loss of ISTA with as many layers), optimum (the least possible, certified), step and seconds.
            Returning True stops the run. The network itself changes when training ends.
        random_state : int, RandomState, Generator or None
            Seed of the mini-batches.
        checkpoint_every : int
            Accepted steps between writes.
        resume : bool
            Start from the checkpoint if it exists; with its kernels, as in `learn_dictionary`.
        n_threads : int, optional
            All cores by default; bits do not depend on it.
        validation : float
            For "adam": share of the signals held out. Each stage returns what was best on them.
        validate_every, patience : int
            Steps between looks at them, and without a better look that end a stage.
        resume_inexact : bool
            Resume also where the kernels are others than the checkpoint's: then the bits may be others too.
        overwrite_checkpoint : bool
            Put this run in the place of another's checkpoint.
        mask : array (n_signals, n_features), optional
            Which entries of X were seen, or their weights in [0, 1]; as in `encode`.

        Returns
        -------
        TrainingResult
            history, initial_value, value, reg, status.
        """
        where = "Network.fit"
        options = as_options(where, where, locals())
        layout = layout_of(self._core)
        core, rows = layout.signals(where, self._core.copy(), X)  # which takes its place at the end
        mask, X = layout.mask(where, mask, X, rows), rows
        n_threads = options["n_threads"]
        start, weight = core.parameters(), core.resolve_reg(X, as_reg(where, reg), n_threads, mask, options.get("seed", 0))
        targets = layout.rows_of_codes(where, "targets", targets, X)
        callback = as_callback(where, callback)
        record = {"loss": loss, "mode": mode, "optimizer": optimizer}
        try:
            fields = core.train(X, weight, targets, mask, callback, options)
        except BaseException:
            parameters = core.parameters()
            if any(not np.array_equal(parameters[name], start[name]) for name in start):  # the steps so far are kept
                self._take(core, weight, record | {"status": "interrupted"})
            raise
        result = TrainingResult(**fields | {"history": History(**fields["history"])})
        n_iter, value = str(len(result.history.value)), repr(result.value)
        self._take(core, weight, record | {"n_iter": n_iter, "value": value, "status": result.status})
        return result

    def _take(self, core: Any, reg: float, record: dict[str, str]) -> None:
        """The trained network and what its training was, in the place of what the one before it was."""
        with self._changes:
            others = dict(self.metadata)
            for key in ("n_iter", "value", "iterations", "final_value"):
                others.pop(key, None)
            self._state = (core, reg, others | record)

    def encode(
        self,
        X: Any,
        reg: Any = None,
        n_layers: int | None = None,
        *,
        init: Any = None,
        n_threads: int | None = None,
        certify: bool = False,
        finish: float | None = None,
        safeguard: bool = False,
        mask: Any = None,
    ) -> Array | EncodeResult:
        """Codes of the signals. It may be called from any number of threads, while another trains the network.

        On signals unlike those of its training a network may end anywhere, or diverge: what is not finite is refused, unless
        `finish` or `safeguard` have another code. `riata.encode` may be faster than `finish`: see docs/benchmarks.md.

        Parameters
        ----------
        X : array (n_signals, n_features), over patterns (n_signals, n_channels, n_times)
            Signals, in the dictionary's precision.
        reg : float, array (n_signals,) or str, optional
            Weight of the penalty; that of the last training by default.
        n_layers : int, optional
            The first layers alone.
        init : array (n_signals, n_atoms), over patterns (n_signals, n_atoms, n_positions), optional
            Where the first layer starts; zero by default.
        n_threads : int, optional
            All cores by default.
        certify : bool
            Return what the codes are worth, too. The penalty is the l1 norm (for "group" the sum of the groups' norms).
        finish : float, optional
            Signals whose duality gap is above finish * 1/2 ||x||^2 go on in the certified solver, from the network's code.
        safeguard : bool
            ISTA of as many layers runs alongside, and each signal gets the code of the lower objective of the two.
        mask : array (n_signals, n_features), optional
            Which entries of X were seen, or their weights in [0, 1]; as in `riata.encode`. Not for "lista", "iht" and "lamp".

        Returns
        -------
        ndarray (n_signals, n_atoms), or with `certify` an EncodeResult
            Its objective and gap are as from `riata.encode`; n_iter counts the solver's iterations, 0 where it did not run;
            status is "converged" where the gap is at most finish * 1/2 ||x||^2 (without `finish`: 0).
        """
        where = "Network.encode"
        certify, safeguard = as_bool(where, "certify", certify), as_bool(where, "safeguard", safeguard)
        guards = {"finish": as_optional_float(where, "finish", finish), "safeguard": safeguard}
        if not certify and guards == {"finish": None, "safeguard": False}:
            return layout_of(self._core).codes(self._run("encode", X, reg, n_layers, init, n_threads, mask))
        fields = self._run("encode", X, reg, n_layers, init, n_threads, mask, **guards)
        fields["codes"] = layout_of(self._core).codes(fields["codes"])
        fields |= {"status": _STATUS_NAMES[fields["status"]], "method": self.kind, "trace": None}
        return EncodeResult(**fields) if certify else fields["codes"]

    def layer_outputs(
        self,
        X: Any,
        reg: Any = None,
        n_layers: int | None = None,
        *,
        init: Any = None,
        n_threads: int | None = None,
        mask: Any = None,
    ) -> list[Array]:
        """`encode`, but the output of every layer.

        Parameters
        ----------
        X, reg, n_layers, init, n_threads, mask
            As in `encode`.

        Returns
        -------
        list of ndarray (n_signals, n_atoms)
        """
        return [layout_of(self._core).codes(Z) for Z in self._run("outputs", X, reg, n_layers, init, n_threads, mask)]

    def loss(
        self,
        X: Any,
        reg: Any = None,
        targets: Any = None,
        n_layers: int | None = None,
        *,
        n_threads: int | None = None,
        mask: Any = None,
    ) -> float:
        """The unsupervised loss, or with targets the supervised one: means over the signals.

        Parameters
        ----------
        X, reg, n_layers, n_threads, mask
            As in `encode`.
        targets : array (n_signals, n_atoms), optional
            The codes wanted.

        Returns
        -------
        float
        """
        return self.gradient(X, reg, (), targets=targets, n_layers=n_layers, n_threads=n_threads, mask=mask).value

    def gradient(
        self,
        X: Any,
        reg: Any = None,
        wrt: Any = None,
        *,
        targets: Any = None,
        cotangent: Any = None,
        n_layers: int | None = None,
        n_threads: int | None = None,
        mask: Any = None,
    ) -> NetworkGradient:
        """Derivatives of the loss, or of the sum of cotangent * codes.

        Parameters
        ----------
        X, reg, n_layers, n_threads, mask
            As in `encode`.
        wrt : sequence of str, optional
            Names of parameters, "reg", "signals" and "codes" (the output itself); all parameters that
            training moves by default.
        targets : array (n_signals, n_atoms), optional
            Makes the loss the supervised one.
        cotangent : array (n_signals, n_atoms), optional
            What to multiply the codes with, in the place of a loss.

        Returns
        -------
        NetworkGradient
            value, parameters, reg, signals, codes.
        """
        where = "Network.gradient"
        core, trained, _ = self._state
        layout = layout_of(core)
        core, rows = layout.signals(where, core, X)
        if wrt is None:
            names = core.trainable(0, self.n_layers if n_layers is None else as_int(where, "n_layers", n_layers))
        else:
            names = set(as_names(where, "wrt", wrt))
        if targets is not None and cotangent is not None:
            raise ValueError(f"{where}: targets and cotangent are both given; expected one: a loss, or what multiplies the codes")
        others = {"reg", "signals", "codes"}
        gradient = NetworkGradient(
            **core.gradient(
                rows,
                _weight(where, reg, trained),
                parameters=names - others,
                wrt_reg="reg" in names,
                wrt_signals="signals" in names,
                codes="codes" in names,
                targets=layout.rows_of_codes(where, "targets", targets, rows),
                cotangent=layout.rows_of_codes(where, "cotangent", cotangent, rows),
                n_layers=as_optional_int(where, "n_layers", n_layers),
                n_threads=as_threads(where, n_threads),
                mask=layout.mask(where, mask, X, rows),
            )
        )
        shaped = {}
        if gradient.signals is not None:
            shaped["signals"] = layout.like_signals(gradient.signals, X)
        if gradient.codes is not None:
            shaped["codes"] = layout.codes(gradient.codes)
        return replace(gradient, **shaped)

    def parameters(self) -> dict[str, Array]:
        """Copies of the parameters, named "layer.0.weight"; what all layers share has no layer in its name.

        What has one number per atom, or one only, is one-dimensional; so is a weight with a single atom or feature.
        Rows are signals, so weights multiply from the right: a layer of "lista" is
        shrink(z @ weight_z + x @ weight_x, threshold * reg).

        Returns
        -------
        dict of ndarray
        """
        return self._core.parameters()

    def set_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Put other values into the parameters.

        Parameters
        ----------
        parameters : mapping of arrays
            With the names and shapes of `parameters()`; what is left out stays as it is.
        """
        where = "Network.set_parameters"
        arrays, dtype = {}, self.dictionary.dtype
        if not isinstance(parameters, Mapping):
            raise TypeError(f"{where}: parameters = {shown(parameters)}, must be a mapping of names to arrays")
        for name, value in parameters.items():
            arrays[as_text(where, "a parameter's name", name)] = as_float_array(where, name, value).astype(dtype, copy=False)
        with self._changes:
            core = self._core
            core.set_parameters(core.parameters() | arrays)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network as safetensors, the same file that the command `riata` and C++ read.

        Parameters
        ----------
        path : path
            Written atomically.
        """
        where = "Network.save"
        core, reg, metadata = self._state
        core.save(as_path(where, "path", path), as_optional_float(where, "reg", reg), as_metadata(where, metadata))

    def save_parameters(self, path: str | os.PathLike[str]) -> None:
        """Write the parameters alone, as `numpy.savez` would.

        Parameters
        ----------
        path : path
            An .npz file, written atomically.
        """
        self._core.export_parameters(as_path("Network.save_parameters", "path", path))

    def load_parameters(self, path: str | os.PathLike[str]) -> None:
        """Take parameters from an .npz file, say of a network trained elsewhere.

        Parameters
        ----------
        path : path
            Arrays with the names and shapes of `parameters()`; those left out stay as they are.
        """
        path = as_path("Network.load_parameters", "path", path)
        with self._changes:
            self._core.import_parameters(path)

    def _run(self, name: str, X: Any, reg: Any, n_layers: Any, init: Any, n_threads: Any, mask: Any, **guards: Any) -> Any:
        where = f"Network.{name}"
        core, trained, _ = self._state
        layout = layout_of(core)
        core, rows = layout.signals(where, core, X)
        return getattr(core, name + "_certified" * bool(guards))(
            rows,
            _weight(where, reg, trained),
            n_layers=as_optional_int(where, "n_layers", n_layers),
            init=layout.rows_of_codes(where, "init", init, rows),
            n_threads=as_threads(where, n_threads),
            mask=layout.mask(where, mask, X, rows),
            **guards,
        )

    def __getstate__(self) -> dict[str, Any]:
        core, reg, metadata = self._state
        dictionary = self.dictionary if self.boundary is None else self._patterns()
        arguments = (self.kind, dictionary, self.n_layers, self.threshold, self.groups, self.support_selection)
        options = {"lipschitz": self.lipschitz, "positive": self.positive, "boundary": self.boundary or "valid"}
        attributes = {name: value for name, value in vars(self).items() if name not in ("_state", "_changes")}
        attributes |= {"reg": reg, "metadata": dict(metadata)}  # not shared with a copy
        return {"arguments": arguments, "options": options, "parameters": core.parameters(), "attributes": attributes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Network.__init__(self, *state["arguments"], **state.get("options", {"lipschitz": state.get("lipschitz")}))
        Network.set_parameters(self, state["parameters"])
        attributes = dict(state["attributes"])
        self.reg, self.metadata = attributes.pop("reg"), attributes.pop("metadata")
        vars(self).update(attributes)

    def _patterns(self) -> Array | tuple[Array, Array]:
        return self._core.patterns() if isinstance(self._core.patterns(), tuple) else self.dictionary

    def __repr__(self) -> str:
        (n_atoms, *size), reg = self.dictionary.shape, self.reg
        atoms = f"atoms of {size[0]} features" if len(size) == 1 else f"patterns of {size[1]} samples in {size[0]} channels"
        trained = "" if reg is None else f", trained at reg = {reg:.4g}"
        return f"Network({self.kind!r}, {self.n_layers} layers, {n_atoms} {atoms}{trained})"


def load_network(path: str | os.PathLike[str]) -> Any:
    """Read a network that `Network.save`, `ConvDenoiser.save` or the command `riata` wrote, or a model whose steps were learned with
    l1, also positive: of kind "step", or "fista" where its layers were.

    Parameters
    ----------
    path : path
        A safetensors file.

    Returns
    -------
    Network, or ConvDenoiser

    Examples
    --------
    >>> import os, riata, tempfile
    >>> net = riata.Network("coupled", riata.datasets.dct_dictionary(64, 128), 3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "net.safetensors")
    ...     net.save(path)
    ...     riata.load_network(path)
    Network('coupled', 3 layers, 128 atoms of 64 features)
    """
    file = as_path("load_network", "path", path)
    if file.endswith(b".safetensors") and _riata.holds_conv_denoiser(file):
        from .image_estimators import ConvDenoiser

        return ConvDenoiser._of(_riata.load_conv_denoiser(file))
    return Network._of(*_riata.load_network(file))


def analytic_weight(D: Any) -> Array:
    """The weight least coherent with the dictionary: argmin ||W^T D||_F with <w_j, d_j> = 1 for every atom.

    In closed form, for any shape and rank: W_j = P D_j / (D_j^T P D_j) with P = (D D^T)^+. Of patterns, the W_k least coherent
    with all translates of all patterns: the same, with their translates, cut to a pattern's support, as the columns of D, and
    P = (D D^T + rho I)^-1, rho 0.01 of the largest eigenvalue, as smooth patterns need.

    Parameters
    ----------
    D : array (n_atoms, n_features), or (n_atoms, n_channels, n_times_atom), or a pair (u, v)
        Dictionary, or patterns as in `conv_encode`.

    Returns
    -------
    ndarray (n_atoms, n_features), or (n_atoms, n_channels, n_times_atom)

    Examples
    --------
    >>> import numpy as np, riata
    >>> D = riata.datasets.dct_dictionary(64, 128)
    >>> bool(np.allclose((riata.analytic_weight(D) * D).sum(axis=1), 1))
    True
    """
    where = "analytic_weight"
    if isinstance(D, tuple) or np.ndim(D) == 3:
        kernels, u, n_channels = _as_patterns(where, "D", D)
        return _riata.conv_analytic_weight(kernels, u, n_channels).reshape(len(kernels), n_channels, -1)
    return _riata.analytic_weight(as_matrix(where, "D", D, _DICTIONARY))


def _as_patterns(where: str, name: str, patterns: Any) -> tuple[Array, Array | None, int]:
    """Kernels as rows and None, or v and u; and their channels."""
    n_channels = channels_of(where, patterns)
    like = patterns[1] if isinstance(patterns, tuple) and len(patterns) == 2 else patterns
    return *as_atoms(where, patterns, as_float_array(where, name, like), n_channels, name), n_channels


def _weight(where: str, reg: Any, trained: float | None) -> Any:
    if reg is None and trained is None:
        raise ValueError(f"{where}: reg = None, but the network was not trained; expected a weight")
    return as_reg(where, trained if reg is None else reg)


def _as_selection(where: str, selection: Any) -> tuple[float, float] | None:
    if selection is None:
        return None
    p, p_max = as_pair(where, "support_selection", selection, "None or (p, p_max)")
    return as_float(where, "p", p), as_float(where, "p_max", p_max)
