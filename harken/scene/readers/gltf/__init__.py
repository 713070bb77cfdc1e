"""Reader of glTF 2.0: the container, its accessors, what surfaces look like, and the nodes that show meshes.

Own code, because trimesh silently omits sparse accessors, quantised positions and instances, and does not check the
sizes in damaged files: here every feature is either read or refused by name, and every size is checked first.
"""

__all__: list[str] = []
