"""Sound in rooms: propagation, heads, and what room acousticians measure."""

from harken.acoustics.engine import AcousticSettings, FastPropagation
from harken.acoustics.protocol import ImpulseResponse, Listener, Propagation, SoundPath, Source
from harken.acoustics.reference import EnergyResponse, ReferencePropagation, ReferenceSettings

__all__ = [
    "AcousticSettings",
    "EnergyResponse",
    "FastPropagation",
    "ImpulseResponse",
    "Listener",
    "Propagation",
    "ReferencePropagation",
    "ReferenceSettings",
    "SoundPath",
    "Source",
]
