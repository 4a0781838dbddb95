"""Measures Petra, beside other servers and in the same run. `python -m bench list` says what there is."""
