"""Adapters between Harken and other platforms; each needs the package of the other."""

__all__: list[str] = []
