"""Sound that arrives as single wavefronts: direct, mirrored, and diffracted around edges."""

__all__: list[str] = []
