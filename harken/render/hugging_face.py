"""How a data set is described to Hugging Face's ``datasets``: the header of its card, with the types of all parts.

Without it ``load_dataset(folder)`` would find the index alone, and infer types from five samples. Sounds and videos are
declared as bytes: ``datasets`` itself decodes them with torchcodec only, which ``cast_column`` still can.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harken.files import parse_json
from harken.render.manifest import Manifest

__all__ = ["TypesOfSamples", "card_header"]

_KEY = b"harken.features"


class TypesOfSamples:
    """Collects the types of the parts of all samples of a split, one after the other.

    Args:
        pa: The module pyarrow.
    """

    def __init__(self, pa: Any):
        self._pa, self._schema = pa, None
        self._parts: dict[str, Any] = {}
        self._whole = True

    def add(self, samples: Sequence[tuple[Iterable[str], dict[str, Any]]]) -> None:
        """Take note of some samples: the extensions of each and its whole JSON."""
        if not self._whole:
            return
        for extensions, metadata in samples:
            for name in extensions:
                kind = {"struct": []} if name == "json" else _part_type(name, metadata["parts"].get(name))
                # Arrays of other dimensions or numbers than before have no one type.
                self._whole &= self._parts.setdefault(name, kind) == kind
        pa = self._pa
        try:
            schema = pa.schema([("json", pa.array([metadata for _, metadata in samples]).type)])
            schemas = [schema] if self._schema is None else [self._schema, schema]
            self._schema = pa.unify_schemas(schemas, promote_options="permissive")
        except (pa.ArrowException, TypeError, OverflowError):
            self._whole = False

    def metadata(self) -> dict[bytes, bytes]:
        """Return the types as metadata of a Parquet table; nothing where samples have no common ones."""
        features = self._features()
        return {} if features is None else {_KEY: json.dumps(features, sort_keys=True).encode()}

    def _features(self) -> list[dict[str, Any]] | None:
        if not self._whole or self._schema is None:
            return None
        types = {**self._parts, "json": _arrow_type(self._pa, self._schema.field("json").type)}
        if None in types.values():
            return None
        names = [*sorted(types), "__key__", "__url__"]
        return [{"name": name, **types.get(name, {"dtype": "string"})} for name in names]


def _part_type(name: str, description: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the type that ``datasets`` makes of a part; what it does not decode are bytes."""
    match (description or {}).get("kind"):
        case "image" | "frames":
            return {"dtype": "image"}
        case "text":
            return {"dtype": "string"}
        case "array" if description is not None and description["dtype"] != "complex64":
            kind: Any = {"dtype": description["dtype"]}
            for _ in description["shape"]:
                kind = {"list": kind["dtype"] if list(kind) == ["dtype"] else kind}
            return kind
        case "array":
            return None
    return {"dtype": "binary"}


def _arrow_type(pa: Any, kind: Any) -> dict[str, Any]:
    if pa.types.is_struct(kind):
        fields = [field for field in kind if not pa.types.is_struct(field.type) or field.type.num_fields > 0]
        return {"struct": [{"name": field.name, **_arrow_type(pa, field.type)} for field in fields]}
    if pa.types.is_list(kind):
        inner = _arrow_type(pa, kind.value_type)
        return {"list": inner["dtype"] if list(inner) == ["dtype"] else inner.get("struct", inner)}
    return {"dtype": "float64" if pa.types.is_floating(kind) else str(kind)}


def card_header(manifests: Sequence[Manifest], metadata: Sequence[Mapping[bytes, bytes]]) -> str:
    """Return the YAML header of a card.

    Args:
        manifests: The finished splits.
        metadata: That of their Parquet indexes; see `TypesOfSamples.metadata`.
    """
    import yaml

    files = [{"split": m.split, "path": f"{m.split}-*.tar"} for m in manifests]
    header: dict[str, Any] = {
        "pretty_name": f"{manifests[0].recipe}, rendered by Harken",
        "tags": ["webdataset", "audio-visual", "synthetic", "harken"],
        "configs": [{"config_name": "default", "data_files": files}],
    }
    features = [parse_json(table[_KEY], where="The index") for table in metadata if _KEY in table]
    # Of the split with the most samples: another may lack a value that gives a type away.
    if len(features) == len(manifests):
        largest = max(range(len(manifests)), key=lambda place: manifests[place].samples)
        header["dataset_info"] = [{"config_name": "default", "features": features[largest]}]
    return f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True, width=10_000)}---\n\n"
