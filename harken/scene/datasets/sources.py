"""The scene data sets of the field, and where users get their files."""

__all__ = ["SOURCES", "source_of"]

SOURCES: dict[str, str] = {
    "replica": "Replica: https://github.com/facebookresearch/Replica-Dataset (its download.sh)",
    "mp3d": "Matterport3D: https://niessner.github.io/Matterport (python download_mp.py --task habitat)",
    "gibson": (
        "Gibson: https://github.com/StanfordVL/GibsonEnv#database; its objects: https://3dscenegraph.stanford.edu, "
        "converted by tools/gen_gibson_semantics.sh of Habitat-Sim"
    ),
    "hm3d": (
        "HM3D: https://github.com/matterport/habitat-matterport-3dresearch (python -m "
        "habitat_sim.utils.datasets_download --uids hm3d_val; hm3d_semantics for the objects, hm3d_val_full for meshes "
        "with readable textures)"
    ),
    "hssd": "HSSD: https://huggingface.co/datasets/hssd/hssd-hab",
    "replica_cad": "ReplicaCAD: https://aihabitat.org/datasets/replica_cad",
    "ai2thor": "AI2-THOR and ProcTHOR for Habitat: https://huggingface.co/datasets/hssd/ai2thor-hab",
}
"""Where each data set comes from, for messages. Harken itself downloads nothing."""

_MARKS = {
    "replica_cad": ("replica_cad", "replicacad"),
    "replica": ("replica",),
    "mp3d": ("mp3d", "matterport3d"),
    "gibson": ("gibson",),
    "hm3d": ("hm3d",),
    "hssd": ("hssd", "floorplanner"),
    "ai2thor": ("ai2thor", "procthor"),
}


def source_of(path: str) -> str:
    """Return a sentence that says where a file's data set comes from, by the names in its path; empty if none says."""
    parts = [part.lower() for part in path.replace("\\", "/").split("/")]
    for name, marks in _MARKS.items():
        if any(part.startswith(mark) for part in parts for mark in marks):
            return f" Get it from {SOURCES[name]}."
    return ""
