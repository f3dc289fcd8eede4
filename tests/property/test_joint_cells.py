"""Whole people out of tables over several fields."""

from __future__ import annotations

from collections import Counter
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from tinyfactory.populations import Demography

_counts = st.integers(1, 999)


@st.composite
def tables(draw):
    """Two or three fields in one table, or a third one that depends on the first two."""
    sizes = draw(st.lists(st.integers(2, 6), min_size=2, max_size=3))
    fields = ["a", "b", "c"][: len(sizes)]
    kinds = [[f"{field}{i}" for i in range(n)] for field, n in zip(fields, sizes, strict=True)]
    chain = len(sizes) == 3 and draw(st.booleans())
    joint = [
        dict(zip(fields, cell, strict=False)) | {"count": draw(_counts)}
        for cell in product(*(kinds[:2] if chain else kinds))
    ]
    data = {"joint": [{"fields": fields[:2] if chain else fields, "table": joint}]}
    if chain:
        table = {a: {b: {c: draw(_counts) for c in kinds[2]} for b in kinds[1]} for a in kinds[0]}
        data["conditional"] = [{"field": "c", "given": ["a", "b"], "table": table}]
    return Demography.from_dict(data)


@settings(deadline=None, max_examples=60)
@given(tables(), st.sampled_from([7, 50, 333, 2000]), st.integers(0, 2**32))
def test_cells_of_a_table_are_within_one_person_as_margins_are(town, n, seed):
    people = town.sample(n, seed)
    for fields, cells in town.joints():
        got = Counter(zip(*(people[field] for field in fields), strict=True))
        assert max(abs(got[cell] - share * n) for cell, share in cells.items()) <= 1 + 1e-6
    for field, margin in town.margins().items():
        counts = Counter(people[field])
        assert max(abs(counts[k] - share * n) for k, share in margin.items()) <= 1 + 1e-6
