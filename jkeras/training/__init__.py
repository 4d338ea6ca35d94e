"""Training: pure steps and epochs, and the loops around them."""
