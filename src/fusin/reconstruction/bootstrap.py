"""How much an image would change if the acquisition were repeated: a bootstrap of the counts.

Each replicate draws the counts of each bin anew, Poisson about what was measured, and runs the same reconstruction. The
spread of the replicates is that of noise alone: errors of calibration, attenuation and scatter models move all of them
together and are stated apart.

References
----------
Haynor DR, Woods SD, IEEE Trans Med Imaging 1989;8:190 · Dahlbom M, IEEE Trans Nucl Sci 2002;49:2062 · Buvat I, Phys Med Biol
2002;47:1761 (bootstrap of projections).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.reconstruction.algorithms import Options, reconstruct
from fusin.reconstruction.data import Measured
from fusin.reconstruction.projector import FloatImage, Projector
from fusin.stats.results import Estimate

__all__ = ["Bootstrap", "bootstrap_counts", "interval_of"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bootstrap:
    """Spread of the replicates.

    Attributes
    ----------
    replicates : how many
    sd : standard deviation of each voxel, in the unit of the image
    regions : means of each region, one per replicate
    seed : of the draws
    """

    replicates: int
    sd: FloatImage
    regions: Mapping[str, NDArray[np.float64]]
    seed: int


def bootstrap_counts(
    projector: Projector,
    measured: Measured,
    *,
    options: Options,
    iterations: int,
    replicates: int,
    seed: int,
    regions: Mapping[str, NDArray[np.bool_]],
    progress: Callable[[int], None] = lambda done: None,
) -> Bootstrap:
    """Run the reconstruction on redrawn counts.

    Parameters
    ----------
    projector, measured, options : as used for the image
    iterations : that the image took; replicates take as many
    replicates : 2 or more; intervals of regions want 20 or more
    seed : of the draws; replicate i does not depend on how many follow it
    regions : masks by name
    progress : called with the number of replicates done

    Raises
    ------
    InputError
        For fewer than two replicates.
    """
    if replicates < 2:
        raise InputError("bootstrap", "replicates", replicates, "2 or more; 20 or more for intervals")
    mean = np.zeros(projector.image_shape, np.float64)
    square = np.zeros(projector.image_shape, np.float64)
    means: dict[str, list[float]] = {name: [] for name in regions}
    same = replace(options, iterations=iterations)
    for number in range(replicates):
        rng = np.random.default_rng([seed, number])
        replicate = reconstruct(projector, measured.redrawn(rng), options=same, log=NoticeLog(), likelihood=False)
        image = replicate.image.astype(np.float64)
        away = image - mean
        mean += away / (number + 1)
        square += away * (image - mean)
        for name, mask in regions.items():
            means[name].append(float(image[mask].mean()))
        progress(number + 1)
    sd = np.sqrt(square / (replicates - 1)).astype(np.float32)
    return Bootstrap(replicates=replicates, sd=sd, seed=seed, regions={n: np.array(v) for n, v in means.items()})


def interval_of(
    value: float, replicates: NDArray[np.float64], *, u_relative: float = 0.0, level: float = 0.95
) -> Estimate:
    """Mean of a region with its interval: t times the spread of the replicates, and a shared relative uncertainty.

    Percentiles of a few dozen replicates would be the extremes of a small sample; the spread is estimated well by them, and
    Student's t says how well.

    Parameters
    ----------
    value : from the image itself
    replicates : (n,) the same mean of each replicate, in the same unit
    u_relative : relative standard uncertainty that all replicates share, such as that of the calibration
    level : confidence level
    """
    from scipy.stats import norm, t

    count = int(replicates.size)
    noise = float(replicates.std(ddof=1)) * float(t.ppf(0.5 + level / 2, count - 1)) if count > 1 else 0.0
    half = math.hypot(noise, float(norm.ppf(0.5 + level / 2)) * u_relative * abs(value))
    method = f"bootstrap of counts, {count} replicates, Student's t" if count > 1 else "calibration, normal"
    if count > 1 and u_relative > 0:
        method += ", with the calibration in quadrature"
    if count < 2 and u_relative == 0:
        return Estimate(value=value, low=None, high=None, method="mean of the voxels", n=1, level=level,
                        note="no bootstrap was asked for")  # fmt: skip
    return Estimate(value=value, low=value - half, high=value + half, method=method, n=max(count, 1), level=level)
