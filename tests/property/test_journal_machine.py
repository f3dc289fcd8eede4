"""Factories, failures, kills, checkouts and replays, against a plain model in memory.

The bodies of the methods are written once. They run on real factories, under `@transactional`
and a journal on disk, and on plain twins, whose "journal" is a dictionary of what was done where.
Both draw tickets from a counter of their own, outside the journal: a body that runs when it
should be replayed, or the reverse, shows in what it returns and in how many were drawn.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import sqlite3
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support.replies import keep_reply
from tinyfactory import TinyFactory, control, transactional
from tinyfactory.journal.parallel.locks import lock_of
from tinyfactory.journal.scopes import context, scope
from tinyfactory.journal.transactions.transaction import current_transaction

ERRORS = (ValueError, KeyboardInterrupt, MemoryError)


@dataclass
class World:
    """What no journal knows: tickets that go up, trouble that comes, a model that refuses."""

    drawn: int = 0
    trouble: list[Any] = field(default_factory=list)  # after how many moments, and which error
    refuses: bool = False
    far: Any = None  # a factory that no call can name

    def moment(self) -> None:
        if self.trouble:
            self.trouble[0] -= 1
            if self.trouble[0] < 0:
                error = self.trouble[1]
                self.trouble.clear()
                raise error("trouble")

    def ticket(self) -> int:
        self.moment()
        self.drawn += 1
        return self.drawn


# -- the bodies, for real factories and for their twins -------------------------------------


def add(self, name):
    self.world.moment()
    self.items.append([name, self.world.ticket()])
    self.world.moment()
    return self.items[-1][1]


def relabel(self, text):
    self.note = text
    self.world.moment()
    return [text, len(self.items)]


def clear(self):
    gone, self.items = self.items, []
    self.world.moment()
    return gone


def draft(self, name):
    ticket = self.world.ticket()
    self.append_later([name, ticket])
    self.world.moment()
    return ticket


def attempt(self, keep):
    ticket = self.world.ticket()
    if self.world.refuses:
        self.note = f"refused {ticket}"
        self.refuse(keep)
        return None
    self.items.append(["attempt", ticket])
    return ticket


def ask(self, question):
    reply = self.reply_to(question)
    self.world.moment()
    self.items.append([question, reply])
    self.world.moment()
    return reply


def two(self, first, second):
    a = self.add(first)
    try:
        b = self.add(second)
    except ValueError:
        b = None
    self.world.moment()
    return [a, b]


def hand_over(self, other):
    moved = self.items.pop() if self.items else None
    self.world.moment()
    other.items.append(["got", moved])
    return moved


def share(self, other):
    ticket = self.world.ticket()
    self.items.append(["gave", ticket])
    other.items.append(["got", ticket])
    self.world.moment()
    return ticket


def share_all(self, others):
    """Changes the factories in a list, and the list."""
    ticket = self.world.ticket()
    for other in others:
        other.items.append(["all", ticket])
        self.world.moment()
    others.append(ticket)
    return [len(others), ticket]


def gift(self, text):
    """Changes factories that attributes lead to."""
    self.partner.note = text
    self.world.moment()
    self.partner.partner.note = text + "!"
    self.world.moment()
    return [self.note, self.partner.note]


def reach(self, text):
    """Changes a factory that is found elsewhere."""
    far = self.world.far
    far.note = text
    self.world.moment()
    return [text, len(far.items)]


def nest(self, others, text):
    """Goes on after an inner call was rolled back."""
    try:
        self.share_all(others)
    except ValueError:
        others[0].note = "failed"
    try:
        others[-1].gift(text)
    except ValueError:
        self.note = "no gift"
    self.world.moment()
    return [each.note for each in others]


def trade(self, first, second):
    """Calls methods of another factory, which are changes of their own."""
    self.items.append(["order", first])
    a = self.partner.add(first)
    self.world.moment()
    try:
        b = self.partner.draft(second) if second else None
    except ValueError:
        b = "failed"
    self.world.moment()
    return [a, b]


BODIES = {
    body.__name__: body
    for body in (
        *(add, relabel, clear, draft, attempt, ask, two, hand_over, share, trade),
        *(share_all, gift, reach, nest),
    )
}
DRAFTS = ("draft",)


# -- the real ones ---------------------------------------------------------------------------


class Shop(TinyFactory):
    """All its attributes are its state, also the one that refers to another shop."""

    world = World()
    partner: Shop

    def __init__(self, brand):
        super().__init__()
        self.brand, self.items, self.note = brand, [], None

    def append_later(self, item):
        current_transaction().stage({"append": {"items": [item]}})

    def refuse(self, keep):
        current_transaction().fail("refused", keep=keep)

    def reply_to(self, question):
        return keep_reply({"question": question}, lambda: {"text": self.world.ticket()})["text"]

    @classmethod
    @transactional
    def found(cls, brand, number):
        cls.world.moment()
        made = [cls(f"{brand} {i}") for i in range(number)]
        cls.world.moment()
        return made


for _name, _body in BODIES.items():
    _touches: tuple[str, ...] | None = () if _name in DRAFTS else None
    setattr(Shop, _name, transactional(version="1", touches=_touches)(_body))


# -- the plain model -------------------------------------------------------------------------


class Twin:
    """What a shop is without any journal; its methods ask the model."""

    def __init__(self, model: Model, brand: str):
        self.model, self.world = model, model.world
        self.brand, self._note = brand, None
        self.items: list[Any] = []
        self.partner: Twin = self
        self.root: Any = None
        self.steps: list[tuple[int, bool]] = []
        self.registered = True

    @property
    def note(self):
        return self._note

    @note.setter
    def note(self, note):
        self.model.joins(self)
        self._note = note

    def deep(self, around=()):
        """The state with that of the shop it refers to, which may refer back."""
        if self in around:
            return len(around) - around.index(self)
        return [self.state, self.partner.deep((*around, self))]

    @property
    def state(self):
        return {"brand": self.brand, "items": copy.deepcopy(self.items), "note": self.note}

    @state.setter
    def state(self, state):
        self.brand, self.items, self._note = (copy.deepcopy(v) for v in state.values())

    def append_later(self, item):
        self.model.calls[-1].staged.append(item)

    def refuse(self, keep):
        self.model.calls[-1].failed, self.model.calls[-1].kept = True, keep

    def reply_to(self, question):
        place = (self.model.calls[-1].key, question)
        if place not in self.model.replies:
            self.model.replies[place] = self.world.ticket()
        return self.model.replies[place]


for _name in BODIES:

    def _asked(self, *args, _name=_name):
        return self.model.step(self, _name, args)

    setattr(Twin, _name, _asked)


@dataclass
class Done:
    """An event: its result, and what it did to each of the objects."""

    result: Any
    changes: list[Any]
    failed: bool = False
    composite: bool = False

    def outcome(self):
        return repr((self.result, self.changes))


@dataclass
class Call:
    key: int
    touched: list[Twin]
    objects: list[Twin]  # that it can name, those whose changes it stores first
    rerun: bool = False
    staged: list[Any] = field(default_factory=list)
    within: list[tuple[int, Done]] = field(default_factory=list)
    nested: int = 0
    failed: bool = False
    kept: bool = True
    composite: bool = False


class Model:
    """Which calls were done where, and what came of them. Heads are keys, keys are numbers."""

    def __init__(self, world: World):
        self.world = world
        self.replayed: set[str] = set()
        self.events: dict[int, Done] = {}
        self.replies: dict[Any, int] = {}
        self.founded: dict[Any, list[str]] = {}
        self._numbers: dict[str, int] = {}
        self.begin(retry=False)

    def begin(self, *, retry: bool):
        self.twins: list[Twin] = []
        self.calls: list[Call] = []
        self.hits = self.misses = 0
        self.retry = retry
        self.equals: dict[str, int] = {}

    def number(self, *what):
        return self._numbers.setdefault(repr(what), len(self._numbers))

    def occurrence(self, *what):
        text = repr(what)
        self.equals[text] = self.equals.get(text, 0) + 1
        return self.equals[text]

    def start_line(self, twin):
        if twin.root is None:
            twin.origin = twin.state
            occurrence = self.occurrence("Shop", twin.deep())
            twin.root = self.number("root", twin.deep(), occurrence)
        return twin.steps[-1][0] if twin.steps else twin.root

    def count(self, hit):
        self.hits += hit
        self.misses += not hit

    def joins(self, twin):
        """An attribute of a twin is assigned within a call."""
        call = self.calls[-1] if self.calls else None
        if call is not None and twin not in call.touched:
            call.composite = call.composite or twin not in call.objects
            call.touched.append(twin)

    def step(self, twin, method, args):
        outer = self.calls[-1] if self.calls else None
        given = [x for a in args for x in (a if isinstance(a, list) else [a])]
        objects = list(dict.fromkeys([twin, *(x for x in given if isinstance(x, Twin))]))
        if outer is None:
            base = self.start_line(twin)
        else:
            outer.nested += 1
            base = ("nested", outer.key, outer.nested)
        touched = [] if method in DRAFTS else list(objects)
        for each in objects:  # what their attributes lead to
            if each.partner not in objects:
                objects.append(each.partner)
        shown = [shown_as(a) for a in args]
        key = self.number(base, method, shown, [t.deep() for t in touched])
        found = None
        if outer is None or outer.rerun:
            key = self.lead_on(key)
            found = self.events.get(key)
        if found is not None and not found.composite:
            self.make(found.changes, objects)
            touched += [t for t, made in zip(objects, found.changes, strict=True) if made]
            self.end(outer, twin, key, found, touched, hit=True)
            self.replayed.add(method)
            return copy.deepcopy(found.result)
        again = found is not None
        call = Call(key, touched, objects, rerun=again, composite=again)
        before = [(each, each.state) for each in self.everyone()]
        self.calls.append(call)
        try:
            result = BODIES[method](twin, *[list(a) if isinstance(a, list) else a for a in args])
        except BaseException:
            for each, state in before:
                each.state = state
            if outer is None:
                self.count(False)
            raise
        finally:
            self.calls.pop()
        return self.commit(outer, twin, call, dict(before), result)

    def commit(self, outer, twin, call, before, result):
        for item in call.staged:
            twin.items.append(item)
        changed = call.touched or [twin]
        changes = [
            change(before[each], each.state) if each in changed else {} for each in call.objects
        ]
        done = Done(copy.deepcopy(result), changes, call.failed, call.composite)
        hit = False
        if outer is None and call.kept:
            hit = call.rerun
            while (
                call.rerun
                and call.key in self.events
                and self.events[call.key].outcome() != done.outcome()
            ):
                call.key = self.number("otherwise", call.key, [key for key, _ in call.within])
                hit = call.key in self.events
            self.replayed |= {"composite"} if hit else set()
            self.events.setdefault(call.key, done)
            for key, inner in call.within if call.composite else ():
                self.events.setdefault(key, inner)
        if outer is not None or call.kept:
            self.end(outer, twin, call.key, done, changed, hit=hit, within=call.within)
        else:
            self.count(False)
        return result

    def end(self, outer, twin, key, done, touched, *, hit, within=()):
        if outer is None:
            self.count(hit)
            twin.steps.append((key, hit))
            return
        outer.within.append((key, done))
        if done.composite:
            outer.within += within
        outer.composite = outer.composite or not set(touched) <= set(outer.touched)

    def lead_on(self, key):
        while key in self.events and self.events[key].failed:
            again = self.number("again", key)
            if not (self.retry or again in self.events):
                break
            key = again
        return key

    def make(self, changes, objects):
        for change_, each in zip(changes, objects, strict=False):
            each.state = changed(each.state, change_)

    def everyone(self):
        seen = list(self.twins)
        for twin in self.twins:
            if twin.partner is not None and twin.partner not in seen:
                seen.append(twin.partner)
        return seen

    def found(self, brand, number):
        key = (brand, number, self.occurrence("found", brand, number))
        hit = key in self.founded
        self.count(hit)
        if not hit:
            self.world.moment()
            self.world.moment()
            self.founded[key] = [f"{brand} {i}" for i in range(number)]
        return [Twin(self, name) for name in self.founded[key]]

    def checkout(self, twin, number):
        self.start_line(twin)
        kept = [] if number is None else twin.steps[: number + 1]
        state = twin.origin
        for key, _ in kept:
            for change_ in self.events[key].changes[:1]:
                state = changed(state, change_)
        twin.state, twin.steps = state, kept


def shown_as(argument):
    """An argument as it enters a key."""
    if isinstance(argument, list):
        return [shown_as(item) for item in argument]
    return argument.deep() if isinstance(argument, Twin) else argument


def change(before, after):
    """By attribute: what was appended, or what it was set to."""
    made = {}
    for name, value in after.items():
        old = before[name]
        if value != old:
            grew = isinstance(old, list) and value[: len(old)] == old
            made[name] = ("append", value[len(old) :]) if grew else ("set", value)
    return made


def changed(state, made):
    state = copy.deepcopy(state)
    for name, (kind, value) in made.items():
        state[name] = state[name] + value if kind == "append" else value
    return copy.deepcopy(state)


# -- the machine -----------------------------------------------------------------------------

which = st.integers(0, 3)
words = st.sampled_from(["a", "b"])
brands = st.sampled_from(["x", "y"])
troubles = st.one_of(
    st.just(()), st.just(()), st.tuples(st.integers(0, 5), st.sampled_from(ERRORS))
)
RUNS = ("begin", "begin_and_retry", "begin_the_same", "kill")
cells = st.integers(0, 6)
some_shops = precondition(lambda self: self.shops)


class JournalMachine(RuleBasedStateMachine):
    folder: Any = None
    replayed: set[str]
    serial = itertools.count()

    def __init__(self):
        super().__init__()
        self.place = self.folder / f"journal {next(self.serial)}"
        self.world = Shop.world = World()
        self.model = Model(World())
        self.shops: list[Shop] = []
        self.script: list[tuple[Any, ...]] = []
        self.left_open: list[Any] = []
        control.reset()
        TinyFactory.clear_factories()

    @initialize()
    def start(self):
        self.begin()
        self.cell("make", "x", ())
        self.cell("make", "y", ())

    # -- runs of the notebook

    @some_shops
    @rule(how=st.sampled_from(RUNS))
    def run_again(self, how):
        """The notebook again from its top, just as it was."""
        self.run_edited(how, 0, None, same=True)

    @some_shops
    @rule(how=st.sampled_from(RUNS), cut=cells, without=cells, same=st.booleans())
    def run_edited(self, how, cut, without, same):
        """The notebook without its last cells, without one more; its troubles may be over."""
        script = self.script[: len(self.script) - cut] or self.script[:2]
        if without is not None and len(script) > without + 2:
            del script[-without - 1]
        getattr(self, how)()
        for name, *arguments, trouble in script:
            if name == "attempt" and not same:
                arguments[-1] = not arguments[-1]
            self.cell(name, *arguments, trouble if same else ())
            self.states_agree()

    def begin(self):
        self.simulation = control.begin(self.place)
        self.forget(retry=False)

    def begin_and_retry(self):
        self.simulation = control.begin(self.place, retry_failures=True)
        self.forget(retry=True)

    def begin_the_same(self):
        self.simulation.begin()
        self.forget(self.model.retry)

    def kill(self):
        """A new kernel: nothing was closed, and no object is known any more."""
        scope._open.clear()
        self.left_open.append(self.simulation)
        TinyFactory.all_factories.clear()
        self.begin()

    def forget(self, retry):
        self.shops = []
        self.script = []
        self.model.begin(retry=retry)

    def cell(self, name, *arguments):
        self.script.append((name, *arguments))
        getattr(self, "_" + name)(*arguments)

    # -- factories

    def keep(self, shops, twins):
        for shop, twin in zip(shops, twins, strict=True):
            # Each trades with the one before it.
            shop.partner = self.shops[-1] if self.shops else shop
            twin.partner = self.model.twins[-1] if self.model.twins else twin
            self.shops.append(shop)
            self.model.twins.append(twin)
            self.world.far, self.model.world.far = self.shops[0], self.model.twins[0]
            if len(self.shops) > 2:  # the third leads back to itself, so not to the others
                shop.partner, twin.partner = shop, twin

    @precondition(lambda self: len(self.shops) < 4)
    @rule(brand=brands)
    def make(self, brand):
        self.cell("make", brand, ())

    def _make(self, brand, _):
        self.keep([Shop(brand)], [Twin(self.model, brand)])

    @precondition(lambda self: len(self.shops) < 3)
    @rule(brand=brands, number=st.integers(1, 2), t=troubles)
    def found(self, brand, number, t):
        self.cell("found", brand, number, t)

    def _found(self, brand, number, trouble):
        both = self.both(
            trouble,
            lambda: Shop.found(brand, number),
            lambda: self.model.found(brand, number),
        )
        if both is not None:
            self.keep(*both)

    @some_shops
    @rule(number=which, text=words)
    def change_by_hand(self, number, text):
        self.cell("change", number, text, ())

    def _change(self, number, text, _):
        for each in self.pair(number) if self.shops else ():
            each.note = text

    # -- steps

    def pair(self, number):
        number %= len(self.shops)
        return self.shops[number], self.model.twins[number]

    def both(self, trouble, really, plainly):
        """Do it on both sides under the same trouble; the same must come of it."""
        outcomes = []
        for world, work in ((self.world, really), (self.model.world, plainly)):
            world.trouble = list(trouble)
            try:
                outcomes.append(("gave", work()))
            except ERRORS as error:
                outcomes.append(("raised", type(error)))
            world.trouble = []
        (how, real), (expected, plain) = outcomes
        assert how == expected, outcomes
        if how == "raised":
            assert real is plain
            return None
        return real, plain

    def argument(self, given):
        """A call's argument, for a shop and for a twin."""
        if isinstance(given, Other):
            return self.pair(given.number)
        if isinstance(given, list):
            pairs = [self.argument(each) for each in given]
            return [real for real, _ in pairs], [plain for _, plain in pairs]
        return given, given

    def _step(self, number, method, args, trouble):
        if not self.shops:
            return  # the cell that made them failed this time
        shop, twin = self.pair(number)
        pairs = [self.argument(a) for a in args]
        both = self.both(
            trouble,
            lambda: getattr(shop, method)(*(real for real, _ in pairs)),
            lambda: getattr(twin, method)(*(plain for _, plain in pairs)),
        )
        assert both is None or both[0] == both[1]

    @some_shops
    @rule(number=which, method=st.sampled_from(["add", "draft", "ask"]), name=words, t=troubles)
    def do(self, number, method, name, t):
        self.cell("step", number, method, (name,), t)

    @some_shops
    @rule(number=which, text=words, t=troubles)
    def label(self, number, text, t):
        self.cell("step", number, "relabel", (text,), t)

    @some_shops
    @rule(number=which, t=troubles)
    def empty(self, number, t):
        self.cell("step", number, "clear", (), t)

    @some_shops
    @rule(number=which, keep=st.booleans(), refuses=st.booleans(), t=troubles)
    def attempt(self, number, keep, refuses, t):
        self.cell("attempt", number, keep, refuses, t)

    def _attempt(self, number, keep, refuses, trouble):
        self.world.refuses = self.model.world.refuses = refuses
        self._step(number, "attempt", (keep,), trouble)

    @some_shops
    @rule(number=which, first=words, second=words, t=troubles)
    def two(self, number, first, second, t):
        self.cell("step", number, "two", (first, second), t)

    @some_shops
    @rule(number=which, method=st.sampled_from(["hand_over", "share"]), other=which, t=troubles)
    def give(self, number, method, other, t):
        self.cell("step", number, method, (Other(other),), t)

    @some_shops
    @rule(number=which, others=st.lists(which, min_size=1, max_size=3), t=troubles)
    def give_all(self, number, others, t):
        self.cell("step", number, "share_all", ([Other(each) for each in others],), t)

    @some_shops
    @rule(number=which, others=st.lists(which, min_size=1, max_size=2), text=words, t=troubles)
    def nest(self, number, others, text, t):
        self.cell("step", number, "nest", ([Other(each) for each in others], text), t)

    @some_shops
    @rule(number=which, method=st.sampled_from(["gift", "reach"]), text=words, t=troubles)
    def assign(self, number, method, text, t):
        self.cell("step", number, method, (text,), t)

    @some_shops
    @rule(number=which, first=words, second=st.sampled_from(["", "a"]), t=troubles)
    def trade(self, number, first, second, t):
        self.cell("step", number, "trade", (first, second), t)

    # -- going back

    @some_shops
    @rule(number=which, event=st.one_of(st.none(), st.integers(0, 5)))
    def go_back(self, number, event):
        self.cell("go_back", number, event, ())

    def _go_back(self, number, event, _):
        if not self.shops:
            return
        shop, twin = self.pair(number)
        if event is not None and twin.steps:
            event %= len(twin.steps)
        elif event is not None:
            event = None
        shop.checkout(event)
        self.model.checkout(twin, event)

    # -- what always holds

    @invariant()
    def states_agree(self):
        for shop, twin in zip(self.shops, self.model.twins, strict=True):
            state = shop.encode_complete_state()
            assert {k: state[k] for k in ("brand", "items", "note")} == twin.state

    @invariant()
    def counts_agree(self):
        assert self.world.drawn == self.model.world.drawn
        assert control.cache_hits() == self.model.hits
        assert control.cache_misses() == self.model.misses

    @invariant()
    def histories_agree(self):
        for shop, twin in zip(self.shops, self.model.twins, strict=True):
            if twin.root is not None:
                history = [event.hit for event in shop.history()]
                assert history == [hit for _, hit in twin.steps]

    @invariant()
    def registers_are_consistent(self):
        registered = TinyFactory.all_factories
        assert all(factory.name == name for name, factory in registered.items())
        assert {id(f) for f in registered.values()} == {id(shop) for shop in self.shops}

    @invariant()
    def nothing_is_left_open(self):
        assert current_transaction() is None
        assert context.current_context().undo is None
        assert not any(lock_of(shop).locked() for shop in self.shops)

    @invariant()
    def others_can_write_at_once(self):
        # What the journal's thread is writing now it ends by itself; what was left open stays so.
        connection = sqlite3.connect(self.place / "cache.db", timeout=50, isolation_level=None)
        with contextlib.closing(connection):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")

    def teardown(self):
        control.reset()
        for simulation in self.left_open:
            simulation.end()
        self.replayed |= self.model.replayed
        TinyFactory.clear_factories()


@dataclass(frozen=True)
class Other:
    """Another shop as an argument."""

    number: int


def run(folder, **profile):
    class Machine(JournalMachine):
        pass

    Machine.folder = folder
    Machine.replayed = set()
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        Machine,
        settings=settings(deadline=None, suppress_health_check=checks, **profile),
    )
    # It really went there: every kind of step was replayed at some time.
    assert Machine.replayed == {*BODIES, "composite"}


def test_journal_agrees_with_the_model(tmp_path):
    run(tmp_path, max_examples=80, stateful_step_count=25, derandomize=True)


@pytest.mark.drill
@pytest.mark.timeout(1800)
def test_journal_agrees_with_the_model_at_length(tmp_path):
    run(tmp_path, max_examples=600, stateful_step_count=50)
