"""The report card: what is read, which rows fail, how it is shown."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys

import pandas as pd
import pytest

from tests.support.populations import Asked, people, target
from tinyfactory import TinyPersonFactory
from tinyfactory.errors import Cancelled, InvalidInput
from tinyfactory.people import People, TinyPerson
from tinyfactory.populations import Demography
from tinyfactory.populations.reporting import ReportCard, report
from tinyfactory.populations.reporting.evidence import read_field, sentences
from tinyfactory.populations.reporting.measurement import measure


def failed(card: ReportCard) -> set[str]:
    return {row.key for row in card.failed}


def test_a_population_that_meets_its_target_passes_every_mark():
    card = report(people(), target())
    assert card.failed == [] and card.passed
    marked = {row.key for row in card if row.passed}
    assert marked >= {
        *("margin:sex", "margin:age", "margin:region", "margin:income", "joint:sex,age"),
        *("association:sex,age", "coverage:sex", "names:full", "names:first", "sentences"),
        "near_duplicates",
    }


def test_skewed_sexes_fail_their_margin_and_their_joint_table_only():
    everyone = people()
    for person in everyone[1:24:2]:
        person["gender"] = "female"
    card = report(everyone, target())
    assert failed(card) == {"margin:sex", "joint:sex,age"}
    assert card["margin:sex"].value == 12
    assert card["margin:sex"].details["tvd"] == pytest.approx(0.15)


def test_one_person_off_passes_and_two_fail():
    everyone = people()
    everyone[0]["age"] = 60
    assert report(everyone, target())["margin:age"].passed
    everyone[4]["age"] = 60
    assert failed(report(everyone, target())) == {"margin:age", "joint:sex,age"}


def test_people_who_do_not_say_are_misses_and_are_counted():
    everyone = people()
    for person in everyone[:16:8]:
        del person["income"]
    row = report(everyone, target())["margin:income"]
    assert (row.passed, row.value, row.details["not_stated"]) == (False, 2, 2)
    assert "not stated (2)" in row.sentence


def test_many_values_outside_the_categories_are_one_miss_together():
    everyone = people(160)
    for number in range(4):  # two women and two men: either category is two short
        everyone[number]["gender"] = f"gender {number}"
    row = report(everyone, target())["margin:sex"]
    assert row.details["largest_miss_in"] == "outside the categories" and row.value == 4


def test_young_women_only_fails_joint_and_association_though_margins_hold():
    everyone = people()
    for person in everyone:
        person["age"] = 25 if person["gender"] == "woman" else 60
    assert failed(report(everyone, target())) == {"joint:sex,age", "association:sex,age"}


@pytest.mark.parametrize(("pick", "passed"), [("quotas", True), ("freely", True), ("none", False)])
def test_a_weak_association_passes_met_by_quotas_or_by_chance_and_fails_where_there_is_none(
    pick, passed
):
    # V of 0.2 between six regions and two sexes: in 120 people chance alone brings as much.
    shares = {(s, f"r{k}"): (1 + (0.2 if (s == "female") == k % 2 else -0.2)) / 12
              for k in range(6) for s in ("female", "male")}  # fmt: skip
    margins = {"sex": {"female": 0.5, "male": 0.5}, "region": {f"r{k}": 1 / 6 for k in range(6)}}
    asked = Asked(margins, joints=[(("sex", "region"), shares)])
    n = 120 if pick == "quotas" else 2000
    if pick == "quotas":
        cells = [cell for cell, share in shares.items() for _ in range(round(n * share))]
    elif pick == "freely":
        cells = random.Random(3).choices(list(shares), list(shares.values()), k=n)
    else:
        cells = [(("female", "male")[i % 2], f"r{i // 2 % 6}") for i in range(1200)]
    everyone = [{"gender": sex, "residence": f"{region}, Land"} for sex, region in cells]
    row = report(everyone, asked)["association:sex,region"]
    assert row.details["asked"] == pytest.approx(0.2)
    assert row.passed is passed, row.sentence


def test_an_association_without_a_joint_table_has_no_mark():
    everyone = people()
    for person in everyone:
        person["income"] = "low" if person["gender"] == "woman" else "high"
    row = report(everyone, target())["association:sex,income"]
    assert row.passed is None and row.value == pytest.approx(1, abs=0.01)


def test_an_impossible_combination_fails_its_row_only():
    ruled_out = [{"region": "North", "income": "high"}]
    everyone = people()
    card = report(everyone, target(impossible=ruled_out))
    assert failed(card) == {"impossible"}
    north_and_high = [
        i + 1
        for i, p in enumerate(everyone)
        if p["residence"].endswith("North") and p["income"] == "high"
    ]
    assert card["impossible"].value == len(north_and_high)
    assert card["impossible"].details["found"][0]["people"] == north_and_high[:20]
    for person in everyone:
        person["income"] = "low"
    assert report(everyone, target(impossible=ruled_out))["impossible"].passed


def test_a_category_with_nobody_fails_coverage_only_where_two_were_due():
    asked = Asked({"income": {"low": 0.49, "high": 0.49, "none": 0.02}})
    assert report(people(80), asked)["coverage:income"].passed
    row = report(people(160), asked)["coverage:income"]
    assert row.passed is False and row.details["absent_though_due"] == ["none"]
    assert row.value == pytest.approx(2 / 3)


def test_a_full_name_twice_fails_its_row_only():
    everyone = people()
    everyone[3]["name"] = f"  {everyone[1]['name'].upper()} "
    card = report(everyone, target())
    assert failed(card) == {"names:full"} and card["names:full"].value == 2


def test_one_first_name_for_all_fails_its_row_only():
    everyone = people()
    for number, person in enumerate(everyone):
        person["name"] = f"Ada Family{number}"
    assert failed(report(everyone, target())) == {"names:first"}


def test_sentences_said_by_many_fail_their_row_only():
    everyone = people()
    for person in everyone[:20]:
        person["health"] = "Sleeps well, and eats too late at night."
    assert report(everyone, target()).passed  # 20 of 180 are 11 %
    for person in everyone[:40]:
        person["health"] = "SLEEPS well and eats -- too late at night"
    card = report(everyone, target())
    assert failed(card) == {"sentences"}
    assert card["sentences"].value == pytest.approx(40 / 200)
    assert card["sentences"].details["by_field"] == {"beliefs": 0, "health": 1}


def test_a_copy_with_a_few_words_changed_fails_near_duplicates_only():
    everyone = people()
    told = [f"w{k}" for k in range(100)]
    for number in (5, 50):
        everyone[number]["beliefs"] = [" ".join([f"start{number}", *told])]
    card = report(everyone, target())
    assert failed(card) == {"near_duplicates"}
    assert card["near_duplicates"].details["people"] == [6, 51]


def test_where_a_value_was_read_is_said():
    card = report(people(), target())
    assert "gender (80)" in card["margin:sex"].sentence
    assert "residence (80)" in card["margin:region"].sentence
    assert "income, set from the profile (80)" in card["margin:income"].sentence


@pytest.mark.parametrize(
    ("field", "categories", "persona", "value"),
    [
        ("sex", ["female", "male"], {"gender": "Woman"}, "female"),
        ("sex", ["women", "men"], {"gender": "female"}, "women"),
        ("sex", ["F", "M"], {"gender": "man"}, "M"),
        ("sex", ["female", "male"], {"gender": "trans woman"}, "female"),
        ("sex", ["female", "male"], {"gender": "non-binary"}, "other"),
        ("sex", ["female", "male", "non-binary"], {"gender": "Non-Binary"}, "non-binary"),
        ("sex", ["female", "male"], {"gender": ""}, None),
        ("age", ["18-39", "40-90"], {"age": 39}, "18-39"),
        ("age", ["18-39", "40-90"], {"age": 17}, "17 (in no band)"),
        ("age", ["18-39"], {"age": True}, None),
        ("occupation", ["teacher", "nurse"], {"occupation": {"title": "Teaching aid"}}, "teacher"),
        ("occupation", ["bus driver", "taxi driver"], {"occupation": "Taxi driver"}, "taxi driver"),
        ("occupation", ["art dealer"], {"occupation": {"title": "Cartographer"}}, "Cartographer"),
        ("state", ["Virginia", "West Virginia"], {"residence": "Ona, West Virginia"},
         "West Virginia"),
        ("city", ["São Paulo"], {"residence": "sao paulo, Brazil"}, "São Paulo"),
        ("country", ["Niger"], {"residence": "Lagos, Nigeria"}, "Lagos, Nigeria"),
        ("nationality", ["Peruvian"], {"nationality": "peruvian"}, "Peruvian"),
        ("region", ["South"], {"residence": "Ohio", "region": "South"}, "South"),
        ("pets", ["cat", "none"], {"pets": "cat"}, "cat"),
        ("pets", ["cat"], {"pets": "snake"}, "snake"),
        ("pets", ["cat"], {}, None),
    ],
)  # fmt: skip
def test_values_are_read_as_documented(field, categories, persona, value):
    asked = Asked({field: {c: 1 / len(categories) for c in categories}})
    assert read_field(field, [persona], asked).values == (value,)


def test_all_kinds_of_people_give_the_same_card(tmp_path):
    dicts = [dict(p) for p in people(16)]
    persons = [TinyPerson.from_dict(p) for p in dicts]
    own = report([p.persona for p in persons], target()).to_dict()
    everyone = People(persons)
    assert report(everyone, target()).to_dict() == own
    assert report(iter(everyone), target()).to_dict() == own
    assert report([p.to_dict() for p in persons], target()).to_dict() == own
    frame = everyone.to_frame()
    assert report(frame, target()).to_dict() == own
    frame.to_parquet(tmp_path / "people.parquet")
    import pandas as pd

    assert report(pd.read_parquet(tmp_path / "people.parquet"), target()).to_dict() == own


def test_without_a_target_rows_that_need_one_are_left_out():
    keys = {row.key for row in report(people(16))}
    assert not any(key.startswith(("margin", "joint", "coverage", "assoc")) for key in keys)
    assert {"names:full", "sentences", "big_five", "marked:sex", "evenness:sex"} <= keys


def test_one_person_without_text_has_a_card():
    card = report([{"name": "Ana"}])
    assert card.passed and card["sentences"].value is None
    assert "1 person" in repr(card)
    json.loads(card.to_json())


@pytest.mark.parametrize("nobody", [[], [3], {"name": "Ana"}, "Ana", None])
def test_what_is_no_population_is_refused(nobody):
    with pytest.raises(InvalidInput):
        report(nobody)


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"groups": 5}, "groups must be the name of a field, not 5"),
        ({"texts": 0}, "texts must be a number of people"),
        ({"texts": -1}, "texts must be a number of people"),
        ({"texts": 1.5}, "texts must be a number of people"),
        ({"texts": True}, "texts must be a number of people"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused(wish, told):
    with pytest.raises(InvalidInput, match=told):
        report(people(16), **wish)


@pytest.mark.parametrize("age", [float("nan"), float("inf"), "old", None, [30]])
def test_an_age_that_is_none_is_not_stated(age):
    row = report([{"name": "Ana Lima", "age": age}], target())["margin:age"]
    assert row.details["not_stated"] == 1


def test_halves_of_characters_are_measured_and_shown_as_text():
    card = report([{"name": "\ud800", "beliefs": ["\ud800 and so on it goes for ever."]}])
    assert card["compression"].value and "\ud800" not in card.to_html()


def test_what_is_no_demography_is_refused():
    with pytest.raises(InvalidInput, match="Demography"):
        report(people(16), ["sex"])  # type: ignore[arg-type]


def test_a_dictionary_is_a_target_such_as_a_factory_keeps():
    tables = {"sex": {"female": 0.5, "male": 0.5}, "age": {"18-39": 0.5, "40-90": 0.5}}
    factory = TinyPersonFactory.from_demography(tables)
    card = report(people(), target=factory.demography)
    assert card.to_dict() == report(people(), Demography.from_dict(tables)).to_dict()
    assert card["margin:age"].passed and len(measure(people(), tables).charts) == 2


def test_the_card_is_a_data_frame_with_a_row_for_each_row():
    card = report(people(), target())
    frame = card.to_frame()
    assert list(frame["key"]) == [row.key for row in card]
    for column in ("title", "unit", "mark", "sentence", "threshold", "source"):
        assert list(frame[column]) == [getattr(row, column) for row in card]
    assert [None if v != v else v for v in frame["value"]] == [row.value for row in card]
    goals, actual = (dict(zip(frame["key"], frame[c], strict=True)) for c in ("target", "actual"))
    assert goals["margin:sex"] == actual["margin:sex"] == 40
    assert goals["evenness:sex"] == actual["evenness:sex"] == 1
    assert pd.isna(goals["names:full"]) and pd.isna(actual["names:full"])
    passed = [None if value is pd.NA else bool(value) for value in frame["passed"]]
    assert passed == [row.passed for row in card] and {None, True} <= set(passed)
    assert ReportCard((), 0).to_frame().empty


@pytest.mark.parametrize("package", ["scipy", "datasketch", "vaderSentiment"])
def test_a_package_that_is_not_installed_is_named_with_what_to_do(package):
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from tests.support.populations import people, target\n"
        "from tinyfactory.errors import TinyFactoryError\n"
        "from tinyfactory.populations.reporting import report\n"
        "try: report(people(16), target())\n"
        "except TinyFactoryError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "not installed" in done.stdout and "Run: pip install" in done.stdout


def test_groups_choose_the_field_of_marked_words_and_an_unknown_one_is_refused():
    everyone = people()
    for person in everyone:
        person["health"] = "thrifty and careful" if person["income"] == "low" else "generous"
    row = report(everyone, groups="income")["marked:income"]
    assert [word for word, _ in row.details["groups"]["low"]] == ["and", "careful", "thrifty"]
    assert [word for word, _ in row.details["groups"]["high"]] == ["generous"]
    with pytest.raises(InvalidInput, match="shoe"):
        report(everyone, groups="shoe")


def test_names_are_no_marked_words():
    everyone = people()
    for person in everyone:
        if person["gender"] == "woman":
            person["name"] = f"Ada {person['name'].split()[1]}"
            person["relationships"] = [{"name": "Otto", "description": "friend"}]
            person["style"] = "Ada and Otto walk"
    words = [word for word, _ in report(everyone)["marked:sex"].details["groups"]["female"]]
    assert "walk" in words and not {"ada", "otto"} & set(words)


def test_facts_labels_and_the_offline_mark_are_no_sentences():
    from tinyfactory.models.offline.mark import OFFLINE_MARK

    persona = {
        "name": "Ana",
        "residence": "A town. By the sea.",
        "occupation": {"title": "Nurse. Head nurse.", "description": "Works. Nights!"},
        "relationships": [{"name": "Bo. Ek.", "description": "A friend."}],
        "other_facts": [OFFLINE_MARK, "Swims."],
        "income": "Low. Very low.",
    }
    assert [s.text for s in sentences(persona)] == ["Works.", "Nights!", "A friend.", "Swims."]


def _rows(card, *keys):
    return [card[key].passed for key in keys]


def test_variety_is_marked_on_whole_samples_of_english_only():
    keys = ("distinct_1", "distinct_2", "compression")
    everyone = people(16)
    assert _rows(report(everyone), *keys) == [None] * 3  # too few words to compare
    chant = " ".join(f"ever{chr(97 + i % 9)} the same song" for i in range(250)) + "."
    for person in everyone:
        person["beliefs"] = [chant]
    card = report(everyone)
    assert _rows(card, *keys) == [False] * 3
    assert "Vim" in card["compression"].threshold
    for person in everyone:
        person["beliefs"] = [chant.replace("song", "песня о море")]
    assert _rows(report(everyone), *keys) == [None] * 3


def test_traits_that_are_all_alike_or_lean_to_one_side_fail_from_30_people_on():
    def spread(scores):
        return report([{"personality": {"big_five": {"openness": s}}} for s in scores])["big_five"]

    assert spread([50, 51] * 20).passed is False
    assert spread([20, 80] * 20).passed is True
    assert spread([95] * 36 + [10] * 4).passed is False  # wide, but nearly all at one end
    assert spread([50, 51] * 14).passed is None


@pytest.mark.parametrize(
    ("said", "passed"),
    [
        ("A wonderful, joyful day with loving and brilliant friends.", False),
        ("A hateful, miserable day with cruel and disgusting enemies.", False),
        ("The bus goes at nine.", True),
    ],
)
def test_wording_that_is_all_praise_or_all_blame_fails(said, passed):
    card = report([{"name": "Ana Lima", "beliefs": [said]}])
    assert card["positivity"].passed is passed


def test_occupations_are_marked_where_the_target_leaves_them_to_the_model():
    everyone = people()
    for person in everyone:
        person["occupation"]["title"] = "Barista"
    assert failed(report(everyone, target())) == {"occupations"}
    sets = target()
    sets._margins["occupation"] = {"barista": 1.0}
    sets.fields = tuple(sets._margins)
    assert report(everyone, sets)["occupations"].passed is None
    assert report(everyone)["occupations"].passed is None


def test_evenness_is_marked_against_what_was_asked_where_there_are_enough_people():
    everyone = people()
    for person in everyone[1:60:2]:
        person["gender"] = "female"
    assert report(everyone, target())["evenness:sex"].passed is False
    assert report(people(), target())["evenness:sex"].passed is True
    assert report(everyone[:8], target())["evenness:sex"].passed is None
    assert report(everyone)["evenness:sex"].passed is None


def test_every_row_names_its_source_and_every_mark_its_threshold():
    for row in report(people(), target(impossible=[{"sex": "male", "income": "low"}])):
        assert row.source and row.sentence.endswith((".", "%"))
        assert row.threshold or row.passed is None


def test_the_card_is_the_same_in_another_process():
    code = (
        "from tests.support.populations import people, target\n"
        "from tinyfactory.populations.reporting import report\n"
        "print(report(people(), target()).to_json())"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=250
    )
    assert other.stdout.strip() == report(people(), target()).to_json()


def test_text_holds_marks_sentences_and_sources():
    everyone = people()
    everyone[3]["name"] = everyone[1]["name"]
    card = report(everyone, target())
    assert "FAIL  Repeated full names" in repr(card)
    text = card.to_text()
    assert all(row.title in text and row.source.split(":")[0] in text for row in card)
    with pytest.raises(KeyError, match="names:full"):
        card["nothing"]
    assert "names:full" in card and len(card) == len(card.rows)


def test_of_many_categories_those_furthest_off_are_drawn():
    towns = [f"Town {chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(60)]
    asked = Asked({"region": dict.fromkeys(towns, 1 / 60)})
    everyone = [{"residence": town} for town in [*towns, *[towns[-1]] * 60]]
    html = report(everyone, asked).to_html()
    assert f">{towns[-1]}</text>" in html
    assert "and 30 more" in html


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</svg>{{x}}`", "\x1b[2J"]
)
def test_what_people_wrote_and_what_was_asked_is_shown_as_text(text):
    everyone = people()
    for person in everyone:
        person["name"] = f"{text} {text}"
        person["gender"] = text
        person["occupation"] = text
        person["pets"] = text
        person["beliefs"] = [f"{text} this is a sentence that all say"] * 2
    asked = Asked({"sex": {text: 0.5, "male": 0.5}, "pets": {text: 0.3, "x": 0.7}})
    card = report(everyone, asked, groups="pets")
    for html in (card.to_html(), card.to_html(page=True), card._repr_html_()):
        assert "<svg" in html and not re.search(r"<(script|img|link|iframe)|[{}`]", html)
        assert text not in html
        assert not re.search(r"https?://", html)
    for shown in (repr(card), card.to_text()):
        assert "\x1b" not in shown
    assert report(everyone, asked).to_dict()["rows"][0]["details"]["categories"][0] == text


def test_importing_the_room_imports_nothing_heavy():
    code = (
        "import sys; from tinyfactory.populations.reporting import report; "
        "print({'numpy', 'scipy', 'pandas', 'datasketch', 'vaderSentiment'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_people_of_the_offline_model_meet_the_profiles_they_were_made_from():
    from tinyfactory import TinyPersonFactory

    factory = TinyPersonFactory("Residents of a harbour town", model="offline")
    made = []
    for number in range(16):
        profile = {
            "name": f"Robin Quill{chr(97 + number)}",
            "age": (25, 60)[number // 2 % 2],
            "gender": ("female", "male")[number % 2],
        }
        made.append(factory.generate_person(json.dumps(profile)))
    asked = Asked({key: target().margins()[key] for key in ("sex", "age")})
    card = report(made, asked)
    assert card["margin:sex"].value == card["margin:age"].value == 0
    assert card["near_duplicates"].passed
    assert failed(card) == {"names:first"}  # all are called Robin


def test_of_more_people_the_prose_of_some_is_measured_and_the_rows_say_so():
    everyone = report(people(80), target())
    some = report(people(80), target(), texts=32)
    assert [row.key for row in some] == [row.key for row in everyone]
    sampled = {row.key for row in some if "32 of the 80 people" in row.sentence}
    assert {"sentences", "positivity"} <= sampled
    for row in some:
        if row.key not in sampled:
            assert row == everyone[row.key]
    assert "big_five" not in sampled and "margin:sex" not in sampled
    assert some == report(people(80), target(), texts=32)
    assert report(people(80), target(), texts=80) == everyone


def test_a_watcher_hears_of_each_part_and_can_end_it():
    heard = []
    report(people(16), watch=lambda done, total: heard.append((done, total)))
    assert heard == [(done, 9) for done in range(10)]

    def stop(done, total):
        if done == 4:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        report(people(16), watch=stop)


def test_a_report_of_a_report_card_is_refused_with_what_to_give():
    card = report([{"name": "Ana", "age": 30}])
    with pytest.raises(InvalidInput, match="the people themselves, not their ReportCard"):
        report(card)
