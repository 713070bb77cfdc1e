"""Reader of objects with joints, such as the doors and kitchens of ReplicaCAD, in a pose that a scene gives: URDF."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from harken.errors import SceneError
from harken.scene.readers.content import is_file, read_content

__all__ = ["Visual", "read_urdf"]


class Visual(NamedTuple):
    """A mesh that a link shows."""

    link: str
    """Name of the link."""
    asset: Path
    """The mesh."""
    transform: np.ndarray
    """``(4, 4)`` from the mesh's axes to the object's."""


def read_urdf(path: Path, joints: Mapping[str, float], root: Path) -> tuple[list[Visual], int]:
    """Read what an object with joints shows.

    Format: http://wiki.ros.org/urdf/XML, links, joints and visuals.

    Args:
        path: The ``.urdf`` file.
        joints: Positions of joints by name [rad, m]; 0 for the others.
        root: Folder that its meshes have to lie in.

    Returns:
        The meshes, and how many visuals of other shapes (boxes, cylinders) were left out.

    Raises:
        SceneError: The file is damaged, its links form no tree, or a mesh is missing or lies outside `root`.
    """
    content = read_content(path)
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise SceneError(f"{path} declares a document type, which no URDF needs. Remove it.")
    try:
        robot = ElementTree.fromstring(content)
    except ElementTree.ParseError as problem:
        raise SceneError(
            f"{path} is no XML that can be used: {problem}. It may be cut off; fetch it again."
        ) from problem
    places = _places(path, robot, joints)
    visuals, left_out = [], 0
    for link in robot.iter("link"):
        name = link.get("name", "")
        if name not in places:
            raise SceneError(f"{path}: the links and joints form no tree, {name!r:.60} belongs to none.")
        for visual in link.findall("visual"):
            mesh = visual.find("geometry/mesh")
            if mesh is None:
                left_out += 1
                continue
            transform = places[name] @ _origin(path, visual)
            transform[:3, :3] *= _numbers(path, mesh.get("scale", "1 1 1"), "scale")
            visuals.append(Visual(name, _asset(path, mesh.get("filename", ""), root), transform))
    return visuals, left_out


def _places(path: Path, robot: ElementTree.Element, joints: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Return the transform ``(4, 4)`` of each link, from the roots of the tree outwards."""
    above: dict[str, tuple[str, np.ndarray]] = {}
    for joint in robot.findall("joint"):
        parent, child = ((joint.find(end)) for end in ("parent", "child"))
        if parent is None or child is None or child.get("link", "") in above:
            raise SceneError(f"{path}: joint {joint.get('name')!r:.60} does not join a link to one above it.")
        moved = _origin(path, joint) @ _motion(path, joint, float(joints.get(joint.get("name", ""), 0.0)))
        above[child.get("link", "")] = (parent.get("link", ""), moved)
    places: dict[str, np.ndarray] = {}
    for link in robot.findall("link"):
        chain, name = [], link.get("name", "")
        while name in above and name not in places and len(chain) <= len(above):
            chain.append(name)
            name = above[name][0]
        if len(chain) > len(above):
            continue
        place = places.setdefault(name, np.eye(4))
        for below in reversed(chain):
            place = places[below] = place @ above[below][1]
    return places


def _motion(path: Path, joint: ElementTree.Element, position: float) -> np.ndarray:
    axis = joint.find("axis")
    direction = _numbers(path, "1 0 0" if axis is None else axis.get("xyz", "1 0 0"), "axis")
    direction = direction / max(float(np.linalg.norm(direction)), 1e-12)
    moved = np.eye(4)
    if joint.get("type") == "prismatic":
        moved[:3, 3] = position * direction
    elif joint.get("type") in ("revolute", "continuous"):  # Rodrigues' formula
        x, y, z = direction
        cross = np.array([(0.0, -z, y), (z, 0.0, -x), (-y, x, 0.0)])
        moved[:3, :3] += math.sin(position) * cross + (1.0 - math.cos(position)) * cross @ cross
    return moved


def _origin(path: Path, element: ElementTree.Element) -> np.ndarray:
    """Return the transform ``(4, 4)`` of an element's origin: turns about x, y and z in this order, then the shift."""
    origin = element.find("origin")
    placed = np.eye(4)
    if origin is None:
        return placed
    roll, pitch, yaw = _numbers(path, origin.get("rpy", "0 0 0"), "rpy")
    placed[:3, 3] = _numbers(path, origin.get("xyz", "0 0 0"), "xyz")
    for axis, turn in ((2, yaw), (1, pitch), (0, roll)):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        rotation = np.eye(4)
        rotation[i, i] = rotation[j, j] = math.cos(turn)
        rotation[j, i], rotation[i, j] = math.sin(turn), -math.sin(turn)
        placed = placed @ rotation
    return placed


def _numbers(path: Path, text: str, key: str) -> np.ndarray:
    try:
        values = np.array([float(part) for part in text.split()])
    except ValueError:
        values = np.zeros(0)
    if values.shape != (3,) or not (np.abs(values) < 1e9).all():
        raise SceneError(f"{path}: {key} is {text!r:.60}; expected three finite numbers.")
    return values


def _asset(path: Path, name: str, root: Path) -> Path:
    asset = Path(os.path.normpath(Path(os.path.abspath(path)).parent / name.removeprefix("package://")))
    if not name or not asset.is_relative_to(root):
        raise SceneError(f"{path} names the mesh {name!r:.120}, which lies outside the data set, {str(root)!r}.")
    if not is_file(asset):
        raise SceneError(f"The mesh {str(asset)!r} is missing, which {path} names. Fetch the data set's files again.")
    return asset
