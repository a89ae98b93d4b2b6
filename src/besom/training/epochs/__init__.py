"""How the epochs of one run are run and watched, whichever engine runs them."""
