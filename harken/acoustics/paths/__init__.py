"""Sound that arrives as single wavefronts: straight, mirrored, bent around edges."""

__all__: list[str] = []
