"""The data card: a description of a data set with pictures and sound, beside its shards."""

import html
import io
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harken.eval.report.media import audio_uri, color_depth, color_ramp, image_uri
from harken.files import write_bytes, write_text
from harken.render.hugging_face import card_header
from harken.render.index import index_metadata
from harken.render.manifest import Manifest, read_manifests
from harken.render.reading import read_samples
from harken.render.shards import interrupted
from harken.sound import Spectrogram, decibels, spectrogram

__all__ = ["card_names", "contact_sheet", "write_card"]

_SHOWN = 12
_TILE = 160
_ACROSS = 6
_SPECTROGRAM = Spectrogram(n_fft=512, hop=128, window=512, downsample=1)
_RANGE_DB = 80.0
_SECONDS = 10.0
_CHANNELS = 2
# Arrays with fewer rows are tables, such as the places of some objects over time.
_SMALLEST_PICTURE = 9


def card_names(split: str) -> tuple[str, ...]:
    """Return the names of the card's files for a split."""
    return "README.md", f"{split}-sheet.png", f"{split}-sheet.html"


def write_card(folder: Path, *, description: str) -> None:
    """Write ``README.md`` of a data set, and a contact sheet (PNG and HTML) of every finished split.

    Args:
        folder: The data set.
        description: What a sample is, in words.
    """
    manifests = [manifest for manifest in read_manifests(folder) if manifest.complete]
    for manifest in manifests:
        samples = list(itertools.islice(read_samples(folder, manifest.split), _SHOWN))
        _, picture, page = card_names(manifest.split)
        write_bytes(folder / picture, _png(contact_sheet(samples)), error=interrupted)
        write_text(folder / page, _page(manifest, samples), error=interrupted)
    if manifests:
        first = next(read_samples(folder, manifests[0].split, decode=False))
        header = card_header(manifests, [index_metadata(folder, manifest.split) for manifest in manifests])
        write_text(folder / "README.md", header + _readme(manifests, description, first), error=interrupted)


def contact_sheet(samples: Sequence[dict[str, Any]]) -> np.ndarray:
    """Draw samples: their images, depth, the first frame of videos, and spectrograms of their sounds.

    Args:
        samples: Decoded samples, as `harken.render.read_samples` gives them.

    Returns:
        ``(h, w, 3)`` uint8.
    """
    from PIL import Image, ImageDraw

    entries = [(sample["__key__"], _pictures(sample)) for sample in samples]
    tiles = max(1, *(len(pictures) for _, pictures in entries))
    line, gap = 16, 8
    # As many samples side by side as fit; one below the other where each has many pictures.
    across = max(1, _ACROSS // tiles)
    block = (tiles * (_TILE + gap) + gap, _TILE + 2 * line + gap)
    rows = -(-len(entries) // across)
    sheet = Image.new("RGB", (gap + across * block[0], gap + rows * block[1]), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (key, pictures) in enumerate(entries):
        corner, top = gap + place % across * block[0], gap + place // across * block[1]
        draw.text((corner, top), key, fill="black")
        for column, (name, picture) in enumerate(pictures):
            left = corner + column * (_TILE + gap)
            tile = Image.fromarray(picture)
            width, height = (max(1, round(side * _TILE / max(tile.size))) for side in tile.size)
            sheet.paste(tile.resize((width, height), Image.Resampling.BICUBIC), (left, top + line))
            draw.text((left, top + line + height + 1), name, fill=(90, 90, 90))
    return np.array(sheet)


def _pictures(sample: dict[str, Any]) -> list[tuple[str, np.ndarray]]:
    """Return name and ``(h, w, 3)`` uint8 of everything in a sample that can be looked at."""
    descriptions = sample.get("json", {}).get("parts", {})
    pictures = []
    for name, part in sample.items():
        kind = descriptions.get(name, {}).get("kind")
        if kind == "audio":
            pictures += [
                (f"{name} [{channel}]" if len(part) > 1 else name, _sound_picture(sound))
                for channel, sound in enumerate(part[:_CHANNELS])
            ]
        elif kind == "video":
            pictures.append((name, part[0]))
        elif kind == "frames":
            pictures.append((name, _colored(part[0])))
        elif kind in ("image", "array"):
            first = part[0] if part.ndim == 4 else part
            pictures += [(name, _colored(first))] if _is_picture(first) else []
    return pictures


def _is_picture(part: np.ndarray) -> bool:
    return part.ndim == 3 and part.shape[2] in (1, 3, 4) and min(part.shape[:2]) >= _SMALLEST_PICTURE


def _colored(image: np.ndarray) -> np.ndarray:
    if image.shape[2] >= 3 and image.dtype == np.uint8:
        return np.ascontiguousarray(image[..., :3])
    if image.dtype.kind == "f":
        return color_depth([image[..., :1].astype(np.float32)])[0][0]
    if image.dtype == np.uint8 and len(np.unique(image)) > 64:
        return np.repeat(image[..., :1], 3, axis=2)
    # Categories and instances: neighbours in number get colours far apart.
    return color_ramp("turbo", 256)[(image[..., 0].astype(np.int64) * 97) % 256]


def _sound_picture(samples: np.ndarray) -> np.ndarray:
    """Return a spectrogram, high frequencies above, 80 dB from its loudest place to black."""
    magnitude = np.expm1(spectrogram(samples[None], _SPECTROGRAM)[..., 0])
    loudest = float(magnitude.max())
    level = decibels(magnitude / loudest) if loudest > 0 else np.full(magnitude.shape, -np.inf)
    index = (255 * np.clip(1.0 + level / _RANGE_DB, 0.0, 1.0)).astype(np.uint8)
    picture = color_ramp("inferno", 256)[index[::-1]]
    columns = np.linspace(0, picture.shape[1] - 1, max(_TILE, 1)).round().astype(int)
    rows = np.linspace(0, picture.shape[0] - 1, _TILE * 3 // 4).round().astype(int)
    return np.ascontiguousarray(picture[rows][:, columns])


def _png(image: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def _page(manifest: Manifest, samples: Sequence[dict[str, Any]]) -> str:
    """Return a page that shows the samples and plays their sounds; it needs no other file."""
    title = html.escape(
        f"{manifest.recipe}, {manifest.split}: the first {len(samples)} of {manifest.samples:,} samples"
    )
    blocks = []
    for sample in samples:
        figures = [
            f'<figure><img src="{image_uri(picture)}" alt=""><figcaption>{html.escape(name)}</figcaption></figure>'
            for name, picture in _pictures(sample)
        ]
        metadata = {key: value for key, value in sample.get("json", {}).items() if key != "parts"}
        text = html.escape(json.dumps(metadata, indent=1, ensure_ascii=False))
        blocks.append(
            f"<section><h2>{html.escape(sample['__key__'])}</h2><div>{''.join(figures)}</div>"
            f"{''.join(_players(sample))}<details><summary>Metadata</summary><pre>{text}</pre></details></section>"
        )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222; }}
h1 {{ font-size: 1.3rem; }} h2 {{ font-size: 1rem; margin: 2rem 0 .5rem; }}
section > div {{ display: flex; flex-wrap: wrap; gap: .75rem; }}
figure {{ margin: 0; }} figure img {{ display: block; height: 160px; image-rendering: pixelated; }}
figcaption, .gain {{ font-size: .8rem; color: #666; }} audio {{ height: 2rem; vertical-align: middle; }}
</style></head><body><h1>{title}</h1>
<p>Each sound is brought to the same peak for listening, by the gain that stands beside it; the files keep their levels.
Sounds of more than two channels play their first two. Use headphones for binaural sound.</p>
{"".join(blocks)}</body></html>
"""


def _players(sample: dict[str, Any]) -> list[str]:
    descriptions = sample.get("json", {}).get("parts", {})
    players = []
    for name, part in sample.items():
        if descriptions.get(name, {}).get("kind") != "audio":
            continue
        rate = descriptions[name]["rate"]
        heard = part[:_CHANNELS, : round(_SECONDS * rate)]
        uri, gain = audio_uri(heard if len(heard) == _CHANNELS else np.repeat(heard[:1], 2, axis=0), rate)
        players.append(
            f'<p><audio controls preload="none" src="{uri}"></audio> {html.escape(name)} '
            f'<span class="gain">{rate} Hz, {gain:+.1f} dB</span></p>'
        )
    return players


def _readme(manifests: Sequence[Manifest], description: str, first: dict[str, Any]) -> str:
    manifest = manifests[0]
    metadata = json.loads(first["json"])
    parts = [
        f"| `.{name}` | {_words(metadata['parts'].get(name, {}))} | {len(content):,} |"
        for name, content in first.items()
        if name != "__key__"
    ]
    splits = [
        f"| {m.split} | {m.samples:,} | {len(m.shards):,} | {sum(s.bytes for s in m.shards) / 1e6:,.1f} | "
        f"[sounds and pictures]({m.split}-sheet.html) |"
        for m in manifests
    ]
    settings = json.dumps(manifest.settings, indent=2, ensure_ascii=False)
    example = {key: value for key, value in metadata.items() if key != "parts"}
    newline = "\n"
    first_shard, last_shard = (manifest.shards[place].name.removesuffix(".tar") for place in (0, -1))
    urls = f"{manifest.split}-{{{first_shard[-6:]}..{last_shard[-6:]}}}.tar"
    return f"""# {manifest.recipe}

{" ".join(description.split())}

Rendered by Harken {manifest.harken}: recipe `{manifest.recipe}`, version {manifest.recipe_version}, seed
{manifest.seed}. The same recipe, settings, seed and versions of packages give the same bytes; they stand in the
manifests.

| split | samples | shards | MB | look and listen |
|---|---|---|---|---|
{newline.join(splits)}

![The first samples]({manifest.split}-sheet.png)

## Licence

{manifest.licence}

## What a sample holds

Sample `{first["__key__"]}`, for example:

| file | content | bytes |
|---|---|---|
{newline.join(parts)}

Its metadata, beside `parts`, which says how each file is to be read:

```json
{json.dumps(example, indent=2, ensure_ascii=False)}
```

Sound is pressure relative to 1 at 1 m from the source in the free field, `(channels, samples)`, left first. FLAC holds
values up to 1 only: all FLAC files of a sample are divided by the same `scale`, which stands with each of them in
`parts`, so that sums and ratios of sounds hold without it; multiply by it to get pressure. Depth is an array in metres;
0 means that nothing was hit. Images of labels (masks, categories, materials) hold the number of the label.

## Reading it

The shards are tar files as [WebDataset](https://github.com/webdataset/webdataset) reads them. With Harken:

```python
from harken.render import RenderedSamples, read_samples

for sample in read_samples(".", split="{manifest.split}"):       # in order, arrays by extension
    print(sample["__key__"], {{name: getattr(part, "shape", None) for name, part in sample.items()}})

samples = RenderedSamples(folder=".", split="{manifest.split}")  # by number, for torch.utils.data.DataLoader
```

With [WebDataset](https://github.com/webdataset/webdataset) (`pip install webdataset`):

```python
import webdataset

from harken.render import decode_sample

urls = "{urls}"
samples = webdataset.WebDataset(urls, shardshuffle=False).map(decode_sample)
```

With [datasets](https://github.com/huggingface/datasets) (`pip install datasets`), from this folder or from the Hub:

```python
from datasets import load_dataset

samples = load_dataset(".", split="{manifest.split}", streaming=True)   # sounds and videos are bytes
table = load_dataset("parquet", data_files="{manifest.split}.parquet")  # the metadata alone
```

`{manifest.split}.parquet` has a row for every sample: the metadata, its shard, and where in the shard it lies.
`harken render verify .` checks that all is whole.

## Settings

```json
{settings}
```
"""


def _words(description: dict[str, Any]) -> str:
    match description.get("kind"):
        case "audio":
            bits = f"{description['bits']} bits, scale {description['scale']:g}" if "bits" in description else "float32"
            seconds = description["samples"] / description["rate"]
            return f"{description['channels']} channels, {seconds:g} s at {description['rate']} Hz, {bits}"
        case "video":
            return f"video, {'×'.join(map(str, description['shape']))}, {description['frame_rate']:g} Hz"
        case "image" | "frames" | "array" as kind:
            unit = ", metres" if description.get("unit") == "m" else ""
            return f"{kind}, {description['dtype']} {'×'.join(map(str, description['shape']))}{unit}"
        case _:
            return "metadata" if not description else str(description["kind"])
