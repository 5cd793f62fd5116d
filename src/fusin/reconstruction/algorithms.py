"""MLEM, OSEM, BSREM and MAP with a relative-difference prior, written against any projector.

With s the sensitivity, K subsets, ``e = H x + b`` and D the preconditioner ``(x + delta) / (s + 2 beta (x + delta) R'')``::

    mlem    x <- x / s    H'(y / e)
    osem    x <- x / s_k  H_k'(y_k / e_k)
    bsrem   x <- max(0, x + a_n D (K (H_k'(y_k / e_k) - s_k) - beta grad R)),         a_n = step / (1 + decay n)
    map     one subset: preconditioned ascent with an exact line search, so that the objective never falls;
            more: the same with variance-reduced gradients of the subsets (SVRG), which needs no decaying step

References
----------
Shepp LA, Vardi Y, IEEE Trans Med Imaging 1982;1:113 (MLEM) · Hudson HM, Larkin RS, IEEE Trans Med Imaging 1994;13:601
(OSEM) · Ahn S, Fessler JA, IEEE Trans Med Imaging 2003;22:613 (BSREM) · Johnson R, Zhang T, NeurIPS 2013 (SVRG) · Twyman R et
al., IEEE Trans Med Imaging 2023;42:29 (variance reduction in PET).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.reconstruction.data import Measured
from fusin.reconstruction.likelihood import Problem, make_problem
from fusin.reconstruction.map_steps import ascend, bsrem_pass, svrg_pass
from fusin.reconstruction.priors import RelativeDifference
from fusin.reconstruction.projector import FloatImage, Projector
from fusin.reconstruction.stopping import Stopping
from fusin.reconstruction.subsets import split_views

__all__ = [
    "Algorithm",
    "Keep",
    "Options",
    "Progress",
    "Reconstruction",
    "State",
    "Step",
    "forget",
    "mlem",
    "osem",
    "reconstruct",
    "silent",
]

_MANY = 1000
Algorithm = Literal["mlem", "osem", "bsrem", "map"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Options:
    """What to run.

    Attributes
    ----------
    algorithm : one of `Algorithm`
    iterations : passes over all data
    subsets : 1 for ``mlem``
    prior : for ``bsrem`` and ``map``; None for none
    make_prior : makes the prior once the sensitivity is known, instead of ``prior``
    step, decay : relaxation of ``bsrem``; ``step`` of ``map`` with subsets
    angles_deg : of the views, to spread the subsets; None: views follow each other around the camera

    Raises
    ------
    InputError
        For a combination that cannot be run.
    """

    algorithm: Algorithm = "osem"
    iterations: int = 10
    subsets: int = 1
    prior: RelativeDifference | None = None
    make_prior: Callable[[Problem], RelativeDifference] | None = None
    step: float = 1.0
    decay: float = 0.1
    angles_deg: ArrayLike | None = None

    def __post_init__(self) -> None:
        if self.algorithm not in get_args(Algorithm):
            raise InputError("algorithm", "name", self.algorithm, "one of " + ", ".join(get_args(Algorithm)))
        for name, least in (("iterations", 1), ("subsets", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise InputError("algorithm", name, value, f"a whole number of {least} or more")
        if self.algorithm == "mlem" and self.subsets != 1:
            raise InputError("algorithm", "subsets", self.subsets, "1 for mlem, or the algorithm osem")
        if self.algorithm in ("mlem", "osem") and not (self.prior is None and self.make_prior is None):
            raise InputError("prior", "algorithm", self.algorithm, "bsrem or map: mlem and osem have no prior")
        for name, low in (("step", np.nextafter(0.0, 1.0)), ("decay", 0.0)):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= low):
                raise InputError(
                    "algorithm", name, value, "0 or a positive number" if low == 0 else "a positive number"
                )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class State:
    """Where a reconstruction stands after a whole iteration; a run that starts from it goes on as if never stopped.

    Attributes
    ----------
    image : x
    iteration : iterations done
    log_likelihood : after each of them; None where counts lie on lines that the image leaves empty
    objective : L - beta R after each of them
    unexplained : counts that the image cannot explain after the last of them
    delta : constant of the preconditioner
    changes : largest of the stopping metrics over its tolerance after each iteration
    """

    image: FloatImage
    iteration: int = 0
    log_likelihood: tuple[float | None, ...] = ()
    objective: tuple[float | None, ...] = ()
    unexplained: float = 0.0
    delta: float = 0.0
    changes: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a progress display needs: after each subset, and with a likelihood after each iteration."""

    iteration: int
    iterations: int
    subset: int
    subsets: int
    log_likelihood: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reconstruction:
    """An image and how it came to be.

    Attributes
    ----------
    image : counts that the projector scales
    state : last state, from which to go on
    options : as used
    start_log_likelihood : L of the image at the start
    stopped : why no further iteration was run
    sensitivity : of all views
    """

    image: FloatImage
    state: State
    options: Options
    start_log_likelihood: float | None
    stopped: str
    sensitivity: FloatImage


Progress = Callable[[Step], None]
Keep = Callable[[State], None]


def silent(step: Step) -> None:
    """Show no progress."""


def forget(state: State) -> None:
    """Keep no checkpoint."""


def mlem(
    projector: Projector, measured: Measured, *, iterations: int, start: FloatImage | None = None
) -> Reconstruction:
    """Maximum likelihood by expectation maximisation; see `reconstruct`."""
    return reconstruct(projector, measured, options=Options(algorithm="mlem", iterations=iterations), start=start)


def osem(
    projector: Projector, measured: Measured, *, iterations: int, subsets: int, start: FloatImage | None = None
) -> Reconstruction:
    """Ordered subsets; see `reconstruct`."""
    options = Options(algorithm="osem", iterations=iterations, subsets=subsets)
    return reconstruct(projector, measured, options=options, start=start)


def reconstruct(
    projector: Projector,
    measured: Measured,
    *,
    options: Options,
    start: FloatImage | State | None = None,
    stopping: Stopping | None = None,
    log: NoticeLog | None = None,
    progress: Progress = silent,
    keep: Keep = forget,
    likelihood: bool = True,
) -> Reconstruction:
    """Estimate the image whose expected counts explain the measured ones.

    Parameters
    ----------
    projector, measured : model and counts of one acquisition
    options : algorithm, iterations, subsets, prior
    start : image, or the state of an earlier run; without, the uniform image that gives the measured total, and for ``bsrem``
        and ``map`` one iteration of OSEM from it
    stopping : when to stop before the last iteration
    log : receives notices
    progress : called after each subset and each iteration
    keep : called with the state after each iteration, and with that at the start
    likelihood : compute it after each iteration, which takes one more projection of all views

    Raises
    ------
    InputError
        For a start of another shape, or one that is negative.
    NotComputable
        Where counts and projector do not fit, see `make_problem`.
    """
    log = NoticeLog() if log is None else log
    problem, options = _prepared(projector, measured, options, log)
    state = start if isinstance(start, State) else _first(problem, options, start)
    uniform = start is None and options.algorithm in ("mlem", "osem")
    first = problem.uniform if uniform else None
    if likelihood and not uniform and not state.iteration:
        first, _ = problem.log_likelihood(state.image)
    keep(state)
    stopped = f"{options.iterations} iterations were asked for"
    while state.iteration < options.iterations:
        if stopping is not None and stopping.reached(state.changes):
            stopped = stopping.sentence(state.iteration)
            break
        before = state.image
        image = _iterate(problem, options, state, progress)
        state = _judged(problem, options, state, image) if likelihood else _unjudged(state, image)
        if stopping is not None:
            state = replace(state, changes=(*state.changes, stopping.metric(state.image, before)))
        last = state.log_likelihood[-1] if likelihood else None
        progress(Step(iteration=state.iteration, iterations=options.iterations, subset=options.subsets,
                      subsets=options.subsets, log_likelihood=last))  # fmt: skip
        keep(state)
    if stopping is not None and state.iteration == options.iterations and stopping.reached(state.changes):
        stopped = stopping.sentence(state.iteration)
    _warn_of_unexplained(state, measured, log)
    return Reconstruction(image=state.image, state=state, options=options, start_log_likelihood=first, stopped=stopped,
                          sensitivity=problem.sensitivity)  # fmt: skip


def _prepared(projector: Projector, measured: Measured, options: Options, log: NoticeLog) -> tuple[Problem, Options]:
    """The problem with its subsets, and the options with the prior that belongs to its scale."""
    views = projector.data_shape[0]
    subsets = split_views(views, options.subsets, angles_deg=options.angles_deg)
    # Subsets of a list of events are so large that one more or less is no news.
    if views % options.subsets and views < _MANY * options.subsets:
        log.info("SUBSETS_UNEQUAL", f"{views} views in {options.subsets} subsets: sizes differ by one view")
    problem = make_problem(projector, measured, subsets, log=log)
    if options.make_prior is not None:
        options = replace(options, prior=options.make_prior(problem), make_prior=None)
    return problem, options


def _warn_of_unexplained(state: State, measured: Measured, log: NoticeLog) -> None:
    if state.unexplained > 0:
        log.warning(
            "COUNTS_UNEXPLAINED",
            f"{state.unexplained:.6g} counts lie on lines that the image leaves empty, so it has no likelihood: fewer subsets, "
            "or an additive part, would keep them",
            where=measured.name,
            raw=state.unexplained,
        )


def _first(problem: Problem, options: Options, start: FloatImage | None) -> State:
    """State before the first iteration."""
    seen = problem.sensitivity > 0
    if start is not None:
        image = np.array(start, dtype=np.float32)
        if image.shape != tuple(problem.projector.image_shape):
            raise InputError("start", "image", image.shape, f"the shape {problem.projector.image_shape} of the image")
        if not np.isfinite(image).all() or (image < 0).any():
            raise InputError("start", "image", "negative voxels or no numbers", "0 or a positive number in each voxel")
    else:
        image = np.where(seen, np.float32(problem.unit), np.float32(0.0))
        if options.algorithm in ("bsrem", "map"):
            for views in problem.subsets:
                image = _em(problem, image, views)
    return State(image=image, delta=1e-6 * float(image.max(initial=0.0)))


def _em(problem: Problem, image: FloatImage, views: np.ndarray) -> FloatImage:
    """One EM step with one subset; voxels that it does not see stay as they are."""
    seen = problem.seen_by(views)
    correction = problem.steer(problem.expected(image, views), views)
    # A voxel that only the last tail of a response reaches would be multiplied by the quotient of two rounding errors.
    floor = 1e-9 * float(seen.max(initial=0.0))
    factor = np.divide(correction, seen, out=np.ones_like(image), where=seen > floor)
    return np.asarray(image * factor, dtype=np.float32)


def _iterate(problem: Problem, options: Options, state: State, progress: Progress) -> FloatImage:
    """One pass over all data."""

    def done(subset: int) -> None:
        progress(Step(iteration=state.iteration + 1, iterations=options.iterations, subset=subset + 1,
                      subsets=options.subsets))  # fmt: skip

    image = state.image
    if options.algorithm in ("mlem", "osem"):
        for k, views in enumerate(problem.subsets):
            image = _em(problem, image, views)
            done(k)
    elif options.algorithm == "bsrem":
        step = options.step / (1.0 + options.decay * state.iteration)
        image = bsrem_pass(problem, options.prior, image, step=step, delta=state.delta, done=done)
    elif options.subsets == 1:
        image = ascend(problem, options.prior, image, delta=state.delta)
    else:
        image = svrg_pass(problem, options.prior, image, step=options.step, delta=state.delta, done=done)
    return image


def _unjudged(state: State, image: FloatImage) -> State:
    return replace(state, image=image, iteration=state.iteration + 1)


def _judged(problem: Problem, options: Options, state: State, image: FloatImage) -> State:
    """The next state with its likelihood and objective."""
    likelihood, lost = problem.log_likelihood(image)
    value = None if lost > 0 else likelihood
    penalty = 0.0 if options.prior is None else options.prior.beta * options.prior.value(image)
    return replace(
        state, image=image, iteration=state.iteration + 1, unexplained=lost,
        log_likelihood=(*state.log_likelihood, value),
        objective=(*state.objective, None if value is None else value - penalty),
    )  # fmt: skip
