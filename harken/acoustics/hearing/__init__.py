"""From paths and fields to the channels of listeners: heads, ambisonics, microphone arrays."""

__all__: list[str] = []
