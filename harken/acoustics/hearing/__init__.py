"""What listeners make of paths and fields: heads, ambisonics, microphone arrays."""

__all__: list[str] = []
