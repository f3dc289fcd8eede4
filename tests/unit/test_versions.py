"""An edited method, and an edited helper of it, is new; anything else is replayed."""

from __future__ import annotations

import importlib
import re
import shutil
import sys
import time

import pytest

from tests.support.town import GOODS, events, town_with
from tinyfactory import control
from tinyfactory.errors import ReplayMiss
from tinyfactory.journal.simulation import scope_of
from tinyfactory.journal.version.version import _parts as version_parts

# A town, an edit of it, and words of the explanation.
NOTICED = {
    "the method": (town_with(body="return n"), "return n\n", "return n + 1\n", "the method was"),
    "a function": (
        town_with("def price(n): return 2 * n", body="return price(n)"),
        "2 * n", "3 * n", "the helper price() that it uses was edited",
    ),
    "a function of a function": (
        town_with("def tax(n): return n\ndef price(n): return tax(n)", body="return price(n)"),
        "tax(n): return n", "tax(n): return -n", "the helper tax() that it uses",
    ),
    "functions that call each other": (
        town_with("def a(n): return n and b(n - 1)\ndef b(n): return a(n) + 1 if n else 5",
                  body="return a(n)"),
        "else 5", "else 6", "the helper b() that it uses",
    ),
    "a method of a class's class": (
        town_with("class Kind(type):\n    def price(cls, n): return 2 * n\n"
                  "class Price(metaclass=Kind): pass", body="return Price.price(n)"),
        "2 * n", "3 * n", "the helper Kind.price() that it uses was edited",
    ),
    "a constant": (
        town_with("RATE = 2", body="return n * RATE"), "RATE = 2", "RATE = 3",
        "the constant RATE that it uses was edited",
    ),
    "the type of a constant": (
        town_with("RATE = 1", body="return n * RATE"), "RATE = 1", "RATE = True", "RATE",
    ),
    "a tuple": (
        town_with("RATES = (1, ('a', 2.0))", body="return RATES[0]"), "2.0", "2.5", "RATES",
    ),
    "a set in code": (town_with(body="return n in {1, 2}"), "{1, 2}", "{1, 3}", "the method was"),
    "a pattern": (
        town_with("WORD = re.compile('a+')", body="return bool(WORD.match('b'))"),
        "'a+'", "'b+'", "the constant WORD",
    ),
    "a decimal": (
        town_with("PRICE = Decimal('1.10')", body="return str(PRICE * n)"), "1.10", "1.20", "PRICE",
    ),
    "a list": (
        town_with("PRICES = [1, 2]", body="return PRICES[1]"), "[1, 2]", "[1, 3]", "PRICES",
    ),
    "a dictionary": (
        town_with("PRICES = {'a': {'b': 1}}", body="return PRICES['a']['b']"),
        "'b': 1", "'b': 2", "PRICES",
    ),
    "a constant in a dictionary": (
        town_with("BREAD = 2\nPRICES = {'a': BREAD}", body="return PRICES['a']"),
        "BREAD = 2", "BREAD = 3", "the constant BREAD",
    ),
    "an object of a package": (
        town_with("import types\nsettings = types.SimpleNamespace(rate=2)",
                  body="return settings.rate * n"),
        "rate=2", "rate=3", "the value settings that it uses was edited",
    ),
    "the arguments of an object": (
        town_with("class Till:\n    def __init__(self, n): self.n = n\n"
                  "    def open(self): return self.n\ntill = Till(3)", body="return till.open()"),
        "Till(3)", "Till(4)", "the value till",
    ),
    "a list of a class without methods": (
        town_with("class Config:\n    rates = [1, 2]", body="return Config.rates[1]"),
        "[1, 2]", "[1, 3]", "the value Config.rates",
    ),
    "a function in a dictionary": (
        town_with("def one(n): return n\nBY = {'one': one}", body="return BY['one'](n)"),
        "one(n): return n", "one(n): return -n", "the helper one()",
    ),
    "a class attribute": (
        town_with(members="tax = 1", body="return n + self.tax"), "tax = 1", "tax = 2",
        "the class attribute Shop.tax that it uses was edited",
    ),
    "a class attribute by the class": (
        town_with(members="tax = 1", body="return n + Shop.tax + type(self).tax"),
        "tax = 1", "tax = 2", "the class attribute Shop.tax",
    ),
    "a dictionary of a class": (
        town_with(members="taxes = {'a': 1}", body="return self.taxes['a']"),
        "'a': 1", "'a': 2", "Shop.taxes",
    ),
    "an inherited class attribute": (
        town_with(body="return n + self.levy"), "levy = 1", "levy = 2", "Base.levy",
    ),
    "another method": (
        town_with(members="def price(self): return 1", body="return self.price()"),
        "return 1\n    @", "return 2\n    @", "the helper Shop.price() that it uses",
    ),
    "another method by another name of the object": (
        town_with(members="def price(self): return 1", body="me = self\nreturn me.price()"),
        "return 1\n    @", "return 2\n    @", "the helper Shop.price()",
    ),
    "a method by its name as text": (
        town_with(members="def price(self): return 1", body="return getattr(self, 'price')()"),
        "return 1\n    @", "return 2\n    @", "the helper Shop.price()",
    ),
    "another transactional method": (
        town_with(members="@transactional\ndef take(self): return 1", body="return self.take()"),
        "take(self): return 1", "take(self): return 2", "the helper Shop.take()",
    ),
    "an inherited method": (
        town_with(body="return self.fee()"), "return 1\n", "return 2\n", "Base.fee()",
    ),
    "a method after super": (
        town_with(members="def fee(self): return 7", body="return super().fee()"),
        "return 1\nclass", "return 2\nclass", "Base.fee()",
    ),
    "an overriding method": (
        town_with(members="def price(self): return 1", body="return self.price()",
                  subclass="def price(self): return 5", kind="Branch"),
        "return 5", "return 6", "the helper Branch.price()",
    ),
    "a private method": (
        town_with(members="def __price(self): return 1", body="return self.__price()"),
        "return 1\n    @", "return 2\n    @", "the helper Shop.__price()",
    ),
    "a private class attribute": (
        town_with(members="__tax = 1", body="return [n for _ in [1] if self.__tax]"),
        "__tax = 1", "__tax = 2", "the class attribute Shop._Shop__tax",
    ),
    "a context manager": (
        town_with("import contextlib\n@contextlib.contextmanager\ndef till(n):\n    yield n + 1",
                  body="with till(n) as m:\n    return m"),
        "n + 1", "n + 2", "the helper till()",
    ),
    "a decorator of the method": (
        town_with("def twice(f):\n    def inner(self, n): return 2 * f(self, n)\n    return inner",
                  members="def price(self): return 1", body="return self.price()")
        .replace("@transactional", "@transactional\n    @twice"),
        "return 1\n    @", "return 3\n    @", "the helper Shop.price()",
    ),
    "a setter": (
        town_with(members="""
                  @property
                  def price(self): return 1
                  @price.setter
                  def price(self, value): self.cost = value + 1
                  """, body="self.price = 3\nreturn 1"),
        "value + 1", "value + 2", "the helper Shop.price()",
    ),
    "a static method": (
        town_with(members="@staticmethod\ndef price(): return 1", body="return self.price()"),
        "price(): return 1", "price(): return 2", "Shop.price()",
    ),
    "a class method": (
        town_with(members="@classmethod\ndef price(cls): return 1", body="return self.price()"),
        "price(cls): return 1", "price(cls): return 2", "Shop.price()",
    ),
    "a property": (
        town_with(members="@property\ndef price(self): return 1", body="return self.price"),
        "price(self): return 1", "price(self): return 2", "Shop.price()",
    ),
    "a cached property": (
        town_with(members="@functools.cached_property\ndef price(self): return 1",
                  body="return self.price"),
        "price(self): return 1", "price(self): return 2", "Shop.price()",
    ),
    "a cached function": (
        town_with("@functools.lru_cache\ndef price(n): return 2 * n", body="return price(n)"),
        "2 * n", "3 * n", "the helper price()",
    ),
    "a decorated function": (
        town_with(
            """
            def twice(f):
                @functools.wraps(f)
                def wrapper(*args): return 2 * f(*args)
                return wrapper
            @twice
            def price(n): return n + 1
            """,
            body="return price(n)"),
        "n + 1", "n + 2", "the helper price()",
    ),
    "a decorator": (
        town_with(
            """
            def twice(f):
                def wrapper(*args): return 2 * f(*args)
                return wrapper
            @twice
            def price(n): return n + 1
            """,
            body="return price(n)"),
        "2 * f", "3 * f", "the helper twice.wrapper()",
    ),
    "a partial function": (
        town_with("def rate(n, by): return n * by\ndouble = functools.partial(rate, by=2)",
                  body="return double(n)"),
        "by=2", "by=3", "double(by)",
    ),
    "the function of a partial function": (
        town_with("def rate(n, by): return n * by\ndouble = functools.partial(rate, by=2)",
                  body="return double(n)"),
        "n * by", "n + by", "the helper rate()",
    ),
    "a function for one type": (
        town_with("@functools.singledispatch\ndef show(x): return 'x'\n"
                  "@show.register\ndef _(x: int): return 'int'", body="return show(n)"),
        "'int'", "'number'", "the helper _()",
    ),
    "a lambda": (
        town_with("one, two = lambda n: n + 1, lambda n: n + 2", body="return two(n)"),
        "n + 2", "n + 3", "the helper two()",
    ),
    "a nested function": (
        town_with("RATE = 2", body="def inner(m):\n    return [m * RATE for m in [n]]\n"
                                   "return inner(n)"),
        "RATE = 2", "RATE = 3", "the constant RATE",
    ),
    "a variable of a function around": (
        town_with("def maker(rate):\n    def price(n): return n * rate\n    return price\n"
                  "price = maker(2)", body="return price(n)"),
        "maker(2)", "maker(3)", "the constant rate",
    ),
    "a default value": (
        town_with("RATE = 2\ndef price(n, rate=RATE): return n * rate", body="return price(n)"),
        "RATE = 2", "RATE = 3", "other things have the names that it uses",
    ),
    "what a name means": (
        town_with("def one(): return 1\ndef two(): return 2\npick = one",
                  body="return pick() + 0 * (one() + two())"),
        "pick = one", "pick = two", "other things have the names that it uses",
    ),
    "a dataclass": (
        town_with("@dataclasses.dataclass\nclass Order:\n    n: int\n    tax: int = 1\n"
                  "    def total(self): return self.n + self.tax", body="return Order(n).total()"),
        "tax: int = 1", "tax: int = 2", "Order.tax",
    ),
    "a method of a dataclass": (
        town_with("@dataclasses.dataclass\nclass Order:\n    n: int\n"
                  "    def total(self): return self.n + 1", body="return Order(n).total()"),
        "self.n + 1", "self.n + 2", "the helper Order.total()",
    ),
    "a named tuple": (
        town_with("class Order(NamedTuple):\n    n: int\n    tax: int = 1",
                  body="return sum(Order(n))"),
        "tax: int = 1", "tax: int = 2", "Order",
    ),
    "a member of an enumeration": (
        town_with("class Size(enum.Enum):\n    BIG = 1\n    SMALL = 2",
                  body="return Size.BIG.value"),
        "BIG = 1", "BIG = 3", "Size.BIG",
    ),
    "an object of a class": (
        town_with("class Till:\n    def __init__(self, n): self.n = n\n"
                  "    def open(self): return self.n + 1\ntill = Till(3)",
                  body="return till.open()"),
        "self.n + 1", "self.n + 2", "the helper Till.open()",
    ),
    "a method of an attribute": (
        town_with("class Till:\n    def open(self): return 1\n",
                  members="""
                  _transient = ("till",)
                  def __init__(self):
                      super().__init__()
                      self.till = Till()
                  """,
                  body="return self.till.open()"),
        "open(self): return 1", "open(self): return 2", "the helper Till.open()",
    ),
    "a method of an argument": (
        town_with("class Till(TinyFactory):\n    def open(self): return 1\n",
                  members="@transactional\ndef take(self, tills): return tills[0].open()",
                  subclass="def sell(self, n): return self.take([Till()])", kind="Branch"),
        "open(self): return 1", "open(self): return 2", "the helper Till.open()",
    ),
    "a method of an annotated parameter": (
        town_with("class Till:\n    def open(self): return 1\n"
                  "def take(till: 'Till'): return till.open()\ndef any_till(): return Till()",
                  body="return take(any_till())"),
        "return 1\ndef", "return 2\ndef", "the helper Till.open()",
    ),
}  # fmt: skip

# A town and an edit of it that changes nothing of what the method does.
REPLAYED = {
    "a comment": (town_with(), "return n\n", "return n  # all of them\n"),
    "the layout": (town_with(), "return n\n", "return (\n            n\n        )\n"),
    "a docstring": (town_with(), "        return n\n", "        'Sell.'\n        return n\n"),
    "a comment in a function": (
        town_with("def price(n): return 2 * n", body="return price(n)"),
        "2 * n", "2 * n  # twice",
    ),
    "another method": (
        town_with(members="def price(self): return 1"), "return 1\n    @", "return 2\n    @",
    ),
    "a constant that is not used": (town_with("RATE = 1"), "RATE = 1", "RATE = 2"),
    "a constant of the same name that a local variable hides": (
        town_with("RATE = 1", body="RATE = n\nreturn RATE"), "RATE = 1", "RATE = 2",
    ),
    "lines before it": (town_with(), "import dataclasses", "import ast\nimport dataclasses"),
    "a method that the subclass overrides": (
        town_with(members="def price(self): return 1", body="return self.price()",
                  subclass="def price(self): return 5", kind="Branch"),
        "return 1\n    @", "return 2\n    @",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTICED)
def test_an_edit_is_new_and_explained(town, name):
    source, old, new, words = NOTICED[name]
    town.write(source)
    first = town.run()
    assert first[1:] == (0, 1)
    assert town.run() == (first[0], 1, 0)
    assert source.count(old) == 1
    town.write(source.replace(old, new))
    second, hits, misses = town.run()
    assert (hits, misses) == (0, 1)
    told = control.current_simulation().explain()
    assert words in told
    assert town.run() == (second, 1, 0)
    control.end()


@pytest.mark.parametrize("name", REPLAYED)
def test_an_edit_that_changes_nothing_is_replayed(town, name):
    source, old, new = REPLAYED[name]
    town.write(source)
    first = town.run()
    assert source.count(old) == 1
    town.write(source.replace(old, new))
    assert town.run() == (first[0], 1, 0)
    control.end()


# -- modules -----------------------------------------------------------------------------------

COLLECTIONS = {
    "a module": ("import goods", "return goods.PRICES['a']"),
    "a name": ("from goods import PRICES as costs", "return costs['a']"),
}


@pytest.mark.parametrize("use", COLLECTIONS)
def test_a_collection_of_another_module_counts_as_it_is_written(town, use):
    prefix, body = COLLECTIONS[use]
    town.write(town_with(prefix, body=body))
    town.write(GOODS, "goods")
    assert town.run() == (1, 0, 1)
    module = town.load()
    importlib.import_module("goods").PRICES["a"] = 5
    assert town.run(module) == (1, 1, 0)
    town.write(GOODS.replace("'a': 1", "'a': 2").replace('"a": 1', '"a": 2'), "goods")
    assert town.run() == (2, 0, 1)
    control.end()


USES = {
    "a module": ("import goods", "return goods.price(n)"),
    "a function of a module": ("from goods import price", "return price(n)"),
    "an import in the method": ("", "import goods\nreturn goods.price(n)"),
    "a name imported in the method": ("", "from goods import price as cost\nreturn cost(n)"),
}


@pytest.mark.parametrize("use", USES)
def test_a_function_of_another_module_counts(town, use):
    prefix, body = USES[use]
    town.write(town_with(prefix, body=body))
    town.write(GOODS, "goods")
    assert town.run() == (4, 0, 1)
    assert town.run() == (4, 1, 0)
    town.write(GOODS.replace("other(n): return n", "other(n): return 2 * n"), "goods")
    assert town.run() == (4, 1, 0)
    town.write(GOODS.replace("RATE = 2", "RATE = 3"), "goods")
    assert town.run() == (6, 0, 1)
    assert "the constant RATE that it uses was edited" in control.current_simulation().explain()
    town.write(GOODS.replace("n * RATE", "n + RATE"), "goods")
    assert town.run() == (4, 0, 1)
    assert "the helper price() that it uses was edited" in control.current_simulation().explain()
    control.end()


def test_python_installed_packages_and_this_one_do_not_count(town):
    town.write(
        town_with(
            "import json, random, pytest\nfrom tinyfactory import errors, TinyPersonFactory",
            body="json.dumps(n); pytest.fail; errors.InvalidInput; TinyPersonFactory\n"
            "self.history; self.name\nreturn random.Random(n).random()",
        )
    )
    module = town.load()
    method = module.Shop.sell.transactional
    assert list(method.version_in_parts(module.Shop).parts) == [""]
    town.run(module)
    control.end()


def test_names_that_the_code_sets_again_are_no_constants(town):
    """A count of calls differs in each call, and a replay does not count."""
    town.write(
        town_with(
            "SOLD = 0\nLOG = []\nBY = {}\n",
            members="made = 0\nnames = []\n_transient = ('names',)",
            body="""
            global SOLD
            SOLD += 1
            LOG.append(n)
            BY[n] = n
            Shop.made += 1
            type(self).made += 1
            self.names.append("x")
            return SOLD
            """,
        )
        .replace("Shop().sell(2)", "[one.sell(2) for one in (Shop(), Shop())]")
    )  # fmt: skip
    assert town.run() == ([1, 2], 0, 2)
    assert town.run() == ([1, 2], 2, 0)
    module = town.load()
    assert town.run(module) == ([1, 2], 2, 0)
    assert town.run(module) == ([1, 2], 2, 0)  # in the same kernel, after further calls
    module.Shop().sell(5)
    module.LOG.append(1)
    module.Shop.names.append(1)
    assert town.run(module) == ([1, 2], 2, 0)
    later = town.load()
    later.LOG.append("before the first call")
    later.BY["a"] = later.Shop.names
    later.Shop.names += ["b"]
    assert town.run(later) == ([1, 2], 2, 0)
    control.end()


def test_a_name_bound_anew_counts_from_the_next_call(town):
    """As in a notebook, where a cell defines a function again without a new run."""
    town.write(town_with("RATE = 2\ndef price(n): return n * RATE", body="return price(n)"))
    module = town.load()
    simulation = control.begin(town.journal)
    shop = module.Shop()
    assert [shop.sell(2), simulation.misses] == [4, 1]
    before = module.Shop.sell.transactional.version(module.Shop)
    module.RATE = 5
    assert [shop.sell(2), simulation.misses] == [10, 2]
    module.price = lambda n: -n
    assert [shop.sell(2), simulation.misses] == [-2, 3]
    module.price.__code__ = (lambda n: n).__code__
    assert [shop.sell(2), simulation.misses] == [2, 4]
    versions = [record["version"] for _, record in events(simulation)]
    assert versions[0] == before and len(set(versions)) == 4
    control.end()


def test_a_given_version_is_the_version_and_reads_no_source(town, monkeypatch):
    from tinyfactory.journal import key
    from tinyfactory.journal.version import source

    town.write(
        town_with("def price(n): return n", body="return price(n)").replace(
            "@transactional", "@transactional(version='1')"
        )
    )
    asked = []
    monkeypatch.setattr(source, "_read", lambda *names: asked.append(names))
    monkeypatch.setattr(key, "version_of", lambda *names: asked.append(names))
    assert town.run() == (2, 0, 1)
    assert town.run() == (2, 1, 0)
    assert asked == []
    control.end()


def test_the_version_depends_on_the_class_of_the_object(town):
    town.write(
        town_with(
            members="def price(self): return 1",
            body="return self.price()",
            subclass="def price(self): return 2",
        )
    )
    module = town.load()
    method = module.Shop.sell.transactional
    assert method.version(module.Shop) != method.version(module.Branch)
    assert method.version(module.Shop) == method.version(module.Shop)


def test_looking_whether_a_version_holds_takes_microseconds(town):
    names = [f"f{i}" for i in range(20)]
    text = "\n".join(f"def {name}(n): return {i}" for i, name in enumerate(names))
    town.write(town_with(text, body="return " + " + ".join(f"{name}(n)" for name in names)))
    module = town.load()
    method = module.Shop.sell.transactional
    method.version(module.Shop)
    best = min(timed(lambda: method.version(module.Shop)) for _ in range(50))
    assert best < 0.0005


def timed(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


ODD = """
import collections, dataclasses, enum, itertools, pathlib, threading, typing, unittest.mock
from tinyfactory import TinyFactory, transactional
HERE = pathlib.Path(__file__).parent
LOCK, COUNT, MOCK = threading.Lock(), itertools.count(), unittest.mock.MagicMock()
GROUPS = collections.defaultdict(list)
RING = []
RING.append(RING)
class Proxy:
    def __getattr__(self, name):
        raise RuntimeError(name)
    @property
    def __class__(self):
        raise RuntimeError("no class")
PROXY = Proxy()
class Meta(type):
    def __getattr__(cls, name):
        raise RuntimeError(name)
class Odd(metaclass=Meta):
    def go(self):
        return 1
class Box(typing.Generic[typing.TypeVar("T")]):
    def get(self):
        return 1
class Shop(TinyFactory):
    @transactional
    def sell(self, n):
        __file__, HERE, LOCK, COUNT, MOCK.a.b, GROUPS, RING, PROXY
        class Inner(Odd):
            def go(self):
                return super().go()
        return Odd().go() + Box[int]().get() + Inner().go() + Missing
"""


def test_odd_values_do_not_disturb_a_version_and_the_folder_does_not_count(town):
    town.write(ODD)
    first = town.load().Shop
    (town.folder / "elsewhere").mkdir()
    shutil.copy(town.folder / "town.py", town.folder / "elsewhere")
    sys.path.insert(0, str(town.folder / "elsewhere"))
    try:
        second = town.load().Shop
    finally:
        del sys.path[0]
    versions = {cls.sell.transactional.version(cls) for cls in (first, second)}
    assert len(versions) == 1
    assert versions.pop().startswith("syntax:")


# -- what is told ------------------------------------------------------------------------------


def test_a_recording_that_misses_names_the_helper_that_changed(town):
    """Also in another process, where only the recording knows the parts of its versions."""
    source = town_with("RATE = 2\ndef price(n): return n * RATE", body="return price(n)")
    town.write(source)
    town.run()
    recorded = control.current_simulation().export(town.folder / "town.recording.jsonl.gz")
    control.end()
    for old, new, words in (
        ("n * RATE", "n + RATE", "the helper price() that it uses was edited"),
        ("RATE = 2", "RATE = 4", "the constant RATE that it uses was edited"),
        ("return price(n)", "return price(n) + 1", "the method was edited"),
    ):
        town.write(source.replace(old, new))
        module = town.load()
        version_parts.clear()
        simulation = control.begin(recording=recorded)
        with pytest.raises(ReplayMiss, match=re.escape(words)):
            module.play()
        assert (simulation.hits, simulation.misses) == (0, 0)
        control.end()


def test_the_parts_of_a_version_are_stored_once(town):
    town.write(town_with("RATE = 2", body="return n * RATE"))
    module = town.load()
    simulation = control.begin(town.journal)
    for number in range(3):
        module.Shop().sell(number)
    names = [name for name in scope_of(simulation).store if name.startswith("version:")]
    assert names == ["version:" + module.Shop.sell.transactional.version(module.Shop)]
    row = scope_of(simulation).store.get(names[0])
    assert list(row["parts"]) == ["constant RATE", ""]
    control.end()


def test_pruning_a_line_leaves_the_versions_that_other_lines_have(town):
    from tinyfactory.journal.inventory import whole_lines

    town.write(town_with("RATE = 2", body="return n * RATE"))
    module = town.load()
    simulation = control.begin(town.journal)
    for _ in range(2):
        module.Shop().sell(1)
    store = scope_of(simulation).store
    first, _ = simulation.lines()
    assert not any(n.startswith("version:") for n in whole_lines(store, "default", [first.root]))
    assert any(name.startswith("version:") for name in whole_lines(store, "default", []))
    control.end()
