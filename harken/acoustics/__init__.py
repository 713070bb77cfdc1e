"""Sound in rooms: propagation, heads, and what room acousticians measure."""

from harken.acoustics.engine import AcousticSettings, FastPropagation
from harken.acoustics.protocol import ImpulseResponse, Listener, Propagation, SoundPath, Source

__all__ = [
    "AcousticSettings",
    "FastPropagation",
    "ImpulseResponse",
    "Listener",
    "Propagation",
    "SoundPath",
    "Source",
]
