"""Make people with a real language model, and count what its replies cost and lack.

make drill-model BASE_URL=http://127.0.0.1:8080/v1 MODEL=qwen [FOLDER=drill] [OPTIONS=...]

Ten people from one everyday context, ten people with profiles of a small demography, a twin and an
interview. Everything is saved in FOLDER; the same command continues an interrupted drill. It runs
against any OpenAI-compatible server, and only by hand. A key is read from OPENAI_API_KEY.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import logging
import os
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tinyfactory
from tinyfactory import TinyPerson, TinyPersonFactory, control
from tinyfactory.errors import InvalidPersona, ReplyRejected, TinyFactoryError
from tinyfactory.factory import person_generator, profiles
from tinyfactory.people.schema.layout import empty, reply_schema
from tinyfactory.people.schema.reply_parser import read_persona
from tinyfactory.prompts.particularities import constraints_in, contradiction

Json = dict[str, Any]
CONTEXT = (
    "Guests and staff of a small hotel on the Portuguese coast in November, while a storm keeps "
    "everyone indoors for a weekend."
)
TOWN = {
    "about": {"name": "Vila do Cabo, a made-up town", "country": "Portugal", "illustrative": True},
    "sex": {"female": 1, "male": 1},
    "district": {"Harbour": 2, "Old Town": 2, "Station Quarter": 1},
    "age": {"18-29": 3, "30-64": 4, "65-90": 3},
    "conditional": [
        {
            "field": "occupation",
            "given": "age",
            "table": {
                "18-29": {"student": 2, "waiter": 1},
                "30-64": {"nurse": 1, "fisher": 1, "teacher": 1, "electrician": 1},
                "65-90": {"retired teacher": 1, "retired fisher": 1, "retired shopkeeper": 1},
            },
        }
    ],
}
QUESTIONS = (
    "What did you do this morning, before you came here?",
    "Who would you call if you needed help tonight, and why that person?",
    "You just told me about this morning. What would you have done differently?",
)
# A person takes about 800 tokens. A reply of more than this was not going to end by itself.
ENDLESS = 2_000
FIELDS = tuple(reply_schema()["properties"])
# The steps of the drill by the method that the journal records.
STEPS = {"_write_twin": "twin", "ask": "interview"}


# -- asking the model -----------------------------------------------------------------------


def drill(people: int, concurrency: int) -> Json:
    """Run all steps; finished people come from the journal. Returns what is not in the journal."""
    hotel = TinyPersonFactory(CONTEXT)
    guests = hotel.generate_people(people, concurrency=concurrency, on_person=told("person"))
    town = TinyPersonFactory.from_demography(TOWN, seed=1)
    citizens = town.generate_people(people, concurrency=concurrency, on_person=told("profile"))
    missing = {
        step: [f"number {m.number}: {m.reason}" for m in job.missing]
        for step, job in (("person", hotel.last_job), ("profile", town.last_job))
        if job is not None
    }
    found = [*guests, *citizens]
    if not found:
        return {"missing": missing, "answers": []}
    person = found[0]
    pair = person.twin(age=person.get("age") + 20 if person.get("age") < 60 else 30)
    told("twin")(pair.twin)
    answers = []
    for question in QUESTIONS:
        answers.append({"question": question, "answer": person.ask(question)})
        print(f"interview: {answers[-1]['answer'][:100]!r}", flush=True)
    return {"missing": missing, "answers": answers}


def told(step: str) -> Any:
    """A function that prints a person as soon as there is one."""

    def tell(person: TinyPerson) -> None:
        at = dt.datetime.now(dt.UTC)
        facts = (person.name, person.get("age"), person.get("occupation.title"))
        print(f"{at:%H:%M:%S} {step}: {', '.join(map(str, facts))}", flush=True)

    return tell


# -- what the journal says --------------------------------------------------------------------


@dataclass
class Call:
    """One person, or one question: its replies, and which of them were rejected."""

    step: str
    name: str
    requests: int
    replies: int
    rejected: list[str]
    missing_fields: list[str]
    profile: list[str]  # its fields
    lost: list[str]  # those that the person contradicts, or does not mention
    lost_at_first: list[str]  # the same in the first reply
    first_name: str
    cut: int
    endless: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float


def calls_in(store: Any) -> Iterator[Call]:
    """All finished calls of a journal."""
    for key in store:
        if key.startswith("event:"):
            record = store.get(key)
            replies = [store.get(reply["key"])["reply"] for reply in record["meta"]["replies"]]
            step = STEPS.get(record["method"], "person")
            if replies and (step != "person" or record["method"] == "generate_person"):
                profile = record["arguments"].get("profile")
                step = "profile" if profile else step
                yield call_of(step, record["arguments"], replies, not record["failure"])


def call_of(step: str, arguments: Json, replies: list[Json], succeeded: bool) -> Call:
    """A call with the figures of its replies."""
    profile = arguments.get("profile") or {}
    rejected: list[str] = []
    made: Json = {}
    first: Json = {}
    if step != "interview":
        wanted: Any = arguments.get("asked") or profiles.asked(profile, None)
        found = [read(reply, wanted) for reply in replies]
        first = next((persona for persona, _ in found if persona), {})
        if succeeded:  # without a reason against the reply, or with doubts twice
            good = [number for number, (_, reason) in enumerate(found) if not reason]
            usable = [number for number, (persona, _) in enumerate(found) if persona]
            made, _ = found.pop((good or usable)[-1])
        # Only the simulation knew what else was wrong.
        rejected = [reason or "the name was taken" for _, reason in found]
    usage = [reply["usage"] for reply in replies]
    return Call(
        step=step,
        name=made.get("name", ""),
        requests=sum(reply["requests"] for reply in replies),
        replies=len(replies),
        rejected=rejected,
        missing_fields=[f for f in FIELDS if empty(made.get(f))] if made else [],
        profile=list(profiles.without_bands(profile)),
        lost=lost(profile, made) if made else [],
        lost_at_first=lost(profile, first) if first else [],
        first_name=first.get("name", ""),
        cut=sum(reply["finish_reason"] != "stop" for reply in replies),
        endless=sum(each["completion_tokens"] > ENDLESS for each in usage),
        prompt_tokens=sum(each["prompt_tokens"] for each in usage),
        completion_tokens=sum(each["completion_tokens"] for each in usage),
        seconds=round(sum(reply["seconds"] for reply in replies), 1),
    )


def read(reply: Json, wanted: Any) -> tuple[Json, str]:
    """The person in a reply, and why the reply is rejected, or ""."""
    try:
        persona = read_persona(reply["text"], reply["finish_reason"], reply["refusal"])
    except (ReplyRejected, InvalidPersona) as error:
        return {}, str(error)
    message = {"content": reply["text"]} | {k: reply[k] for k in ("finish_reason", "refusal")}
    try:
        person_generator.read_reply(message, constraints_in(wanted), wanted, CONTEXT)
    except (ReplyRejected, InvalidPersona) as error:
        return persona, str(error)
    return persona, ""


def lost(profile: Json, persona: Json) -> list[str]:
    """The fields of a profile that a person contradicts; the district also if it is not named."""
    found = []
    for field, value in profiles.without_bands(profile).items():
        wanted = {field: value}
        agrees = contradiction(constraints_in(wanted), persona) is None
        agrees = agrees and profiles.strays(wanted, persona) is None
        if field == "district":
            text = json.dumps(persona, ensure_ascii=False)
            agrees = str(value).casefold() in text.casefold()
        found += [] if agrees else [field]
    return found


# -- the report -------------------------------------------------------------------------------


def report(calls: list[Call], rest: Json) -> Iterator[str]:
    """The figures as lines of text."""
    yield (
        f"{'step':<10}{'calls':>6}{'requests':>10}{'per call':>10}{'rejected':>10}{'cut':>5}"
        f"{'endless':>9}{'tokens':>8}{'s/reply':>9}"
    )
    for step in ("person", "profile", "twin", "interview"):
        if mine := [call for call in calls if call.step == step]:
            requests = sum(call.requests for call in mine)
            replies = sum(call.replies for call in mine)
            tokens = statistics.mean(call.completion_tokens for call in mine)
            yield (
                f"{step:<10}{len(mine):>6}{requests:>10}{requests / len(mine):>10.2f}"
                f"{sum(len(call.rejected) for call in mine):>10}{sum(c.cut for c in mine):>5}"
                f"{sum(call.endless for call in mine):>9}{tokens:>8.0f}"
                f"{sum(call.seconds for call in mine) / replies:>9.1f}"
            )
    people = [call for call in calls if call.name]
    whole = sum(not call.missing_fields for call in people)
    yield f"people with all {len(FIELDS)} fields: {whole} of {len(people)}"
    yield from counted("  missing", (f for call in people for f in call.missing_fields))
    profiled = [call for call in people if call.profile]
    for field in profiled[0].profile if profiled else ():
        kept = sum(field not in call.lost for call in profiled)
        first = sum(field not in call.lost_at_first for call in profiled)
        yield f"{field} of the profile kept: {kept} of {len(profiled)}, in first replies {first}"
    short = [call.name for call in people if one_word(call.name)]
    yield f"one-word names: {len(short)} ({', '.join(short) or 'none'})"
    yield f"one-word names in first replies: {sum(one_word(call.first_name) for call in calls)}"
    yield from counted("rejected", (f"{c.step}: {r}" for c in calls for r in c.rejected))
    yield from counted(
        "missing", (f"{s}: {r}" for s, all_ in rest["missing"].items() for r in all_)
    )
    for answer in rest["answers"]:
        yield f"- {answer['question']}\n  {answer['answer']}"


def counted(title: str, items: Iterable[str]) -> Iterator[str]:
    """One line for each different text, the most frequent first."""
    for text, number in Counter(items).most_common():
        yield f"{title}: {number} x {' '.join(text.split())}"


def one_word(name: str) -> bool:
    """Whether a name has only one word."""
    return len(name.split()) == 1


# -- the command --------------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    """The options, by default from the environment."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--base-url", default=os.environ.get("OPENAI_BASE_URL"))
    parser.add_argument("--model", default=os.environ.get("OPENAI_MODEL"))
    parser.add_argument("--folder", type=Path, help="for the journal; by default a temporary one")
    parser.add_argument("--json", type=Path, help="by default FOLDER/drill.json")
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=900)
    parser.add_argument("--time-limit", type=float, default=3600)
    given = parser.parse_args()
    if not given.base_url or not given.model:
        parser.error("give --base-url and --model, or set OPENAI_BASE_URL and OPENAI_MODEL")
    return given


def main() -> int:
    """Run the drill, print its figures and write them."""
    given = arguments()
    folder = given.folder or Path(tempfile.gettempdir()) / "tinyfactory-drill-model"
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "drill.log"
    logging.basicConfig(filename=log, level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    for noisy in ("httpx", "httpx2", "openai"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    tinyfactory.configure(
        base_url=given.base_url,
        model=given.model,
        api_key=os.environ.get("OPENAI_API_KEY") or "none",
        timeout=given.timeout,
        time_limit=given.time_limit,
    )
    print(f"{given.model} at {given.base_url}; journal and log in {folder}", flush=True)
    control.begin(folder / "journal")
    rest: Json = {"missing": {}, "answers": []}
    error = ""
    try:
        rest = drill(given.people, given.concurrency)
    except (TinyFactoryError, KeyboardInterrupt) as stopped:
        error = f"{type(stopped).__name__}: {stopped}"
    store = control.current_simulation()._scope.store  # noqa: SLF001 - to read the saved replies
    calls = list(calls_in(store)) if store is not None else []
    print("\n" + "\n".join(report(calls, rest)))
    result = {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="minutes"),
        "base_url": given.base_url,
        "model": given.model,
        "error": error,
        **rest,
        "calls": [asdict(call) for call in calls],
    }
    path = given.json or folder / "drill.json"
    path.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    control.end()
    print(f"Written to {path}; each request is in {log}.")
    if error:
        print(f"Stopped: {error}\nRun the same command to continue.", file=sys.stderr)
    return 1 if error else 0


if __name__ == "__main__":
    sys.exit(main())
