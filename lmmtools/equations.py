"""Two sides of an equation, held together."""
