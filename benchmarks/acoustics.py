"""Both tiers against measured rooms, the reference against closed forms, the fast one against it in rooms side by side.

Every figure is printed beside its exact value, and those of the fast tier beside that of the reference; ± is one
standard error. The measured rooms are PTB's studio (see ``_round_robin.py``) and two rooms of BRAS (``_bras.py``); each
is skipped where its data are not. The studio's participants had not seen the measurement and we have: ranks are
"non-blind". Two peers are used where they are
installed: pyroomacoustics, for the shoebox, and SoundSpaces 2.0's engine, in the studio (``pip install
rlr-audio-propagation==0.0.1``; CC-BY-NC-4.0, Linux x86-64).

    python benchmarks/acoustics.py [--quick] [--ablations] [--threads 2] [--seed 0] [--only closed,rooms,studio,bras]
"""

import argparse

from _bare_boxes import bare_boxes
from _bras import bras
from _closed_forms import closed_forms
from _rooms import closed_rooms, coupled_rooms, large_hall
from _studio import studio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smoke run with few rays")
    parser.add_argument("--ablations", action="store_true", help="what each physical choice changes in the studio")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rays", type=int, default=160_000, help="rays a source in the studio; a sixteenth in BRAS")
    parser.add_argument("--seed", type=int, default=0, help="chooses the rays in measured rooms")
    parser.add_argument("--only", default="closed,rooms,studio,bras")
    options = parser.parse_args()
    parts = options.only.split(",")
    if "closed" in parts:
        print("Closed forms")
        for check in closed_forms(0.04 if options.quick else 1.0, options.threads):
            print(check, flush=True)
    if "rooms" in parts:
        print("Fast tier in rooms side by side")
        for part in (closed_rooms, coupled_rooms, large_hall):
            for check in part(0.04 if options.quick else 1.0, options.threads):
                print(check, flush=True)
        for check in bare_boxes(0.04 if options.quick else 1.0):
            print(check, flush=True)
    if "studio" in parts:
        rays = 800 if options.quick else options.rays
        studio(rays, options.threads, options.seed, options.quick, options.ablations)
    if "bras" in parts:
        rays = 500 if options.quick else options.rays // 16
        bras(rays, options.threads, options.seed, options.quick)


if __name__ == "__main__":
    main()
