"""Agent files in the shapes that other programs write: each with the people that it holds."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from typing import Any, NamedTuple

from tests.support.people import person as full_person

Json = dict[str, Any]

ANA: Json = {"name": "Ana Souza", "age": 34}
BO: Json = {"name": "Bo Lund", "age": 60}
TWO = [ANA, BO]
TINY: Json = {
    "type": "TinyPerson",
    "persona": {
        "name": "Lisa Carter",
        "age": 28,
        "occupation": {"title": "Data Scientist", "organization": "Acme", "description": "Models."},
        "style": {"tone": "dry", "pace": "fast"},
        "health": {"body": "well", "mind": "tired"},
        "personality": {
            "traits": ["You are curious."],
            "big_five": {"openness": "High. Very imaginative.", "neuroticism": {"score": 20}},
        },
        "relationships": [{"Name": "Rachel", "Description": "a colleague", "since": 2019}],
        "country_of_residence": None,
        "other_facts": ["grew up in Toronto"],
    },
}
LISA: Json = {
    "name": "Lisa Carter",
    "age": 28,
    "occupation": {"title": "Data Scientist", "organization": "Acme", "description": "Models."},
    "style": "tone: dry; pace: fast",
    "personality": {
        "traits": ["You are curious."],
        "big_five": {"openness": 80, "neuroticism": 20},
        "big_five_notes": {"openness": "High. Very imaginative."},
    },
    "health": "body: well; mind: tired",
    "relationships": [{"name": "Rachel", "description": "a colleague", "since": 2019}],
    "other_facts": ["grew up in Toronto"],
}
OLD: Json = {
    "name": "Oscar",
    "_configuration": {
        "age": 30,
        "nationality": "German",
        "country_of_residence": "Germany",
        "occupation": "architect",
        "occupation_description": "Draws houses.",
        "routines": [{"routine": "wakes at six"}],
        "personality_traits": [{"trait": "neat"}],
        "professional_interests": [{"interest": "timber"}],
        "personal_interests": [{"interest": "chess"}],
        "skills": [{"skill": "AutoCAD"}],
        "relationships": [{"name": "Eva", "description": "his wife"}],
    },
}
OSCAR: Json = {
    "name": "Oscar",
    "age": 30,
    "nationality": "German",
    "residence": "Germany",
    "occupation": {"title": "architect", "description": "Draws houses."},
    "personality": {"traits": ["neat"]},
    "preferences": {"interests": ["chess"], "professional_interests": ["timber"]},
    "skills": ["AutoCAD"],
    "behaviors": {"routines": {"daily": ["wakes at six"]}},
    "relationships": [{"name": "Eva", "description": "his wife"}],
}
MARY_TEXT = "Mary Alberti, a cook in Reno, likes jazz."


class AgentFile(NamedTuple):
    """A file, the people that it holds (their fields, or some of them), and a note on it."""

    name: str
    content: bytes
    people: list[Json]
    note: str = ""


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _lines(values: list[Any]) -> bytes:
    return b"".join(_dump(value) + b"\n" for value in values)


def _edsl(**more: Any) -> Json:
    return {"traits": {"age": 60}, "edsl_version": "1.0.9", "edsl_class_name": "Agent", **more}


def _row(**columns: Any) -> Json:
    return {"uuid": "0001", "persona": MARY_TEXT, "sex": "Female", "age": 43, **columns}


CSV = "name,age\nAna Souza,34\nBo Lund,60\n"
UMLAUT = "name;residence\nJürgen Weiß;Köln\n"
JUERGEN = [{"name": "Jürgen Weiß", "residence": "Köln"}]


def _json_files() -> list[AgentFile]:
    return [
        AgentFile("lisa.agent.json", _dump(TINY), [LISA]),
        AgentFile("lisa.AGENT.JSON", _dump(TINY), [LISA]),
        AgentFile("lisa.agent.json.gz", gzip.compress(_dump(TINY)), [LISA]),
        AgentFile("bom.json", b"\xef\xbb\xbf" + _dump(TINY), [LISA]),
        AgentFile("utf16.json", json.dumps(JUERGEN, ensure_ascii=False).encode("utf-16"), JUERGEN),
        AgentFile("utf16le.json", _dump(TWO).decode().encode("utf-16-le"), TWO),
        AgentFile(
            "cp1252.json",
            json.dumps(JUERGEN, ensure_ascii=False).encode("cp1252"),
            JUERGEN,
            "Windows-1252",
        ),
        AgentFile("old.json", _dump(OLD), [OSCAR]),
        AgentFile("list.json", _dump([TINY, OLD, ANA]), [LISA, OSCAR, ANA]),
        AgentFile("list.JSON", _dump(TWO), TWO),
        AgentFile("lines.json", _lines(TWO), TWO),
        AgentFile("lines.jsonl", _lines([TINY, OLD]), [LISA, OSCAR]),
        AgentFile("lines.JSONL", _lines(TWO), TWO),
        AgentFile("lines.ndjson.gz", gzip.compress(_lines(TWO)), TWO),
        AgentFile("crlf.jsonl", _lines(TWO).replace(b"\n", b"\r\n"), TWO),
        AgentFile("list.jsonl", _dump(TWO), TWO),
        AgentFile("pretty.jsonl", json.dumps(TWO, indent=1).encode(), TWO),
        AgentFile("after.json", json.dumps(ANA, indent=1).encode() + b"\n" + _dump(BO), TWO),
        AgentFile("people.txt", _lines(TWO), TWO),
        AgentFile("people", _dump(TWO), TWO),
        AgentFile("json.csv", _dump(TWO), TWO),
        AgentFile("personas.json", _dump({"personas": TWO}), TWO),
        AgentFile("agents.json", _dump({"agents": [TINY, OLD]}), [LISA, OSCAR]),
        AgentFile("people.json", _dump({"people": TWO, "count": 2}), TWO, "('count') was left out"),
        AgentFile("data.json", _dump({"data": TWO}), TWO),
        AgentFile("nested.json", _dump({"data": {"personas": TWO}}), TWO),
        AgentFile("deeper.json", _dump({"v": 1, "result": {"agents": TWO}}), TWO, "('v') was left"),
        AgentFile("each.json", _dump([{"agent": ANA}, {"agent": BO}]), TWO),
        AgentFile("nobody.json", _dump({"people": []}), []),
        AgentFile("own_key.json", _dump({"crew": TWO}), TWO),
        AgentFile(
            "named.json", _dump({"name": "My study", "people": TWO}), TWO, "('name') was left out"
        ),
        AgentFile("by_id.json", _dump({"p1": ANA, "p2": BO}), TWO),
        AgentFile("by_number.json", _dump({"1": TINY, "2": OLD}), [LISA, OSCAR]),
        AgentFile("by_name.json", _dump({"Ana Souza": {"age": 34}}), [ANA], "key of the person"),
        AgentFile("agents_by_id.json", _dump({"agents": {"a": ANA, "b": BO}}), TWO),
        AgentFile("one_key.jsonl", _lines([{"personas": [ANA]}, {"personas": [BO]}]), TWO),
        AgentFile("twice.json", b'{"name": "Ana Souza", "age": 3, "age": 34}', [ANA], "twice"),
        AgentFile(
            "records.json",
            _dump([{"name": "Ana Souza", "age": 34, "big_five_openness": 70, "skills": None}]),
            [ANA | {"personality": {"big_five": {"openness": 70}}}],
        ),
        AgentFile(
            "columns.json",
            _dump({"name": {"0": "Ana Souza", "1": "Bo Lund"}, "age": {"0": 34, "1": 60}}),
            TWO,
        ),
        AgentFile(
            "split.json",
            _dump({"columns": ["name", "age"], "index": [0], "data": [["Ana Souza", 34]]}),
            [ANA],
        ),
        AgentFile("fragment.json", _dump({"type": "TinyPerson", "persona": ANA}), [ANA]),
        AgentFile(
            "memories.json",
            _dump({"type": "TinyPerson", "persona": ANA, "episodic_memory": [{"role": "user"}]}),
            [ANA | {"agent_state": {"episodic_memory": [{"role": "user"}]}}],
        ),
        AgentFile(
            "full.json",
            _dump([full_person(n) for n in range(3)]),
            [full_person(n) for n in range(3)],
        ),
        AgentFile("full_name.json", _dump({"full_name": "Ana Souza", "age": 34}), [ANA], "as name"),
        AgentFile("camel.json", _dump({"firstName": "Ana", "lastName": "Souza", "age": 34}), [ANA]),
    ]


def _package(agents: list[Json], **shared: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as package:
        numbers = [f"{number:06}" for number in range(1, len(agents) + 1)]
        package.writestr("README.md", "An AgentList")
        package.writestr("manifest.json", json.dumps({"agent_order": numbers, **shared}))
        for number, agent in zip(numbers, agents, strict=True):
            package.writestr(f"agents/{number}.json", json.dumps(agent))
    return out.getvalue()


def _edsl_files() -> list[AgentFile]:
    named = _edsl(name="Bo Lund")
    head = {"__header__": True, "edsl_class_name": "AgentList", "n_agents": 2}
    whole = {"agent_list": [named], "edsl_version": "1.0.9", "edsl_class_name": "AgentList"}
    one = [{"field": "traits", "value": {"age": 60}}, {"field": "name", "value": "Bo Lund"}]
    unnamed = {"name": "Unnamed agent 1", "age": 60}
    return [
        AgentFile("edsl_list.json", _dump(whole), [BO]),
        AgentFile("edsl_list.json.gz", gzip.compress(_dump(whole)), [BO]),
        AgentFile("edsl_agent.json", _dump(named), [BO]),
        AgentFile("edsl_plain.json", _dump([{"name": "Bo Lund", "traits": {"age": 60}}]), [BO]),
        AgentFile("edsl_nameless.json", _dump(_edsl()), [unnamed], "a number took its place"),
        AgentFile("edsl_null.json", _dump(_edsl(name=None)), [unnamed], "a number took its place"),
        AgentFile(
            "edsl_nameless_list.json",
            _dump({"agent_list": [named, _edsl()]}),
            [BO, {"name": "Unnamed agent 2", "age": 60}],
            "a number took its place",
        ),
        AgentFile(
            "edsl.ep", _package([{"traits": {"age": 60}, "name": "Bo Lund"}], codebook=None), [BO]
        ),
        AgentFile("edsl.jsonl", _lines([head, named]), [BO]),
        AgentFile(
            "edsl_agent.jsonl",
            _lines([{"__header__": True, "edsl_class_name": "Agent"}, *one]),
            [BO],
        ),
        AgentFile(
            "edsl_codebook.json",
            _dump({**whole, "codebook": {"age": "Age in years"}}),
            [BO],
        ),
        AgentFile(
            "edsl_traits.json",
            _dump({"traits": {"first_name": "Ana", "surname": "Souza", "age": 34}}),
            [ANA],
        ),
    ]


def _row_files() -> list[AgentFile]:
    mary = {"name": "Mary Alberti", "age": 43, "gender": "Female"}
    places = [
        ({"city": "Reno", "state": "NV", "country": "USA"}, "Reno, NV, USA"),
        ({"district": "Mapo-gu", "province": "Seoul"}, "Mapo-gu, Seoul"),
        ({"prefecture": "Aichi", "country": "Japan"}, "Aichi, Japan"),
        ({"municipality": "Olinda", "state": "PE", "country": "Brasil"}, "Olinda, PE, Brasil"),
        ({"commune": "Vannes", "departement": "Morbihan"}, "Vannes, Morbihan"),
        ({"state": "Kerala", "country": "India"}, "Kerala, India"),
    ]
    files = [
        AgentFile(
            f"rows_{number}.jsonl",
            _lines([_row(**place)]),
            [mary | {"residence": residence}],
            "put together",
        )
        for number, (place, residence) in enumerate(places)
    ]
    texts = [
        ("한국", "김민수 씨는 서울에 산다.", "김민수"),
        ("日本", "田中 美咲は教師です。", "田中 美咲"),
        ("within", "A cook from Reno, Maria de la Cruz likes jazz.", "Maria de la Cruz"),
        ("named", "This is a cook named José Pérez who likes jazz", "José Pérez"),
        ("verb", "Siobhán O'Neill thrives on noise.", "Siobhán O'Neill"),
        ("none", "A cook who likes jazz.", "Persona 0001"),
    ]
    files += [
        AgentFile(f"text_{key}.json", _dump([_row(persona=text)]), [{"name": name}])
        for key, text, name in texts
    ]
    files.append(
        AgentFile(
            "hub.jsonl",
            _lines([{"persona": "A cook who likes jazz."}]),
            [{"name": "Unnamed person 1", "persona": "A cook who likes jazz."}],
            "a number took its place",
        )
    )
    return files


def _tables() -> list[AgentFile]:
    sep = CSV.replace(",", ";")
    return [
        AgentFile("a.csv", CSV.encode(), TWO),
        AgentFile("a.CSV", CSV.encode(), TWO),
        AgentFile("a.csv.gz", gzip.compress(CSV.encode()), TWO),
        AgentFile("bom.csv", CSV.encode("utf-8-sig"), TWO),
        AgentFile("cr.csv", CSV.replace("\n", "\r").encode(), TWO),
        AgentFile("utf16.csv", UMLAUT.encode("utf-16"), JUERGEN),
        AgentFile("cp1252.csv", UMLAUT.encode("cp1252"), JUERGEN, "Windows-1252"),
        AgentFile("semicolon.csv", sep.encode(), TWO),
        AgentFile("sep.csv", b"sep=;\n" + sep.encode(), TWO),
        AgentFile("tab.tsv", CSV.replace(",", "\t").encode(), TWO),
        AgentFile("tab.txt", CSV.replace(",", "\t").encode(), TWO),
        AgentFile("bar.csv", CSV.replace(",", "|").encode(), TWO),
        AgentFile("csv.json", CSV.encode(), TWO),
        AgentFile(
            "quoted.csv",
            b'name;"likes, most of all; or not"\nAna Souza;rain\n',
            [{"name": "Ana Souza", "likes, most of all; or not": "rain"}],
        ),
        AgentFile("index.csv", b",name,age\n0,Ana Souza,34\n1,Bo Lund,60\n", TWO, "left out"),
        AgentFile("filtered.csv", b",name,age\n7,Ana Souza,34\n3,Bo Lund,60\n", TWO, "left out"),
        AgentFile("joined.csv", b",name,age\n0,Ana Souza,34\n0,Bo Lund,60\n", TWO, "left out"),
        AgentFile("again.csv", b"Unnamed: 0,name,age\n0,Ana Souza,34\n", [ANA], "left out"),
        AgentFile("empty_column.csv", b"name,age,,\nAna Souza,34,,\n", [ANA]),
        AgentFile("parts.csv", b"First name,Last name,age\nAna,Souza,34\n", [ANA], "put together"),
        AgentFile("full.csv", b"Full Name,Age\nAna Souza,34\n", [ANA], "was read as name"),
        AgentFile(
            "python.csv",
            b"name,skills,relationships\n"
            b"Ana,\"['sewing', 'chess']\",\"[{'name': 'Bia', 'description': None, 'cats': 2}]\"\n",
            [
                {
                    "name": "Ana",
                    "skills": ["sewing", "chess"],
                    "relationships": [{"name": "Bia", "cats": 2}],
                }
            ],
        ),
        AgentFile(
            "numpy.csv",
            b"name,skills\nAna,\"['sewing' 'chess'\n 'rowing']\"\n",
            [{"name": "Ana", "skills": ["sewing", "chess", "rowing"]}],
        ),
        AgentFile(
            "nemotron.csv",
            b"uuid,persona,sex,age,skills_and_expertise_list,city,state\n"
            b"1,\"Mary Alberti, a cook.\",Female,43,\"['baking', 'jazz']\",Reno,NV\n",
            [{"name": "Mary Alberti", "skills": ["baking", "jazz"], "residence": "Reno, NV"}],
        ),
    ]


def _parquet_files() -> list[AgentFile]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def parquet(rows: list[Json]) -> bytes:
        out = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), out)
        return out.getvalue()

    mary = {"name": "Mary Alberti", "residence": "Kita-ku, Tokyo"}
    return [
        AgentFile("a.parquet", parquet(TWO), TWO),
        AgentFile("a.PARQUET", parquet(TWO), TWO),
        AgentFile("parquet.bin", parquet(TWO), TWO),
        AgentFile("mary.parquet", parquet([_row(district="Kita-ku", prefecture="Tokyo")]), [mary]),
        AgentFile("index.parquet", parquet([ANA | {"__index_level_0__": 5}]), [ANA], "left out"),
    ]


def agent_files() -> list[AgentFile]:
    """Return all files; their names differ."""
    return [*_json_files(), *_edsl_files(), *_row_files(), *_tables(), *_parquet_files()]
