"""How the scatter of a response grows with it: declared by the user, never guessed from the data."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, InvalidValue

__all__ = ["NOISES", "NOISE_WORDS", "Noise", "checked_noise", "depends_on_curve", "root_weights"]

Noise = Literal["constant", "poisson", "relative", "given"]
NOISES: tuple[str, ...] = get_args(Noise)
NOISE_WORDS = {
    "constant": "unweighted (constant scatter)",
    "poisson": "weights 1/Y of the fitted curve (variance in proportion to the counts, as of counting)",
    "relative": "weights 1/Y² of the fitted curve (scatter in proportion to the response)",
    "given": "weights 1/SD² from the standard deviations given, which are taken as known",
}
"""What a report says about each noise model."""

FloatArray = NDArray[np.float64]


def checked_noise(text: str) -> Noise:
    """Return a noise model by its word.

    Raises
    ------
    InputError
        For another word.
    """
    for word in get_args(Noise):
        if word == text:
            found: Noise = word
            return found
    raise InputError("noise", "word", text, "one of " + ", ".join(NOISES))


def depends_on_curve(noise: Noise) -> bool:
    """Whether the weights follow the fitted curve, so that curve and weights have to be found in turns."""
    return noise in ("poisson", "relative")


def root_weights(noise: Noise, curve: FloatArray, sd: FloatArray | None, *, what: str) -> FloatArray:
    """Square roots of the weights: residuals times these have one variance.

    Parameters
    ----------
    noise : the noise model
    curve : (n,) fitted values
    sd : (n,) standard deviations for ``given``
    what : what is fitted, for messages

    Raises
    ------
    InvalidValue
        When a curve falls to 0 or below under a noise model that would give such a point infinite weight, or a
        standard deviation is missing or not positive.
    """
    if noise == "given":
        if sd is None or not (np.isfinite(sd) & (sd > 0)).all():
            raise InvalidValue(
                what, "a standard deviation is missing or not above 0", "one for every point", "FIT_SD_INVALID"
            )
        return 1.0 / sd
    if noise == "constant":
        return np.ones_like(curve)
    # A weight beyond this would let one point decide the fit by its rounding.
    floor = 1e-9 * float(np.abs(curve).max(initial=0.0))
    if not (curve > floor).all():
        raise InvalidValue(
            what,
            f"the curve falls to {float(curve.min()):.3g}, which has no weight under the noise model {noise!r}",
            "responses without background subtraction, or the noise model 'constant'",
            "FIT_WEIGHT_UNDEFINED",
        )
    scale = float(np.abs(curve).max())
    # Weights are relative to the largest response, so that sums of squares keep the size of a residual.
    return np.sqrt(scale / curve) if noise == "poisson" else scale / curve
