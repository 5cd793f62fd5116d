"""The alternative of ``bench_spect``: PyTomography on the same counts, run by a Python that has it.

``python bench_spect_pytomography.py case.npz result.npz iterations`` prints one line of JSON. It needs numpy, torch and
pytomography and nothing of fusin, so that it may run in an environment of its own.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np


def run(case: str, result: str, iterations: int) -> dict[str, float]:
    """Reconstruct; the first iteration, with sensitivities, is measured apart."""
    import torch
    from pytomography.algorithms import OSEM
    from pytomography.likelihoods import PoissonLogLikelihood
    from pytomography.metadata.SPECT import SPECTObjectMeta, SPECTProjMeta, SPECTPSFMeta
    from pytomography.projectors.SPECT import SPECTSystemMatrix
    from pytomography.transforms.SPECT import SPECTAttenuationTransform, SPECTPSFTransform

    data = np.load(case)
    size, pixel_cm = int(data["mu"].shape[0]), float(data["pixel_mm"]) / 10.0
    # Its angles are counted from the patient's front.
    angles = (data["angles_deg"] + 180.0) % 360.0
    order = np.argsort(angles)
    image = SPECTObjectMeta((pixel_cm,) * 3, (size,) * 3)
    views = SPECTProjMeta((size, size), (pixel_cm, pixel_cm), angles[order], data["radii_mm"][order] / 10.0)
    mu = torch.tensor(np.ascontiguousarray(data["mu"].transpose(2, 1, 0)))
    slope, intercept_cm = (float(v) for v in data["sigma"])
    steps = [SPECTAttenuationTransform(mu), SPECTPSFTransform(SPECTPSFMeta((slope, intercept_cm)))]
    matrix = SPECTSystemMatrix(obj2obj_transforms=steps, proj2proj_transforms=[], object_meta=image, proj_meta=views)
    counts = torch.tensor(np.ascontiguousarray(data["counts"].transpose(0, 2, 1)[order]))
    likelihood = PoissonLogLikelihood(matrix, counts)
    marks = []
    for n in (1, iterations):
        wall, cpu = time.perf_counter(), time.process_time()
        found = OSEM(likelihood)(n_iters=n, n_subsets=int(data["subsets"]))
        marks.append((time.perf_counter() - wall, time.process_time() - cpu))
    np.savez(result, image=found.numpy().transpose(2, 1, 0))
    return {
        "wall_s": (marks[1][0] - marks[0][0]) / (iterations - 1),
        "cpu_s": (marks[1][1] - marks[0][1]) / (iterations - 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0,
    }


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
