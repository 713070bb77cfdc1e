"""Which furniture goes into which room, and where."""

from collections.abc import Callable

from harken.scene.homes import decor, fixtures, seats, storage
from harken.scene.homes.pieces import Piece, Placement
from harken.scene.homes.space import RoomSpace
from harken.scene.homes.workshop import Workshop

__all__ = ["furnish"]


def furnish(space: RoomSpace, shop: Workshop, kinds: tuple[str, ...]) -> None:
    """Furnish a room according to its kind.

    Args:
        space: The room.
        shop: Makes the furniture.
        kinds: Kinds of all rooms of the home: the living room takes over what has no room of its own.
    """
    wet = space.kind in ("bathroom", "kitchen", "laundry_room")
    if not wet:
        _dress_windows(space, shop)
    _ROOMS[space.kind](space, shop, kinds)
    if wet:
        _dress_windows(space, shop)
    _fill(space, shop)
    _light(space, shop)
    pictures = {"bathroom": 0.2, "laundry_room": 0.2, "kitchen": 0.5, "hall": 1.5, "living_room": 3.0}
    for _ in range(int(shop.rng.poisson(pictures.get(space.kind, 1.6)))):
        space.against_wall([decor.picture(shop, int(shop.rng.integers(6)))], y=shop.between(1.25, 1.5), tries=5)


_FILLERS: dict[str, tuple[tuple[str, ...], float]] = {
    "bedroom": (("bookshelf", "chest", "armchair", "plant", "chair", "bench"), 0.34),
    "dining_room": (("sideboard", "plant", "bookshelf", "chair", "armchair"), 0.30),
    "hall": (("plant", "bench", "sideboard"), 0.12),
    "kitchen": (("sideboard", "plant", "stool", "counter"), 0.30),
    "living_room": (("bookshelf", "sideboard", "armchair", "plant", "chest", "bench", "side table"), 0.32),
    "office": (("bookshelf", "sideboard", "armchair", "plant", "chest"), 0.29),
}


def _fill(space: RoomSpace, shop: Workshop) -> None:
    """Add to a room what its kind may hold, until as much of the floor is taken as where people live."""
    names, target = _FILLERS.get(space.kind, ((), 0.0))
    for _ in range(14 if names else 0):
        if space.share >= target:
            return
        name = shop.one(*names)
        if name == "chest":
            _chest(space, shop)
        elif name == "plant":
            _plant(space, shop)
        elif name == "side table":
            table = seats.low_table(shop)
            place = space.against_wall([table], tries=6)
            if place is not None:
                space.on_top(table, place, decor.table_lamp(shop))
        else:
            width = shop.between(0.8, 1.4)
            piece = {
                "armchair": lambda: seats.armchair(shop),
                "bench": lambda: seats.bench(shop),
                "bookshelf": lambda width=width: storage.bookshelf(shop, width),
                "chair": lambda: seats.chair(shop),
                "counter": lambda width=width: fixtures.counter(shop, width),
                "sideboard": lambda width=width: storage.sideboard(shop, width),
                "stool": lambda: seats.stool(shop),
            }[name]()
            space.against_wall([piece], front=0.3, tries=8)


def _dress_windows(space: RoomSpace, shop: Workshop) -> None:
    """Curtains and radiators."""
    curtains = space.kind not in ("bathroom", "laundry_room", "hall", "gym") and shop.chance(0.85)
    long = shop.chance(0.5)
    for wall, start, end in space.windows:
        opening = next(o for a, _, o in wall.openings if a == start)
        bottom, top = (0.03 if long else opening.heights[0] - 0.12), opening.heights[1] + 0.12
        if curtains and space.kind != "kitchen":
            cloth = decor.curtain(shop, 0.3, top - max(bottom, 0.03))
            for at in (start - 0.12, end + 0.12):
                space.put(wall.placement(at, max(bottom, 0.03)), [cloth], zones=False)
        if opening.heights[0] > 0.75 and shop.chance(0.55):
            width = min(end - start, 1.4) - 0.1
            space.put(wall.placement((start + end) / 2), [decor.radiator(shop, width)], zones=False)


def _light(space: RoomSpace, shop: Workshop) -> None:
    """A lamp at the ceiling: over the table where there is one, else near the middle of the room."""
    tables = [item for item in space.items if item.piece.category == "table" and item.piece.box[4] > 0.6]
    cell = space.plan.cells == space.room
    middle = cell.nonzero()
    x, z = (float(axis.mean()) + 0.5 + origin for axis, origin in zip(middle, space.plan.origin, strict=True))
    drop = space.height - 2.1 if space.height > 2.45 and space.kind not in ("bathroom", "hall", "gym") else 0.1
    if tables and space.kind in ("dining_room", "kitchen"):
        box = tables[0].placement.box(tables[0].piece.box)
        x, z, drop = (box[0] + box[3]) / 2, (box[2] + box[5]) / 2, space.height - 1.65
    lamp = decor.ceiling_lamp(shop, drop)
    for dx, dz in ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (-1.0, 0.0), (0.0, -1.0)):
        if space.put(Placement(x=x + dx, y=space.height, z=z + dz), [lamp], zones=False) is not None:
            return


def _dining_group(shop: Workshop, long: bool) -> list[Piece]:
    """A table with chairs around it; the frame's origin is the middle of the back edge of the back chairs."""
    width = shop.between(1.4, 1.8) if long else 0.8
    depth = shop.between(0.8, 0.9) if long else 0.8
    style = shop.one("wood", "wood_2")
    reach = 0.5
    group = [seats.table(shop, width, depth, style).at(z=reach)]
    seat = seats.chair(shop, style)
    xs = (-width / 4, width / 4) if long else (0.0,)
    for x in xs:
        group.append(seat.at(x=x, z=0.0))
        group.append(seat.at(x=x, z=depth + 2 * reach, turn=2))
    return group


def _plant(space: RoomSpace, shop: Workshop) -> None:
    space.against_wall([decor.plant(shop, shop.between(0.6, 1.6))], where="corner", tries=8)


def _sofa_corner(space: RoomSpace, shop: Workshop) -> None:
    """A sofa with its low table, cushions, an armchair and a rug; the fireplace; the television opposite."""
    width = shop.between(1.7, 2.3) if space.area >= 14 else 1.6
    sofa, low = seats.sofa(shop, width), seats.low_table(shop)
    place = space.against_wall([sofa, low.at(z=1.32)], where="middle", front=0.2, tries=24)
    if place is None:
        place = space.against_wall([sofa], tries=24)
        low = None
    if place is None:
        sofa, width, low = seats.sofa(shop, 1.5), 1.5, None
        place = space.against_wall([sofa], needed=True)
    if shop.chance(0.4):
        space.against_wall([decor.fireplace(shop)], front=0.5, tries=30)
    _television(space, shop, (place.quarter + 2) % 4 if place is not None else None)
    if place is None:
        return
    for x in (-width / 2 + 0.42, width / 2 - 0.42):
        if shop.chance(0.75):
            space.add(place.moved(x, 0.43, 0.345), seats.cushion(shop))
    if low is not None:
        host = low.at(z=1.32)
        if shop.chance(0.3):
            space.on_top(host, place, decor.telephone(shop))
        size = (shop.between(1.8, 2.4), shop.between(1.3, 1.7))
        _rug(space, shop, place.moved(z=1.5), size)
        for side in (-1, 1):
            seat = seats.armchair(shop)
            if shop.chance(0.5) and space.put(place.moved(side * 1.75, 0.0, 1.57, -side), [seat]) is not None:
                break


def _television(space: RoomSpace, shop: Workshop, facing: int | None) -> None:
    width = shop.between(1.2, 1.8)
    group = [storage.tv_bench(shop, width), decor.television(shop, shop.between(0.9, 1.2)).at(y=0.45, z=0.08)]
    if space.against_wall(group, where="middle", front=0.4, facing=facing) is not None:
        return
    if space.against_wall(group, front=0.4) is None:
        screen = [decor.wall_television(shop, shop.between(0.9, 1.2))]
        space.against_wall(screen, y=1.05, facing=facing) or space.against_wall(screen, y=1.05, needed=True)


def _rug(space: RoomSpace, shop: Workshop, place: Placement, size: tuple[float, float]) -> None:
    """A rug, if it lies wholly within the room."""
    rug = decor.rug(shop, size[0], size[1], int(shop.rng.integers(2)))
    box, bounds = place.box(rug.box), space.bounds
    inside = box[0] > bounds[0] and box[2] > bounds[2] and box[3] < bounds[3] and box[5] < bounds[5]
    tall = [s for s in space.solids if s[4] > 5.0]
    clear = not any(s[0] < box[3] and box[0] < s[3] and s[2] < box[5] and box[2] < s[5] for s in tall)
    if inside and clear:
        space.add(place, rug, solid=False)


def _living_room(space: RoomSpace, shop: Workshop, kinds: tuple[str, ...]) -> None:
    if "kitchen" not in kinds:
        _kitchen_run(space, shop, 2.7)
    _sofa_corner(space, shop)
    if "dining_room" not in kinds and space.area >= 16:
        space.in_the_open(_dining_group(shop, space.area >= 20), tries=24)
    if not any(item.piece.category == "table" for item in space.items):
        space.against_wall([seats.low_table(shop)], needed=True)
    if shop.chance(0.8):
        space.against_wall([storage.bookshelf(shop, shop.between(0.8, 1.2))], where="corner", front=0.3)
    if shop.chance(0.6):
        board = storage.sideboard(shop, shop.between(1.0, 1.6))
        place = space.against_wall([board], front=0.4)
        if place is not None:
            space.on_top(board, place, decor.telephone(shop) if shop.chance(0.5) else decor.table_lamp(shop))
            space.on_top(board, place, decor.plant(shop, 0.35))
    if shop.chance(0.6):
        space.against_wall([seats.armchair(shop)], where="corner", front=0.3)
    space.against_wall([decor.floor_lamp(shop)], where="corner", tries=6)
    for _ in range(int(shop.rng.integers(1, 4))):
        _plant(space, shop)
    if shop.chance(0.4):
        space.against_wall([seats.stool(shop)], tries=6)
    if shop.chance(0.1):
        space.against_wall([decor.treadmill(shop)], where="corner", front=0.5)


def _bedroom(space: RoomSpace, shop: Workshop, kinds: tuple[str, ...]) -> None:
    double = space.area >= 9 and shop.chance(0.75)
    width = float(shop.rng.choice([1.4, 1.6, 1.8])) if double else 0.9
    bed = seats.bed(shop, width)
    place = space.against_wall([bed], where="middle" if double else "corner", front=0.3, tries=24)
    if place is None:
        bed, width, double = seats.bed(shop, 0.9), 0.9, False
        place = space.against_wall([bed], where="corner", needed=True)
    if place is not None:
        _dress_bed(space, shop, bed, place, width, double)
    wardrobe = storage.wardrobe(shop, shop.between(1.0, 2.0) if space.area >= 12 else 1.0)
    if space.against_wall([wardrobe], where="corner", front=0.5) is None:
        space.against_wall([storage.wardrobe(shop, 0.8)], front=0.4)
    if shop.chance(0.7):
        _chest(space, shop)
    if shop.chance(0.35):
        _desk(space, shop)
    if shop.chance(0.35):
        space.against_wall([seats.bench(shop, 1.0)], tries=8)
    if shop.chance(0.5):
        space.against_wall([seats.chair(shop)], tries=6)
    if shop.chance(0.35):
        space.against_wall([decor.mirror(shop, 0.45, 1.5)], y=0.3, tries=6)
    if shop.chance(0.6):
        _plant(space, shop)
    if shop.chance(0.15):
        space.against_wall([decor.dumbbells(shop)], front=0.3)


def _dress_bed(space: RoomSpace, shop: Workshop, bed: Piece, place: Placement, width: float, double: bool) -> None:
    """Pillows, clothes left on the blanket, night stands with lamps, a rug."""
    for x in (-width / 4, width / 4) if double else (0.0,):
        space.add(place.moved(x, 0.485, 0.09), seats.pillow(shop))
    if shop.chance(0.5):
        clothes = storage.folded_clothes(shop)
        space.add(place.moved(shop.between(-0.2, 0.2), 0.53, shop.between(1.2, 1.7)), clothes)
    for side in (-1, 1):
        stand = storage.night_stand(shop)
        at = place.moved(side * (width / 2 + 0.28))
        if space.put(at, [stand]) is not None and shop.chance(0.7):
            space.on_top(stand, at, decor.table_lamp(shop) if shop.chance(0.8) else decor.telephone(shop))
    if shop.chance(0.6):
        _rug(space, shop, place.moved(z=1.5), (width + 1.0, 1.6))


def _chest(space: RoomSpace, shop: Workshop) -> None:
    """A chest of drawers with something on it."""
    chest = storage.chest_of_drawers(shop, shop.between(0.7, 1.1))
    place = space.against_wall([chest], front=0.4)
    if place is None:
        return
    if shop.chance(0.35):
        space.on_top(chest, place, decor.television(shop, 0.65))
    elif shop.chance(0.6):
        space.on_top(chest, place, decor.plant(shop, 0.4))
    if shop.chance(0.4):
        space.on_top(chest, place, storage.folded_clothes(shop))


def _desk(space: RoomSpace, shop: Workshop) -> bool:
    """A desk with a monitor and a chair."""
    desk = seats.desk(shop, shop.between(1.1, 1.5))
    seat = seats.desk_chair(shop).at(x=-0.1, z=1.3, turn=2)
    place = space.against_wall([desk, seat], tries=20)
    if place is None:
        return False
    if space.put(place.moved(-0.1, 0.74, 0.05), [decor.monitor(shop)], zones=False) is not None and shop.chance(0.5):
        space.on_top(desk, place, decor.table_lamp(shop))
    space.on_top(desk, place, decor.telephone(shop)) if shop.chance(0.4) else None
    return True


def _office(space: RoomSpace, shop: Workshop, kinds: tuple[str, ...]) -> None:
    _desk(space, shop)
    for _ in range(int(shop.rng.integers(1, 3))):
        space.against_wall([storage.bookshelf(shop, shop.between(0.8, 1.2))], where="corner", front=0.4)
    if shop.chance(0.6):
        _chest(space, shop)
    if shop.chance(0.6):
        space.against_wall([seats.armchair(shop)], where="corner", front=0.3)
    if shop.chance(0.4):
        space.against_wall([seats.stool(shop)], tries=6)
    _plant(space, shop)
    space.against_wall([decor.floor_lamp(shop)], where="corner", tries=6)


def _kitchen_run(space: RoomSpace, shop: Workshop, longest: float) -> None:
    """A run of refrigerator, counters, sink and oven with wall cabinets; apart if no wall is long enough."""
    for length in (longest, 3.0, 2.7, 2.4, 2.1, 1.8):
        if length > longest:
            continue
        run = _run(shop, length)
        place = space.against_wall(run, where="corner", front=0.6, tries=12) or space.against_wall(
            run, front=0.6, tries=12
        )
        if place is not None:
            _wall_cabinets(space, shop, run, place)
            return
    sink = [fixtures.counter(shop, 0.8, True), fixtures.kitchen_sink(shop)]
    for group in ([fixtures.refrigerator(shop)], sink, [fixtures.oven(shop)]):
        place = space.against_wall(group, front=0.3) or space.against_wall(group, needed=True)
        if place is not None:
            _wall_cabinets(space, shop, group, place)
        elif group[0].category == "refrigerator":
            space.against_wall([fixtures.low_refrigerator(shop)], needed=True)


def _run(shop: Workshop, length: float) -> list[Piece]:
    """Refrigerator, counters, sink and oven side by side, centred on the origin."""
    run: list[Piece] = []
    x = -length / 2
    for kind, width in _divide(length - 0.6, length > 2.0):
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


def _divide(rest: float, with_oven: bool) -> list[tuple[str, float]]:
    """Kinds and widths of a run that is `rest` longer than its refrigerator [m]."""
    if not with_oven:
        return [("refrigerator", 0.6), ("sink", round(rest, 2))]
    rest -= 0.6
    if rest <= 1.0:
        return [("refrigerator", 0.6), ("sink", round(rest, 2)), ("oven", 0.6)]
    return [("refrigerator", 0.6), ("sink", 0.8), ("oven", 0.6), ("counter", round(rest - 0.8, 2))]


def _kitchen(space: RoomSpace, shop: Workshop, kinds: tuple[str, ...]) -> None:
    _kitchen_run(space, shop, 3.4)
    second = fixtures.counter(shop, shop.between(0.9, 1.5))
    if shop.chance(0.5):
        place = space.against_wall([second], where="corner", front=0.6)
        if place is not None:
            space.on_top(second, place, decor.plant(shop, 0.3))
    if "dining_room" not in kinds or shop.chance(0.3):
        group = _dining_group(shop, space.area >= 12)
        placed = space.in_the_open(group, tries=20) or space.against_wall(_dining_group(shop, False), tries=16)
        if placed is None:
            space.against_wall([seats.table(shop, 0.8, 0.6)], where="corner", tries=8)
    for _ in range(int(shop.rng.integers(0, 3))):
        space.against_wall([seats.stool(shop, 0.65)], tries=5)
    if shop.chance(0.6):
        space.against_wall([fixtures.hung_towel(shop)], y=0.85, tries=8)
    if shop.chance(0.3):
        space.against_wall([decor.wall_television(shop, 0.6)], y=1.4, tries=4)
    if shop.chance(0.4):
        _plant(space, shop)


def _dining_room(space: RoomSpace, shop: Workshop, kinds: tuple[str, ...]) -> None:
    placed = space.in_the_open(_dining_group(shop, True), tries=30)
    if placed is None:
        placed = space.in_the_open(_dining_group(shop, False), tries=20)
    if placed is not None and shop.chance(0.4):
        _rug(space, shop, placed.moved(z=0.95), (2.2, 2.2))
    board = storage.sideboard(shop, shop.between(1.0, 1.6), 0.85)
    place = space.against_wall([board], front=0.4)
    if place is not None:
        space.on_top(board, place, decor.telephone(shop) if shop.chance(0.3) else decor.plant(shop, 0.4))
    if shop.chance(0.25):
        space.against_wall([decor.fireplace(shop)], where="middle", front=0.5)
    for _ in range(2):
        space.against_wall([seats.chair(shop)], tries=6)
    _plant(space, shop)


def _bathroom(space: RoomSpace, shop: Workshop, kinds: tuple[str, ...]) -> None:
    small = space.area <= 6
    tub = not small and shop.chance(0.6)
    if tub and space.against_wall([fixtures.bathtub(shop)], where="corner", front=0.4, tries=24) is None:
        tub = False
    if not tub or (space.area >= 7 and shop.chance(0.5)):
        size = 0.8 if small else 0.9
        if space.against_wall([fixtures.shower(shop, size, size)], where="left", needed=True) is None:
            space.against_wall([fixtures.bathtub(shop, 1.4)], where="corner", needed=True)
    seat = [fixtures.toilet(shop)]
    space.against_wall(seat, front=0.4, tries=24) or space.against_wall(seat, needed=True)
    _basin(space, shop, small)
    space.against_wall([fixtures.hung_towel(shop)], y=0.9, needed=True)
    if shop.chance(0.5):
        space.against_wall([fixtures.hung_towel(shop)], y=0.9, tries=6)
    if "laundry_room" not in kinds and shop.chance(0.4):
        space.against_wall([fixtures.washing_machine(shop)], where="corner", front=0.4)
    if shop.chance(0.35):
        space.against_wall([seats.stool(shop, 0.42)], where="corner", tries=6)
    if shop.chance(0.3):
        space.against_wall([storage.sideboard(shop, 0.5, 0.9, 0.34)], where="corner", front=0.3, tries=8)


def _basin(space: RoomSpace, shop: Workshop, small: bool) -> None:
    """A washbasin with a mirror above it, or near it where there is a window."""
    basin = fixtures.washbasin(shop, 0.45 if small else 0.6)
    place = space.against_wall(basin, front=0.4, tries=24)
    if place is None:
        basin = fixtures.washbasin(shop, 0.4)
        place = space.against_wall(basin, needed=True)
    if place is not None:
        looking = [decor.mirror(shop, basin[0].box[3] * 2, 0.75)]
        space.put(place.moved(0.0, 1.15, -0.015), looking) or space.against_wall(looking, y=1.15)


def _hall(space: RoomSpace, shop: Workshop, kinds: tuple[str, ...]) -> None:
    space.against_wall([storage.coat_rack(shop)], front=0.2, y=0.55)
    if shop.chance(0.8):
        board = storage.sideboard(shop, shop.between(0.8, 1.2), 0.82, 0.34)
        place = space.against_wall([board])
        if place is not None:
            if shop.chance(0.6):
                space.on_top(board, place, decor.telephone(shop))
            if shop.chance(0.6):
                space.put(place.moved(0.0, 1.1, -0.015), [decor.mirror(shop, 0.6, 0.8)])
    if shop.chance(0.5):
        space.against_wall([seats.bench(shop)], tries=8)
    if shop.chance(0.3):
        space.against_wall([storage.wardrobe(shop, 1.0)], where="corner", tries=8)
    if shop.chance(0.5):
        _plant(space, shop)
    if shop.chance(0.3):
        space.against_wall([seats.chair(shop)], tries=6)


def _gym(space: RoomSpace, shop: Workshop, kinds: tuple[str, ...]) -> None:
    space.against_wall([decor.treadmill(shop)], front=0.4)
    space.against_wall([decor.dumbbells(shop)], front=0.5)
    space.against_wall([decor.weight_bench(shop)], front=0.3)
    space.against_wall([decor.gym_ball(shop)], where="corner")
    space.against_wall([decor.mirror(shop, 1.2, 1.6)], y=0.3)
    space.against_wall([seats.bench(shop)], tries=8)
    if shop.chance(0.4):
        space.against_wall([fixtures.hung_towel(shop)], y=0.9, tries=6)
    if shop.chance(0.5):
        _plant(space, shop)


def _laundry_room(space: RoomSpace, shop: Workshop, kinds: tuple[str, ...]) -> None:
    machine = fixtures.washing_machine(shop)
    place = space.against_wall([machine], where="corner", front=0.4)
    bench = fixtures.counter(shop, 0.8)
    at = space.against_wall([bench], front=0.3)
    if at is not None:
        space.on_top(bench, at, storage.folded_clothes(shop))
    elif place is not None:
        space.on_top(machine, place, storage.folded_clothes(shop))
    space.against_wall([storage.wardrobe(shop, 0.8)], where="corner", front=0.3)
    if shop.chance(0.5):
        space.against_wall([decor.dumbbells(shop)], tries=6)


_ROOMS: dict[str, Callable[[RoomSpace, Workshop, tuple[str, ...]], None]] = {
    "bathroom": _bathroom,
    "bedroom": _bedroom,
    "dining_room": _dining_room,
    "gym": _gym,
    "hall": _hall,
    "kitchen": _kitchen,
    "laundry_room": _laundry_room,
    "living_room": _living_room,
    "office": _office,
}
