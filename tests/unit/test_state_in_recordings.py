"""Objects within attributes, arguments and results, where a recording is replayed."""

from __future__ import annotations

import pytest

from tests.support.cells import kernel
from tests.unit.test_verification import record_of, replace
from tinyfactory import Simulation, TinyFactory, TinyPerson, control, transactional
from tinyfactory.errors import DamagedRecord, UnknownRecord
from tinyfactory.journal.values.serializer import Known, decode

SETUP = """
import tinyfactory
from tinyfactory import TinyFactory, TinyPerson, control, transactional

class Desk(TinyFactory):
    def __init__(self):
        super().__init__()
        self.notes = []

class Office(TinyFactory):
    def __init__(self):
        super().__init__()
        self.desks, self.head = [], None

    @transactional(version="1")
    def open(self, number):
        desk = Desk()
        desk.notes.append(number)
        self.head = TinyPerson(f"Head {number}", register=False)
        self.desks.append(desk)
        return [{"office": self, "desk": desk}, desk, self.head]

    @transactional(version="1")
    def note(self, text, friends=()):
        self.desks[0].last = text
        self.desks[0].notes.append(text)
        for friend in friends:
            friend.met = text
        return len(self.desks[0].notes)
"""
CELLS = {
    "make": "office, other = Office(), Office()",
    "open": "found = office.open(1)\n"
    "print(found[0]['office'] is office, found[0]['desk'] is found[1] is office.desks[0], "
    "found[2] is office.head, len(office.desks))",
    "same": "desk, head = globals().setdefault('first', (found[1], found[2]))\n"
    "print(desk is found[1], head is found[2], desk.notes)",
    "note": "print(office.note('a'), office.note('b', [other]), other.met)",
    "edit": "desk.notes.append('mine')",
    "show": "print(office.desks[0].notes, len(office.desks), other.met)",
}


def test_objects_of_a_recording_stay_the_same_when_cells_are_run_again(tmp_path):
    with kernel(tmp_path) as cells:
        cells.run(SETUP)
        cells.run("simulation = control.begin('journal')")
        first = {name: cells.run(source, name) for name, source in CELLS.items()}
        assert "True True True 1" in first["open"] and "True True [1]" in first["same"]
        cells.run("simulation.export('lesson.gz')")
        cells.run("control.reset(); TinyFactory.clear_factories(); del first")
        cells.run("simulation = control.begin('lesson.gz')")
        for name, source in CELLS.items():
            assert cells.run(source, name) == first[name]
        shown = first["show"]
        for name in ("open", "same", "note", "open"):
            again = cells.run(CELLS[name], name).splitlines()
            assert again[-1] == first[name].splitlines()[-1].replace("[1]", "[1, 'a', 'b', 'mine']")
        assert cells.run(CELLS["show"], "show") == shown
        assert cells.run("print(simulation.misses)").strip() == "0"


def test_a_recording_from_before_attributes_were_state_is_replayed(tmp_path):
    def shop(encoded):
        class Shop(TinyFactory):
            def __init__(self):
                super().__init__()
                self.stock, self.people = 3, []

            @transactional(version="1")
            def sell(self, number):
                self.sold = number
                return [number, TinyPerson(f"Buyer {number}", register=False)]

            if encoded:  # as a class without an encoder was once

                def encode_complete_state(self):
                    return {"name": self.name, "simulation_id": self.simulation_id}

                def decode_complete_state(self, state):
                    return self

        Shop.__qualname__ = "Shop"
        return Shop

    first = shop(True)
    first.__init_subclass__()
    with Simulation(tmp_path / "j", "lesson") as simulation:
        one = first()
        sold = [one.sell(n) for n in (1, 2, 1)]
        path = simulation.export(tmp_path / "lesson.gz")
    TinyFactory.clear_factories()
    second = shop(False)
    second.__init_subclass__()
    simulation = control.begin(path)
    other = second()
    assert [other.sell(n) for n in (1, 2, 1)] == sold
    assert (simulation.hits, simulation.misses) == (3, 0) and other.stock == 3
    control.reset()


ODD = {
    "an unknown mark": {"$": "nothing"},
    "a reference to nothing": {"$": "same", "as": "#3"},
    "a reference to no text": {"$": "same", "as": 3},
    "a huge number": {"$": "same", "as": "#" + "9" * 10_000},
    "a huge name": {"$": "same", "as": "self." + "x" * 100_000},
    "an odd digit": {"$": "same", "as": "#²"},
    "itself as its persona": {
        "$": "object", "type": "TinyPerson", "state": {"persona": {"$": "same", "as": "#0"}}
    },
    "itself as a key": {
        "$": "object", "type": "TinyPerson",
        "state": {"persona": {"$": "dict", "items": [[{"$": "same", "as": "#0"}, 1]]}},
    },
    "a list as a key": {
        "$": "dict", "items": [[{"$": "tuple", "items": [[1]]}, 1]]
    },
    "a state with a method": {"$": "object", "type": "TinyFactory", "state": {"history": 1}},
    "a state with its class": {"$": "object", "type": "TinyFactory", "state": {"__class__": 1}},
}  # fmt: skip


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_odd_values_are_damaged_records(value):
    def find(name):
        raise DamagedRecord(f"{name!r:.80} is not here.")

    with pytest.raises(DamagedRecord) as raised:
        decode([value], known=Known(find))
    assert len(str(raised.value)) < 500


def test_a_value_that_is_too_deep_is_a_damaged_record():
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(DamagedRecord, match="too deep"):
        decode(deep)


@pytest.mark.parametrize("name", ["nobody", "n", "self.friend", "n[0]", "self." + "x" * 9_999])
def test_a_change_of_no_object_of_the_call_is_never_made(tmp_path, name):
    class Shop(TinyFactory):
        stock = 3

        @transactional(version="1")
        def sell(self, n):
            self.stock -= n[0]

    control.begin(tmp_path / "j")
    shop = Shop()
    shop.sell([1])
    key = shop.history()[0].key
    control.reset()
    record = record_of(tmp_path / "j", key)
    record["changes"] = {name: record["changes"]["self"]}
    replace(tmp_path / "j", "event:" + key, record)
    control.begin(tmp_path / "j")
    shop = Shop()
    if name in ("nobody", "n"):
        with pytest.raises(UnknownRecord, match="changes") as raised:
            shop.sell([1])
        assert len(str(raised.value)) < 500 and shop.stock == 3
    else:  # it may have been there when the event was stored
        shop.sell([1])
        assert shop.stock == 2 and control.cache_misses() == 1
    control.reset()
