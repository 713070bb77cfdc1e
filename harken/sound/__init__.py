"""Sound before it enters a room: clips, levels, convolution and spectrograms."""

from harken.sound.clip import Clip
from harken.sound.clips import ClipLibrary, load_clip
from harken.sound.convolution import StreamingConvolver
from harken.sound.level import decibels, rms, sound_pressure_level
from harken.sound.spectrogram import Spectrogram, spectrogram, spectrogram_shape

__all__ = [
    "Clip",
    "ClipLibrary",
    "Spectrogram",
    "StreamingConvolver",
    "decibels",
    "load_clip",
    "rms",
    "sound_pressure_level",
    "spectrogram",
    "spectrogram_shape",
]
