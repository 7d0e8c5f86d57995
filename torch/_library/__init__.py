"""Behind ``torch.library``: what an operation written in Python consists of, and how a call of one runs."""
