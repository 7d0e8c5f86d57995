"""Where PyTorch's files and programs look for the class of jagged tensors."""
