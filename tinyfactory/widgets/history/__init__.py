"""`HistoryView`: the recorded events of a simulation."""
