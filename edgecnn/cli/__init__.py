"""The command line: a thin face. Bodies read arguments, call one function, print; ≤ 15 lines each."""
