"""Models whose input is a region without specific binding: SRTM and Logan's plot with a reference.

Both give BP_ND, the ratio of specifically bound to non-displaceable tracer, without blood. They are right where the reference holds
no receptor and both regions exchange the tracer alike. In CXCR4 imaging no organ is free of receptor: spleen and marrow are
the worst references, muscle and blood pool the least bad.

References
----------
Lammertsma AA, Hume SP, Neuroimage 1996;4:153-158 (SRTM). Gunn RN et al., Neuroimage 1997;6:279-287 (its basis functions).
Logan J et al., J Cereb Blood Flow Metab 1996;16:834-840 (plot with a reference).
"""

from __future__ import annotations

import numpy as np

from fusin.receptor.frames import TissueCurve
from fusin.receptor.input_function import InputFunction

__all__ = ["reference_input"]


def reference_input(curve: TissueCurve) -> InputFunction:
    """A reference region as the input of a model: lines between the middles of its frames, from 0 at time 0 on.

    The last value goes on to the end of the last frame.
    """
    time, value = np.asarray(curve.frames.mid_min), curve.activity
    if time[0] > 0.0:
        time, value = np.concatenate([[0.0], time]), np.concatenate([[0.0], value])
    last = curve.frames.last_min
    if last > time[-1]:
        time, value = np.concatenate([time, [last]]), np.concatenate([value, value[-1:]])
    return InputFunction(
        time_min=time, plasma=value, unit=curve.unit, sampled_until_min=float(curve.frames.mid_min[-1])
    )
