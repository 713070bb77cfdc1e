import numpy as np
import pytest
from boxes import build

from harken.scene import Room, Scene


@pytest.fixture(scope="session")
def room() -> Scene:
    """A room 4 m wide (x), 3 m high and 6 m long (z) with a red chair on the right at the far end."""
    outline = np.float32([[-2, -3], [2, -3], [2, 3], [-2, 3]])
    return build(
        [("wall", (-2, 0, -3), (2, 3, 3)), ("chair", (1, 0, -2.5), (1.6, 1, -2))],
        colors=[(200, 200, 200), (220, 30, 30)],
        inward=(0,),
        rooms=(Room(name="hall", kind="hall", polygon=outline, floor=0.0, ceiling=3.0),),
    )
