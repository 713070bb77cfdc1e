"""Sound in rooms: propagation, heads, and what room acousticians measure."""

from harken.acoustics.ambisonics import Ambisonics
from harken.acoustics.engine import AcousticSettings, EnergyHistogram, FastPropagation
from harken.acoustics.hrtf import HeadResponse
from harken.acoustics.microphones import MicrophoneArray, microphone_array
from harken.acoustics.protocol import ImpulseResponse, Listener, Propagation, SoundPath, SoundPaths, Source
from harken.acoustics.reference import EnergyResponse, ReferencePropagation, ReferenceSettings

__all__ = [
    "AcousticSettings",
    "Ambisonics",
    "EnergyHistogram",
    "EnergyResponse",
    "FastPropagation",
    "HeadResponse",
    "ImpulseResponse",
    "Listener",
    "MicrophoneArray",
    "Propagation",
    "ReferencePropagation",
    "ReferenceSettings",
    "SoundPath",
    "SoundPaths",
    "Source",
    "microphone_array",
]
