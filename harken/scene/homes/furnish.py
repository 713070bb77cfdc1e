"""Which furniture goes into which room, and where."""

from collections.abc import Callable

from harken.scene.homes import decor, fixtures, seats, storage
from harken.scene.homes.dressing import dress_windows, hang_lamp, lay_rug, lay_rugs
from harken.scene.homes.kitchens import kitchen_run
from harken.scene.homes.pieces import Piece, Placement
from harken.scene.homes.space import RoomSpace
from harken.scene.homes.workshop import Workshop

__all__ = ["furnish", "has_its_needs"]


def furnish(space: RoomSpace, shop: Workshop, kinds: tuple[str, ...]) -> None:
    """Furnish a room according to its kind.

    Args:
        space: The room.
        shop: Makes the furniture.
        kinds: Kinds of all rooms of the home: the living room takes over functions that have no separate room.
    """
    wet = space.kind in ("bathroom", "kitchen", "laundry_room")
    if not wet:
        dress_windows(space, shop)
    _ROOMS[space.kind](space, shop, kinds)
    if wet:
        dress_windows(space, shop)
    _fill(space, shop)
    _lay(space, shop)
    hang_lamp(space, shop)
    pictures = {"bathroom": 0.2, "laundry_room": 0.2, "kitchen": 0.5, "hall": 1.5, "living_room": 3.0}
    for _ in range(int(shop.rng.poisson(pictures.get(space.kind, 1.6)))):
        space.against_wall([decor.picture(shop, int(shop.rng.integers(6)))], y=shop.between(1.25, 1.5), tries=5)


_KITCHEN = ({"oven"}, {"refrigerator"}, {"sink"})
_NEEDS: dict[str, tuple[set[str], ...]] = {
    "bathroom": ({"sink"}, {"toilet"}, {"bathtub", "shower"}, {"towel"}),
    "bedroom": ({"bed"}, {"cabinet", "chest_of_drawers"}),
    "dining_room": ({"table"}, {"chair"}),
    "kitchen": _KITCHEN,
    "living_room": ({"sofa"}, {"table"}),
}


def has_its_needs(space: RoomSpace, kinds: tuple[str, ...]) -> bool:
    """Whether a furnished room has the essential furniture of its kind (arguments as `furnish`)."""
    categories = {item.piece.category for item in space.items}
    cooks = space.kind == "living_room" and "kitchen" not in kinds
    return all(categories & choices for choices in (*_NEEDS.get(space.kind, ()), *(_KITCHEN if cooks else ())))


_FILLERS: dict[str, tuple[tuple[str, ...], float]] = {
    "bedroom": (("bookshelf", "chest", "armchair", "plant", "chair", "bench"), 0.34),
    "dining_room": (("sideboard", "plant", "bookshelf", "chair", "armchair"), 0.30),
    "hall": (("plant", "bench", "sideboard"), 0.12),
    "kitchen": (("sideboard", "plant", "stool", "counter"), 0.30),
    "living_room": (("bookshelf", "sideboard", "armchair", "plant", "chest", "bench", "side table"), 0.32),
    "office": (("bookshelf", "sideboard", "armchair", "plant", "chest"), 0.29),
}


_RUGS: dict[str, tuple[float, tuple[tuple[float, float], ...]]] = {
    "bathroom": (0.95, ((0.9, 0.6), (0.7, 0.5), (0.6, 0.4))),
    "bedroom": (0.8, ((2.3, 1.6), (1.7, 1.2), (1.4, 0.7))),
    "dining_room": (0.85, ((2.6, 2.0), (2.2, 1.6), (1.6, 1.0))),
    "gym": (0.9, ((2.4, 1.6), (1.8, 0.8))),
    "hall": (0.95, ((3.0, 0.8), (2.4, 0.8), (1.6, 0.7), (1.0, 0.6))),
    "kitchen": (0.9, ((2.0, 1.4), (1.6, 0.8), (1.2, 0.5), (0.8, 0.5))),
    "laundry_room": (0.7, ((1.2, 0.6), (0.8, 0.5))),
    "living_room": (0.95, ((2.8, 2.0), (2.3, 1.6), (1.7, 1.2))),
    "office": (0.85, ((2.3, 1.6), (1.8, 1.2), (1.4, 0.7))),
}


def _lay(space: RoomSpace, shop: Workshop) -> None:
    """Lay a rug where none lies yet, and a mat or a second rug in large rooms and halls; carpets take fewer."""
    share, sizes = _RUGS[space.kind]
    carpeted = shop.palette.floors.get(space.kind, shop.palette.floors[""]).texture == "carpet"
    has_rug = any(item.piece.category == "rug" for item in space.items)
    if not has_rug and shop.chance(0.4 * share if carpeted else share):
        lay_rugs(space, shop, sizes)
    if (space.area >= 12 or space.kind == "bathroom") and not carpeted and shop.chance(share):
        lay_rugs(space, shop, sizes[1:])


def _fill(space: RoomSpace, shop: Workshop) -> None:
    """Add furniture that suits the kind of room until as much of the floor is occupied as in real homes."""
    names, target = _FILLERS.get(space.kind, ((), 0.0))
    for _ in range(14 if names else 0):
        if space.share >= target:
            return
        name = shop.choose(*names)
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


def _dining_group(shop: Workshop, long: bool) -> list[Piece]:
    """A table with chairs around it; the frame's origin is the middle of the back edge of the back chairs."""
    width = shop.between(1.4, 1.8) if long else 0.8
    depth = shop.between(0.8, 0.9) if long else 0.8
    style = shop.choose("wood", "wood_2")
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
        place = space.against_wall([sofa], needed=True) or space.in_the_open([sofa], tries=60)
    if shop.chance(0.4):
        space.against_wall([decor.fireplace(shop)], front=0.5, tries=30)
    _television(space, shop, (place.quarter + 2) % 4 if place is not None else None)
    if place is None:
        return
    for x in (-width / 2 + 0.42, width / 2 - 0.42):
        if shop.chance(0.9):
            space.add(place.moved(x, 0.43, 0.345), seats.cushion(shop))
    if low is not None:
        host = low.at(z=1.32)
        if shop.chance(0.3):
            space.on_top(host, place, decor.telephone(shop))
        size = (shop.between(2.2, 3.0), shop.between(1.6, 2.2))
        for share in (1.0, 0.85, 0.7):
            if lay_rug(space, shop, place.moved(z=1.5), (size[0] * share, size[1] * share)):
                break
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


def _living_room(space: RoomSpace, shop: Workshop, kinds: tuple[str, ...]) -> None:
    if "kitchen" not in kinds:
        kitchen_run(space, shop, 2.7)
    _sofa_corner(space, shop)
    if "dining_room" not in kinds and space.area >= 16:
        space.in_the_open(_dining_group(shop, space.area >= 20), tries=24)
    if not any(item.piece.category == "table" for item in space.items):
        space.against_wall([seats.low_table(shop)], needed=True)
    if space.area >= 16 and shop.chance(0.7):
        space.against_wall([seats.sofa(shop, shop.between(1.4, 1.8))], front=0.3, tries=12)
    for _ in range(2 if shop.chance(0.6) else 1):
        space.against_wall([storage.bookshelf(shop, shop.between(0.8, 1.4))], where="corner", front=0.3)
    if shop.chance(0.6):
        board = storage.sideboard(shop, shop.between(1.0, 1.6))
        place = space.against_wall([board], front=0.4)
        if place is not None:
            space.on_top(board, place, decor.telephone(shop) if shop.chance(0.5) else decor.table_lamp(shop))
            space.on_top(board, place, decor.plant(shop, 0.35))
    for _ in range(2 if shop.chance(0.5) else 1):
        space.against_wall([seats.armchair(shop)], where="corner", front=0.3)
    if shop.chance(0.5):
        space.against_wall([seats.pouf(shop)], tries=8)
    space.against_wall([decor.floor_lamp(shop)], where="corner", tries=6)
    for _ in range(int(shop.rng.integers(1, 4))):
        _plant(space, shop)
    if shop.chance(0.25):
        space.against_wall([seats.bench(shop)], tries=6)
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
    wardrobe = storage.wardrobe(shop, shop.between(1.0, 2.0) if space.area >= 12 else 1.0)
    if space.against_wall([wardrobe], where="corner", front=0.5) is None:
        narrow = [storage.wardrobe(shop, 0.8)]
        if space.against_wall(narrow, front=0.4) is None:
            chest = [storage.chest_of_drawers(shop, 0.5)]
            over = [fixtures.upper_cabinet(shop, 0.8)]
            (
                space.against_wall(narrow, needed=True)
                or space.against_wall(chest, needed=True)
                or space.against_wall(over, y=1.5, needed=True)
            )
    if place is not None:
        _dress_bed(space, shop, bed, place, width, double)
    if shop.chance(0.4):
        space.against_wall([storage.open_wardrobe(shop, shop.between(0.8, 1.2))], front=0.3, tries=8)
    if shop.chance(0.7):
        _chest(space, shop)
    if shop.chance(0.35):
        _desk(space, shop)
    if shop.chance(0.35):
        space.against_wall([seats.bench(shop, 1.0)], tries=8)
    if shop.chance(0.3):
        space.against_wall([storage.coat_rack(shop)], front=0.2, y=0.55, tries=6)
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
        lay_rug(space, shop, place.moved(z=1.5), (width + 1.0, 1.6))


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


def _kitchen(space: RoomSpace, shop: Workshop, kinds: tuple[str, ...]) -> None:
    kitchen_run(space, shop, 3.4)
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
        lay_rug(space, shop, placed.moved(z=0.95), (2.2, 2.2))
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
    for width, y in ((0.46, 0.9), (0.46, 1.2), (0.24, 0.9), (0.24, 1.2)):
        if space.against_wall([fixtures.hung_towel(shop, width)], y=y, needed=True) is not None:
            break
    for _ in range(2):
        space.against_wall([fixtures.hung_towel(shop)], y=0.9, tries=6)
    if shop.chance(0.6):
        space.against_wall([fixtures.towel_shelf(shop)], y=1.4, tries=10)
    if shop.chance(0.5):
        space.against_wall([storage.bathrobe(shop)], y=0.6, tries=8)
    if shop.chance(0.6):
        space.against_wall([storage.laundry_basket(shop)], where="corner", front=0.3, tries=10)
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
    for _ in range(2 if shop.chance(0.6) else 1):
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
    if shop.chance(0.5):
        closet = storage.open_wardrobe(shop, 1.0) if shop.chance(0.5) else storage.wardrobe(shop, 1.0)
        space.against_wall([closet], where="corner", tries=8)
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
    space.against_wall([fixtures.towel_shelf(shop)], y=1.4, tries=10)
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
