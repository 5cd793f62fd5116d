"""Each algorithm against what is known of it: conserved counts, a likelihood that never falls, the maximum found otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from small_problem import SHAPE, counts, matrix_projector, truth

from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog
from fusin.reconstruction.algorithms import Options, mlem, osem, reconstruct
from fusin.reconstruction.checkpoints import read_checkpoint, write_checkpoint
from fusin.reconstruction.data import Measured
from fusin.reconstruction.priors import RelativeDifference
from fusin.reconstruction.projector import MatrixProjector, adjoint_mismatch

PRIOR = RelativeDifference(beta=20.0, epsilon=1e-3)


@pytest.fixture(scope="module")
def projector():
    return matrix_projector()


@pytest.fixture(scope="module")
def penalised_maximum(projector):
    """Image of the highest penalised likelihood by L-BFGS-B in double precision, and its objective."""
    measured = counts(projector)
    y, b = measured.counts.astype(float).ravel(), measured.additive.astype(float).ravel()

    def falling(flat):
        image = flat.reshape(SHAPE)
        e = projector.matrix @ flat + b
        slope = projector.matrix.T @ (y / e - 1.0) - PRIOR.beta * PRIOR.gradient(image).ravel()
        return -((y * np.log(e) - e).sum() - PRIOR.beta * PRIOR.value(image)), -slope

    found = minimize(falling, np.ones(int(np.prod(SHAPE))), jac=True, method="L-BFGS-B", bounds=[(0, None)] * 192,
                     options={"maxiter": 3000, "ftol": 1e-15, "gtol": 1e-7})  # fmt: skip
    return found.x.reshape(SHAPE), -found.fun


def test_the_matrix_projector_is_its_own_transpose(projector):
    views = np.array([3, 1, 7])
    assert adjoint_mismatch(projector, rng=np.random.default_rng(0)) < 1e-6
    assert adjoint_mismatch(projector, rng=np.random.default_rng(0), views=views) < 1e-6


def test_a_back_projector_that_is_no_transpose_is_found_out(projector):
    """Vectors without negative values would not see it: 3e-5 instead of 5 %, as measured on a published pair."""

    class Smoothed:
        image_shape, data_shape = projector.image_shape, projector.data_shape
        forward = staticmethod(projector.forward)

        @staticmethod
        def back(data, views=None):
            image = projector.back(data, views)
            return (0.95 * image + 0.05 * np.roll(image, 1, axis=2)).astype(np.float32)

    assert adjoint_mismatch(Smoothed(), rng=np.random.default_rng(0)) > 1e-4


@pytest.mark.parametrize("iterations", [1, 2, 7])
def test_mlem_conserves_the_counts_after_each_iteration(projector, iterations):
    """Shepp and Vardi 1982: sum of s x = sum of y without an additive part."""
    measured = counts(projector, additive=0.0)
    found = mlem(projector, measured, iterations=iterations)
    total = float(np.vdot(found.image.astype(float), found.sensitivity.astype(float)))
    assert total == pytest.approx(measured.total_counts, rel=1e-6)


@pytest.mark.parametrize("additive", [0.0, 20.0])
def test_the_likelihood_of_mlem_never_falls(projector, additive):
    found = mlem(projector, counts(projector, additive=additive), iterations=60)
    steps = np.diff([found.start_log_likelihood, *found.state.log_likelihood])
    assert (steps[:20] > 0).all()
    assert steps.min() > -0.01, "beyond the rounding of float32"


def test_the_likelihood_is_the_textbook_sum(projector):
    measured = counts(projector)
    found = osem(projector, measured, iterations=2, subsets=4)
    e = projector.matrix @ found.image.astype(float).ravel() + 20.0
    y = measured.counts.astype(float).ravel()
    assert found.state.log_likelihood[-1] == pytest.approx((y * np.log(e) - e).sum(), rel=1e-7)


def test_mlem_finds_the_truth_in_counts_without_noise(projector):
    exact = Measured(counts=projector.forward(truth()))
    assert np.abs(mlem(projector, exact, iterations=2000).image - truth()).max() < 0.05


def test_one_iteration_of_osem_does_the_work_of_several_of_mlem(projector):
    measured = counts(projector)
    fast = osem(projector, measured, iterations=1, subsets=8).state.log_likelihood[-1]
    slow = mlem(projector, measured, iterations=4).state.log_likelihood[-1]
    assert fast > slow


def test_osem_with_one_subset_is_mlem(projector):
    measured = counts(projector)
    a, b = osem(projector, measured, iterations=3, subsets=1), mlem(projector, measured, iterations=3)
    assert np.array_equal(a.image, b.image)


@pytest.mark.parametrize(("algorithm", "subsets", "iterations", "within"),
                         [("map", 1, 200, 2e-5), ("map", 4, 60, 1e-4), ("map", 8, 40, 1e-4), ("bsrem", 8, 300, 2e-3)])  # fmt: skip
def test_penalised_algorithms_reach_the_maximum_of_l_bfgs(
    projector, penalised_maximum, algorithm, subsets, iterations, within
):
    image, best = penalised_maximum
    options = Options(algorithm=algorithm, subsets=subsets, iterations=iterations, prior=PRIOR)
    found = reconstruct(projector, counts(projector), options=options)
    assert np.sqrt(np.mean((found.image - image) ** 2)) / image.mean() < within
    assert found.state.objective[-1] == pytest.approx(best, abs=0.01)


def test_the_objective_of_map_with_all_data_never_falls(projector):
    found = reconstruct(projector, counts(projector), options=Options(algorithm="map", iterations=40, prior=PRIOR))
    assert np.diff(found.state.objective).min() > -0.01


def test_map_without_a_prior_has_the_likelihood_of_mlem_or_more(projector):
    measured = counts(projector)
    found = reconstruct(projector, measured, options=Options(algorithm="map", iterations=30))
    assert found.state.log_likelihood[-1] >= mlem(projector, measured, iterations=30).state.log_likelihood[-1]


@pytest.mark.parametrize(("algorithm", "subsets"), [("mlem", 1), ("osem", 4), ("bsrem", 4), ("map", 1), ("map", 4)])
def test_a_run_that_goes_on_from_a_checkpoint_gives_the_identical_image(projector, tmp_path, algorithm, subsets):
    measured = counts(projector)
    prior = PRIOR if algorithm in ("bsrem", "map") else None
    options = Options(algorithm=algorithm, subsets=subsets, iterations=6, prior=prior)
    whole = reconstruct(projector, measured, options=options)
    half = reconstruct(projector, measured, options=replace(options, iterations=3))
    write_checkpoint(tmp_path / "c.npz", half.state, {"data": "a"})
    state = read_checkpoint(tmp_path / "c.npz", {"data": "a"})
    rest = reconstruct(projector, measured, options=options, start=state)
    assert np.array_equal(rest.image, whole.image)
    assert rest.state.log_likelihood == whole.state.log_likelihood
    assert rest.state.objective == whole.state.objective


def test_an_interruption_leaves_the_last_whole_iteration(projector):
    kept = []

    def interrupt(step):
        if step.iteration == 3 and step.subset == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reconstruct(projector, counts(projector), options=Options(iterations=5, subsets=4), progress=interrupt,
                    keep=kept.append)  # fmt: skip
    assert [s.iteration for s in kept] == [0, 1, 2]


def test_a_weight_of_zero_is_the_same_as_a_bin_that_does_not_exist(projector):
    measured = counts(projector)
    weights = np.ones_like(measured.counts)
    weights[:, ::3] = 0.0
    kept = weights.astype(bool).ravel()
    part = type(projector)(projector.matrix[kept], SHAPE, (16, 20))
    cut = Measured(
        counts=measured.counts[weights > 0].reshape(16, 20), additive=measured.additive[weights > 0].reshape(16, 20)
    )
    a = osem(projector, replace(measured, weights=weights), iterations=3, subsets=4)
    b = osem(part, cut, iterations=3, subsets=4)
    assert np.allclose(a.image, b.image, rtol=1e-4)
    assert a.state.log_likelihood[-1] == pytest.approx(b.state.log_likelihood[-1], rel=1e-6)


def test_counts_that_no_voxel_reaches_are_left_out_and_named(projector):
    matrix = projector.matrix.copy().reshape(16, 30, -1)
    matrix[:, :2] = 0.0
    blind = type(projector)(matrix.reshape(480, -1), SHAPE, (16, 30))
    measured = counts(projector, additive=0.0)
    log = NoticeLog()
    found = reconstruct(blind, measured, options=Options(algorithm="mlem", iterations=2), log=log)
    assert [n.code for n in log] == ["COUNTS_OUTSIDE_IMAGE"]
    assert log.notices[0].raw == measured.counts[:, :2].sum()
    assert found.state.log_likelihood[-1] is not None


def test_counts_on_emptied_lines_make_the_likelihood_unknown_instead_of_wrong():
    """A voxel that one subset counted as empty stays empty, and counts of another subset on its line have no explanation."""
    two = type(matrix_projector())(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), (1, 1, 2), (4, 1))
    measured = Measured(counts=np.array([[0.0], [3.0], [2.0], [2.0]], np.float32))
    log = NoticeLog()
    found = reconstruct(two, measured, options=Options(iterations=1, subsets=4), log=log)
    assert found.state.log_likelihood == (None,)
    assert [n.code for n in log] == ["COUNTS_UNEXPLAINED"]


@pytest.mark.parametrize(
    "given",
    [
        {"algorithm": "fbp"}, {"iterations": 0}, {"iterations": 2.5}, {"subsets": 0}, {"algorithm": "mlem", "subsets": 4},
        {"algorithm": "osem", "prior": PRIOR}, {"step": 0.0}, {"decay": -1.0},
    ],
)  # fmt: skip
def test_options_that_cannot_be_run_are_refused(given):
    with pytest.raises(InputError):
        Options(**given)


def test_more_subsets_than_views_are_refused(projector):
    with pytest.raises(InputError, match="16"):
        osem(projector, counts(projector), iterations=1, subsets=17)


@pytest.mark.parametrize("values", [np.zeros((16, 30)), np.zeros((15, 30))])
def test_counts_that_cannot_give_an_image_are_refused(projector, values):
    with pytest.raises(NotComputable):
        mlem(projector, Measured(counts=values), iterations=1)


def test_more_scatter_than_counts_is_refused(projector):
    measured = counts(projector)
    with pytest.raises(NotComputable, match="scatter"):
        mlem(projector, Measured(counts=measured.counts, additive=measured.counts * 2), iterations=1)


@pytest.mark.parametrize("start", [np.ones((2, 8, 8)), -np.ones(SHAPE), np.full(SHAPE, np.nan)])
def test_a_start_that_is_no_image_is_refused(projector, start):
    with pytest.raises(InputError):
        mlem(projector, counts(projector), iterations=1, start=start)


def test_the_projection_for_the_likelihood_is_not_made_again_by_the_next_iteration(projector):
    class Counting(MatrixProjector):
        seen = 0

        def forward(self, image, views=None):
            Counting.seen += self.data_shape[0] if views is None else len(views)
            return super().forward(image, views)

    counting = Counting(projector.matrix, projector.image_shape, projector.data_shape)
    data = counts(projector)
    counted = mlem(counting, data, iterations=3)
    # One for the uniform image, one for the first iteration, and one after each iteration.
    assert Counting.seen == 5 * projector.data_shape[0]
    np.testing.assert_array_equal(counted.image, mlem(projector, data, iterations=3).image)
