"""Reports of evaluations: a page that shows and plays what agents did."""

__all__: list[str] = []
