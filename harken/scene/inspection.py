"""Inspection of a scene: its contents and likely problems, in figures and in plain words."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harken.scene.enclosure import ClosedSurfaces, welded
from harken.scene.labels import LabelUse
from harken.scene.materials import OCTAVE_BANDS
from harken.scene.readers.axes import axes_remark, size_remark
from harken.scene.scene import Scene

__all__ = ["SceneReport", "inspect_scene"]

_CLEARLY = 0.8
"""Share of front faces from which on they are trusted to indicate where the air is."""
_BY_FRONTS = "surfaces show their fronts to the air"
_CANDIDATES, _VIEWS = 4096, 32
_LISTENERS, _LEAK_RAYS = 128, 256
_WALKERS, _BOUNCES = 512, 40
_CLEARANCE, _HEADROOM = 0.1, 1.5
_OFFSET = 1e-4
_MOST_LABELS = 30
"""Number of labels that the text lists."""
_SPEED_OF_SOUND = 343.2
"""At 20 °C [m/s]."""


@dataclass(frozen=True, kw_only=True)
class SceneReport:
    """The result of `inspect_scene`."""

    name: str
    """Name of the scene."""
    source: str
    """Where it came from."""
    triangles: int
    """Number of triangles."""
    vertices: int
    """Number of vertices."""
    objects: int
    """Number of objects."""
    extent: tuple[float, float, float]
    """Size of the box around it along x, y and z [m]."""
    surface_area: float
    """Area of all triangles, one side each [m²]."""
    volume: float | None
    """Estimate of the enclosed air [m³], good to some per cent; None where nothing is enclosed."""
    air: str
    """Description of how air was distinguished from the inside of solids."""
    mean_free_path: float | None
    """Mean length of a sound path between two reflections in a diffuse field [m]; None where nothing is enclosed."""
    open_edges: int
    """Number of edges that belong to one triangle only."""
    open_edge_length: float
    """Their length [m]."""
    leak_fraction: float | None
    """Share of rays from points indoors that hit nothing; None where no point is indoors."""
    degenerate_triangles: int
    """Triangles without area."""
    duplicate_triangles: int
    """Triangles that lie exactly on another one."""
    material_areas: dict[str, float]
    """Area of each acoustic material [m²], largest first."""
    labels: tuple[LabelUse, ...]
    """Interpretation of the labels of the file, largest area first."""
    mean_absorption: tuple[float, ...] | None
    """Mean absorption per octave band (`OCTAVE_BANDS`) of the surfaces that sound meets indoors, with openings to the
    outside as 1."""
    reverberation_time: tuple[float, ...] | None
    """Estimate of the reverberation time per octave band [s]: Eyring's formula without absorption by the air."""
    problems: tuple[str, ...]
    """Likely problems and remedies in plain words; empty if there are none."""

    def __str__(self) -> str:
        """Write the report as lines of text."""
        return "\n".join(_lines(self))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Indoors:
    """Points of the scene's box, classified by rays in all directions."""

    points: np.ndarray
    """``(n, 3)`` points with a floor below, a ceiling above and air around."""
    volume: float | None
    """Enclosed air [m³]."""
    remark: str
    """Description of how air was distinguished from solids."""


def inspect_scene(scene: Scene, *, seed: int = 0) -> SceneReport:
    """Measure a scene and check it for common problems of meshes.

    Points indoors are drawn at random: something lies below and above them and around most of them, and they are not
    inside solid things. From there rays look for leaks, and paths that are reflected diffusely sample the surfaces as
    a diffuse sound field does; their mean length ℓ and the mean absorption ᾱ that they meet give the reverberation
    time by Eyring's formula, T = 6 ln 10 ℓ / (−c ln(1 − ᾱ)) (H. Kuttruff, *Room Acoustics*, with ℓ = 4V/S).

    Args:
        scene: The scene.
        seed: Seed of the random points and directions; the same seed gives the same report.

    Returns:
        The report.
    """
    rng, scene = np.random.default_rng(seed), scene.local
    indoors = _find_indoors(scene, rng)
    open_edges, open_length, duplicates = _edges(scene)
    leak = free_path = absorption = time = None
    if len(indoors.points):
        leak = _leak(scene, indoors.points, rng)
        free_path, absorption = _diffuse_field(scene, indoors.points, rng)
        time = _eyring(free_path, absorption)
    areas = np.bincount(scene.material, weights=scene.areas, minlength=len(scene.materials))
    extent = scene.bounds[1] - scene.bounds[0]
    figures = {
        "triangles": len(scene.faces),
        "vertices": len(scene.vertices),
        "objects": len(scene.objects),
        "extent": (float(extent[0]), float(extent[1]), float(extent[2])),
        "surface_area": float(scene.areas.sum()),
        "volume": indoors.volume,
        "air": indoors.remark,
        "mean_free_path": free_path,
        "open_edges": open_edges,
        "open_edge_length": open_length,
        "leak_fraction": leak,
        "degenerate_triangles": int((scene.areas <= 0).sum()),
        "duplicate_triangles": duplicates,
        "material_areas": {scene.materials[i].name: float(areas[i]) for i in np.argsort(-areas, kind="stable")},
        "labels": scene.labels,
        "mean_absorption": absorption,
        "reverberation_time": time,
    }
    report = SceneReport(name=scene.name, source=scene.source, problems=(), **figures)
    problems = [*_problems(report), *(remark for remark in (size_remark(scene), axes_remark(scene)) if remark)]
    return SceneReport(name=scene.name, source=scene.source, problems=tuple(problems), **figures)


def _directions(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return unit vectors ``(*shape, 3)`` float32, uniform over the sphere."""
    vectors = rng.standard_normal((*shape, 3))
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def _find_indoors(scene: Scene, rng: np.random.Generator) -> _Indoors:
    lower, upper = scene.bounds
    points = rng.uniform(lower, upper, (_CANDIDATES, 3)).astype(np.float32)
    vertical = np.array([[0, 1, 0], [0, -1, 0]], np.float32)
    views = _directions(rng, (_CANDIDATES, _VIEWS))
    rays = np.concatenate([np.broadcast_to(vertical, (_CANDIDATES, 2, 3)), views], axis=1)
    starts = np.repeat(points, _VIEWS + 2, axis=0)
    distance, triangle, _ = scene.triangles.closest(starts, rays.reshape(-1, 3))
    hit = (triangle >= 0).reshape(_CANDIDATES, -1)
    distance = distance.reshape(_CANDIDATES, -1)
    facing = np.einsum("nij,nij->ni", scene.normals[triangle].reshape(rays.shape), rays)
    enclosed = hit[:, 0] & hit[:, 1] & (hit[:, 2:].mean(axis=1) > 0.5)
    # Inside solids, rays meet the back of triangles, in rooms the front.
    front = np.where(hit, np.sign(-facing), 0.0).sum(axis=1) > 0
    air, remark = enclosed & front, _BY_FRONTS
    if enclosed.any() and front[enclosed].mean() < _CLEARLY:
        surfaces = ClosedSurfaces(scene.vertices, scene.faces, scene.instance)
        inside = surfaces.contain(points[enclosed])
        air[enclosed], remark = surfaces.tell_air(scene.triangles, inside, np.ones(len(inside)), 0.0)
    roomy = (distance.min(axis=1) > _CLEARANCE) & (distance[:, :2].sum(axis=1) > _HEADROOM)
    volume = float(air.mean() * np.prod(upper.astype(np.float64) - lower)) if air.any() else None
    return _Indoors(points=points[air & roomy], volume=volume, remark=remark)


def _leak(scene: Scene, points: np.ndarray, rng: np.random.Generator) -> float:
    starts = np.repeat(rng.choice(points, _LISTENERS), _LEAK_RAYS, axis=0)
    _, triangle, _ = scene.triangles.closest(starts, _directions(rng, (len(starts),)))
    return float((triangle < 0).mean())


def _diffuse_field(scene: Scene, points: np.ndarray, rng: np.random.Generator) -> tuple[float, tuple[float, ...]]:
    """Return the mean free path [m] and the mean absorption per band along diffusely reflected paths."""
    place, direction = rng.choice(points, _WALKERS), _directions(rng, (_WALKERS,))
    lengths, met = [], np.zeros(len(scene.materials))
    escaped = 0
    for bounce in range(_BOUNCES):
        distance, triangle, _ = scene.triangles.closest(place, direction)
        lost = triangle < 0
        distance = np.where(lost, np.float32(0.0), distance)
        if bounce:  # The first segment begins in the air and not at a wall.
            lengths.append(distance[~lost])
            met += np.bincount(scene.material[triangle[~lost]], minlength=len(met))
            escaped += int(lost.sum())
        normal = scene.normals[triangle]
        normal *= -np.sign(np.einsum("ni,ni->n", normal, direction))[:, None]
        place = np.where(lost[:, None], rng.choice(points, _WALKERS), place + distance[:, None] * direction)
        place = np.where(lost[:, None], place, place + _OFFSET * normal).astype(np.float32)
        around = _directions(rng, (_WALKERS,))
        # A point on the unit sphere above the surface gives Lambert's law.
        lambert = normal + around * 0.9999
        lambert /= np.linalg.norm(lambert, axis=1, keepdims=True)
        direction = np.where(lost[:, None], around, lambert).astype(np.float32)
    free_path = float(np.concatenate(lengths).mean())
    absorbed = met @ scene.coefficients[0] + escaped
    return free_path, tuple(float(share) for share in absorbed / (met.sum() + escaped))


def _eyring(free_path: float, absorption: tuple[float, ...]) -> tuple[float, ...]:
    """Return reverberation times [s], infinite where nothing is absorbed and zero where everything is."""
    with np.errstate(divide="ignore"):
        decay = -_SPEED_OF_SOUND * np.log1p(-np.clip(absorption, 0.0, 1.0)) / free_path
        return tuple(float(time) for time in 6 * np.log(10) / np.abs(decay))


def _edges(scene: Scene) -> tuple[int, float, int]:
    """Return the number and length [m] of edges of one triangle only, and the number of doubled triangles."""
    places = welded(scene.vertices, scene.faces)
    faces = np.sort(places, axis=1)
    solid = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2])
    faces, corners = faces[solid], scene.vertices[scene.faces[solid]].astype(np.float64)
    duplicates = len(faces) - len(np.unique(faces, axis=0))
    pairs = np.concatenate([places[solid][:, [i, (i + 1) % 3]] for i in range(3)])
    ends = np.concatenate([corners[:, [i, (i + 1) % 3]] for i in range(3)])
    key = np.sort(pairs, axis=1) @ np.array([places.max() + 1, 1], np.int64)
    _, first, count = np.unique(key, return_index=True, return_counts=True)
    alone = first[count == 1]
    return len(alone), float(np.linalg.norm(ends[alone, 0] - ends[alone, 1], axis=1).sum()), duplicates


def _problems(report: SceneReport) -> Iterator[str]:
    """Explain the figures in plain words, with remedies."""
    if report.leak_fraction is None:
        yield (
            "No point has a floor below and a ceiling above it, so the scene is open and sound escapes at once. Add a "
            "ceiling, check which axis is up (`up=`), or use it as an outdoor scene."
        )
    elif report.leak_fraction > 0.005:
        yield (
            f"{report.leak_fraction:.1%} of the rays from points indoors hit nothing: there are holes in walls, "
            f"windows or ceilings ({report.open_edge_length:.1f} m of edges belong to one triangle only), and rooms "
            "sound drier than they are. Close the holes, or add panes to the windows, unless the building is open."
        )
    if report.degenerate_triangles:
        yield f"{report.degenerate_triangles} triangles have no area. They do no harm; clean the mesh to drop them."
    if report.duplicate_triangles:
        yield (
            f"{report.duplicate_triangles} triangles lie exactly on another one, so sound passes them twice and "
            "pictures may flicker. Remove doubled faces in a mesh editor."
        )
    share = report.material_areas.get("default", 0.0) / max(report.surface_area, 1e-12)
    if share > 0.2:
        yield (
            f"{share:.0%} of the surface has no known material and is treated as 'default'. Name materials after what "
            "they are, or pass `materials=`."
        )
    times = report.reverberation_time
    if times is not None and max(times[2:5]) > 6.0:
        yield (
            f"The reverberation time at 500–2000 Hz is up to {max(times[2:5]):.1f} s, as in a cathedral. Check the "
            "materials and the units."
        )
    if report.triangles > 2_000_000:
        yield (
            f"{report.triangles:,} triangles need about {report.triangles * 3e-7:.1f} GB and a long start. Simplify "
            "the mesh; sound and depth gain nothing from details under a few centimetres."
        )


def _lines(report: SceneReport) -> Iterator[str]:
    def bands(values: tuple[float, ...], digits: int) -> str:
        return "  ".join(f"{band:g}: {value:.{digits}f}" for band, value in zip(OCTAVE_BANDS, values, strict=True))

    yield f"{report.name} ({report.source})" if report.source else report.name
    yield f"  triangles {report.triangles:,}, vertices {report.vertices:,}, objects {report.objects:,}"
    yield "  extent {:.2f} × {:.2f} × {:.2f} m (x × y × z)".format(*report.extent)
    volume = "nothing enclosed" if report.volume is None else f"about {report.volume:.0f} m³ of air enclosed"
    yield f"  surface {report.surface_area:.1f} m², {volume}"
    yield f"  air and solids: {report.air}"
    yield f"  open edges {report.open_edges:,} ({report.open_edge_length:.1f} m)"
    if report.leak_fraction is not None:
        yield f"  rays from indoors that escape {report.leak_fraction:.2%}"
    for name, area in report.material_areas.items():
        yield f"  {name:<20} {area:8.1f} m²  {area / max(report.surface_area, 1e-12):6.1%}"
    yield from _label_lines(report.labels)
    if report.mean_absorption is not None and report.reverberation_time is not None:
        yield f"  mean absorption          {bands(report.mean_absorption, 2)}"
        yield f"  reverberation time [s]   {bands(report.reverberation_time, 2)} (Eyring)"
    for problem in report.problems:
        yield f"  ! {problem}"


_ORIGINS = {
    "given": "as you gave it",
    "file": "as the file says",
    "named": "",
    "guessed": "? guessed: what such things are mostly made of",
    "unknown": "! the label says nothing",
}


def _label_lines(labels: tuple[LabelUse, ...]) -> Iterator[str]:
    """List the interpretation of every label, with guesses marked."""
    if not labels:
        return
    names = [f"{use.label or '(no name)'}{f' (in {use.within})' if use.within else ''}" for use in labels]
    captions = [name if len(name) <= 36 else f"{name[:35]}…" for name in names[:_MOST_LABELS]]
    width = max(len(name) for name in (*captions, "label"))
    yield f"  {'label':<{width}}  {'category':<16}  {'material':<16}  {'area':>11}"
    for name, use in zip(captions, labels, strict=False):
        line = f"  {name:<{width}}  {use.category:<16}  {use.material:<16}  {use.area:8.1f} m²  {_ORIGINS[use.origin]}"
        yield line.rstrip()
    if len(labels) > _MOST_LABELS:
        area = sum(use.area for use in labels[_MOST_LABELS:])
        yield f"  … and {len(labels) - _MOST_LABELS} more labels with {area:.1f} m²"
