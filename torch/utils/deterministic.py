"""``fill_uninitialized_memory``: kept for programs that set it. Memory that factories leave uninitialised stays so."""

fill_uninitialized_memory = True
