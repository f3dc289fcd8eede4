"""PersonaForm by its traits and handlers, without a browser."""

from __future__ import annotations

import datetime as dt
import json
import math
import signal
import sys
import threading
import time
from types import ModuleType
from typing import Any

import pytest
import traitlets

from tests.support.chat_server import Answer, quota_exhausted, unknown_model, wrong_key
from tests.support.waiting import until
from tests.support.widgets import raise_in_handlers, widgets_alive
from tinyfactory import Budget, People, TinyPerson, TinyPersonFactory, configure, control
from tinyfactory.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    Cancelled,
    DemographyError,
    EndpointUnreachable,
    InvalidInput,
    NotConfigured,
    QuotaExhausted,
    UnknownModel,
    UnknownPrice,
)
from tinyfactory.factory import TinyFactory
from tinyfactory.journal.scopes.scope import scope
from tinyfactory.populations import Demography
from tinyfactory.widgets import PersonaForm

TOWN = {"sex": {"female": 3, "male": 1}, "age": {"20-29": 1, "60-69": 1}}


@pytest.fixture(autouse=True)
def handlers_raise(monkeypatch):
    raise_in_handlers(monkeypatch)


def ended(form, words="made"):
    until(lambda: words in form.status and not form._generate.disabled)


def click(form, words="made"):
    form._generate.click()
    ended(form, words)


def cost(form):
    form._reckoned.join()
    return form._cost.text


# --- making people -------------------------------------------------------------------------


def test_a_click_makes_people():
    form = PersonaForm("Bakers in Vienna", model="offline")
    form.number = 3
    form._generate.click()
    assert form._generate.disabled
    ended(form, "3 people made")
    assert len(form.people) == 3 and form.error is None
    assert form._cancel.disabled
    assert all(person.name in form._shown.value for person in form.people)


def test_a_second_click_at_once_pays_nothing(server):
    form = PersonaForm("Bakers in Vienna")
    form._generate.click()
    form._generate.click()
    ended(form)
    time.sleep(0.3)
    assert len(form.people) == 1 and len(server.requests) == 1


def test_text_that_arrives_just_after_the_click_counts(settles_slowly):
    form = PersonaForm("typed before", model="offline")
    form._generate.click()
    form._fields.context.value = "typed and clicked at once"
    ended(form)
    assert form.factory.context_text == form.context == "typed and clicked at once"


def test_a_given_factory_is_used_and_its_fields_stay():
    factory = TinyPersonFactory("Bakers in Vienna", model="offline")
    form = PersonaForm(factory=factory)
    assert form.context == "Bakers in Vienna" and form.model == "offline"
    assert form._fields.context.disabled and form._fields.model.way.disabled
    form.generate()
    assert factory.generated_names == [form.people[0].name]


def test_the_same_fields_use_the_same_factory_and_others_another():
    form = PersonaForm("Bakers in Vienna", model="offline")
    form.generate()
    first = form.factory
    form.generate()
    assert form.factory is first and len(form.people) == 2
    assert len({person.name for person in form.people}) == 2
    form.context = "Bakers in Graz"
    form.generate()
    assert form.factory is not first and len(form.people) == 3


def test_people_can_be_observed_while_they_come(serve):
    server = serve()
    server.allowed = 1
    form = PersonaForm("Bakers in Vienna")
    form.number = 3
    seen = []

    def see(change):
        seen.append(len(change.new))
        server.allowed += 1

    form.observe(see, "people")
    form.generate()
    assert seen == [1, 2, 3] and isinstance(form.people, People)


def test_values_and_fields_are_the_same():
    form = PersonaForm(model="offline")
    form.number, form.temperature, form.attempts, form.concurrency = 4, 0.5, 2, 3
    fields = form._fields
    assert fields.number.value == 4 and fields.temperature.value == 0.5
    assert fields.attempts.value == 2 and fields.concurrency.value == 3
    fields.particularities.value = "a nurse"
    assert form.particularities == "a nurse"
    with pytest.raises(traitlets.TraitError):
        form.number = 0
    assert form.number == 4


def test_what_is_typed_is_what_is_asked(server):
    form = PersonaForm("Bakers in Vienna")
    form.particularities, form.temperature, form.number = "people who whistle", 0.7, 4
    form.concurrency = 4
    form.model = "some-model"
    form.generate()
    assert {body["model"] for body in server.bodies} == {"some-model"}
    assert {body["temperature"] for body in server.bodies} == {0.7}
    assert all("people who whistle" in json.dumps(body["messages"]) for body in server.bodies)
    assert len(server.bodies) == 4


# --- models --------------------------------------------------------------------------------


def test_a_model_is_chosen_offline_configured_or_by_name():
    form = PersonaForm("Bakers in Vienna")
    way, name = form._fields.model.way, form._fields.model.name
    assert form.model is None and name.layout.display == "none"
    way.value = "offline"
    assert form.model == "offline"
    way.value = "named"
    assert name.layout.display == ""
    with pytest.raises(InvalidInput, match="name is missing"):
        form.generate()
    name.value = "llama3.2 "
    assert form.model == "llama3.2"
    form.model = None
    assert way.value == "configured" and name.layout.display == "none"


def test_a_model_object_is_kept():
    from tinyfactory.models.offline import OfflineModel

    model = OfflineModel()
    form = PersonaForm("Bakers in Vienna", model=model)
    assert form.model is model
    form._fields.model.way.value = "configured"
    form._fields.model.way.value = "given"
    assert form.model is model
    form.generate()
    assert form.factory.model is model
    other = OfflineModel()
    form.model = other
    assert form.model is form._fields.model.value is other


# --- demographies --------------------------------------------------------------------------


def test_a_demography_of_the_package_can_be_chosen():
    form = PersonaForm(model="offline")
    names = [value for _, value in form._fields.demography.way.options]
    assert set(Demography.shipped_names()) <= set(names)
    form._fields.demography.way.value = "illustrative_town"
    assert form.demography.to_dict() == Demography.shipped("illustrative_town").to_dict()
    assert "kept exactly" in form._fields.demography.said.text
    form.number = 4
    form.generate()
    assert len(form.people) == 4 and form.factory.demography == form.demography.to_dict()


def upload(form, name, content):
    form._fields.demography.way.value = "/file"
    form._fields.demography.upload.value = (
        {"name": name, "type": "", "size": len(content), "content": memoryview(content),
         "last_modified": dt.datetime.now(dt.UTC)},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("town.json", json.dumps(TOWN).encode()),
        (
            "Town.CSV",
            b"field,category,count\nsex,female,3\nsex,male,1\nage,20-29,1\nage,60-69,1\n",
        ),
    ],
)
def test_an_uploaded_demography_is_kept_exactly(name, content):
    form = PersonaForm("Regulars of a library", model="offline")
    upload(form, name, content)
    assert form.error is None and form.demography.fields == ("sex", "age")
    form.number = 4
    people = form.generate()
    assert sorted(person.get("gender") for person in people) == ["female"] * 3 + ["male"]


def test_an_upload_that_cannot_be_names_the_cell_and_stops_the_run():
    form = PersonaForm("Regulars of a library", model="offline")
    upload(form, "town.json", b'{"sex": {"female": -3, "male": 1}}')
    assert isinstance(form.error, DemographyError)
    assert "sex / female" in form.status and form._status.wrong and cost(form) == ""
    with pytest.raises(DemographyError, match="sex / female"):
        form.generate()
    assert form.people == []
    form._fields.demography.way.value = ""
    assert len(form.generate()) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [("town.xlsx", b"PK"), ("town.csv", b"\xff\xfe\x00"), ("town.json", b"{"), ("t.csv", b"a,b")],
)
def test_any_file_can_be_dropped_on_the_form(name, content):
    form = PersonaForm("Regulars", model="offline")
    upload(form, name, content)
    assert isinstance(form.error, DemographyError) and form.demography is None


def test_no_file_chosen_is_said():
    form = PersonaForm("Regulars", model="offline")
    form._fields.demography.way.value = "/file"
    with pytest.raises(InvalidInput, match="No file"):
        form.generate()


def test_code_can_set_a_demography_in_any_form():
    form = PersonaForm("Regulars", model="offline", demography=TOWN)
    assert form.demography.fields == ("sex", "age")
    form.demography = "illustrative_town"  # read into a Demography
    assert form._fields.demography.way.value == "illustrative_town"
    form.demography = None
    assert form._fields.demography.way.value == ""
    form.demography = Demography.from_dict(TOWN)
    assert form._fields.demography.value is form.demography
    with pytest.raises(DemographyError):
        form.set_trait("demography", {"sex": {"female": -1}})
    assert form.demography.to_dict()["sex"] == {"female": 0.75, "male": 0.25}


# --- what it will cost ---------------------------------------------------------------------


def test_offline_is_free_and_said_so():
    form = PersonaForm("Bakers in Vienna", model="offline")
    assert "free" in cost(form)


def test_the_price_follows_the_fields(server):
    configure(prices={"gpt-4.1-mini": (0.4, 1.6)})
    form = PersonaForm("Bakers in Vienna", model="gpt-4.1-mini")
    form.number = 10
    first = cost(form)
    assert "10 to 11 calls of gpt-4.1-mini" in first and "USD" in first
    form.number = 1000
    second = cost(form)
    assert "1,000 to 1,100 calls" in second and second != first
    form.budget = Budget(usd=0.01)
    assert "The budget of 0.01 USD may end before" in cost(form)
    form.model = "nobody-knows-its-price"
    assert "price unknown" in cost(form)
    form.budget = Budget(usd=0.01, prices={"nobody-knows-its-price": (0, 0)})
    assert "free" in cost(form)
    form.context = " "
    assert "Describe the people" in cost(form)
    assert server.requests == []


def test_an_estimate_leaves_no_trace():
    with control.begin("town"):
        form = PersonaForm("Bakers in Vienna", model="gpt-4.1-mini")
        assert "calls" in cost(form)
        assert TinyFactory.all_factories == {}
        assert scope().numbers == {}
        assert scope()._occurrences == {}


def test_typing_reckons_once(monkeypatch):
    form = PersonaForm("", model="offline")
    form._reckoned.join()
    form._reckoned._seconds = 1.0  # so long that all is typed in time on any machine
    reckoned = []
    monkeypatch.setattr(form._reckoned, "_do", lambda: reckoned.append(form.context))
    for end in range(1, 10):
        form.context = "Bakers in Vienna"[:end]
    cost(form)
    assert reckoned == ["Bakers in"]


# --- errors --------------------------------------------------------------------------------

WRONG = [
    (wrong_key(), AuthenticationFailed, "did not accept the key"),
    (quota_exhausted(), QuotaExhausted, "no credit left"),
    (unknown_model(), UnknownModel, "does not know a model of this name"),
]


@pytest.mark.parametrize(("rule", "kind", "words"), WRONG)
def test_an_error_stands_in_the_form_and_in_error(serve, rule, kind, words):
    serve(rules=[rule])
    form = PersonaForm("Bakers in Vienna")
    click(form, words)
    assert isinstance(form.error, kind) and str(form.error) in form.status
    assert 'role="alert"' in form._status.value and form._cancel.disabled
    with pytest.raises(kind):
        form.generate()


def test_without_a_key_it_says_how_to_get_one():
    form = PersonaForm("Bakers in Vienna")
    click(form, "No model is set up yet")
    assert isinstance(form.error, NotConfigured) and "offline" in form.status


def test_an_endpoint_that_is_not_there(serve):
    serve().close()
    form = PersonaForm("Bakers in Vienna")
    with pytest.raises(EndpointUnreachable):
        form.generate()
    assert "nothing at the model's address" in form.status


def test_a_blank_context_is_refused_before_anything_is_sent(server):
    form = PersonaForm(" ")
    with pytest.raises(InvalidInput):
        form.generate()
    assert not form._generate.disabled and server.requests == []


def test_an_error_goes_when_the_next_run_goes_well():
    form = PersonaForm(" ", model="offline")
    with pytest.raises(InvalidInput):
        form.generate()
    form.context = "Bakers"
    form.generate()
    assert form.error is None and not form._status.wrong


def test_a_fault_in_an_observer_is_shown_and_the_people_stay():
    form = PersonaForm("Bakers in Vienna", model="offline")

    def fails(_):
        raise ZeroDivisionError("mine")

    form.observe(fails, "people")
    click(form, "unexpected error")
    assert isinstance(form.error, ZeroDivisionError) and len(form.people) == 1


def test_who_was_given_up_is_said(serve):
    serve([Answer(200, {"choices": [{"message": {"content": "no"}}]})] * 5)
    form = PersonaForm("Bakers in Vienna")
    form.number = 2
    form.generate()
    assert "1 of 2 people were made" in form.status and "Number 1 is missing" in form.status
    assert form._status.wrong and form._resume.layout.display == "none"


# --- budgets -------------------------------------------------------------------------------


def test_the_budget_holds_and_raising_it_goes_on(serve):
    server = serve()
    form = PersonaForm("Bakers in Vienna", budget=Budget(calls=2))
    form.number = 4
    click(form, "budget is used up")
    assert isinstance(form.error, BudgetExceeded) and len(form.people) == 2
    assert "2 of 4 people are made and kept" in form.status
    assert form._resume.layout.display == ""
    form._fields.calls.value = "10"
    form._resume.click()
    ended(form, "4 people made")
    assert len(form.people) == 4 and len(server.requests) == 4 and form.error is None


def test_a_limit_in_dollars_needs_a_price(server):
    form = PersonaForm("Bakers in Vienna", model="unheard-of")
    form._fields.usd.value = "0.50"
    with pytest.raises(UnknownPrice):
        form.generate()
    form.budget = Budget(usd=0.5, prices={"unheard-of": (0, 0)})
    assert form.budget == Budget(usd=0.5, prices={"unheard-of": (0, 0)})
    assert len(form.generate()) == 1


@pytest.mark.parametrize("typed", ["much", "-1", "nan", "1.2.3"])
def test_a_budget_that_is_none_is_refused(server, typed):
    form = PersonaForm("Bakers in Vienna")
    form._fields.usd.value = typed
    click(form, "fields cannot work")
    assert isinstance(form.error, InvalidInput) and server.requests == []


def test_a_comma_is_read_as_a_point():
    form = PersonaForm("Bakers in Vienna")
    form._fields.usd.value = "0,5"
    assert form.budget == Budget(usd=0.5)


# --- while it runs -------------------------------------------------------------------------


def test_progress_says_count_tokens_price_and_time(serve):
    server = serve()
    server.allowed = 1
    configure(prices={"gpt-4.1-mini": (0.4, 1.6)})
    form = PersonaForm("Bakers in Vienna", model="gpt-4.1-mini")
    form.number = 3
    told = []

    def look(_):
        told.append(form._progress.text)
        if "1 of 3 people" in told[-1] and "left" in told[-1]:
            server.allowed = 3

    form._progress.observe(look, "value")
    form.generate()
    assert server.allowed == 3
    assert "3 of 3 people" in told[-1] and "tokens" in told[-1] and "USD" in told[-1]
    assert 'value="3" max="3"' in form._progress.value and "aria-label" in form._progress.value
    assert "replayed" not in told[-1], "without a simulation there is no journal"


def test_shipped_tables_are_offered_by_their_titles():
    titles = [title for title, _ in PersonaForm()._fields.demography.way.options]
    assert (
        "People who earned in the United States, 1994" in titles and "Us Earners 1994" not in titles
    )


def test_in_a_simulation_it_tells_what_is_new_and_what_was_replayed(server):
    with control.begin("town"):
        form = PersonaForm("Bakers in Vienna")
        form.number = 2
        form.generate()
        assert "2 new, nothing replayed" in form._progress.text
    with control.begin("town"):
        again = PersonaForm("Bakers in Vienna")
        again.number = 3
        again.generate()
        assert "2 replayed, 1 new" in again._progress.text
    assert len(server.requests) == 3


def test_people_appear_while_it_runs_and_only_the_latest(serve):
    server = serve()
    server.allowed = 1
    form = PersonaForm("Bakers in Vienna")
    form.number = 12
    shown = []

    def see(change):
        shown.append(change.new)
        server.allowed += 1

    form._shown.observe(see, "value")
    form.generate()
    during = shown[:-1]
    assert len(during) >= 10
    assert all(page.count("<tr>") <= 7 for page in during)
    assert form.people[9].name in during[9] and form.people[0].name not in during[9]
    assert shown[-1].count("<tr>") == 13


def test_no_more_than_ten_looks_a_second_are_sent():
    form = PersonaForm("Bakers in Vienna", model="offline")
    form.number = 200
    sent = []
    form._progress.observe(lambda _: sent.append(1), "value")
    started = time.monotonic()
    form.generate()
    assert len(sent) <= (time.monotonic() - started) * 10 + 3


def test_cancel_keeps_who_is_finished_and_resume_pays_nobody_twice(serve):
    server = serve()
    server.allowed = 2
    form = PersonaForm("Bakers in Vienna")
    form.number = 8
    form._generate.click()
    until(lambda: len(form.people) >= 2)
    assert form._resume.layout.display == "none" and form.running
    started = time.monotonic()
    form._cancel.click()
    ended(form, "Stopped")
    assert time.monotonic() - started < 60  # the third was never answered
    kept = form.people.copy()
    assert len(kept) == 2 and form.error is None
    assert len(TinyPerson.all_people()) == len(kept)
    with pytest.raises(Cancelled):
        form.wait()

    first = form.job.snapshot().spent.tokens
    form.number = 5  # of no consequence: the same job goes on
    asked = len(server.requests)
    server.allowed = math.inf
    form._resume.click()
    ended(form, "8 people made")
    assert form.people[: len(kept)] == kept and len(form.people) == 8
    assert len(server.requests) - asked == 8 - len(kept)
    # What is told is what all eight took, not only the rest.
    assert f"{first + form.job.snapshot().spent.tokens:,} tokens" in form._progress.text
    assert form._resume.layout.display == "none"
    with pytest.raises(InvalidInput):
        form.resume()


def test_several_at_a_time_can_be_cancelled_and_resumed(serve):
    server = serve()
    server.allowed = 4
    form = PersonaForm("Bakers in Vienna")
    form.number, form.concurrency = 12, 3
    form._generate.click()
    until(lambda: len(form.people) >= 2)
    form.cancel()
    ended(form, "Stopped")
    server.allowed = math.inf
    form.concurrency = 1
    form.resume()
    assert len({person.name for person in form.people}) == 12


def test_people_of_earlier_runs_stay_through_a_resume(serve):
    server = serve()
    server.allowed = 3
    form = PersonaForm("Bakers in Vienna")
    form.generate()
    form.number = 5
    form._generate.click()
    until(lambda: len(form.people) == 3)
    form.cancel()
    ended(form, "Stopped")
    server.allowed = math.inf
    form.resume()
    assert len(form.people) == 6 and len({person.name for person in form.people}) == 6


def test_a_kernel_that_starts_again_pays_nobody_twice(serve):
    server = serve()
    server.allowed = 2
    with control.begin("town"):
        form = PersonaForm("Bakers in Vienna")
        form.number = 4
        form._generate.click()
        until(lambda: len(form.people) >= 2)
        form.cancel()
        ended(form, "Stopped")
        asked = len(form.people)
    TinyFactory.clear_factories()
    sent, server.allowed = len(server.requests), math.inf
    with control.begin("town"):
        form = PersonaForm("Bakers in Vienna")
        assert form._resume.layout.display == "none"
        form.number = 4
        form.generate()
    assert len(form.people) == 4 and len(server.requests) - sent <= 4 - asked


# --- shown again ---------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["factory", "context"])
def test_a_new_form_finds_the_running_job(serve, by):
    server = serve()
    server.allowed = 1
    first = PersonaForm("Bakers in Vienna")
    first.number = 4
    first._generate.click()
    until(lambda: first.people)
    again = PersonaForm(factory=first.factory) if by == "factory" else PersonaForm(first.context)
    assert again.job is first.job and again._generate.disabled and not again._cancel.disabled
    again._generate.click()
    server.allowed = math.inf
    for form in (first, again):
        ended(form, "4 people made")
    assert again.people == first.people and len(first.factory.generated_names) == 4


def test_a_new_form_finds_the_job_that_was_stopped(serve):
    server = serve()
    server.allowed = 1
    first = PersonaForm("Bakers in Vienna")
    first.number = 4
    first._generate.click()
    until(lambda: first.people)
    first.cancel()
    ended(first, "Stopped")
    again = PersonaForm("Bakers in Vienna")
    ended(again, "Stopped")
    assert again._resume.layout.display == "" and again.people == first.people
    server.allowed = math.inf
    again.resume()
    assert len(again.people) == 4 and len(server.requests) <= 5


def test_two_forms_of_one_factory_start_one_job(serve):
    server = serve()
    server.allowed = 0
    factory = TinyPersonFactory("Bakers in Vienna")
    forms = [PersonaForm(factory=factory) for _ in "ab"]
    for form in forms:
        form.number = 2
        form._generate.click()
    until(lambda: all(form.running for form in forms))
    server.allowed = 2
    for form in forms:
        ended(form)
    assert forms[0].job is forms[1].job and len(server.requests) == 2


def test_a_form_for_another_context_finds_nothing(serve):
    server = serve()
    server.allowed = 0
    first = PersonaForm("Bakers in Vienna")
    first._generate.click()
    until(lambda: first.running)
    assert PersonaForm("Bakers in Graz").job is None
    assert PersonaForm("Bakers in Vienna", model="other").job is None
    server.allowed = 1
    ended(first)
    assert PersonaForm("Bakers in Vienna").job is None, "what is finished is not taken up"


# --- in the foreground ---------------------------------------------------------------------


def test_in_the_foreground_a_click_returns_when_the_people_are_there():
    form = PersonaForm("Bakers in Vienna", model="offline", foreground=True)
    assert "free" in form._cost.text
    form.number = 3
    threads = set()
    form._progress.observe(lambda _: threads.add(threading.current_thread()), "value")
    form._generate.click()
    assert len(form.people) == 3 and "3 people made" in form.status
    assert threads == {threading.current_thread()}


@pytest.mark.parametrize("foreground", [True, False])
def test_the_kernels_interrupt_stops_it_and_keeps_who_is_finished(serve, foreground):
    server = serve()
    server.allowed = 2
    form = PersonaForm("Bakers in Vienna", foreground=foreground)
    form.number = 10

    def interrupt():
        until(lambda: len(form.people) >= 2)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    if foreground:
        form._generate.click()
    else:
        with pytest.raises(KeyboardInterrupt):
            form.generate()
    interrupter.join()
    kept = len(form.people)
    assert "Stopped" in form.status and kept == 2
    asked, server.allowed = len(server.requests), math.inf
    form._resume.click()
    ended(form, "10 people made")
    assert len(form.people) == 10 and len(server.requests) - asked == 10 - kept


def test_the_foreground_is_chosen_by_itself_only_in_colab(monkeypatch):
    assert not PersonaForm(model="offline")._foreground
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    assert PersonaForm(model="offline")._foreground
    assert not PersonaForm(model="offline", foreground=False)._foreground


# --- code ----------------------------------------------------------------------------------


def made_by(code):
    TinyPerson.clear_people()
    TinyFactory.clear_factories()
    space: dict[str, Any] = {}
    exec(code, space)
    return [person.to_dict() for person in space["people"]]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"number": 3, "particularities": 'a "34-year-old" nurse', "temperature": 0.5},
        {"number": 4, "demography": TOWN, "seed": 7, "attempts": 2},
        {"number": 4, "demography": "illustrative_town", "context": "", "concurrency": 2},
        {"budget": Budget(calls=10, usd=0.25, prices={"m": (1, 2)})},
    ],
)
def test_the_code_makes_the_same_people(options):
    form = PersonaForm("Bakers in Vienna", model="offline")
    for name, value in options.items():
        setattr(form, name, value)
    made = [person.to_dict() for person in form.generate()]
    assert made_by(form.code()) == made


def test_the_code_follows_the_fields():
    form = PersonaForm("Bakers in Vienna", model="offline")
    form._code.toggle.value = True
    form.number = 7
    assert "generate_people(7)" in form._code._shown.value
    form._fields.usd.value = "much"
    assert form.code().startswith("# ")


# --- what is left --------------------------------------------------------------------------


def test_a_form_makes_no_widget_after_it_was_made_and_closes_all():
    TinyFactory.clear_factories()
    before = widgets_alive()
    form = PersonaForm("Bakers in Vienna", model="offline")
    made = widgets_alive()
    form.number = 3
    form.generate()
    form._code.toggle.value = True
    upload(form, "town.json", json.dumps(TOWN).encode())
    form.demography = None
    assert widgets_alive() == made
    form.close()
    assert widgets_alive() == before


def test_a_form_that_is_closed_while_it_runs_leaves_the_job_to_another(serve):
    server = serve()
    server.allowed = 1
    form = PersonaForm("Bakers in Vienna")
    form.number = 3
    form._generate.click()
    until(lambda: form.people)
    form.close()
    again = PersonaForm("Bakers in Vienna")
    server.allowed = 3
    ended(again, "3 people made")
    assert len(again.people) == 3


def test_no_thread_is_left_over():
    form = PersonaForm("Bakers in Vienna", model="offline")
    form.generate()
    form._reckoned.join()
    ours = {"tinyfactory-job", "tinyfactory-work", "tinyfactory-debounce"}
    until(lambda: not ours & {thread.name for thread in threading.enumerate()})


def test_what_is_typed_is_never_markup():
    hostile = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    configure(model="offline")
    form = PersonaForm(hostile)
    form._status.say(hostile)
    form.failed(InvalidInput(hostile))
    form._code.toggle.value = True
    form.generate()
    form.people[0].define("name", hostile)
    form._cost.say(hostile)
    pages = (form._shown, form._status, form._cost, form._code._shown, form._progress)
    for html in (*(page.value for page in pages), form.static_html()):
        assert "<script" not in html and "<img" not in html
