"""Curve fitting: one data set or several with shared parameters, multi-start, exact covariance.

::

    from fusin.assays.fitting import fit
    from fusin.assays.intervals import intervals
    from fusin.assays.models import plateau_decay

    found = fit(plateau_decay, time_min, retained_percent, what="efflux")
    limits = intervals(found)                      # profile likelihood, by name
    print(found.values["rate"], limits["rate"].low, limits["rate"].high)

The minimum is searched from many starts by :func:`fusin.assays.fitting_solver.refine`, found again by MINPACK through lmfit,
and the better of both stands. The covariance is s² (J'J)^-1 with a Jacobian free of differences.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.assays.fitting_checks import checked_sample, refuse_unidentifiable
from fusin.assays.fitting_solver import Piece, Problem, refine
from fusin.assays.fitting_start import grid_starts, solved_linear, varied_starts
from fusin.assays.models import Model
from fusin.assays.noise import Noise, depends_on_curve, root_weights
from fusin.errors import InputError, NotComputable

__all__ = ["Dataset", "Fit", "fit", "fit_global", "refit"]

FloatArray = NDArray[np.float64]
_ROUNDS = 100


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Dataset:
    """Points of one curve.

    Attributes
    ----------
    name : distinguishes its own parameters (``top[first]``) from shared ones (``top``)
    model : its curve
    x : (n,), or (m, n) for m predictors
    y : (n,) responses
    sd : (n,) standard deviations, for the noise model ``given``
    fixed : parameters with a known value
    """

    name: str
    model: Model
    x: FloatArray
    y: FloatArray
    sd: FloatArray | None = None
    fixed: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Fit:
    """A minimum with its covariance.

    Attributes
    ----------
    what : what was fitted, for messages
    names : free parameters in order; ``name[dataset]`` where a parameter belongs to one data set
    theta : (k,) their values
    covariance : (k, k)
    rss : sum of squared residuals, without weights
    weighted_rss : the sum that was minimised
    variance : residual variance of a point of weight 1; 1 for known standard deviations
    n : number of points
    noise : noise model
    datasets : what was fitted
    problem, root : curves and square roots of the weights, for intervals and bands
    starts : number of starts, and ``agreeing`` of them that reached this minimum
    """

    what: str
    names: tuple[str, ...]
    theta: FloatArray
    covariance: FloatArray
    rss: float
    weighted_rss: float
    variance: float
    n: int
    noise: Noise
    datasets: tuple[Dataset, ...]
    problem: Problem
    root: FloatArray
    starts: int
    agreeing: int

    @property
    def df(self) -> int:
        """Degrees of freedom: points less free parameters."""
        return self.n - len(self.names)

    @property
    def values(self) -> dict[str, float]:
        """Free and fixed parameters by name."""
        found = dict(zip(self.names, self.theta.tolist(), strict=True))
        for data in self.datasets:
            for name, value in data.fixed.items():
                found.setdefault(name if len(self.datasets) == 1 else f"{name}[{data.name}]", float(value))
        return found

    @property
    def se(self) -> dict[str, float]:
        """Standard errors of the free parameters by name."""
        return dict(zip(self.names, np.sqrt(np.diag(self.covariance)).tolist(), strict=True))

    @property
    def exact(self) -> bool:
        """Whether the curve goes through all points, so that there is no scatter to judge an interval by."""
        size = float(np.sum((self.problem.y * self.root) ** 2))
        return self.weighted_rss <= 1e-20 * size

    def curve(self, dataset: str | None = None, x: ArrayLike | None = None) -> FloatArray:
        """The fitted curve of a data set, at its own points or at others."""
        piece = self.problem.pieces[self.place(dataset)]
        points = piece.x if x is None else np.asarray(x, dtype=float)
        found = np.asarray(piece.evaluate(self.theta, points), dtype=float)
        return np.broadcast_to(found, (points.shape[-1],)).copy()

    def residuals(self, dataset: str | None = None) -> FloatArray:
        """Response less curve, without weights."""
        place = self.place(dataset)
        return self.datasets[place].y - self.curve(self.datasets[place].name)

    def place(self, dataset: str | None) -> int:
        """Number of a data set by its name; the first without one."""
        if dataset is None:
            return 0
        return [d.name for d in self.datasets].index(dataset)


def fit(
    model: Model,
    x: ArrayLike,
    y: ArrayLike,
    *,
    what: str = "",
    noise: Noise = "constant",
    sd: ArrayLike | None = None,
    fixed: Mapping[str, float] | None = None,
    start: Mapping[str, float] | None = None,
    starts: int = 8,
    seed: int = 0,
) -> Fit:
    """Fit one curve to one data set by (weighted) least squares.

    Parameters
    ----------
    model : the curve, such as those of :mod:`fusin.assays.models`
    x : (n,) predictor, or (m, n) for m predictors
    y : (n,) responses; replicates are separate points
    what : what is fitted, for messages
    noise : how the scatter grows with the response, see :mod:`fusin.assays.noise`
    sd : (n,) standard deviations for ``noise="given"``
    fixed : parameters with a known value
    start : a starting point; optional for models that offer candidates
    starts : how many starts are followed to the end
    seed : of the variations of ``start``

    Raises
    ------
    InputError
        For values that are not finite, unequal lengths, or unknown parameters.
    NotComputable
        ``TOO_FEW_POINTS`` for as many points as parameters or fewer, ``FIT_NO_VARIATION`` for equal responses,
        ``FIT_NOT_IDENTIFIABLE`` naming the parameters that the data do not determine, ``FIT_NO_MINIMUM`` when no start
        leads anywhere.
    """
    points, response = checked_sample(x, y, what=what or model.name)
    spread = None if sd is None else np.asarray(sd, dtype=float)
    data = Dataset(name="", model=model, x=points, y=response, sd=spread, fixed=dict(fixed or {}))
    return fit_global((data,), what=what, noise=noise, start=start, starts=starts, seed=seed)


def fit_global(
    datasets: Sequence[Dataset],
    *,
    shared: Collection[str] = (),
    what: str = "",
    noise: Noise = "constant",
    start: Mapping[str, float] | None = None,
    starts: int = 8,
    seed: int = 0,
) -> Fit:
    """Fit several data sets together; parameters named in ``shared`` have one value for all.

    Parameters
    ----------
    datasets : points with their models
    shared : names of the common parameters; the others get one value for each data set
    what, noise, start, starts, seed : as in `fit`; ``start`` by the names of the result
    """
    what = what or datasets[0].model.name
    problem, bases = _problem(datasets, shared)
    k = len(problem.names)
    if not k:
        raise InputError(what, "parameters", "all fixed", "at least one free parameter")
    _refuse_few(problem, what)
    rng_starts = _starts(problem, datasets, bases, start, starts, seed)
    root = _root_for(problem, datasets, noise, problem.y, what) if noise == "given" else np.ones(problem.y.size)
    theta, agreeing = _minimum(problem, rng_starts(root), root, what)
    if depends_on_curve(noise):
        theta, root = _reweighted(problem, datasets, noise, theta, what)
    return _finished(problem, datasets, theta, root, noise, what, len(rng_starts(root)), agreeing)


def refit(found: Fit, theta: FloatArray) -> Fit:
    """The same fit from another point, for a search that met a lower minimum."""
    better, _ = refine(found.problem, theta[None], found.root)
    return _finished(
        found.problem, found.datasets, better[0], found.root, found.noise, found.what, found.starts, found.agreeing
    )


def _problem(datasets: Sequence[Dataset], shared: Collection[str]) -> tuple[Problem, list[str]]:
    """Curves with places for their parameters, and the name of each parameter within its model."""
    names: list[str] = []
    bases: list[str] = []
    pieces: list[Piece] = []
    at = 0
    for data in datasets:
        unknown = sorted(set(data.fixed) - set(data.model.parameters))
        if unknown:
            raise InputError(data.model.name, "fixed parameters", ", ".join(unknown), ", ".join(data.model.parameters))
        slots: list[int | None] = []
        for parameter in data.model.parameters:
            if parameter in data.fixed:
                slots.append(None)
                continue
            name = parameter if len(datasets) == 1 or parameter in shared else f"{parameter}[{data.name}]"
            if name not in names:
                names.append(name)
                bases.append(parameter)
            slots.append(names.index(name))
        constants = tuple(float(data.fixed.get(p, math.nan)) for p in data.model.parameters)
        rows = slice(at, at + data.y.size)
        pieces.append(Piece(data.model.function, data.x, tuple(slots), constants, rows))
        at += data.y.size
    low, high = np.full(len(names), -math.inf), np.full(len(names), math.inf)
    for data, piece in zip(datasets, pieces, strict=True):
        limits = data.model.domain(data.x)
        for parameter, slot in zip(data.model.parameters, piece.slots, strict=True):
            if slot is not None and parameter in limits:
                # A shared parameter may be wherever one of its curves can have it.
                low[slot] = limits[parameter][0] if np.isinf(low[slot]) else min(low[slot], limits[parameter][0])
                high[slot] = limits[parameter][1] if np.isinf(high[slot]) else max(high[slot], limits[parameter][1])
    return Problem(tuple(names), tuple(pieces), np.concatenate([d.y for d in datasets]), low, high), bases


def _refuse_few(problem: Problem, what: str) -> None:
    n, k = problem.y.size, len(problem.names)
    if n <= k:
        raise NotComputable(
            what,
            f"{n} points cannot determine {k} parameters and their scatter ({', '.join(problem.names)})",
            f"at least {k + 1} points, or parameters with a known value",
            "TOO_FEW_POINTS",
        )
    if np.ptp(problem.y) == 0.0:
        raise NotComputable(
            what, f"all {n} responses are {problem.y[0]:g}", "responses that differ", "FIT_NO_VARIATION"
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Starts:
    """Starting points, for weights that are known later."""

    problem: Problem
    models: tuple[Model, ...]
    bases: tuple[str, ...]
    given: FloatArray | None
    count: int
    seed: int

    def __call__(self, root: FloatArray) -> FloatArray:
        own = np.empty((0, len(self.bases)))
        if self.given is not None:
            own = varied_starts(self.given, count=2 * self.count, seed=self.seed)
            solved, _ = solved_linear(self.problem, own, self.models, self.bases, root)
            own = np.vstack([own, solved])
        return np.vstack([own, grid_starts(self.problem, self.models, self.bases, root, keep=self.count)])


def _starts(
    problem: Problem,
    datasets: Sequence[Dataset],
    bases: Sequence[str],
    start: Mapping[str, float] | None,
    count: int,
    seed: int,
) -> _Starts:
    given = None
    if start is not None:
        missing = [n for n in problem.names if n not in start]
        if missing:
            raise InputError("start", "parameters", ", ".join(start), f"a value for {', '.join(missing)}")
        given = np.array([float(start[n]) for n in problem.names])
    return _Starts(problem, tuple(d.model for d in datasets), tuple(bases), given, max(count, 1), seed)


def _root_for(problem: Problem, datasets: Sequence[Dataset], noise: Noise, curve: FloatArray, what: str) -> FloatArray:
    sd = None
    if noise == "given":
        given = [np.full(d.y.size, math.nan) if d.sd is None else d.sd for d in datasets]
        sd = np.concatenate(given)
        if sd.size != problem.y.size:
            raise InputError(what, "standard deviations", int(sd.size), f"one for each of {problem.y.size} points")
    return root_weights(noise, curve, sd, what=what)


def _minimum(problem: Problem, starts: FloatArray, root: FloatArray, what: str) -> tuple[FloatArray, int]:
    """Lowest of all starts, checked by MINPACK, and how many starts reached it."""
    if not len(starts):
        raise InputError(what, "start", "none", "starting values: the model offers none")
    theta, rss = refine(problem, starts, root)
    if not np.isfinite(rss).any():
        raise NotComputable(what, "no start leads to a curve", "other starting values", "FIT_NO_MINIMUM")
    best = int(np.argmin(rss))
    point, lowest = theta[best], float(rss[best])
    other = _by_minpack(problem, point, root)
    again, again_rss = refine(problem, other[None], root)
    if again_rss[0] < lowest:
        point, lowest = again[0], float(again_rss[0])
    agreeing = int(np.sum(rss <= lowest * (1 + 1e-6) + 1e-300))
    return point, max(agreeing, 1)


def _by_minpack(problem: Problem, theta: FloatArray, root: FloatArray) -> FloatArray:
    """The minimum that lmfit (MINPACK) finds from the same place: a second opinion."""
    import lmfit

    parameters = lmfit.Parameters()
    words = [f"p{i}" for i in range(theta.size)]
    for word, value in zip(words, theta.tolist(), strict=True):
        parameters.add(word, value=value)

    def values(given: lmfit.Parameters) -> FloatArray:
        return np.array([given[word].value for word in words])

    def residual(given: lmfit.Parameters) -> FloatArray:
        found = (problem.curve(values(given)) - problem.y) * root
        return np.nan_to_num(found, nan=1e150, posinf=1e150, neginf=-1e150)

    def jacobian(given: lmfit.Parameters) -> FloatArray:
        found: FloatArray = np.nan_to_num(problem.with_slopes(values(given))[1] * root[:, None])
        return found

    minimiser = lmfit.Minimizer(residual, parameters, calc_covar=False)
    with np.errstate(all="ignore"):
        result = minimiser.leastsq(Dfun=jacobian, col_deriv=0)
    return values(result.params)


def _reweighted(
    problem: Problem, datasets: Sequence[Dataset], noise: Noise, theta: FloatArray, what: str
) -> tuple[FloatArray, FloatArray]:
    """Find curve and weights in turns until both stand still (iteratively reweighted least squares)."""
    root = _root_for(problem, datasets, noise, problem.curve(theta), what)
    for _ in range(_ROUNDS):
        moved, _ = refine(problem, theta[None], root)
        change = np.abs(moved[0] - theta) <= 1e-9 * np.abs(moved[0]) + 1e-300
        theta = moved[0]
        root = _root_for(problem, datasets, noise, problem.curve(theta), what)
        if change.all():
            return theta, root
    raise NotComputable(
        what,
        f"curve and weights of the noise model {noise!r} did not settle in {_ROUNDS} rounds",
        "the noise model 'constant', or more points",
        "FIT_NO_MINIMUM",
    )


def _finished(
    problem: Problem,
    datasets: Sequence[Dataset],
    theta: FloatArray,
    root: FloatArray,
    noise: Noise,
    what: str,
    starts: int,
    agreeing: int,
) -> Fit:
    theta = _canonical(problem, datasets, theta)
    curve, jacobian = problem.with_slopes(theta)
    weighted = jacobian * root[:, None]
    refuse_unidentifiable(problem.names, weighted, what=what)
    residual = (problem.y - curve) * root
    rss = float(residual @ residual)
    n, k = problem.y.size, len(problem.names)
    variance = 1.0 if noise == "given" else rss / (n - k)
    size = np.sqrt(np.sum(weighted**2, axis=0))
    triangle = np.linalg.qr(weighted / size, mode="r")
    inverse = np.linalg.inv(triangle)
    covariance = variance * (inverse @ inverse.T) / np.outer(size, size)
    plain = problem.y - curve
    return Fit(
        what=what, names=problem.names, theta=theta, covariance=covariance, rss=float(plain @ plain),
        weighted_rss=rss, variance=variance, n=n, noise=noise, datasets=tuple(datasets), problem=problem, root=root,
        starts=starts, agreeing=agreeing,
    )  # fmt: skip


def _canonical(problem: Problem, datasets: Sequence[Dataset], theta: FloatArray) -> FloatArray:
    """Among parameter sets of one curve, the one that the models report; kept as it is where a fixed value forbids it."""
    out = theta.copy()
    for data, piece in zip(datasets, problem.pieces, strict=True):
        now = tuple(c if s is None else float(theta[s]) for s, c in zip(piece.slots, piece.constants, strict=True))
        then = data.model.canonical(now)
        if any(slot is None and a != b for slot, a, b in zip(piece.slots, now, then, strict=True)):
            return theta
        for slot, value in zip(piece.slots, then, strict=True):
            if slot is not None:
                out[slot] = value
    # Parameters shared with a curve that wants another order would change that curve.
    same = np.allclose(problem.curve(out), problem.curve(theta), rtol=1e-9, atol=0.0)
    return out if same else theta
