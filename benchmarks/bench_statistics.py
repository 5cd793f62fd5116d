"""Time fusin's statistics of findings within patients against plain loops, statsmodels, and R where it is present.

Run ``python benchmarks/bench_statistics.py``; contenders take turns, medians are kept, and ratios are against fusin.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from fusin.stats.clustered import cluster_bootstrap, gee_compare
from fusin.stats.roc import compare_auc
from timing import FUSIN, Table, Timing, print_table

PATIENTS, FINDINGS = 10_000, 100_000
RESAMPLES = 200
ROC_FINDINGS = 2_000
RUNS = 5
Arrays = Mapping[str, np.ndarray]

R_HEAD = """
d <- read.csv('{csv}')
time <- function(f) {{ t <- replicate({runs}, system.time(f())[c('elapsed', 'user.self')]); cat(apply(t, 1, median), '\\n') }}
"""
R_GEE = (
    """
suppressMessages(library(geepack))
e <- data.frame(v = c(d$first, d$second), g = rep(0:1, each = nrow(d)), id = rep(d$patient, 2)); e <- e[order(e$id), ]
time(function() geeglm(v ~ g, id = id, data = e, family = binomial, corstr = 'exchangeable'))
""",
    "geepack",
)
R_BOOT = (
    """
library(boot)
k <- tapply(d$first, d$patient, sum); n <- tapply(d$first, d$patient, length)
time(function() boot(cbind(k, n), function(x, i) sum(x[i, 1]) / sum(x[i, 2]), R = {resamples}))
""",
    "boot",
)
R_ROC = (
    """
suppressMessages(library(pROC))
time(function() roc.test(roc(d$truth, d$a, quiet = TRUE, direction = '<'), roc(d$truth, d$b, quiet = TRUE, direction = '<')))
""",
    "pROC",
)


def findings(rng: np.random.Generator) -> Arrays:
    """Two tracers on the findings of many patients."""
    patient = np.repeat(np.arange(PATIENTS), FINDINGS // PATIENTS)
    rate = rng.beta(3.0, 1.0, PATIENTS)[patient]
    return {
        "patient": patient,
        "first": (rng.random(FINDINGS) < rate).astype(int),
        "second": (rng.random(FINDINGS) < 0.9 * rate).astype(int),
    }


def scores(rng: np.random.Generator, n: int) -> Arrays:
    """Two correlated indices and a reference."""
    truth = (rng.random(n) < 0.4).astype(int)
    a = rng.normal(size=n) + truth
    return {"truth": truth, "a": a, "b": a + rng.normal(size=n)}


def gee_by_loop(data: Arrays) -> float:
    """The estimating equations with one matrix inverse for each patient, a fixed number of turns."""
    rows: dict[int, list[int]] = {}
    for i, p in enumerate(data["patient"].tolist()):
        rows.setdefault(p, []).append(i)
    blocks = []
    for index in rows.values():
        y = np.concatenate([data["first"][index], data["second"][index]]).astype(float)
        blocks.append((y, np.column_stack([np.ones(len(y)), np.repeat([0.0, 1.0], len(index))])))
    beta, rho = np.zeros(2), 0.0
    for _ in range(6):
        bread, score, cross, squares, pairs = np.zeros((2, 2)), np.zeros(2), 0.0, 0.0, 0.0
        for y, x in blocks:
            mean = 1.0 / (1.0 + np.exp(-x @ beta))
            root = np.sqrt(mean * (1.0 - mean))
            correlation = (1.0 - rho) * np.eye(len(y)) + rho
            inverse = np.linalg.inv(correlation * np.outer(root, root))
            slope = x * (root**2)[:, None]
            bread += slope.T @ inverse @ slope
            score += slope.T @ inverse @ (y - mean)
            residual = (y - mean) / root
            cross += (residual.sum() ** 2 - (residual**2).sum()) / 2.0
            squares += (residual**2).sum()
            pairs += len(y) * (len(y) - 1) / 2.0
        beta = beta + np.linalg.solve(bread, score)
        rho = cross / pairs / (squares / (2 * len(data["first"])))
    return float(beta[1])


def gee_by_statsmodels(data: Arrays) -> object:
    """The GEE class of statsmodels with its bias-reduced covariance."""
    import statsmodels.api as sm

    y = np.concatenate([data["first"], data["second"]])
    x = np.column_stack([np.ones(len(y)), np.repeat([0.0, 1.0], len(data["first"]))])
    groups = np.concatenate([data["patient"]] * 2)
    model = sm.GEE(y, x, groups, family=sm.families.Binomial(), cov_struct=sm.cov_struct.Exchangeable())
    return model.fit(cov_type="bias_reduced")


def bootstrap_by_loop(data: Arrays) -> float:
    """Draw patients and concatenate their rows, sample by sample."""
    rng = np.random.default_rng(0)
    rows = np.split(data["first"], np.flatnonzero(np.diff(data["patient"])) + 1)
    draws = [
        float(np.concatenate([rows[i] for i in rng.integers(PATIENTS, size=PATIENTS)]).mean()) for _ in range(RESAMPLES)
    ]
    return float(np.quantile(draws, 0.025))


def delong_by_loop(data: Arrays) -> float:
    """Every pair of a positive and a negative finding, in plain Python."""
    truth = data["truth"].astype(bool)
    parts = []
    for name in ("a", "b"):
        high, low = data[name][truth].tolist(), data[name][~truth].tolist()
        ten, one = [0.0] * len(high), [0.0] * len(low)
        for i, x in enumerate(high):
            for j, y in enumerate(low):
                win = 1.0 if x > y else 0.5 if x == y else 0.0
                ten[i] += win / len(low)
                one[j] += win / len(high)
        parts.append((np.array(ten), np.array(one)))
    (a10, a01), (b10, b01) = parts
    variance = (a10 - b10).var(ddof=1) / len(a10) + (a01 - b01).var(ddof=1) / len(a01)
    return float((a10.mean() - b10.mean()) / np.sqrt(variance))


def once(call: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def take_turns(contenders: Mapping[str, Callable[[], object]]) -> dict[str, Timing]:
    """Medians of the contenders, which take turns; a contender that needs over five seconds runs once."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    contenders[FUSIN]()
    for _ in range(RUNS):
        for name, call in contenders.items():
            if not times[name] or times[name][0][0] < 5.0:
                times[name].append(once(call))
    return {
        name: Timing(statistics.median(w for w, _ in found), statistics.median(c for _, c in found))
        for name, found in times.items()
    }


def with_r(table: Table, script: tuple[str, str], data: Arrays) -> None:
    """Add R's medians, or say why there are none."""
    body, package = script
    if shutil.which("Rscript") is None:
        table.remarks.append(f"R {package}: skipped, no Rscript on this machine")
        return
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder) / "data.csv"
        np.savetxt(csv, np.column_stack(list(data.values())), delimiter=",", header=",".join(data), comments="")
        text = R_HEAD.format(csv=csv, runs=3) + body.format(resamples=RESAMPLES)
        done = subprocess.run(["Rscript", "-e", text], capture_output=True, text=True, check=False)
    numbers = re.findall(r"[\d.]+(?:e-?\d+)?", done.stdout)
    if done.returncode or len(numbers) < 2:
        table.remarks.append(f"R {package}: skipped, the package is not installed")
        return
    table.rows[f"R {package}"] = Timing(float(numbers[-2]), float(numbers[-1]))


def tables() -> list[Table]:
    """One table per task."""
    data, roc = findings(np.random.default_rng(0)), scores(np.random.default_rng(1), ROC_FINDINGS)
    large = scores(np.random.default_rng(2), FINDINGS)
    races = [
        (
            f"Two tracers, {FINDINGS} findings of {PATIENTS} patients, GEE with corrected errors",
            {
                FUSIN: lambda: gee_compare(data["first"], data["second"], data["patient"]),
                "plain loop over patients (no errors)": lambda: gee_by_loop(data),
                "statsmodels GEE": lambda: gee_by_statsmodels(data),
            },
            R_GEE,
            data,
        ),
        (
            f"Bootstrap over {PATIENTS} patients, {RESAMPLES} samples",
            {
                FUSIN: lambda: cluster_bootstrap(data["first"], data["patient"], resamples=RESAMPLES),
                "plain loop over samples": lambda: bootstrap_by_loop(data),
            },
            R_BOOT,
            data,
        ),
        (
            f"Paired DeLong test, {ROC_FINDINGS} findings",
            {
                FUSIN: lambda: compare_auc(roc["a"], roc["b"], roc["truth"]),
                "plain loop over pairs": lambda: delong_by_loop(roc),
            },
            R_ROC,
            roc,
        ),
        (
            f"Paired DeLong test, {FINDINGS} findings",
            {FUSIN: lambda: compare_auc(large["a"], large["b"], large["truth"])},
            R_ROC,
            large,
        ),
    ]
    made = []
    for title, contenders, script, inputs in races:
        table = Table(title, take_turns(contenders))
        with_r(table, script, inputs)
        made.append(table)
    return made


def main() -> None:
    """Print all tables."""
    for table in tables():
        print_table(table)


if __name__ == "__main__":
    main()
