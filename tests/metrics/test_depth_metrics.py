import numpy as np
import pytest

from harken.errors import ConfigurationError
from harken.metrics.depth import DepthAccumulator, DepthRange, depth_metrics

TRUTH = np.array([[1.0, 2.0, 4.0], [0.0, 5.0, 10.0]])
ESTIMATE = np.array([[1.1, 1.0, 6.0], [3.0, 5.0, 10.0]])


def test_hand_computed():
    found = depth_metrics(ESTIMATE, TRUTH)
    # Errors 0.1, 1, 2, 0, 0 and ratios 1.1, 2, 1.5, 1, 1; the pixel without a true depth does not count.
    assert found.rmse == pytest.approx(np.sqrt((0.01 + 1 + 4) / 5))
    assert found.mae == pytest.approx(3.1 / 5)
    assert found.relative == pytest.approx((0.1 + 0.5 + 0.5) / 5)
    assert found.log10 == pytest.approx(np.log10(1.1 * 2 * 1.5) / 5)
    assert (found.delta1, found.delta2, found.delta3) == pytest.approx((3 / 5, 4 / 5 - 1 / 5 * (1.5 > 1.25**2), 4 / 5))
    assert (found.pixels, found.images) == (5, 1)


def test_the_bounds_of_delta_do_not_belong_to_it():
    truth = np.array([[1.0, 1.0, 1.0]])
    found = depth_metrics(np.array([[1.25, 1.25**2, 1.25**3]]), truth)
    assert (found.delta1, found.delta2, found.delta3) == pytest.approx((0, 1 / 3, 2 / 3))


def test_a_perfect_estimate():
    found = depth_metrics(TRUTH, TRUTH)
    assert (found.rmse, found.relative, found.log10, found.mae) == (0, 0, 0, 0)
    assert (found.delta1, found.delta2, found.delta3) == (1, 1, 1)


def test_single_precision_and_a_channel_axis_change_nothing():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.5, 10, (16, 16)).astype(np.float32)
    estimate = (truth * rng.uniform(0.8, 1.3, truth.shape)).astype(np.float32)
    expected = depth_metrics(estimate.astype(np.float64), truth.astype(np.float64))
    assert depth_metrics(estimate[..., None], truth[..., None]) == expected


def test_depths_beyond_the_maximum_are_clipped_or_left_out():
    clipped = depth_metrics(ESTIMATE, TRUTH, within=DepthRange(maximum=5.0))
    # The truth of 10 m becomes 5 m, the estimate of 10 m and that of 6 m stay, as in BatVision's evaluation.
    assert clipped.pixels == 5
    assert clipped.mae == pytest.approx((0.1 + 1 + 2 + 0 + 5) / 5)
    ignored = depth_metrics(ESTIMATE, TRUTH, within=DepthRange(maximum=5.0, beyond="ignore"))
    assert ignored.pixels == 4
    assert ignored.mae == pytest.approx((0.1 + 1 + 2 + 0) / 4)


def test_a_minimum_lifts_estimates_without_a_logarithm():
    found = depth_metrics(np.array([[-1.0, 0.5]]), np.array([[1.0, 0.5]]), within=DepthRange(minimum=0.1))
    assert found.mae == pytest.approx(0.9 / 2)
    assert found.log10 == pytest.approx(0.5)
    assert found.delta3 == 0.5


def test_what_lies_at_invalid_pixels_does_not_matter():
    estimate = ESTIMATE.copy()
    estimate[1, 0] = np.nan
    assert depth_metrics(estimate, TRUTH) == depth_metrics(ESTIMATE, TRUTH)


class TestAccumulator:
    # One image has one valid pixel with an error of 3, the other four with an error of 1.
    IMAGES = (
        (np.array([[4.0, 9.0], [9.0, 9.0]]), np.array([[1.0, 0.0], [0.0, 0.0]])),
        (np.full((2, 2), 3.0), np.full((2, 2), 2.0)),
    )

    def added(self, **settings):
        accumulator = DepthAccumulator(**settings)
        for image in self.IMAGES:
            accumulator.add(*image)
        return accumulator.result()

    def test_images_weigh_alike_as_published(self):
        found = self.added()
        each = [depth_metrics(*image) for image in self.IMAGES]
        for name in ("rmse", "relative", "log10", "mae", "delta1", "delta2", "delta3"):
            assert getattr(found, name) == pytest.approx(np.mean([getattr(one, name) for one in each]))
        assert found.rmse == pytest.approx(2.0)
        assert (found.pixels, found.images) == (5, 2)

    def test_pixels_weigh_alike_on_request(self):
        found = self.added(weighting="pixel")
        assert found.rmse == pytest.approx(np.sqrt((9 + 4) / 5))
        assert found.mae == pytest.approx((3 + 4) / 5)
        assert found.delta3 == pytest.approx(4 / 5)

    def test_one_image_is_itself(self):
        for weighting in ("image", "pixel"):
            accumulator = DepthAccumulator(weighting=weighting)
            added = accumulator.add(ESTIMATE, TRUTH)
            assert accumulator.result().to_mapping() == pytest.approx(added.to_mapping())

    def test_what_raises_an_error_is_not_added(self):
        accumulator = DepthAccumulator()
        accumulator.add(ESTIMATE, TRUTH)
        with pytest.raises(ConfigurationError, match="nothing to compare"):
            accumulator.add(ESTIMATE, 0 * TRUTH)
        assert accumulator.result().images == 1

    def test_nothing_added(self):
        with pytest.raises(ConfigurationError, match="No image"):
            DepthAccumulator().result()

    def test_unknown_weighting(self):
        with pytest.raises(ConfigurationError, match="Weighting"):
            DepthAccumulator(weighting="area")


@pytest.mark.parametrize(
    ("estimate", "truth", "message"),
    [
        (ESTIMATE, TRUTH[:, :2], "shape"),
        (ESTIMATE[0], TRUTH[0], "height, width"),
        (np.stack([ESTIMATE] * 3, -1), np.stack([TRUTH] * 3, -1), "height, width"),
        (ESTIMATE[:0], TRUTH[:0], "nothing to compare"),
        (ESTIMATE, 0 * TRUTH, "None of 6 pixels"),
        (ESTIMATE, -TRUTH, "negative"),
        (ESTIMATE, TRUTH + np.inf, "infinite"),
        (ESTIMATE, TRUTH * np.nan, "NaN"),
        (ESTIMATE * np.nan, TRUTH, "NaN or infinite at 5 of 5"),
        (0 * ESTIMATE, TRUTH, "0 or less at 5 of 5"),
        (-ESTIMATE, TRUTH, "logarithm"),
    ],
)
def test_bad_input(estimate, truth, message):
    with pytest.raises(ConfigurationError, match=message):
        depth_metrics(estimate, truth)


@pytest.mark.parametrize("field", [{"maximum": 0.0}, {"minimum": np.nan}, {"maximum": "10"}, {"beyond": "wrap"}])
def test_a_range_that_cannot_be(field):
    with pytest.raises(ConfigurationError, match=next(iter(field))):
        DepthRange(**field)


def test_a_range_that_leaves_nothing():
    with pytest.raises(ConfigurationError, match="None of 6 pixels"):
        depth_metrics(ESTIMATE, TRUTH, within=DepthRange(maximum=0.5, beyond="ignore"))
