"""What a sample of a data set is: one module for each recipe."""

__all__: list[str] = []
