"""Small traces for the tests of chromatograms."""

from __future__ import annotations

import numpy as np

from fusin.provenance import NoticeLog
from fusin.radiopharmacy.chromatogram import Trace
from fusin.radiopharmacy.chromatogram_corrections import Decay, prepared

NO_DECAY = Decay(nuclide=None)


def trace(x, y, *, axis="min", quantity="counts", channel="radio", live_time_s=None, y_unit=None, where="run.csv"):
    """A trace of one channel."""
    unit = y_unit or {"counts": "counts", "rate": "cps"}.get(quantity, "mV")
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    live = None if live_time_s is None else np.broadcast_to(np.asarray(live_time_s, dtype=float), y.shape)
    return Trace(x=x, y=y, axis=axis, y_unit=unit, quantity=quantity, channel=channel, live_time_s=live, where=where)


def signal(x, y, *, decay=NO_DECAY, log=None, **more):
    """A signal ready for integration."""
    return prepared(trace(x, y, **more), NoticeLog() if log is None else log, decay=decay)


def gauss(x, counts, centre, sigma):
    """Expected counts per point of a Gaussian peak on a regular axis."""
    x = np.asarray(x, dtype=float)
    step = x[1] - x[0]
    return counts * step * np.exp(-0.5 * ((x - centre) / sigma) ** 2) / (sigma * np.sqrt(2.0 * np.pi))


def codes(log):
    """Codes of the notices."""
    return [n.code for n in log]
