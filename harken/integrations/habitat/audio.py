"""Habitat's own audio sensor as an engine that propagates sound."""

import shutil
import tempfile
import weakref
from typing import Any

import numpy as np

from harken.acoustics.engines.soundspaces2 import converted_response
from harken.acoustics.protocol import ImpulseResponse, Listener, Source, check_plain
from harken.errors import MissingDependencyError, SoundError
from harken.scene.ground import forward_vector

__all__ = ["HabitatPropagation", "check_audio"]

UUID = "audio_sensor"
"""Name of the sensor: habitat-sim up to 0.3.3 looks for this one and no other."""

FAR = 0.5
"""Most by which the first arrival may differ from the straight way in the self-test [m]."""

AUDIBLE = 1e-3
"""Share of the peak at which sound counts as arrived."""


class HabitatPropagation:
    """The engine that habitat-sim has when it was built with its audio sensor (RLR-Audio-Propagation, CC-BY-NC-4.0).

    It is the engine of `harken.acoustics.engines.soundspaces2`, with the same delays and, at a volume of 1 in place of
    Habitat's 0.25, the same levels (measured with habitat-sim 0.3.3, commit 57ee494); they are converted in the same
    way. Surfaces are all of its default material. The first responses go through `check_audio`.

    Args:
        simulator: Habitat's simulator. Its first agent is moved to the listener.
        magnum: The module magnum.
        habitat_sim: The module habitat_sim.
        rate: Sampling rate [Hz].
        duration: Length of every response [s].
        name: Name of the scene, for messages.

    Raises:
        MissingDependencyError: habitat-sim was built without its audio sensor.
    """

    def __init__(self, simulator: Any, magnum: Any, habitat_sim: Any, *, rate: int, duration: float, name: str):
        if not getattr(habitat_sim, "audio_enabled", False):
            raise MissingDependencyError(
                "This habitat-sim was built without audio. Build it with HABITAT_WITH_AUDIO=ON, or use Harken's "
                "propagation on the same scene: audio='harken'."
            )
        self.rate, self.duration, self.name = rate, duration, name
        self._simulator, self._magnum, self._habitat_sim = simulator, magnum, habitat_sim
        folder = tempfile.mkdtemp(prefix="harken-habitat-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        sensors = habitat_sim.sensor
        spec = habitat_sim.AudioSensorSpec()
        spec.uuid, spec.outputDirectory, spec.position = UUID, folder, magnum.Vector3(0.0, 0.0, 0.0)
        settings = sensors.RLRAudioPropagationConfiguration()
        settings.sampleRate, settings.irTime, settings.globalVolume = rate, duration, 1.0
        settings.threadCount = 1  # with several, responses differ from run to run
        settings.temporalCoherence, settings.enableMaterials = False, False
        layout = sensors.RLRAudioPropagationChannelLayout()
        layout.channelType, layout.channelCount = sensors.RLRAudioPropagationChannelLayoutType.Binaural, 2
        spec.acousticsConfig, spec.channelLayout = settings, layout
        simulator.add_sensor(spec)

    def impulse_response(self, source: Source, listener: Listener) -> ImpulseResponse:
        """Return what two ears hear of an impulse at a source, ``duration × rate`` samples long.

        Raises:
            SoundError: The sensor returns nothing, or numbers that are not finite.
            ConfigurationError: The listener is not binaural or looks up or down, or the source is directional.
        """
        source, listener = check_plain(source, listener, ("binaural",), "Habitat's audio sensor")
        agent = self._simulator.get_agent(0)
        state = agent.get_state()
        half = 0.5 * listener.heading
        state.position = listener.position.astype(np.float32)
        state.rotation = np.array([0.0, np.sin(half), 0.0, np.cos(half)])  # coefficients x, y, z, w
        state.sensor_states = {}
        agent.set_state(state)
        agent._sensors[UUID].setAudioSourceTransform(self._magnum.Vector3(*map(float, source.position)))
        raw = self._simulator._sensors[UUID].get_observation()
        lengths = [len(channel) for channel in raw]
        if len(lengths) != 2 or not min(lengths, default=0):
            raise SoundError(
                f"{self.name}: Habitat's audio sensor returned {len(lengths)} channels of {lengths} samples for a "
                f"source at {source.position.round(3).tolist()} heard at {listener.position.round(3).tolist()}."
            )
        # Its length differs from response to response, and that of the two channels may.
        given = np.array([channel[: min(lengths)] for channel in raw], np.float32)
        samples = converted_response(given, "binaural", rate=self.rate, duration=self.duration)
        if not np.isfinite(samples).all():
            raise SoundError(f"{self.name}: Habitat's audio sensor returned numbers that are not finite.")
        return ImpulseResponse(samples=samples, rate=self.rate)


def check_audio(propagation: Any, ears: np.ndarray, heading: float, distance: float, speed: float = 343.0) -> None:
    """Check that an engine puts a source where it was asked to.

    habitat-sim 0.3.1 to 0.3.4 passes the wrong elements of the source's position to its engine (issue #2632): sound
    then comes from nowhere, or not at all, and no error is raised.

    Args:
        propagation: The engine.
        ears: ``(3,)`` middle of the head [m], in free air.
        heading: Where it faces [rad].
        distance: How far to its left, in view, there is free air [m].
        speed: Speed of sound [m/s].

    Raises:
        SoundError: The first sound does not arrive after the straight way, or the left ear is not the louder.
    """
    source = Source(position=ears + distance * forward_vector(heading + np.pi / 2))
    listener = Listener(position=ears, heading=heading)
    response = propagation.impulse_response(source, listener).samples
    peak = float(np.abs(response).max())
    arrived = np.flatnonzero((np.abs(response) > AUDIBLE * peak).any(0)) if peak > 0.0 else np.empty(0)
    way = float(arrived[0]) / propagation.rate * speed if len(arrived) else float("inf")
    left, right = (response.astype(np.float64) ** 2).sum(1)
    if abs(way - distance) <= FAR and left > right:
        return
    raise SoundError(
        f"Habitat's audio sensor failed its self-test: of a source {distance:.2f} m to the left the first sound came "
        f"after {way:.2f} m, with energies {left:.2e} (left) and {right:.2e} (right). habitat-sim 0.3.1 to 0.3.4 "
        "misplaces sources (issue #2632), which cannot be worked around from Python. Use audio='harken'."
    )
