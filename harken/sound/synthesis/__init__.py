"""Sounds synthesised from a seed: a household, talkers, instruments and backgrounds."""

__all__: list[str] = []
