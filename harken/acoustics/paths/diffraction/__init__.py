"""Sound that is bent around edges."""

__all__: list[str] = []
