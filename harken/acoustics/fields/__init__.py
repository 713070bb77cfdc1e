"""Reverberant energy in space, time, frequency and direction, traced with rays."""

__all__: list[str] = []
