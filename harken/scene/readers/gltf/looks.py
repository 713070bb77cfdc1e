"""The appearance of surfaces in a glTF file: base colours and textures of its materials."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harken.errors import SceneError
from harken.scene.readers.content import decode_texture
from harken.scene.readers.gltf.container import Document, Entry
from harken.scene.readers.parts import LARGEST_TEXTURE, short_name

__all__ = ["Look", "Looks", "srgb"]

_IMAGE_EXTENSIONS = ("EXT_texture_webp", "EXT_texture_avif", "MSFT_texture_dds", "KHR_texture_basisu")


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """Appearance and acoustic data of a material of the file."""

    name: str = ""
    """Its name, empty for none."""
    factor: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Linear base colour."""
    texture: np.ndarray | None = None
    """``(height, width, 3)`` uint8, None for none."""
    channel: int = 0
    """Which set of texture coordinates it uses."""
    shift: tuple[float, float] = (0.0, 0.0)
    """Offset of texture coordinates, added after rotation and scaling."""
    turn: float = 0.0
    """Rotation of texture coordinates [rad]."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Scale of texture coordinates."""
    acoustics: Any = None
    """``extras.acoustics``, not yet checked."""

    def place(self, uv: np.ndarray) -> np.ndarray:
        """Return texture coordinates ``(n, 2)`` of the file, (0, 0) at the top left, with (0, 0) at the bottom left.

        Source of turning and scaling: the glTF extension KHR_texture_transform.
        """
        u, v = uv[:, 0] * self.scale[0], uv[:, 1] * self.scale[1]
        cosine, sine = np.cos(self.turn), np.sin(self.turn)
        return np.stack([cosine * u + sine * v + self.shift[0], 1.0 - (cosine * v - sine * u + self.shift[1])], axis=1)


@dataclass(eq=False)
class Looks:
    """The materials of a file, each read once."""

    document: Document
    """The file."""
    largest: int = LARGEST_TEXTURE
    """Longest side that textures are scaled down to [pixels]."""
    missing: list[str] = field(default_factory=list)
    """Names of the materials whose texture is missing or cannot be read."""
    _looks: dict[str, Look] = field(default_factory=dict)
    _images: dict[str, np.ndarray | None] = field(default_factory=dict)

    def read(self, material: Entry) -> Look:
        """Read a material.

        Raises:
            SceneError: The material does not conform to glTF.
        """
        if material.place not in self._looks:
            self._looks[material.place] = self._read(material)
        return self._looks[material.place]

    def _read(self, material: Entry) -> Look:
        name = short_name(material.text("name"))
        metallic, glossy = (
            material.child("pbrMetallicRoughness"),
            material.extension("KHR_materials_pbrSpecularGlossiness"),
        )
        factor, reference = (1.0, 1.0, 1.0, 1.0), None
        if metallic is not None:
            factor, reference = metallic.numbers("baseColorFactor", 4, factor), metallic.child("baseColorTexture")
        elif glossy is not None:
            factor, reference = glossy.numbers("diffuseFactor", 4, factor), glossy.child("diffuseTexture")
        extras = material.content.get("extras")
        look: dict[str, Any] = {
            "name": name,
            "factor": factor[:3],
            "acoustics": extras.get("acoustics") if isinstance(extras, dict) else None,
        }
        if reference is None:
            return Look(**look)
        texture = reference.linked("index", "textures")
        image = None if texture is None else self._image(texture)
        if image is None:
            self.missing.append(name or material.place)
            return Look(**look)
        transform = reference.extension("KHR_texture_transform")
        channel = reference.count("texCoord", 0)
        if transform is not None:
            channel = transform.count("texCoord", channel)
            look["shift"] = transform.numbers("offset", 2, (0.0, 0.0))
            look["scale"] = transform.numbers("scale", 2, (1.0, 1.0))
            look["turn"] = transform.number("rotation", 0.0)
        return Look(texture=image, channel=channel, **look)

    def _image(self, texture: Entry) -> np.ndarray | None:
        """Return the image of a texture in the first readable format; None if there is none."""
        sources = [texture.linked("source", "images")]
        extensions = [texture.extension(name) for name in _IMAGE_EXTENSIONS]
        sources += [extension.linked("source", "images") for extension in extensions if extension is not None]
        for image in sources:
            if image is None:
                continue
            if image.place not in self._images:
                self._images[image.place] = self._decode(image)
            if self._images[image.place] is not None:
                return self._images[image.place]
        return None

    def _decode(self, image: Entry) -> np.ndarray | None:
        try:
            view = image.linked("bufferView", "bufferViews")
            if view is not None:
                return decode_texture(bytes(self.document.view(view)[0]), self.largest)
            return decode_texture(self.document.resource(image, image.text("uri")), self.largest)
        except SceneError:
            return None  # The remark about missing textures covers this.

    def remarks(self) -> list[str]:
        """Name the materials whose texture is missing, for a warning."""
        if not self.missing:
            return []
        names = ", ".join(repr(name) for name in self.missing[:3]) + (" …" if len(self.missing) > 3 else "")
        return [
            f"the texture of {len(self.missing)} material(s) ({names}) is missing, damaged or in a format that cannot "
            "be read, such as KTX2, so their surfaces have one colour"
        ]


def srgb(linear: np.ndarray) -> np.ndarray:
    """Return linear light 0…1 as uint8 in sRGB (IEC 61966-2-1)."""
    linear = np.clip(linear, 0.0, 1.0)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255.0 * encoded).astype(np.uint8)
