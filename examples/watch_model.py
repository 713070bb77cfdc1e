"""Watch a trained model find the telephone: writes a video with sound of an episode in a home of the test split.

The model is the folder of a training, one of its .safetensors files, or a name that ``harken models`` lists.
"""

import sys
from pathlib import Path

from harken.eval import Evaluation, evaluate


def main(model: str = "av-nav", folder: str = "videos") -> None:
    records = evaluate(
        Evaluation(
            agent=model,
            environment="audiogoal",
            arguments={"split": "test", "sound": "telephone"},
            episodes=1,
            recorded=1,
            videos=Path(folder),
        )
    )
    for record in records:
        outcome = "found it" if record.measures["success"] else "did not find it"
        print(f"{Path(folder) / str(record.video)}: {outcome}, after {record.measures['steps']:.0f} steps")


if __name__ == "__main__":
    main(*sys.argv[1:])
