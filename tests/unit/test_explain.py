"""Real errors of each kind, in words that a student understands."""

from __future__ import annotations

import importlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.chat_server import (
    Answer,
    hang,
    html_page,
    quota_exhausted,
    unknown_model,
    wrong_key,
)
from tinyfactory import Budget, TinyPerson, TinyPersonFactory, configure, control, errors
from tinyfactory.populations import Demography
from tinyfactory.widgets.parts.error_text import _WORDS, in_plain_words


def make(**way):
    way.setdefault("number_of_people", 1)
    return TinyPersonFactory("Bakers in Vienna").generate_people(**way)


def no_model(serve, monkeypatch):
    make()


def refused_key(serve, monkeypatch):
    serve(rules=[wrong_key()])
    make()


def no_such_model(serve, monkeypatch):
    serve(rules=[unknown_model()])
    make()


def no_credit(serve, monkeypatch):
    serve(rules=[quota_exhausted()])
    make()


def nothing_there(serve, monkeypatch):
    serve().close()
    make()


def too_slow(serve, monkeypatch):
    serve(rules=[hang()])
    configure(timeout=0.2, time_limit=0.5)
    make()


def not_asked_any_more(serve, monkeypatch):
    serve(rules=[hang()])
    configure(timeout=0.5, time_limit=1)
    failures = []

    def ask():
        try:
            make()
        except errors.EndpointUnavailable as error:
            failures.append(error)

    while not any(isinstance(error, errors.EndpointDown) for error in failures):
        assert len(failures) < 40
        with ThreadPoolExecutor(4) as together:
            for _ in range(4):
                together.submit(ask)
    raise next(error for error in failures if isinstance(error, errors.EndpointDown))


def bad_request(serve, monkeypatch):
    serve(rules=[Answer(400, {"error": {"message": "the moon is full"}})])
    make()


def a_web_page(serve, monkeypatch):
    from tinyfactory.models import OpenAIModel
    from tinyfactory.models.chat import ChatRequest
    from tinyfactory.models.event_loop import run

    serve(rules=[html_page()])
    model = OpenAIModel("m")
    run(lambda: model.complete(ChatRequest(({"role": "user", "content": "Hello"},))))


def no_price(serve, monkeypatch):
    serve()
    make(budget=Budget(usd=1))


def no_budget(serve, monkeypatch):
    serve()
    make(budget=Budget(calls=0))


def too_long(serve, monkeypatch):
    serve(slow=1.0)
    make(time_limit=0.2)


def stopped(serve, monkeypatch):
    serve().allowed = 0
    job = TinyPersonFactory("Bakers in Vienna").start_people(2)
    job.cancel()
    job.wait()


def not_recorded(serve, monkeypatch):
    configure(model="offline")
    with control.begin("town") as simulation:
        make()
        recorded = simulation.export("lesson.recording.jsonl.gz")
    with control.begin(recording=recorded):
        TinyPersonFactory("Someone else").generate_person()


def name_is_taken(serve, monkeypatch):
    TinyPerson("Ana Souza")
    TinyPersonFactory("Bakers", model="offline").generate_person({"name": "Ana Souza"})


def no_person(serve, monkeypatch):
    TinyPerson(persona={"name": "Ana", "age": "very old"}, register=False)


def no_table(serve, monkeypatch):
    Demography.from_dict({"sex": {"female": -1}})


def a_key_in_the_context(serve, monkeypatch):
    with control.begin("town") as simulation:
        made = TinyPersonFactory("The key is sk-canary0123456789abcdef", model="offline")
        made.generate_person()
        simulation.export("lesson.recording.jsonl.gz")


def no_context(serve, monkeypatch):
    TinyPersonFactory(" ")


def no_folder(serve, monkeypatch):
    Path("taken").write_text("a file stands where the folder should")
    control.begin("taken/journal")


def no_package(serve, monkeypatch):
    importlib.import_module("tinyfactory_of_the_future")


REAL = [
    (no_model, errors.NotConfigured),
    (refused_key, errors.AuthenticationFailed),
    (no_such_model, errors.UnknownModel),
    (no_credit, errors.QuotaExhausted),
    (nothing_there, errors.EndpointUnreachable),
    (too_slow, errors.EndpointUnavailable),
    (not_asked_any_more, errors.EndpointDown),
    (bad_request, errors.RequestRejected),
    (a_web_page, errors.BadResponse),
    (no_price, errors.UnknownPrice),
    (no_budget, errors.BudgetExceeded),
    (too_long, errors.TimeLimitReached),
    (stopped, errors.Cancelled),
    (not_recorded, errors.ReplayMiss),
    (name_is_taken, errors.NameTaken),
    (no_person, errors.InvalidPersona),
    (no_table, errors.DemographyError),
    (a_key_in_the_context, errors.SecretFound),
    (no_context, errors.InvalidInput),
    (no_folder, errors.JournalError),
    (no_package, ImportError),
]


@pytest.mark.parametrize(("go_wrong", "kind"), REAL, ids=[kind.__name__ for _, kind in REAL])
def test_a_real_error_of_each_kind_is_worded(serve, monkeypatch, go_wrong, kind):
    with pytest.raises(kind) as caught:
        go_wrong(serve, monkeypatch)
    first = next(words for one, words in _WORDS if isinstance(caught.value, one))
    told = in_plain_words(caught.value)
    assert told.startswith(dict(_WORDS)[kind]) and first == dict(_WORDS)[kind]
    assert str(caught.value) in told and len(str(caught.value)) > 20
    assert "Traceback" not in told and "sk-" not in told


def test_every_kind_that_is_worded_was_seen():
    worded = {kind for kind, _ in _WORDS}
    # The base of the others, for one that comes later; nothing raises it by itself.
    assert worded - {kind for _, kind in REAL} == {errors.ModelError}


def test_the_more_particular_kind_comes_first():
    kinds = [kind for kind, _ in _WORDS]
    for later, kind in enumerate(kinds):
        assert not any(issubclass(kind, before) for before in kinds[:later]), kind


def test_whatever_else_goes_wrong_says_where_to_look():
    told = in_plain_words(ZeroDivisionError("division by zero"))
    assert "ZeroDivisionError" in told and "saved" in told and "attribute error" in told
    assert "Stopped" in in_plain_words(KeyboardInterrupt())
