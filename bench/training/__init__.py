"""How a model learns: the loop, its budget, and the parts that a training is made of."""
