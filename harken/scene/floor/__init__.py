"""Where bodies can stand and walk: floors of meshes, grids of nodes, and the shortest ways over them."""

__all__: list[str] = []
