"""Demographies: what is read, what is refused, and who is drawn."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter

import pandas as pd
import pytest

from tests.support.populations import people as met_people
from tinyfactory.errors import DemographyError, InvalidInput
from tinyfactory.gazetteer.countries import country_of
from tinyfactory.populations import Demography, report

TOWN = {
    "sex": {"female": 0.51, "male": 0.49},
    "age": {"18-29": 0.2, "30-64": 0.55, "65-90": 0.25},
}
TIED = TOWN | {
    "work": {"student": 0.1, "worker": 0.62, "retired": 0.28},
    "joint": {
        "fields": ["sex", "age"],
        "table": {
            "female": {"18-29": 100, "30-64": 280, "65-90": 130},
            "male": {"18-29": 100, "30-64": 270, "65-90": 120},
        },
    },
    "conditional": {
        "field": "work",
        "given": "age",
        "table": {
            "18-29": {"student": 0.45, "worker": 0.55, "retired": 0},
            "30-64": {"student": 0.02, "worker": 0.9, "retired": 0.08},
            "65-90": {"student": 0, "worker": 0.1, "retired": 0.9},
        },
    },
    "impossible": [{"age": "65-90", "work": "student"}, {"age": "18-29", "work": "retired"}],
    "about": {"name": "Ham", "source": "a count", "year": 2020, "country": "United States"},
}

# -- reading ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shares",
    [
        {"a": 0.2, "b": 0.8},
        {"a": 20, "b": 80},
        {"a": "20%", "b": "80 %"},
        {"a": "1,000", "b": "4,000"},
        {" a ": 1, "b": 4.0},
    ],
)
def test_shares_percentages_and_counts_say_the_same(shares):
    assert Demography.from_dict({"x": shares}).margins()["x"] == pytest.approx({"a": 0.2, "b": 0.8})


def test_a_range_alone_is_one_band():
    town = Demography.from_dict({"age": "18-90"})
    assert town.sample(500)["age"].between(18, 90).all()
    assert town.sample(500)["age"].nunique() > 60


REFUSED = [
    ({"sex": {"f": 0.5, "m": "0,5"}}, r"sex / m: '0,5' is not a number"),
    ({"sex": {"f": 0.5, "m": -0.5}}, r"sex / m: -0.5 is negative"),
    ({"sex": {"f": 0.5, "m": True}}, r"sex / m: True is not a number"),
    ({"sex": {"f": 0.5, "m": float("nan")}}, r"sex / m: nan is not a number"),
    ({"sex": {"f": 0.5, "m": 0.2}}, r"sex: the shares add up to 0.7"),
    ({"sex": {"f": 0.9, "m": 0.8, "x": 0.9}}, r"sex: the shares add up to 2.6"),
    ({"sex": {"f": 0, "m": 0}}, r"sex: all categories are empty"),
    ({"sex": {"f": 1, " f": 1}}, r"sex / f: the category occurs twice"),
    ({"sex": {"": 1}}, r"sex: a category has no name"),
    ({"sex": [1, 2]}, r"sex: a field must be a dictionary"),
    ({"age": {"18-30": 1, "30-40": 1}}, r"age / 30-40: the band overlaps with 18-30"),
    ({"age": {"40-30": 1}}, r"age / 40-30: the band ends before it starts"),
    ({"name": {"Ada": 1}}, r"name: samples already have a column of this name"),
    ({"age": {"1-9": 1}, "age_band": {"x": 1}}, r"age_band: samples already have a column"),
    (TOWN | {"joint": [3]}, r"joint: 3 must be a dictionary"),
    (
        TOWN | {"joint": {"fields": "sex"}},
        r'joint table 1: "fields" must be a list of at least two',
    ),
    (TOWN | {"joint": {"fields": ["sex", "age"]}}, r'"table" must be rows'),
    (
        TOWN | {"joint": {"fields": ["sex", "age"], "table": [{"sex": "male", "share": 1}]}},
        r"joint table 1 \(sex, age\): the row .* lacks age",
    ),
    (
        TOWN | {"joint": {"fields": ["sex", "age"], "table": {"male": {"18-92": 1}}}},
        r"joint table 1 / male / 18-92: age has no category '18-92'",
    ),
    (
        TOWN | {"joint": {"fields": ["sex", "age"], "table": {"male": {"18-29": "x"}}}},
        r"joint table 1 \(sex, age\) / male / 18-29: 'x' is not a number",
    ),
    (
        TOWN | {"conditional": {"field": "job", "given": "sex", "table": {"male": {"x": 1}}}},
        r"job given sex: there is no row for female",
    ),
    (
        TOWN | {"conditional": {"field": "job", "given": "pet", "table": {"cat": {"x": 1}}}},
        r"job given pet: the shares of pet are missing",
    ),
    (TOWN | {"impossible": [{"sex": "male"}]}, r"impossible: .*at least two fields"),
    (TOWN | {"impossible": [{"sex": "male", "age": "5"}]}, r"impossible / male / 5: age has no"),
    (TOWN | {"about": "Ham"}, r"about: 'Ham' must be a dictionary"),
    (TOWN | {"about": {"country": 7}}, r"about / country: 7 must be text"),
    ({"sex": {"f": 1e308, "m": 1e308}}, r"sex / f: 1e\+308 is not a number of people"),
    ({"sex": {"f": 10**400}}, r"sex / f: 10{79} is not a number of people"),
    ({"sex": {"f": 0.5, "m": "0,5"}}, r"Write one half as 0\.5 or 50%"),
    ({"sex": {None: 1, "m": 1}}, r"sex: a category has no name"),
    ({"sex": {float("nan"): 1}}, r"sex: a category has no name"),
    ({" ": {"f": 1}}, r"A field has no name"),
    ({"sex": {"f": 1}, "sex ": {"m": 1}}, r"sex: the field occurs twice"),
    ({1: {"f": 1}, "1": {"m": 1}}, r"1: the field occurs twice"),
    ({"age": {"young": 1, "old": 1}}, r"age / young: an age must be a whole number of years"),
    ({"age": {"18-29": 1, "unknown": 1}}, r"age / unknown: an age must be a whole number of years"),
    ({"Age": {"18.5-20.5": 1}}, r"Age / 18\.5-20\.5: an age must be a whole number of years"),
    ({"age": {"110+": 1}}, r"age / 110\+: the band ends at 220; the highest age is 120"),
    (
        TOWN | {"conditional": {"field": "job", "given": ["sex", "sex"], "table": {}}},
        r"conditional table 1: .* each once",
    ),
    (
        TOWN | {"conditional": {"field": "job", "given": 5, "table": {}}},
        r"the shares of 5 are missing",
    ),
    (
        {"sex": {"f": 1}, "pet": {"cat": 1}, "impossible": {"sex": "f", "pet": "cat"}},
        r"sex / f: the target is 1, and the nearest possible share is 0",
    ),
    ({"sex": {"\ud800": 1}}, r"sex: '.ud800' contains an invalid character"),
    ({"\ud800": {"f": 1}}, r"fields: '.ud800' contains an invalid character"),
    ({}, r"A demography must be a dictionary such as"),
    ({"about": {"name": "Ham"}}, r"The demography has no field"),
]


@pytest.mark.parametrize(("data", "told"), REFUSED, ids=[told[:40] for _, told in REFUSED])
def test_what_cannot_be_is_refused_and_the_cell_is_named(data, told):
    with pytest.raises(DemographyError, match=told):
        Demography.from_dict(data)


def test_rows_for_what_is_impossible_need_not_be_there():
    table = {"f": {"18-29": {"a": 1}, "30-90": {"a": 1}}, "m": {"18-29": {"b": 1}}}
    data = {
        "sex": {"f": 1, "m": 1},
        "age": {"18-29": 3, "30-90": 1},
        "impossible": {"sex": "m", "age": "30-90"},
        "conditional": {"field": "x", "given": ["sex", "age"], "table": table},
    }
    assert Demography.from_dict(data).sample(8)["x"].value_counts().to_dict() == {"a": 4, "b": 4}


def test_json_csv_and_frames_say_the_same(tmp_path):
    town = Demography.from_dict(TOWN)
    path = tmp_path / "town.json"
    path.write_text(json.dumps(TOWN), encoding="utf-8")
    rows = [(f, c, s) for f, shares in TOWN.items() for c, s in shares.items()]
    frame = pd.DataFrame(rows, columns=["field", "category", "share"])
    frame.to_csv(tmp_path / "town.csv", index=False)
    frame.to_csv(tmp_path / "semicolons.csv", index=False, sep=";", encoding="utf-8-sig")
    for other in (
        Demography.from_json(path),
        Demography.from_json(json.dumps(TOWN)),
        Demography.from_csv(tmp_path / "town.csv"),
        Demography.from_csv(tmp_path / "semicolons.csv"),
        Demography.from_frame(frame),
    ):
        assert other.margins() == town.margins()


def test_a_frame_of_combinations_is_a_joint_table():
    frame = pd.DataFrame(
        {"sex": ["f", "f", "m"], "age": ["18-29", "30-90", "30-90"], "count": [1, 2, 1]}
    )
    town = Demography.from_frame(frame)
    people = town.sample(400)
    assert Counter(zip(people["sex"], people["age_band"], strict=True)) == {
        ("f", "18-29"): 100, ("f", "30-90"): 200, ("m", "30-90"): 100,
    }  # fmt: skip


def test_files_that_cannot_be_are_refused(tmp_path):
    (tmp_path / "short.csv").write_text("sex,count\nf,1\nm\n")
    (tmp_path / "bare.csv").write_text("sex,age\nf,1\n")
    (tmp_path / "twice.csv").write_text("k,k,count\na,b,1\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "bytes.csv").write_bytes(b"\x81\xff,count\nx,1\n")
    for name, told in (
        ("short.csv", "Row 2 of the table has no count"),
        ("bare.csv", "no column of shares or counts; it has sex, age"),
        ("bytes.csv", "is not text in UTF-8"),
        ("none.csv", "cannot be read"),
        ("twice.csv", "k: the column occurs twice"),
        ("empty.csv", "The table has no rows"),
        ("", "cannot be read"),
    ):
        with pytest.raises(DemographyError, match=told):
            Demography.from_csv(tmp_path / name)
    for text, told in (
        ('{"sex": {"f": 1, "f": 2}}', "f: the key occurs twice"),
        ("{sex}", "This is not valid JSON"),
        (str(tmp_path / "none.json"), "cannot be read"),
        ("[1]", "cannot be read"),
        (" ", "it is empty"),
        ("\0", "is not a path"),
        (None, "source must be a path, not NoneType"),
        (b"{}", "source must be a path, not bytes"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"sex": {"f": 1' + "0" * 5000 + "}}", "a number in it is too long"),
    ):
        with pytest.raises(InvalidInput, match=told):
            Demography.from_json(text)  # type: ignore[arg-type]  # one of them is bytes
    with pytest.raises(DemographyError, match="frame must be a data frame, not dict"):
        Demography.from_frame({"sex": {"f": 1}})  # type: ignore[arg-type]
    with pytest.raises(DemographyError, match="source must be a path, not int"):
        Demography.from_csv(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (pd.DataFrame([["a", "b", 1]], columns=["k", "k", "count"]), "k: the column occurs twice"),
        (pd.DataFrame({"k": ["a"], "count": [1], "share": [0.5]}), "share, count. Keep one"),
        (pd.Series(["a", "b"], name="k").value_counts().to_frame(), r"frame\.reset_index\(\)"),
        (pd.DataFrame({"k": ["a", None], "count": [1, 2]}), "Row 2 of the table has no k"),
        (pd.DataFrame(), "The table has no rows"),
    ],
)
def test_a_frame_of_which_something_would_be_lost_is_refused(frame, told):
    with pytest.raises(DemographyError, match=told):
        Demography.from_frame(frame)


def test_an_index_does_not_matter_and_ages_may_be_floats_that_are_whole():
    frame = pd.DataFrame({"age": [40.0, 41.0, 50.0], "count": [1, 1, 2]}, index=[7, 7, 7])
    ages = Demography.from_frame(frame).sample(4)["age"]
    assert sorted(ages) == [40, 41, 50, 50] and ages.dtype == "int64"


def test_a_mark_of_the_byte_order_is_no_part_of_a_table(tmp_path):
    path = tmp_path / "town.json"
    path.write_text(json.dumps(TOWN), encoding="utf-8-sig")
    for source in (path, "\ufeff" + json.dumps(TOWN)):
        assert Demography.from_json(source).fields == ("sex", "age")


def test_the_layout_of_the_peer_is_read_and_what_is_left_out_is_named():
    town = Demography.from_dict(
        {
            "title": "Peerland",
            "source": "made up",
            "content": {
                "Demographics": {
                    "Country": "Spain",
                    "Total Population": "48 million",
                    "Age Distribution": {"18-39": "35.5%", "40-90": "64.5%"},
                    "Gender Distribution": {"Male": "49%", "Female": "51%"},
                    "Income": {"Median": 30000, "Poverty": 20},
                },
                "Habits": ["walking"],
            },
        }
    )
    assert town.margins() == {
        "age": pytest.approx({"18-39": 0.355, "40-90": 0.645}),
        "gender": pytest.approx({"male": 0.49, "female": 0.51}),
    }
    assert town.about["country"] == "Spain"
    assert town.about["left_out"] == [
        "Total Population", "Income / Median", "Income / Poverty", "Habits",
    ]  # fmt: skip
    assert len(town.sample(10)) == 10


def test_of_the_peers_groups_those_that_are_no_table_are_left_out():
    groups = {
        "Age": {"young": "40%", "old": "60%"},
        "Gender": {"Male": "49%", "Female": "51%"},
        "Work": {"none": "10%"},
        "Home": "a flat",
        "Empty": {},
    }
    town = Demography.from_dict({"content": {"Demographics": groups}})
    assert town.fields == ("gender",)
    assert town.about["left_out"] == ["Age / young", "Age / old", "Work / none", "Home"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({}, "no group of percentages that adds up to 100. Add one"),
        ({"Demographics": {"Home": "a flat"}, "Habits": []}, "It has Home, Habits"),
        ({"Demographics": {"Work": {"none": "10%"}}}, "It has Work / none"),
        ({"Demographics": [1]}, r"Demographics: \[1\] must be a dictionary"),
        ({"Demographics": {"Country": 5, "Sex": {"f": "100%"}}}, "about / country: 5 must be text"),
    ],
)
def test_a_file_of_the_peer_without_tables_is_refused(content, told):
    with pytest.raises(DemographyError, match=told):
        Demography.from_dict({"title": "Peerland", "content": content})


def test_what_is_written_is_read_back_and_draws_the_same_people():
    town = Demography.from_dict(TIED)
    again = Demography.from_dict(json.loads(json.dumps(town.to_dict())))
    assert again.to_dict() == town.to_dict()
    assert again.sample(200, 5).equals(town.sample(200, 5))


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("18-29", 18, 29), ("18 to 29 years", 18, 29), ("65+", 65, 90),
        ("85 years and over", 85, 100),
        ("under 5", 0, 4), ("40", 40, 40), ("1,000-1,999", 1000, 1999), ("2.5-5", 2.5, 5),
        ("100,000 or more", 100_000, 200_000), ("less than 1.5", 0, 1.5),
    ],
)  # fmt: skip
def test_a_number_is_within_its_band(text, low, high):
    numbers = Demography.from_dict({"size": {text: 1}}).sample(2000)["size"]
    assert numbers.min() >= low and numbers.max() <= high
    if high - low <= 20 and isinstance(low, int) and isinstance(high, int):
        assert set(numbers) == set(range(low, high + 1))


def test_a_value_is_put_into_its_category():
    town = Demography.from_dict(TIED)
    assert [town.category_of("age", v) for v in (18, 29.5, "64", "65-90", 91, None, [1])] == [
        "18-29", "18-29", "30-64", "65-90", None, None, None,
    ]  # fmt: skip
    assert town.category_of("sex", "female") == "female"
    assert town.category_of("sex", "woman") is None and town.category_of("shoes", 42) is None


# -- drawing ---------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 10, 99, 200, 1234, 20_000])
def test_margins_and_cells_are_within_one_person_and_nobody_is_impossible(n):
    town = Demography.from_dict(TIED)
    people = town.sample(n, seed=n)
    told = people.assign(age=people["age_band"])
    for field, shares in town.margins().items():
        counts = Counter(told[field])
        assert max(abs(counts[k] - share * n) for k, share in shares.items()) <= 1
    for fields, cells in town.joints():
        counts = Counter(zip(*(told[f] for f in fields), strict=True))
        assert max(abs(counts[k] - share * n) for k, share in cells.items()) <= 1 + 1e-6
    for rule in town.impossible:
        assert not (told[list(rule)] == list(rule.values())).all(axis=1).any()
    assert all(
        town.category_of("age", a) == b for a, b in zip(people["age"], told["age"], strict=True)
    )


@pytest.mark.parametrize("n", [1, 8, 20, 333])
def test_a_field_that_follows_from_another_is_within_one_person_too(n):
    # Of each state its region is known; so is its coast, and its size.
    def follows(field, kinds):
        return {
            "field": field,
            "given": "state",
            "table": {f"s{i}": {kinds[i * 7 % 16 % len(kinds)]: 1} for i in range(16)},
        }

    town = Demography.from_dict(
        {
            "state": {f"s{i}": i + 3 for i in range(16)},
            "conditional": [
                follows("region", ["north", "south"]),
                follows("coast", ["yes", "no", "partly"]),
                follows("size", ["big", "small", "tiny", "vast", "odd"]),
            ],
        }
    )
    people = town.sample(n, seed=4)
    for field, shares in town.margins().items():
        counts = Counter(people[field])
        assert max(abs(counts[k] - share * n) for k, share in shares.items()) <= 1 + 1e-6, field


def test_a_small_category_has_its_turn_in_small_populations():
    town = Demography.from_dict({"sex": {"f": 0.95, "m": 0.05}, "age": {"1-9": 0.9, "10-19": 0.1}})
    found = [town.sample(4, seed) for seed in range(400)]
    assert 40 <= sum((people["sex"] == "m").sum() for people in found) <= 120  # 80 are due
    assert 100 <= sum((people["age"] >= 10).sum() for people in found) <= 220  # 160 are due


def test_the_same_seed_gives_the_same_people_and_another_others():
    town = Demography.from_dict(TIED)
    assert town.sample(50, 1).equals(Demography.from_dict(TIED).sample(50, 1))
    assert not town.sample(50, 1).equals(town.sample(50, 2))


def test_a_field_beside_others_does_not_change_them():
    other = {"hair": {"dark": 0.7, "fair": 0.3}}
    before = Demography.from_dict(TIED).sample(300, 7)
    after = Demography.from_dict(other | TIED).sample(300, 7)
    assert after[before.columns].equals(before)


def digest(frame):
    return hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()[:16]


# Stored so that another machine, and another day, has to come to the same people.
GOLDEN = {
    (1, 0): "1cd234b303bfc733",
    (60, 1): "f9efc18de5c6220d",
    (1000, 1099511627776): "54118cface2eca02",
}


@pytest.mark.parametrize(("n", "seed"), GOLDEN)
def test_everyone_everywhere_gets_the_same_people(n, seed):
    people = Demography.from_dict(TIED).sample(n, seed)
    assert digest(people.drop(columns="name")) == GOLDEN[n, seed]


def test_other_processes_with_other_hashes_draw_the_same_people():
    code = (
        "import json, sys\nfrom tinyfactory.populations import Demography\n"
        "print(Demography.from_dict(json.loads(sys.argv[1])).sample(60, 3).to_csv())"
    )
    drawn = {
        subprocess.run(
            [sys.executable, "-c", code, json.dumps(TIED)],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert drawn == {Demography.from_dict(TIED).sample(60, 3).to_csv() + "\n"}


@pytest.mark.parametrize("n", [0, -1, 10_000_001, 2.0, True, "5"])
def test_a_number_that_cannot_be_is_refused(n):
    with pytest.raises(DemographyError, match="n must be a whole number"):
        Demography.from_dict(TOWN).sample(n)


# -- names -----------------------------------------------------------------------------


def test_names_are_of_the_rows_country_before_that_of_the_table():
    data = {"country": {"Japan": 1, "Brazil": 1}, "region": {"Paris": 1}, "sex": {"female": 1}}
    people = Demography.from_dict(data | {"about": {"country": "Kenya"}}).sample(40, 2)
    again = Demography.from_dict(data).sample(40, 2)
    assert people["name"].tolist() == again["name"].tolist()
    alone = Demography.from_dict({"country": {"Japan": 1}, "sex": {"female": 1}}).sample(400, 2)
    firsts = {name.split()[0] for name in alone["name"]} | {n.split()[-1] for n in alone["name"]}
    japanese = people[people["country"] == "Japan"]["name"]
    assert sum(bool(set(name.split()) & firsts) for name in japanese) >= 15
    assert country_of("Japan").name == "Japan"


def test_names_are_of_the_tables_country_before_that_of_a_region():
    # There is a Georgia in the United States.
    data = {"region": {"Georgia": 1}, "sex": {"male": 1}}
    home = {"about": {"country": "United States"}}
    people = Demography.from_dict(data | home).sample(20, 3)["name"]
    assert (
        people.tolist()
        == Demography.from_dict({"sex": {"male": 1}} | home).sample(20, 3)["name"].tolist()
    )


def test_names_are_those_of_the_years_in_which_people_of_that_age_were_born():
    def firsts(age, year):
        about = {"country": "United States", "year": year}
        data = {"sex": {"female": 1}, "age": {str(age): 1}, "about": about}
        return {name.split()[0] for name in Demography.from_dict(data).sample(150)["name"]}

    assert firsts(85, 2020) == firsts(45, 1980)  # both born in 1935
    assert len(firsts(85, 2020) & firsts(10, 2020)) < 40


def test_names_that_are_taken_are_given_to_nobody():
    town = Demography.from_dict(TOWN)
    first = town.sample(50, 1)["name"].tolist()
    assert not set(town.sample(50, 1, taken=first)["name"]) & set(first)


def test_profiles_are_plain_and_say_the_country():
    profile = Demography.from_dict(TIED).profiles(3, 1)[0]
    assert json.loads(json.dumps(profile)) == profile
    assert profile["country"] == "United States" and isinstance(profile["age"], int)


# -- shown, and compared -----------------------------------------------------------------


def test_a_demography_shows_itself_as_text_and_as_a_table():
    town = Demography.from_dict(TIED)
    assert "work: student 10.0%" in repr(town) and "tied: sex by age, work given age" in repr(town)
    shown = town._repr_html_()
    assert "<b>Ham</b>" in shown and "a count · 2020" in shown and "62.0%" in shown


def test_what_a_table_says_is_text_and_no_markup():
    bad = "<img src=x onerror=alert(1)>"
    town = Demography.from_dict(
        {"x": {bad: 1}, bad: {"y": 1}, "about": {"name": bad, "source": bad}}
    )
    assert "<img" not in town._repr_html_() and "&lt;img" in town._repr_html_()


def test_a_report_takes_a_demography_as_its_target():
    town = Demography.from_dict(
        {
            "sex": {"female": 1, "male": 1},
            "age": {"18-39": 1, "40-90": 1},
            "region": {"North": 1, "South": 1},
            "income": {"low": 1, "high": 1},
            "joint": {"fields": ["sex", "age"], "table": {
                "female": {"18-39": 1, "40-90": 1}, "male": {"18-39": 1, "40-90": 1}}},
        }
    )  # fmt: skip
    card = report(met_people(), target=town)
    assert card.failed == [] and card["joint:sex,age"].value == 0
    skewed = met_people()
    for person in skewed[1:24:2]:
        person["gender"] = "female"
    failed = {row.key for row in report(skewed, target=town).failed}
    assert failed == {"margin:sex", "joint:sex,age"}


def test_drawn_people_pass_the_report_on_their_demography_and_others_do_not():
    town = Demography.from_dict(TIED)

    def card(n, seed, drop=None):
        people = [
            {"name": p["name"], "age": p["age"], "gender": p["sex"], "work": p["work"]}
            for p in town.profiles(n, seed)
            if p["sex"] != drop
        ]
        return {r.key for r in report(people, target=town).failed if r.key.split(":")[0] in asked}

    asked = {"margin", "joint", "association", "coverage", "evenness", "impossible"}
    assert card(500, 3) == set()
    assert {"margin:sex", "joint:sex,age", "coverage:sex"} <= card(500, 3, drop="male")


MISSING_CELLS = ["string", "Int64", "category", "datetime64[ns]", "Float64", "boolean", "object"]


@pytest.mark.parametrize("dtype", MISSING_CELLS)
def test_a_missing_cell_of_any_type_is_named_by_its_row_and_column(dtype):
    """pandas' own missing value raises TypeError when it is compared."""
    pandas = pytest.importorskip("pandas")
    values = {
        "Int64": [1, None],
        "Float64": [0.5, None],
        "boolean": [True, None],
        "datetime64[ns]": ["2020-01-01", None],
    }.get(dtype, ["a", None])
    frame = pandas.DataFrame({"kind": pandas.Series(values, dtype=dtype), "count": [1, 2]})
    with pytest.raises(DemographyError, match="Row 2 of the table has no kind"):
        Demography.from_frame(frame)
    frame = pandas.DataFrame(
        {"kind": ["a", "b"], "count": pandas.Series([3, None], dtype="Int64")}
    ).convert_dtypes()
    with pytest.raises(DemographyError, match="Row 2 of the table has no count"):
        Demography.from_frame(frame)


@pytest.mark.parametrize("dtype", ["string", "category", "object"])
def test_columns_of_nullable_types_are_read(dtype):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "sex": pandas.Series(["female", "male"], dtype=dtype),
            "count": pandas.Series([3, 1], dtype="Int64"),
        }
    )
    assert Demography.from_frame(frame).margins() == {"sex": {"female": 0.75, "male": 0.25}}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "région,count\nÎle,1\nMidi,3\n".encode("cp1252")),
        ("t.CSV", "région;count\nÎle;1\nMidi;3\n".encode("utf-16")),
        ("t.tsv", "région\tcount\nÎle\t1\nMidi\t3\n".encode("utf-8-sig")),
        ("t.csv", 'région,count\n"Île",1\n"Midi",3\n'.encode()),
        ("t.csv.gz", gzip.compress("sep=;\nrégion;count\nÎle;1\nMidi;3\n".encode())),
    ],
)
def test_a_table_is_read_in_the_encoding_and_with_the_delimiter_that_it_has(
    tmp_path, name, content
):
    (tmp_path / name).write_bytes(content)
    assert Demography.from_csv(tmp_path / name).margins() == {"région": {"Île": 0.25, "Midi": 0.75}}
