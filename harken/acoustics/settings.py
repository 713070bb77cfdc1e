"""Settings of sound propagation: those shared by Harken's engines, and those of the fast engine."""

from dataclasses import dataclass

from harken.acoustics.air import Air
from harken.checks import check_settings

__all__ = ["AcousticSettings", "EngineSettings"]


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """Settings shared by Harken's engines: sampling, air and seed."""

    rate: int = 16_000
    """Sampling rate [Hz], 8000 to 192,000."""
    duration: float = 1.0
    """Length of every impulse response [s]; what comes later is cut."""
    transmission: bool = True
    """Whether sound passes through walls and furniture."""
    temperature_celsius: float = 20.0
    """Temperature of the air [°C], -20 to 50."""
    humidity_percent: float = 50.0
    """Relative humidity of the air [%], above 0 and at most 100."""
    pressure_kilopascal: float = 101.325
    """Static pressure of the air [kPa], 50 to 200."""
    seed: int = 0
    """Chooses the rays and the noise of the tail, 0 to 2**62."""

    @property
    def air(self) -> Air:
        """The air that sound goes through."""
        return Air(
            temperature_celsius=self.temperature_celsius,
            humidity_percent=self.humidity_percent,
            pressure_kilopascal=self.pressure_kilopascal,
        )

    def check(self, **bounds: tuple[float, float]) -> None:
        """Check every field against its type and its range.

        Args:
            bounds: Ranges of the fields that an engine adds, and of shared ones where they differ.

        Raises:
            ConfigurationError: A value has the wrong type or is out of range.
        """
        check_settings(self, **({"rate": (8_000, 192_000), "seed": (0, 2**62)} | bounds))
        _ = self.air  # which checks its own values


@dataclass(frozen=True, kw_only=True)
class AcousticSettings(EngineSettings):
    """How sound is propagated."""

    rays: int = 6_000
    """Rays traced per source. In two homes (`benchmarks/rays.py`), T20 is off the reference by 2.0, 1.4, 1.0 and 0.8
    just-noticeable differences in the median over octaves with 1,000, 2,000, 6,000 and 20,000 rays, EDT by 1.3, 1.0,
    0.6 and 0.5 and the level by 0.6 to 0.2; fields take 0.2, 0.4, 1 and 3.1 times as long as with 6,000."""
    pair_rays: int = 500
    """Rays traced from each of a source and a listener that no field serves. With 83, 166, 500 and 1,666, T20 is off by
    1.4, 1.3, 0.8 and 0.6 just-noticeable differences there, EDT by 1.4, 1.3, 0.8 and 0.6, and a pair takes 0.4, 0.5, 1
    and 2.5 times as long as with 500."""
    waypoint_rays: int = 400
    """Rays traced for each of the places whose fields a moving source blends."""
    errors: bool = False
    """Whether energies come with their standard error (`EnergyHistogram.convergence`). Fields sound the same and take
    five times the memory and hardly more time; pairs sound the same up to rounding and take a third more time."""
    max_error_jnd: float | None = None
    """Standard error that T20, EDT, C50 and the late level may have [just-noticeable differences], root mean square
    over octave bands, 0.01 to 100; with it `errors` is on. The numbers of rays above are then not used: 1,024 rays of a
    field are traced, and 128 from each end of a pair, and then twice or four times as many until the error is small
    enough: at the listener for pairs, at nine places in ten on the floor for fields. Halving it takes four times the
    rays. None traces the numbers above."""
    max_rays: int = 131_072
    """Rays that are not exceeded to keep `max_error_jnd`; a warning tells where they do not suffice."""
    image_order: int = 2
    """Mirror reflections in a row that are exact paths, 0 to 4."""
    image_rays: int = 8_000
    """Rays that look for the surfaces that mirror a source; fewer miss small ones and those far away."""
    cell: float = 0.5
    """Edge of the cells in which a source's energy is kept [m]; larger where memory would exceed `field_megabytes`."""
    diffraction: bool = True
    """Whether sound bends around edges."""
    reverberation: bool = True
    """Whether reflected sound is heard; without it only the direct, transmitted and diffracted paths are."""
    field_megabytes: float = 64.0
    """Greatest memory of one source's field [MB]."""
    cached_megabytes: float = 128.0
    """Greatest memory of all fields of an engine [MB]; the least recently used are dropped first."""

    def __post_init__(self) -> None:
        """Check the types and ranges."""
        self.check(
            duration=(0.01, 20.0),
            rays=(1, 100_000_000),
            pair_rays=(1, 100_000_000),
            waypoint_rays=(1, 100_000_000),
            max_error_jnd=(0.01, 100.0),
            max_rays=(1, 100_000_000),
            image_order=(0, 4),
            image_rays=(1, 1_000_000),
            cell=(0.1, 10.0),
            cached_megabytes=(0.1, 1e6),
            field_megabytes=(0.1, 1e6),
        )
