"""The promises of a transaction, one test each, with a factory of products."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import json
import subprocess
import sys
import threading

import pytest

from tinyfactory import TinyFactory, control, transactional
from tinyfactory.errors import InvalidInput, NotSerialisable
from tinyfactory.journal.transactions.transaction import current_transaction


class ProductFactory(TinyFactory):
    """A user's own factory: nothing of it is about people."""

    def __init__(self, brand="Acme"):
        super().__init__()
        self.brand = brand
        self.products = []
        self.runs = 0  # not part of the state: counts how often a body really ran

    def encode_complete_state(self):
        own = {"brand": self.brand, "products": [dict(p) for p in self.products]}
        return super().encode_complete_state() | own

    def decode_complete_state(self, state):
        self.brand = state["brand"]
        self.products = [dict(p) for p in state["products"]]
        self.runs = getattr(self, "runs", 0)
        return super().decode_complete_state(state)

    @transactional
    def make(self, name, price=1.0, fail=None):
        self.runs += 1
        self.products.append({"name": name, "price": price})
        if fail is not None:
            raise getattr(builtins, fail)("no")
        return {"name": name, "number": len(self.products)}

    @transactional
    def make_two(self, first, second, fail=None):
        self.make(first)
        try:
            self.make(second, fail=fail)
        except ValueError:
            return 1
        return 2

    @transactional
    async def make_later(self, name, seconds=0.0):
        self.runs += 1
        self.products.append({"name": name, "price": 0.0})
        await asyncio.sleep(seconds)
        return name

    @transactional
    def take(self, thing):
        self.runs += 1
        return thing

    @classmethod
    @transactional
    def found(cls, brand):
        return [cls(brand), cls(brand + " 2")]


class Company(TinyFactory):
    """Changes another factory within its own step."""

    def __init__(self):
        super().__init__()
        self.supplier = ProductFactory("supplier")
        self.orders = 0

    def encode_complete_state(self):
        return super().encode_complete_state() | {"orders": self.orders}

    def decode_complete_state(self, state):
        self.orders = state["orders"]
        return super().decode_complete_state(state)

    @transactional
    def order(self, name, fail=False):
        self.orders += 1
        made = self.supplier.make(name)
        if fail:
            raise RuntimeError("changed our mind")
        return made


def names(factory):
    return [p["name"] for p in factory.products]


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "journal"
    control.reset()


# -- T1 ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", ["ValueError", "KeyboardInterrupt", "MemoryError", "RecursionError", "SystemExit"]
)
@pytest.mark.parametrize("inside", [False, True])
def test_exception_restores_state(folder, error, inside):
    if inside:
        control.begin(folder)
    factory = ProductFactory()
    factory.make("a")
    before = factory.encode_complete_state()
    with pytest.raises(getattr(builtins, error)):
        factory.make("b", fail=error)
    assert factory.encode_complete_state() == before
    factory.make("c")
    assert names(factory) == ["a", "c"]


def test_exception_takes_new_factories_out_of_the_register():
    class Parent(TinyFactory):
        @transactional
        def spawn(self):
            self.child = ProductFactory()
            born.append(self.child)
            raise ValueError

    born: list[TinyFactory] = []
    parent = Parent()
    with pytest.raises(ValueError):
        parent.spawn()
    assert born[0].name not in TinyFactory.all_factories and not hasattr(parent, "child")
    assert parent.name in TinyFactory.all_factories


def test_inner_failure_rolls_back_to_its_own_start():
    factory = ProductFactory()
    assert factory.make_two("a", "b", fail="ValueError") == 1
    assert names(factory) == ["a"]


def test_outer_failure_undoes_what_another_factory_went_through(folder):
    for _ in range(2):  # without a simulation, then with one
        company = Company()
        with pytest.raises(RuntimeError):
            company.order("a", fail=True)
        assert company.orders == 0
        assert company.supplier.products == []
        control.begin(folder)


def test_cancelled_task_rolls_back_itself_alone():
    one, other = ProductFactory(), ProductFactory()

    async def main():
        first = asyncio.create_task(one.make_later("a", 10))
        second = asyncio.create_task(other.make_later("b", 0.05))
        await asyncio.sleep(0.02)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await second

    assert asyncio.run(main()) == "b"
    assert names(one) == [] and names(other) == ["b"]


def test_two_tasks_on_one_factory_take_turns():
    factory = ProductFactory()

    async def main():
        await asyncio.gather(*(factory.make_later(f"p{i}", 0.01) for i in range(5)))

    asyncio.run(main())
    assert sorted(names(factory)) == [f"p{i}" for i in range(5)]


def test_threads_lose_no_update(folder):
    control.begin(folder)
    factory = ProductFactory()

    def work(i):
        for j in range(5):
            with contextlib.suppress(ValueError):
                factory.make(f"{i}.{j}", fail="ValueError" if j == 2 else None)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names(factory)) == sorted(f"{i}.{j}" for i in range(8) for j in (0, 1, 3, 4))


# -- T3 replay -----------------------------------------------------------------------------


def test_same_calls_replay_without_running(folder):
    def notebook():
        control.begin(folder)
        factory = ProductFactory()
        made = [factory.make("a"), factory.make("b", price=2)]
        return factory, made

    first, made = notebook()
    second, again = notebook()
    assert made == again
    assert (first.runs, second.runs) == (2, 0)
    a, b = first.encode_complete_state(), second.encode_complete_state()
    assert a == b
    assert (control.cache_hits(), control.cache_misses()) == (2, 0)


def test_replay_in_another_process(folder, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(__file__).rsplit('/', 1)[0]!r})\n"
        "from test_transactions import ProductFactory\n"
        "from tinyfactory import control\n"
        f"control.begin({str(folder)!r})\n"
        "f = ProductFactory(); r = f.make('a', 2.5)\n"
        "import json; print(json.dumps([r, f.products, f.runs, control.cache_hits()]))\n"
    )
    outputs = [
        json.loads(
            subprocess.run([sys.executable, program], capture_output=True, check=True).stdout
        )
        for _ in range(2)
    ]
    assert outputs[0][:2] == outputs[1][:2]
    assert [o[2:] for o in outputs] == [[1, 0], [0, 1]]


def test_identical_calls_are_two_events(folder):
    control.begin(folder)
    factory = ProductFactory()
    assert [factory.make("a")["number"], factory.make("a")["number"]] == [1, 2]
    assert control.cache_misses() == 2


def test_equal_factories_are_told_apart_by_their_order(folder):
    def notebook():
        control.begin(folder)
        pair = ProductFactory(), ProductFactory()
        pair[0].make("a")
        pair[1].make("b")
        return [names(f) for f in pair], control.cache_misses()

    assert notebook() == ([["a"], ["b"]], 2)
    assert notebook() == ([["a"], ["b"]], 0)


def test_unrelated_factory_earlier_costs_no_hit(folder):
    control.begin(folder)
    ProductFactory("x").make("a")
    control.begin(folder)
    ProductFactory("y").make("other")
    ProductFactory("x").make("a")
    assert (control.cache_hits(), control.cache_misses()) == (1, 1)


def test_positional_and_keyword_are_one_call(folder):
    control.begin(folder)
    ProductFactory().make("a", 1.0)
    control.begin(folder)
    ProductFactory().make(price=1.0, name="a")
    assert control.cache_hits() == 1


def test_call_on_the_class_replays_its_factories(folder):
    control.begin(folder)
    first = ProductFactory.found("x")
    first[1].make("a")
    control.begin(folder)
    second = ProductFactory.found("x")
    second[1].make("a")
    assert [f.brand for f in second] == ["x", "x 2"]
    assert all(f.name in TinyFactory.all_factories for f in second)
    assert (control.cache_hits(), control.cache_misses()) == (2, 0)


def test_step_that_changes_another_factory_replays_whole(folder):
    def notebook():
        control.begin(folder)
        company = Company()
        company.order("a")
        company.order("b")
        return company

    first, second = notebook(), notebook()
    assert names(second.supplier) == names(first.supplier) == ["a", "b"]
    assert second.orders == 2
    assert second.supplier.runs == 0
    assert (control.cache_hits(), control.cache_misses()) == (2, 0)


def test_step_whose_inner_steps_meet_another_state_is_another_event(folder):
    def notebook(*first):
        control.begin(folder)
        company = Company()
        for name in first:
            company.supplier.make(name)
        made = company.order("a")
        return names(company.supplier), made["number"], control.cache_misses()

    assert notebook() == (["a"], 1, 1)
    assert notebook("z") == (["z", "a"], 2, 2)
    assert notebook("z") == (["z", "a"], 2, 0)
    assert notebook() == (["a"], 1, 0)


def test_object_given_as_its_own_argument_replays_its_change_once(folder):
    class Pair(ProductFactory):
        @transactional
        def share(self, other):
            other.products.append({"name": "shared", "price": 0.0})

    for misses in (1, 0):
        control.begin(folder)
        one = Pair()
        one.share(one)
        assert names(one) == ["shared"]
        assert control.cache_misses() == misses


def test_async_method_replays(folder):
    for runs in (1, 0):
        control.begin(folder)
        factory = ProductFactory()
        assert asyncio.run(factory.make_later("a")) == "a"
        assert factory.runs == runs and names(factory) == ["a"]


# -- T4, T5 --------------------------------------------------------------------------------


def test_changing_a_later_step_keeps_earlier_ones(folder):
    def notebook(*wanted):
        control.begin(folder)
        factory = ProductFactory()
        for name in wanted:
            factory.make(name)
        return control.cache_hits(), control.cache_misses()

    assert notebook("a", "b", "c") == (0, 3)
    assert notebook("a", "B", "c") == (1, 2)
    assert notebook("a", "b", "c") == (3, 0)


@pytest.mark.parametrize("other", [1, True, "1.0", [1.0]])
def test_values_that_differ_in_kind_differ(folder, other):
    control.begin(folder)
    ProductFactory().make("a", price=1.0)
    control.begin(folder)
    ProductFactory().make("a", price=other)
    assert control.cache_misses() == 1


def test_edited_method_misses_and_a_comment_does_not(folder, tmp_path, monkeypatch):
    import importlib

    monkeypatch.syspath_prepend(tmp_path)
    body = (
        "from tinyfactory import TinyFactory, transactional\n"
        "class F(TinyFactory):\n"
        "    @transactional\n"
        "    def step(self):\n"
        "        {}\n"
    )
    misses = []
    texts = ["return 1", "return 1  # same", "return 1 + 1"]
    for number, text in enumerate(texts):
        # One class name in three modules: as a cell that is edited defines it again.
        (tmp_path / f"edited{number}.py").write_text(body.format(text))
        module = importlib.import_module(f"edited{number}")
        module.F.__module__ = "notebook"
        module.F.__init_subclass__.__func__(module.F)
        control.begin(folder)
        module.F().step()
        misses.append(control.cache_misses())
    assert misses == [1, 0, 1]


def test_change_by_hand_between_steps_misses(folder):
    control.begin(folder)
    factory = ProductFactory()
    factory.make("a")
    factory.make("b")
    control.begin(folder)
    factory = ProductFactory()
    factory.make("a")
    factory.products[0]["price"] = 99.0
    factory.make("b")
    assert (control.cache_hits(), control.cache_misses()) == (1, 1)
    assert factory.products[0]["price"] == 99.0


# -- T8 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [{1, 2}, b"x", object(), float("nan"), "\ud800", [float("inf")]])
def test_argument_that_json_cannot_hold_is_refused_before_the_body(folder, bad):
    control.begin(folder)
    factory = ProductFactory()
    with pytest.raises(NotSerialisable, match=r"arguments\.thing"):
        factory.take(bad)
    assert factory.runs == 0


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        {"$": "tuple"},
        {1: "a", (2, 3): "b"},
        {"b": 1, "a": 2},
        [1, 1.0, True],
        "é",
        "e\u0301",
    ],
)
def test_values_come_back_as_they_were(folder, value):
    for _ in range(2):
        control.begin(folder)
        back = ProductFactory().take(value)
        assert back == value and repr(back) == repr(value)
    assert control.cache_hits() == 1


def test_changing_a_result_afterwards_leaves_the_journal_unharmed(folder):
    control.begin(folder)
    argument = {"deep": [1]}
    ProductFactory().take(argument)["deep"].append(2)
    control.begin(folder)
    assert ProductFactory().take({"deep": [1]}) == {"deep": [1]}
    assert control.cache_hits() == 1


# -- the decorator, the scopes -------------------------------------------------------------


def test_decorator_keeps_name_docstring_and_signature():
    import inspect

    assert ProductFactory.make.__name__ == "make"
    assert list(inspect.signature(ProductFactory.make).parameters) == [
        "self", "name", "price", "fail",
    ]  # fmt: skip
    assert inspect.iscoroutinefunction(ProductFactory.make_later)


def test_decorator_refuses_what_cannot_be_a_step():
    with pytest.raises(InvalidInput, match="generator"):

        @transactional
        def steps(self):
            yield 1

    with pytest.raises(InvalidInput, match="below"):
        transactional(classmethod(lambda cls: None))  # type: ignore[call-overload]
    with pytest.raises(InvalidInput, match="no parameter nobody"):
        transactional(touches=("nobody",))(lambda self: None)


def test_no_transaction_is_left_over(folder):
    control.begin(folder)
    ProductFactory().make("a")
    assert current_transaction() is None
