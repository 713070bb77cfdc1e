"""Other engines behind the same protocol: SoundSpaces 2.0's, and the responses that SoundSpaces 1.0 looked up."""

from harken.acoustics.engines.soundspaces1 import ResponseFolder, SoundSpaces1Propagation, write_responses
from harken.acoustics.engines.soundspaces2 import SoundSpaces2Propagation, SoundSpaces2Settings

__all__ = [
    "ResponseFolder",
    "SoundSpaces1Propagation",
    "SoundSpaces2Propagation",
    "SoundSpaces2Settings",
    "write_responses",
]
