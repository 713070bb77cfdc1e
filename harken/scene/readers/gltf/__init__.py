"""Reader of glTF 2.0: the container, its accessors, what surfaces look like, and the nodes that show meshes.

Own code, because trimesh leaves out sparse accessors, quantised positions and instances without a word, and follows
whatever a damaged file asks for: here every feature is read or refused by name, and every size is checked first.
"""

__all__: list[str] = []
