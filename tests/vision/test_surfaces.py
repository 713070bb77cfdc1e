import numpy as np

from harken.raytracing import kernel
from harken.vision import surfaces


@kernel
def levels(texels, facing, out):
    for i in range(len(texels)):
        out[i] = surfaces._level(texels[i], facing)


def test_the_level_of_a_texture_is_the_rounded_logarithm_of_its_texels_per_pixel():
    texels = np.geomspace(1e-4, 1e5, 200_001).astype(np.float32)
    found = np.empty(len(texels), np.int64)
    levels(texels, np.float32(1.0), found)
    exact = np.log2(texels.astype(np.float64))
    # Within rounding of the border between two levels either is right.
    sure = np.abs(exact + 0.5 - np.round(exact + 0.5)) > 1e-6
    np.testing.assert_array_equal(found[sure], np.clip(np.round(exact[sure]), 0, 9))
    assert sure.mean() > 0.999


def test_what_is_seen_at_a_slant_takes_a_coarser_level():
    found = np.empty(1, np.int64)
    levels(np.float32([2.0]), np.float32(0.25), found)
    # Between the long side, 2 texels a pixel, and the short one, 8.
    assert found[0] == 2
