"""Sound in rooms: propagation, heads, and what room acousticians measure."""

from harken.acoustics.engines.fast import FastPropagation
from harken.acoustics.engines.histogram import EnergyHistogram
from harken.acoustics.engines.reference import EnergyResponse, ReferencePropagation, ReferenceSettings
from harken.acoustics.hearing.ambisonics import Ambisonics
from harken.acoustics.hearing.hrtf import HeadResponse
from harken.acoustics.hearing.microphones import MicrophoneArray, microphone_array
from harken.acoustics.protocol import ImpulseResponse, Listener, Propagation, SoundPath, SoundPaths, Source
from harken.acoustics.settings import AcousticSettings

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
