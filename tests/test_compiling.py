from harken.compiling import ORDERS, PARTS, compile_parts
from harken.raytracing.jit import announcer


def test_two_processes_take_all_parts_from_both_ends():
    assert ORDERS["forward"] == tuple(PARTS) == ORDERS["backward"][::-1]
    assert set(ORDERS["beside"]) < set(PARTS)


def test_a_part_that_is_compiled_is_not_compiled_again():
    compile_parts(["sounds"])
    compiled = []
    announcer.on_kernel = compiled.append
    try:
        compile_parts(["sounds"])
    finally:
        announcer.on_kernel = None
    assert compiled == []
