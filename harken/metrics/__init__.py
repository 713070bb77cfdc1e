"""How good an estimate is: separated sound, depth maps, generated spatial sound.

Measures of rooms (ISO 3382-1, STI) are in `harken.acoustics.measures`, those of navigation belong to its tasks
(`harken.tasks.navigation`), and `harken.eval.statistics` puts intervals around any of them.
"""

__all__: list[str] = []
