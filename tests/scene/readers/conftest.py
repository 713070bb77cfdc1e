import numpy as np
import pytest
from PIL import Image
from scene_files import MTL, ROOM


@pytest.fixture
def room(tmp_path):
    (tmp_path / "room.obj").write_text(ROOM)
    (tmp_path / "room.mtl").write_text(MTL)
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(2, 2, 3)).save(tmp_path / "oak.png")
    return tmp_path / "room.obj"
