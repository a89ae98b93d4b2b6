"""besom from Python: sweeps of a function, and what a call gives back and shows."""
