"""The working side of a kitchen: refrigerator, sink, oven, counters and the cabinets above them."""

from harken.scene.homes import fixtures
from harken.scene.homes.pieces import Piece, Placement
from harken.scene.homes.space import RoomSpace
from harken.scene.homes.workshop import Workshop

__all__ = ["kitchen_run"]


def kitchen_run(space: RoomSpace, shop: Workshop, longest: float) -> None:
    """Place a run of refrigerator, counters, sink and oven with wall cabinets; apart if no wall is long enough.

    Args:
        space: The room.
        shop: Makes the furniture.
        longest: Greatest length of the run [m].
    """
    for length in (longest, 3.0, 2.7, 2.4):
        if length > longest:
            continue
        run = _run(shop, length)
        place = space.against_wall(run, where="corner", front=0.6, tries=12) or space.against_wall(
            run, front=0.6, tries=12, needed=length == 2.4
        )
        if place is not None:
            _wall_cabinets(space, shop, run, place)
            return
    sink = [fixtures.counter(shop, 0.8, True), fixtures.kitchen_sink(shop)]
    for group in ([fixtures.refrigerator(shop)], sink, [fixtures.oven(shop)]):
        place = space.against_wall(group, where="corner", front=0.3) or space.against_wall(group, needed=True)
        if place is not None:
            _wall_cabinets(space, shop, group, place)
        elif group[0].category == "refrigerator":
            space.against_wall([fixtures.low_refrigerator(shop)], needed=True)


def _run(shop: Workshop, length: float) -> list[Piece]:
    """Refrigerator, counters, sink and oven side by side, centred on the origin."""
    run: list[Piece] = []
    x = -length / 2
    for kind, width in _divide(length - 0.6):
        middle = x + width / 2
        if kind == "refrigerator":
            run.append(fixtures.refrigerator(shop).at(x=middle))
        elif kind == "oven":
            run.append(fixtures.oven(shop).at(x=middle))
        else:
            run.append(fixtures.counter(shop, width, kind == "sink").at(x=middle))
            run += [fixtures.kitchen_sink(shop).at(x=middle)] if kind == "sink" else []
        x += width
    return run


def _wall_cabinets(space: RoomSpace, shop: Workshop, run: list[Piece], place: Placement) -> None:
    """Wall cabinets above counters and oven, where no window is."""
    for piece in run:
        if piece.category in ("counter", "oven"):
            upper = fixtures.upper_cabinet(shop, piece.box[3] - piece.box[0] - 0.002)
            middle = (piece.box[0] + piece.box[3]) / 2
            space.put(place.moved(middle, 1.45, -0.015), [upper])


def _divide(rest: float) -> list[tuple[str, float]]:
    """Kinds and widths of a run that is `rest` longer than its refrigerator [m]."""
    rest -= 0.6
    if rest <= 1.0:
        return [("refrigerator", 0.6), ("sink", round(rest, 2)), ("oven", 0.6)]
    return [("refrigerator", 0.6), ("sink", 0.8), ("oven", 0.6), ("counter", round(rest - 0.8, 2))]
