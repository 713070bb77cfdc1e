"""Training: recurrent policies, imitation and reinforcement; importing this package imports torch."""
