"""Poisson log-likelihood of an image, and the data as the algorithms use them.

::

    L(x) = sum_i w_i y_i log(e_i) - sum_j s_j x_j - sum_i w_i b_i,      e = H x + b,  s = H' w

without the term log(y!), which no image changes. Written with the sensitivity s, the same line serves list mode, where the
data hold the events and not the bins that stayed empty.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fusin.errors import NotComputable
from fusin.provenance import NoticeLog
from fusin.reconstruction.data import Measured
from fusin.reconstruction.projector import FloatImage, Projector, Views

__all__ = ["Problem", "make_problem"]

_BARELY_SEEN = 1e-6


@dataclass(slots=True, eq=False)
class Problem:
    """Projector, counts and sensitivity of one reconstruction.

    Attributes
    ----------
    projector : model of the acquisition
    measured : counts and additive part; counts of bins that no voxel reaches are 0
    subsets : views of each subset in the order of use
    sensitivity : of all views
    unit : the uniform image that gives the measured total
    by_subset : sensitivity of each subset
    uniform : log-likelihood of that image
    kept : the image whose likelihood was asked for last, and its expected counts of the first subset, which the next iteration
        begins with
    """

    projector: Projector
    measured: Measured
    subsets: tuple[Views, ...]
    sensitivity: FloatImage
    unit: float
    by_subset: tuple[FloatImage, ...] = ()
    uniform: float = 0.0
    kept: tuple[FloatImage, FloatImage] | None = None

    def expected(self, image: FloatImage, views: Views | None = None) -> FloatImage:
        """H x + b of some views; images are not changed in place, so that the same object is the same image."""
        if self.kept is not None and self.kept[0] is image and views is self.subsets[0]:
            known, self.kept = self.kept[1], None
            return known
        counts = self.projector.forward(image, views)
        if self.measured.additive is not None:
            counts = counts + (self.measured.additive if views is None else self.measured.additive[views])
        return counts

    def steer(self, expected: FloatImage, views: Views | None = None, *, less: float = 0.0) -> FloatImage:
        """Back-projection of y / e - ``less`` for the views."""
        from fusin.reconstruction.poisson_kernels import quotients

        counts = self.measured.counts if views is None else self.measured.counts[views]
        ratio = quotients(_flat(counts), _flat(expected), less).reshape(counts.shape)
        if self.measured.weights is not None:
            ratio = ratio * (self.measured.weights if views is None else self.measured.weights[views])
        return self.projector.back(ratio, views)

    def gradient(self, image: FloatImage, views: Views) -> FloatImage:
        """dL/dx of the views of one subset."""
        return self.steer(self.expected(image, views), views) - self.seen_by(views)

    def seen_by(self, views: Views) -> FloatImage:
        """Sensitivity of one subset, weights included."""
        for known, image in zip(self.subsets, self.by_subset, strict=True):
            if known is views:
                return image
        return _sensitivity(self.projector, self.measured, views)

    def log_likelihood(self, image: FloatImage, expected: FloatImage | None = None) -> tuple[float, float]:
        """(L, counts that nothing explains); the latter are left out of L.

        Parameters
        ----------
        image : x
        expected : H x + b of all views where it is at hand; otherwise it is made in blocks of views
        """
        from fusin.reconstruction.poisson_kernels import log_terms

        logs, lost, first = 0.0, 0.0, None
        blocks = [None] if expected is not None else list(self.subsets)
        for views in blocks:
            e = expected if expected is not None else self.expected(image, views)
            if views is self.subsets[0]:
                first = e
            y, w = self.measured.counts, self.measured.weights
            if views is not None:
                y, w = y[views], None if w is None else w[views]
            terms = log_terms(_flat(y), _flat(e), np.empty((0, 0), np.float32) if w is None else _flat(w))
            logs += float(terms[:, 0].sum())
            lost += float(terms[:, 1].sum())
        self.kept = None if first is None else (image, first)
        seen = float(np.vdot(self.sensitivity.astype(np.float64), image.astype(np.float64)))
        return logs - seen - self.measured.expected_additive, lost


def make_problem(projector: Projector, measured: Measured, subsets: tuple[Views, ...], *, log: NoticeLog) -> Problem:
    """Check projector and counts against each other and find what both see.

    Parameters
    ----------
    projector, measured : of one acquisition
    subsets : views of each subset
    log : receives ``COUNTS_OUTSIDE_IMAGE``

    Raises
    ------
    NotComputable
        ``COUNTS_SHAPE`` where the shapes differ, ``NO_TRUE_COUNTS`` where nothing was counted beside scatter and randoms.
    """
    if tuple(measured.counts.shape) != tuple(projector.data_shape):
        raise NotComputable(
            f"the image of {measured.name}",
            f"the counts have the shape {measured.counts.shape} and the projector expects {tuple(projector.data_shape)}",
            "one view of counts per view of the geometry",
            "COUNTS_SHAPE",
        )
    by_subset = tuple(_sensitivity(projector, measured, views) for views in subsets)
    whole = np.zeros(by_subset[0].shape, np.float64)
    for part in by_subset:
        whole += part
    sensitivity = whole.astype(np.float32)
    total, additive = measured.total_counts, measured.expected_additive
    if total <= 0 or not (sensitivity > 0).any():
        raise NotComputable(
            f"the image of {measured.name}",
            f"{total:g} counts were measured",
            "counts that the image can give",
            "NO_TRUE_COUNTS",
        )
    if additive >= total:
        raise NotComputable(
            f"the image of {measured.name}",
            f"{additive:g} counts of scatter and randoms are expected and {total:g} were measured",
            "a scatter estimate below the counts: check the windows and their widths",
            "NO_TRUE_COUNTS",
        )
    unit = (total - additive) / float(sensitivity.sum(dtype=np.float64))
    found = Problem(projector, measured, subsets, sensitivity, unit, by_subset)
    _measure_reach(found, log)
    return found


def _measure_reach(problem: Problem, log: NoticeLog) -> None:
    """Project the uniform image: its likelihood, and counts in bins that no voxel reaches, which no image could explain."""
    from fusin.reconstruction.poisson_kernels import log_terms

    measured = problem.measured
    uniform = np.where(problem.sensitivity > 0, np.float32(problem.unit), np.float32(0.0))
    counts, lost, bins, logs = None, 0.0, 0, 0.0
    for views in problem.subsets:
        expected = problem.expected(uniform, views)
        y = measured.counts[views]
        beyond = (expected <= _BARELY_SEEN * float(expected.max(initial=0.0))) & (y > 0)
        if beyond.any():
            counts = measured.counts.copy() if counts is None else counts
            lost += float(y[beyond].sum(dtype=np.float64))
            bins += int(beyond.sum())
            y = np.where(beyond, np.float32(0.0), y)
            counts[views] = y
        w = np.empty((0, 0), np.float32) if measured.weights is None else _flat(measured.weights[views])
        logs += float(log_terms(_flat(y), _flat(expected), w)[:, 0].sum())
    problem.uniform = (
        logs - float(np.vdot(problem.sensitivity.astype(np.float64), uniform)) - measured.expected_additive
    )
    if counts is not None:
        log.warning(
            "COUNTS_OUTSIDE_IMAGE",
            f"{lost:.6g} of {measured.total_counts:.6g} counts lie in {bins} bins that no voxel of the image reaches; they are "
            "left out",
            where=measured.name,
            raw=lost,
        )
        problem.measured = replace(measured, counts=counts, additive_total=measured.expected_additive)


def _sensitivity(projector: Projector, measured: Measured, views: Views | None) -> FloatImage:
    if measured.weights is None:
        return projector.sensitivity(views)
    return projector.back(measured.weights if views is None else measured.weights[views], views)


def _flat(values: FloatImage) -> FloatImage:
    return np.ascontiguousarray(values.reshape(values.shape[0], -1))
