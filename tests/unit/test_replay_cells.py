"""A recording in a real kernel: cells run again, in any order, with and without ids of cells."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from tests.support.cells import CellError, Cells, kernel

AGAIN = "This cell was run before in this recording"
ELSEWHERE = "Another cell made this call before in this recording"
SECOND = "is a second call and its result is new"

SETUP = """
import tinyfactory
from tinyfactory import TinyFactory, TinyPerson, TinyPersonFactory, control, transactional

class Shop(TinyFactory):
    def __init__(self, owner):
        super().__init__()
        self.owner, self.stock = owner, 10

    @transactional(version="1")
    def sell(self, number):
        self.stock -= number
        return self.stock

    @transactional(version="1")
    def hire(self, agency, role):
        person = agency.generate_person({"occupation": role})
        self.stock += 1
        return person

    def encode_complete_state(self):
        return super().encode_complete_state() | {"owner": self.owner, "stock": self.stock}

    def decode_complete_state(self, state):
        self.owner, self.stock = state["owner"], state["stock"]
        return super().decode_complete_state(state)
"""
LESSON = {
    "factory": 'factory = TinyPersonFactory("Bakers in Vienna", model="offline")',
    "people": "people = factory.generate_people(3)\nprint([p.name for p in people])",
    "one": "one = factory.generate_person()\nprint(one.name)",
    "other": "other = factory.generate_person()\nprint(other.name)",
    "loop": 'loop = [factory.generate_person("a tall one") for _ in range(2)]\n'
    "print([p.name for p in loop])",
    "together": "together = factory.generate_people(4, {'age': 45}, concurrency=2)\n"
    "print([p.name for p in together])",
    "both": 'own = TinyPersonFactory("Bakers in Graz", model="offline")\n'
    "first = own.generate_person()\nprint(first.name)",
    "next": "second = own.generate_person()\nprint(second.name)",
    "ask": 'print(people[0].ask("What are your skills?", model="offline"))',
    "ask again": 'print(people[0].ask("What are your skills?", model="offline"), "again")',
    "aask": 'print(await people[1].aask("What are your skills?", model="offline"))',
    "panel": 'panel = people.ask("Do you like tea?", concurrency=2, model="offline")\n'
    "print(panel.answers)",
    "twin": 'twins = people[2].twin(age=70)\nprint(twins.twin.name, twins.twin.get("age"))',
    "rewrite": 'proposal = people[1].rewrite("beliefs")\nprint(proposal.after)',
    "town": 'town = TinyPersonFactory.from_demography({"sex": {"female": 2, "male": 2}, '
    '"age": {"20-29": 2, "60-69": 2}, "about": {"country": "Austria"}}, model="offline")\n'
    "citizens = town.generate_people(4)\nprint([p.name for p in citizens])",
    "town more": "more = town.generate_people(2, 'a quiet one', concurrency=2)\n"
    "print([p.name for p in more])",
    "contexts": 'factories = TinyPersonFactory.generate_person_factories(2, "A choir", '
    'model="offline")\nprint([f.context_text for f in factories])',
    "singers": "singers = [f.generate_person() for f in factories]\n"
    "print([p.name for p in singers])",
    "shop": 'shop = Shop("Marta")\nprint(shop.sell(1), shop.sell(1))',
    "hire": 'hired = shop.hire(factory, "baker")\nprint(hired.name)',
    "background": "job = factory.start_people(2, 'a short one')\n"
    "print([p.name for p in job.wait()])",
}
# What a cell needs to have been run before it, beside the factory.
NEEDS = {
    **dict.fromkeys(["ask", "ask again", "aask", "panel", "twin", "rewrite"], "people"),
    "next": "both",
    "town more": "town",
    "singers": "contexts",
    "hire": "shop",
}


@contextmanager
def opened(place, *, path="lesson.gz"):
    with kernel(place) as cells:
        cells.run(SETUP)
        cells.run(f"simulation = control.begin({str(path)!r})")
        yield cells


def counts(cells: Cells) -> str:
    return cells.run("print(simulation.misses, simulation.model_calls)").strip()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One kernel for several tests."""
    with kernel(tmp_path_factory.mktemp("shared")) as cells:
        cells.run(SETUP)
        yield cells


@pytest.fixture
def cells(shared):
    """The kernel without simulations and factories, in a folder without a journal."""
    shared.run(
        "import shutil, pathlib\ncontrol.reset()\nTinyFactory.clear_factories()\n"
        "[shutil.rmtree(p) for p in pathlib.Path().iterdir() if p.is_dir() and p.name != 'home']"
    )
    return shared


BAKERS = 'factory = TinyPersonFactory("Bakers in Vienna", model="offline")'
ONE = "one = factory.generate_person()\nprint(one.name)"


def record(cells, *sources, ids=True):
    """Record cells, each with its number as its id, and open the recording."""
    cells.run("simulation = control.begin('journal', 'lesson')")
    shown = [cells.run(s, f"cell {n}" if ids else None) for n, s in enumerate(sources)]
    cells.run("simulation.export('r.gz')\ncontrol.reset()\nsimulation = control.begin('r.gz')")
    return [plain(text) for text in shown]


def plain(text):
    """The text without the line that says that a cell is run again."""
    return "".join(
        line
        for line in text.splitlines(True)
        if not any(said in line for said in (AGAIN, ELSEWHERE, SECOND))
    )


@pytest.fixture(scope="module")
def lesson(tmp_path_factory):
    """A recording that was made in a notebook with ids, and what its cells showed."""
    place = tmp_path_factory.mktemp("lesson")
    with kernel(place) as cells:
        cells.run(SETUP)
        cells.run("simulation = control.begin('journal', 'lesson')")
        shown = {name: cells.run(source, name) for name, source in LESSON.items()}
        cells.run("simulation.export('lesson.gz')")
    return place, shown


@pytest.mark.parametrize("ids", [True, False], ids=["with ids", "without ids"])
def test_each_cell_run_twice_gives_the_same_objects_and_one_line(lesson, ids):
    place, shown = lesson
    with opened(place) as cells:
        for name, source in LESSON.items():
            cell = name if ids else None
            assert cells.run(source, cell) == shown[name], name
            if name == "factory":
                cells.run(source, cell)
                continue
            cells.run("before = dict(globals())")
            again = cells.run(source, cell)
            assert again.count(AGAIN) == 1, name
            assert plain(again) == shown[name], name
            same = "print(all(before[n] is globals()[n] for n in names if n in before))"
            names = {"one": ["one"], "other": ["other"], "both": ["first"], "hire": ["hired"]}
            if name in names:
                assert cells.run(f"names = {names[name]!r}\n{same}") == "True\n", name
        assert counts(cells) == "0 0"


def test_the_line_is_said_once_and_only_below_a_cell_that_is_run_again(cells):
    first = "people = factory.generate_people(2)\nprint([p.name for p in people])"
    shown = record(cells, BAKERS, first)
    for source, number in ((BAKERS, 0), (first, 1), (BAKERS, 0)):
        cells.run(source, f"cell {number}")
    # The object is looked up here, and the cell that made it is another one.
    new = cells.run(first, "a new cell")
    assert AGAIN not in new and plain(new) == shown[1]
    cells.run(BAKERS, "cell 0")
    again = cells.run(first, "cell 1")
    assert again.count(AGAIN) == 1 and plain(again) == shown[1]


def test_cells_run_in_another_order_give_the_same(lesson):
    place, shown = lesson
    order = [*reversed(LESSON), *LESSON]
    with opened(place) as cells:
        done = set()

        def run(name):
            if name not in done and NEEDS.get(name):
                run(NEEDS[name])
            done.add(name)
            return plain(cells.run(LESSON[name], name))

        run("factory")
        for name in order:
            if name != "factory":
                assert run(name) == shown[name], name
        assert counts(cells) == "0 0"


def test_a_notebook_restarted_in_the_middle_goes_on(lesson):
    place, shown = lesson
    with opened(place) as cells:
        cells.run(LESSON["factory"], "factory")
        for name in ("together", "one", "shop", "hire", "town", "town more"):
            assert cells.run(LESSON[name], name) == shown[name], name
        assert counts(cells) == "0 0"


def test_restart_and_run_all_twice_in_one_kernel(lesson):
    """The cell that opens the recording starts again from the beginning."""
    place, shown = lesson
    with opened(place) as cells:
        for _ in range(2):
            cells.run("simulation = control.begin('lesson.gz')", "begin")
            assert {name: cells.run(source, name) for name, source in LESSON.items()} == shown


# -- equal calls -----------------------------------------------------------------------------


def test_more_equal_calls_in_one_execution_than_were_recorded_are_a_miss(cells):
    loop = (
        "people = [factory.generate_person() for _ in range({})]\nprint([p.name for p in people])"
    )
    shown = record(cells, BAKERS, loop.format(2))
    cells.run(BAKERS, "cell 0")
    with pytest.raises(CellError, match=r"ReplayMiss: .* recorded 2 times, and all was replayed"):
        cells.run(loop.format(3), "cell 1")
    # Run again with as many as were recorded: the same.
    assert plain(cells.run(loop.format(2), "cell 1")) == shown[1]
    assert plain(cells.run(loop.format(1), "cell 1")).split("'")[1] == shown[1].split("'")[1]


def test_a_changed_argument_is_a_miss_that_names_it_also_in_a_second_run(cells):
    record(cells, BAKERS, ONE)
    cells.run(BAKERS, "cell 0")
    cells.run(ONE, "cell 1")
    with pytest.raises(CellError, match=r"ReplayMiss: .*agent_particularities None → 'tall'"):
        cells.run("one = factory.generate_person('tall')", "cell 1")


def test_two_cells_with_equal_calls_each_keep_their_own_in_any_order(cells):
    other = "other = factory.generate_person()\nprint(other.name)"
    shown = record(cells, BAKERS, ONE, other)
    cells.run(BAKERS, "cell 0")
    for source, cell, name in ((other, "cell 2", shown[2]), (ONE, "cell 1", shown[1])) * 2:
        assert plain(cells.run(source, cell)) == name
    # A further cell gets the same from the first on, and no more than were recorded.
    again = "print([factory.generate_person().name for _ in range({})])"
    names = str([shown[1].strip(), shown[2].strip()])
    for _ in range(2):
        assert plain(cells.run(again.format(2), "cell 3")).strip() == names
    with pytest.raises(CellError, match=r"ReplayMiss.*recorded 2 times"):
        cells.run(again.format(3), "cell 4")


def test_a_copy_of_a_cell_gives_the_same_and_one_line_says_so(lesson):
    place, shown = lesson
    with opened(place) as cells:
        for name, source in LESSON.items():
            cells.run(source, name)
        for name, source in LESSON.items():
            for _ in range(2):
                again = cells.run(source, "a copy of " + name)
                assert plain(again) == shown[name], name
                assert again.count(ELSEWHERE) == int(name != "factory"), name
        assert counts(cells) == "0 0"


def test_a_new_cell_makes_an_edit_anew(cells):
    edit = "print(one.revise({'age': 33}).number)"
    record(cells, BAKERS, ONE, edit)
    for number, source in enumerate((BAKERS, ONE, edit)):
        cells.run(source, f"cell {number}")
    cells.run("_ = one.revise({'age': 44})", "cell 3")
    assert cells.run(edit, "cell 4") == "3\n" and cells.run("print(one.get('age'))") == "33\n"


def test_an_extended_recording_asks_the_model_in_a_new_cell(cells):
    record(cells, BAKERS, ONE)
    cells.run("control.reset()\ncontrol.begin('r.gz', mode='extend')")
    cells.run(BAKERS, "cell 0")
    assert cells.run(ONE, "cell 1") != cells.run(ONE, "cell 2")


def test_a_recording_without_cells_gives_equal_calls_to_cells_in_the_order_they_are_run(cells):
    other = "other = factory.generate_person()\nprint(other.name)"
    cells.run(
        "import threading\n"
        "def make():\n"
        "    control.begin('journal', 'lesson')\n"
        f"    {BAKERS}\n"
        "    names[:] = [factory.generate_person().name for _ in range(2)]\n"
        "    control.current_simulation().export('r.gz')\n"
        "    control.reset()\n"
        "names = []\n"
    )
    # As a widget's button does, outside of any cell.
    cells.run(
        "get_ipython().set_parent({'header': {'msg_type': 'comm_msg', 'msg_id': '1'}})\n"
        "make()\nsimulation = control.begin('r.gz')"
    )
    names = cells.run("print(*names, sep='|')").strip().split("|")
    cells.run(BAKERS, "a")
    for source, cell, name in ((other, "c", names[0]), (ONE, "b", names[1])) * 2:
        assert plain(cells.run(source, cell)).strip() == name


@pytest.mark.parametrize("recorded_with_ids", [True, False])
def test_two_cells_of_one_source_without_ids_are_two_cells(cells, recorded_with_ids):
    """As `jupyter nbconvert --execute` and nbval run a notebook."""
    shown = record(cells, BAKERS, ONE, ONE, "one.revise({'age': 33})", ids=recorded_with_ids)
    assert shown[1] != shown[2]
    cells.run(BAKERS)
    assert [cells.run(ONE), cells.run(ONE)] == shown[1:3]
    # There is no third of them: the cell is run again.
    assert plain(cells.run(ONE)) in shown[1:3]


def test_a_cell_of_one_source_without_ids_is_run_again_if_the_next_call_is_of_another(cells):
    other = "other = factory.generate_person()\nprint(other.name)"
    shown = record(cells, BAKERS, ONE, other, ids=False)
    cells.run(BAKERS)
    assert [cells.run(ONE), plain(cells.run(ONE)), cells.run(other)] == [shown[1], *shown[1:]]


# -- objects ---------------------------------------------------------------------------------


def test_later_edits_stay_when_an_earlier_cell_is_run_again(cells):
    edit = "one.revise({'age': 91})\none.define('hobby', 'rowing', group='preferences')"
    record(cells, BAKERS, ONE, edit, "print(one.revise({'age': 92}).changes)")
    cells.run(BAKERS, "cell 0")
    cells.run(ONE, "cell 1")
    cells.run("same = one")
    cells.run(edit, "cell 2")
    cells.run("one.revise({'age': 92})", "cell 3")
    cells.run("one.define('nickname', 'Bo')")
    cells.run(ONE, "cell 1")
    assert cells.run("print(one is same, one.get('age'), one.get('nickname'))") == "True 92 Bo\n"
    # The earlier edit is not made again, and the later one gives the same revision again.
    cells.run(edit.partition("\n")[0], "cell 2")
    assert "(91, 92)" in cells.run("print(one.revise({'age': 92}).changes)", "cell 3")
    assert cells.run("print(one.get('age'), len(one.revisions))") == "92 2\n"


@pytest.mark.parametrize("ids", [True, False])
def test_edits_are_not_made_again_by_a_cell_that_is_run_again(cells, ids):
    sources = (
        BAKERS,
        ONE + "\nr = [one.revise({'age': 91}), one.revise({'age': 92}), one.undo()]\n"
        "print([x.number for x in r], one.get('age'), len(one.revisions))",
        (
            "p = factory.generate_person()\nproposal = p.rewrite('beliefs')\nproposal.accept()\n"
            "print(p.get('beliefs'), len(p.revisions))"
        ),
    )
    shown = record(cells, *sources, ids=ids)
    for _ in range(3):
        again = [cells.run(s, f"cell {n}" if ids else None) for n, s in enumerate(sources)]
        assert [*map(plain, again)] == shown
    assert counts(cells) == "0 0"


def test_a_twin_is_found_after_its_original_was_edited_and_before(cells):
    twin = "twin = one.twin(sex='male').twin\nprint(twin.name)"
    edit = "one.revise({'age': 91, 'occupation.title': 'pilot'}) and None"
    shown = record(cells, BAKERS, "one = factory.generate_person({'sex': 'female'})", edit, twin)
    for order in ((0, 1, 3, 2, 3), (0, 1, 2, 3)):
        cells.run("_ = simulation.begin()")
        sources = (BAKERS, "one = factory.generate_person({'sex': 'female'})", edit, twin)
        said = [cells.run(sources[n], f"cell {n}") for n in order]
        assert plain(said[-1]) == shown[3] and counts(cells) == "0 0"
    with pytest.raises(CellError, match="ReplayMiss"):
        cells.run("one.twin(sex='male', age=33)", "cell 3")


def test_an_extended_recording_makes_new_people_only_where_nothing_is_recorded(cells):
    shown = record(cells, BAKERS, ONE)
    cells.run(
        "control.reset()\nsimulation = control.begin('mine', recording='r.gz', mode='extend')"
    )
    new = "new = factory.generate_person('tall')\nprint(new.name)"
    cells.run(BAKERS, "cell 0")
    assert cells.run(ONE, "cell 1") == shown[1]
    first = cells.run(new, "cell 2")
    assert plain(cells.run(ONE, "cell 1")) == shown[1]
    second = cells.run(new, "cell 2")
    assert SECOND in second and first not in second
    assert counts(cells) == "2 2"
    cells.run("_ = simulation.begin()")
    for source, cell, text in ((BAKERS, "cell 0", ""), (ONE, "cell 1", shown[1])):
        assert cells.run(source, cell) == text
    assert [cells.run(new, "cell 2"), plain(cells.run(new, "cell 2"))] == [first, plain(second)]
    assert counts(cells) == "0 0"


def test_a_new_equal_factory_of_a_cell_that_is_run_again_is_the_same_one(cells):
    own = BAKERS.replace("factory", "own") + "\nfirst = own.generate_person()\nprint(first.name)"
    after = "second = own.generate_person()\nprint(second.name)"
    never = "third = own.generate_person('tall')\nprint(third.name)"
    shown = record(cells, own, after, never)
    assert cells.run(own, "cell 0") == shown[0]
    assert cells.run(after, "cell 1") == shown[1]
    cells.run("same = first, second, own")
    assert plain(cells.run(own, "cell 0")) == shown[0]
    assert cells.run("print(own is same[2], first is same[0], own.generated_names)") == (
        f"False True {[shown[0].strip()]}\n"
    )
    assert plain(cells.run(never, "cell 2")) == shown[2]  # not run before the second factory
    assert plain(cells.run(after, "cell 1")) == shown[1]
    assert cells.run("print(second is same[1], len(own.history()))") == "True 3\n"


def test_a_person_whom_a_cell_creates_by_name_is_created_again(cells):
    ana = "ana = TinyPerson('Ana Souza', {'age': 34})\nprint(ana.ask('Why?', model='offline'))"
    after = "print(ana.ask('How?', model='offline'), len(ana.conversation))"
    shown = record(cells, ana, after)
    for source, cell, text in ((ana, "cell 0", shown[0]), (after, "cell 1", shown[1])) * 2:
        assert plain(cells.run(source, cell)) == text
    with pytest.raises(CellError, match="NameTaken"):
        cells.run("TinyPerson('Ana Souza')", "cell 2")
    with pytest.raises(CellError, match="NameTaken"):
        cells.run("TinyPerson('Bo')\nTinyPerson('Bo')", "cell 3")


def test_equal_factories_of_one_cell_are_different_ones(cells):
    two = (
        'pair = [TinyPersonFactory("Bakers in Vienna", model="offline") for _ in range({})]\n'
        "print([f.generate_person().name for f in pair])"
    )
    shown = record(cells, two.format(2))
    assert cells.run(two.format(2), "cell 0") == shown[0]
    assert plain(cells.run(two.format(2), "cell 0")) == shown[0]
    with pytest.raises(CellError, match=r"another one of equals \(number 3"):
        cells.run(two.format(3), "cell 0")


def test_an_interrupted_job_starts_again_with_the_same_people(cells):
    job = "people = factory.generate_people(4, concurrency=2{})\nprint([p.name for p in people])"
    shown = record(cells, BAKERS, job.format(""))
    cells.run(BAKERS, "cell 0")
    cells.run(
        "made = []\n"
        "def stop(person):\n"
        "    made.append(person)\n"
        "    if len(made) == 2:\n"
        "        raise ValueError('stop')\n"
    )
    with pytest.raises(CellError, match="ValueError: stop"):
        cells.run(job.format(", on_person=stop"), "cell 1")
    assert plain(cells.run(job.format(""), "cell 1")) == shown[1]
    assert cells.run("print(all(a is b for a, b in zip(made, people)))") == "True\n"
    assert cells.run("print(len(factory.generated_names), simulation.misses)") == "4 0\n"


def test_people_who_do_not_stay_in_memory_are_made_again(cells):
    job = (
        "names = []\n"
        "factory.generate_people(3, keep=False, on_person=lambda p: names.append(p.name))"
    )
    record(cells, BAKERS, job)
    cells.run(BAKERS, "cell 0")
    assert plain(cells.run(job + "\nprint(names)", "cell 1")) == plain(
        cells.run(job + "\nprint(names)", "cell 1")
    )


def test_a_checkout_lets_calls_be_made_again(cells):
    sources = (BAKERS, ONE, "factory.checkout(None)", ONE)
    shown = record(cells, *sources)
    assert shown[1] == shown[3]
    assert [cells.run(s, f"cell {n}") for n, s in enumerate(sources)] == shown


# -- a live simulation -----------------------------------------------------------------------


def test_a_cell_run_twice_in_a_live_simulation_makes_new_people_and_says_so_once(cells):
    cells.run("simulation = control.begin('journal', 'live')")
    cells.run(BAKERS, "a")
    loop = "people = [factory.generate_person() for _ in range(2)]\nprint([p.name for p in people])"
    first, second = cells.run(loop, "b"), cells.run(loop, "b")
    assert SECOND not in first and second.count(SECOND) == 1 and "control.begin(...)" in second
    assert first not in second
    # From the start again: the same calls are replayed, and nothing is said.
    cells.run("simulation.begin()")
    cells.run(BAKERS, "a")
    assert cells.run(loop, "b") == first
    assert second.endswith(cells.run(loop, "b"))


def test_a_call_that_failed_is_no_first_call(cells):
    cells.run("control.begin('journal', 'live')")
    cells.run('factory = TinyPersonFactory("Bakers in Vienna", model="gpt-4.1-mini")')
    with pytest.raises(CellError, match="NotConfigured"):
        cells.run(ONE, "b")
    cells.run("factory.model = 'offline'")
    assert SECOND not in cells.run(ONE, "b")
    assert SECOND in cells.run(ONE, "b")


def test_a_changed_call_of_a_cell_run_twice_is_no_second_call(cells):
    cells.run("simulation = control.begin('journal', 'live')")
    cells.run(BAKERS, "a")
    cells.run(ONE, "b")
    assert SECOND not in cells.run("factory.generate_person('tall')", "b")
    assert SECOND not in cells.run(ONE, "c")
    cells.run("one.revise({'age': 33})", "d")
    assert cells.run("print(one.revise({'age': 34}).number)\none.undo()", "d").count(SECOND) == 0
    assert cells.run("two = factory.generate_people(2, concurrency=2)", "e") == ""
    assert cells.run("two = factory.generate_people(2, concurrency=2)", "e").count(SECOND) == 1
