"""Diffraction of sound around edges."""

__all__: list[str] = []
