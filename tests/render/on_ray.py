"""Render on a local Ray cluster of two nodes; run by test_ray.py in a process of its own.

Ray warns of its own internals, and its processes must not outlive a test run that is interrupted.
"""

import json
import sys
from pathlib import Path

from render_recipes import Deadly, Failing, Scenes

from harken.errors import DataSetError
from harken.render import render


def main(folder: Path, samples: int, samples_per_shard: int, *, hopeless: bool) -> None:
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    marks = folder / "marks"
    marks.mkdir(parents=True)

    def attempt(recipe, name):
        try:
            render(
                recipe,
                folder / name,
                samples=samples,
                samples_per_shard=samples_per_shard,
                ray=cluster.address,
                progress=False,
            )
        except DataSetError as error:
            return str(error)
        return ""

    found = {"nodes": len(ray.nodes()), "killed": attempt(Deadly(marks=marks), "killed")}
    found["deaths"] = len(list(marks.iterdir()))
    found["failing"] = attempt(Failing(), "failing")
    found["continued"] = attempt(Scenes(), "failing")
    if hopeless:
        found["hopeless"] = attempt(Deadly(marks=marks, deaths=99), "hopeless")
    print(json.dumps(found))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), hopeless="hopeless" in sys.argv)
