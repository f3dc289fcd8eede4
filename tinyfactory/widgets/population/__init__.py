"""`PopulationView`: the report card of people, with charts."""
