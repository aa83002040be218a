"""What a model is: a network with its path and its prediction."""
