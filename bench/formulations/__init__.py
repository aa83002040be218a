"""What is compared: formulations, and the grammar they are written in. Torch-free."""
