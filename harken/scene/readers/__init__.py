"""Readers of scene files: glTF, OBJ and PLY."""

__all__: list[str] = []
