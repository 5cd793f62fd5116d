"""Dead time of a SPECT as a configuration describes it: what each view lost at its own rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.reconstruction.config import Config
from fusin.reconstruction.spect_acquisition import SpectAcquisition
from fusin.reconstruction.spect_calibration import dead_time_shares
from fusin.reconstruction.spect_geometry import FloatArray

__all__ = ["DeadTime", "read_dead_time"]

_KINDS = ("paralysable", "non-paralysable")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DeadTime:
    """What the views lost.

    Attributes
    ----------
    shares : (views,) measured over true rate
    u_relative : relative standard uncertainty that the dead time's own gives to the mean of the true rates
    sentence : for the corrections
    """

    shares: FloatArray
    u_relative: float
    sentence: str


def read_dead_time(config: Config, acquisition: SpectAcquisition, log: NoticeLog) -> DeadTime | None:
    """Measured over true rate of each view from the counts of its windows; None without a table ``[dead_time]``.

    Parameters
    ----------
    config : with the modality ``spect``
    acquisition : with the time of each view
    log : receives DEAD_TIME_OF_WINDOWS where the rate of the whole spectrum is not stated

    Raises
    ------
    InputError
        For a dead time that is not positive, a factor beside it, or views whose time is not known.
    NotComputable
        ``VIEW_BEYOND_DEAD_TIME`` for a rate that no true rate gives.
    """
    if not config.has("dead_time"):
        return None
    fields = config.fields("dead_time")
    tau, u_tau = fields.needed("tau_us", above=0.0), fields.needed("u_tau_us", least=0.0)
    kind = cast(Literal["paralysable", "non-paralysable"], fields.word("kind", _KINDS, "paralysable"))
    spectrum = fields.number("spectrum_factor", least=1.0)
    if config.calibration is not None and config.calibration.dead_time_factor > 1.0:
        raise InputError(f"{config.path.name}, calibration", "dead_time_factor", config.calibration.dead_time_factor,
                         "nothing beside a table [dead_time], which corrects the same loss")  # fmt: skip
    if acquisition.durations_s is None:
        raise InputError(fields.where, "tau_us", tau, "projections that state the time of a view, or [calibration] duration_s: "
                         "without it there is no rate")  # fmt: skip
    rates = acquisition.counts.sum(axis=(0, 2, 3), dtype=np.float64) / acquisition.durations_s
    if spectrum is None:
        log.warning(
            "DEAD_TIME_OF_WINDOWS",
            f"the rate for the dead time is that of the {len(acquisition.windows)} energy windows held, up to {rates.max():.4g} "
            "per second; the camera counted the whole spectrum: state spectrum_factor",
            where=acquisition.name, used=float(rates.max()),
        )  # fmt: skip
    rates = rates * (spectrum or 1.0)
    shares = dead_time_shares(rates, tau_s=1e-6 * tau, kind=kind)
    lost = 100.0 * (1.0 - shares)
    sentence = (
        f"Dead time: {kind}, {tau:g} us, {lost.min():.2g} to {lost.max():.2g} % of a view lost at up to {rates.max():.4g} "
        "counts per second, within the model."
    )
    return DeadTime(shares=shares, u_relative=_relative(rates, shares, tau, u_tau, kind), sentence=sentence)


def _relative(
    rates: FloatArray, shares: FloatArray, tau: float, u_tau: float, kind: Literal["paralysable", "non-paralysable"]
) -> float:
    """Change of the mean true rate with the dead time, by its derivative."""
    true = rates / shares
    if u_tau == 0.0 or not true.any():
        return 0.0
    # d ln n / d tau: n for the non-paralysable detector, n / (1 - n tau) for the paralysable one.
    slope = true if kind == "non-paralysable" else true / (1.0 - 1e-6 * tau * true)
    return float(np.average(1e-6 * u_tau * slope, weights=true))
