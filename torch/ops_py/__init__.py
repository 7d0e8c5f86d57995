"""Operations that are made of other operations: Python functions over the native ones, one module per theme.

``torch`` finds a name here through ``_index.FUNCTIONS`` when the native module has no row for it, and loads the module
then. A native row of the same name always wins.
"""
