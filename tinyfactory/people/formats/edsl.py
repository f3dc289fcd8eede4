"""People as agents of EDSL (Expected Parrot), as plain JSON: EDSL itself is not needed.

An agent is ``{"name", "traits", "instruction"?, "codebook"?}``. The keys of its traits must be
Python identifiers, so a field such as ``"favourite dish"`` becomes ``favourite_dish``, and the
codebook of the agent holds the original name. The fields of ``demographics`` are traits of their
own. EDSL drops the provenance, which is beside the traits, when it reads an agent, and with it
the list of the traits that are demographics.
"""

from __future__ import annotations

import json
import keyword
import re
import zipfile
from collections.abc import Iterable
from typing import IO, Any

from tinyfactory.errors import InvalidInput
from tinyfactory.people.protocols import PersonLike

Json = dict[str, Any]
# Marks the first line of EDSL's files of JSON lines.
HEADER = "__header__"
_OWN = "demographics"
_MOST_BYTES = 2**30  # of the agents in a package, unpacked
_WRITER = ("edsl_version", "edsl_class_name")


def to_edsl(people: Iterable[PersonLike]) -> list[Json]:
    """Return people as the agents of an EDSL AgentList, in plain JSON.

    The fields of the person are the traits. The provenance is beside them under
    ``tinyfactory``, so it is not part of EDSL's prompts. In EDSL each agent is
    ``Agent.from_dict(agent)``, and the list ``AgentList.from_dict({"agent_list": agents})``.

    Examples
    --------
    >>> from tinyfactory.people import TinyPerson
    >>> ana = TinyPerson("Ana", {"age": 34, "favourite dish": "soup"}, register=False)
    >>> agent = to_edsl([ana])[0]
    >>> agent["name"], agent["traits"], agent["codebook"]
    ('Ana', {'age': 34, 'favourite_dish': 'soup'}, {'favourite_dish': 'favourite dish'})
    """
    return [_agent(person) for person in people]


def read_edsl(agents: Any) -> list[Any]:
    """Return the agents of an EDSL AgentList with their traits under their original names.

    Raises
    ------
    InvalidInput
        If `agents` is no list of agents.
    """
    if isinstance(agents, dict) and isinstance(agents.get("agent_list"), list):
        agents = with_codebook(agents)
    if not isinstance(agents, list):
        raise InvalidInput("An AgentList must be a list of agents. Nothing was loaded.")
    return [original(agent) for agent in agents]


def with_codebook(data: Json) -> list[Any]:
    """Return the agents of an AgentList; what it says for all of them, each gets.

    Examples
    --------
    >>> with_codebook({"agent_list": [{"traits": {"age": 3}}], "codebook": {"age": "Age"}})
    [{'traits': {'age': 3}, 'codebook': {'age': 'Age'}}]
    """
    shared = ("codebook", "instruction", "traits_presentation_template")
    common = {key: data[key] for key in shared if data.get(key)}
    return [
        {**agent, **{k: v for k, v in common.items() if not agent.get(k)}}
        if isinstance(agent, dict)
        else agent
        for agent in data["agent_list"]
    ]


def agents_in_package(file: IO[bytes]) -> list[Any] | None:
    """Return the agents of a ZIP file that EDSL saved (``.ep``); None for any other ZIP file.

    It has a file for each agent, and a manifest with their order and what all of them share.
    """
    with zipfile.ZipFile(file) as package:
        names = set(package.namelist())
        if "manifest.json" not in names:
            return None
        manifest = json.loads(package.read("manifest.json"))
        order = manifest.get("agent_order") if isinstance(manifest, dict) else None
        wanted = [f"agents/{number}.json" for number in order or []]
        size = sum(package.getinfo(name).file_size for name in wanted if name in names)
        if order is None or not names.issuperset(wanted) or size > _MOST_BYTES:
            return None
        agents = [json.loads(package.read(name)) for name in wanted]
    return with_codebook({**manifest, "agent_list": agents})


def agent_from_lines(fields: Iterable[Any]) -> Json:
    """Return the agent that EDSL wrote as one line for each field.

    Examples
    --------
    >>> agent_from_lines([{"field": "name", "value": "Bo"}])
    {'name': 'Bo'}
    """
    return {
        line["field"]: line.get("value")
        for line in fields
        if isinstance(line, dict) and isinstance(line.get("field"), str)
    }


def original(agent: Any) -> Any:
    """Return an agent with its traits under their original names and in their original places.

    The names come from the codebook, and the list of the demographics from ``tinyfactory``.
    """
    if not isinstance(agent, dict) or not isinstance(agent.get("traits"), dict):
        return agent
    # The version of the program that wrote the file is no part of the agent.
    own = {key: value for key, value in agent.items() if key not in _WRITER}
    return _with_demographics(_renamed(own))


def _renamed(agent: Json) -> Json:
    codebook = agent.get("codebook")
    if not isinstance(codebook, dict):
        return agent
    names = {
        key: said
        for key, said in codebook.items()
        if isinstance(said, str)
        and said != key
        and _identifier(said) == key.rstrip("_")
        and key in agent["traits"]
        and said not in agent["traits"]
    }
    traits = {names.get(key, key): value for key, value in agent["traits"].items()}
    rest = {key: said for key, said in codebook.items() if key not in names}
    out = agent | {"traits": traits, "codebook": rest}
    return out if rest else {key: value for key, value in out.items() if key != "codebook"}


def _with_demographics(agent: Json) -> Json:
    about = agent.get("tinyfactory")
    keys = about.get(_OWN) if isinstance(about, dict) else None
    traits: Json = agent["traits"]
    rest = traits.get(_OWN, {})
    if not isinstance(keys, list) or not isinstance(rest, dict):
        return agent
    own = {key: traits[key] for key in keys if isinstance(key, str) and key in traits}
    others = {key: value for key, value in traits.items() if key not in own}
    return agent | {"traits": others | {_OWN: own | rest}}


def _agent(person: PersonLike) -> Json:
    data = person.to_dict()
    fields = data.pop("persona")
    del data["type"]
    name = fields.pop("name", None)
    own = fields.get(_OWN)
    if isinstance(own, dict) and own:
        # A field of the person itself keeps its place, and the other stays within.
        apart = [key for key in own if key not in fields and key != "name"]
        within = {key: value for key, value in own.items() if key not in apart}
        fields = {key: value for key, value in fields.items() if key != _OWN}
        fields |= {key: own[key] for key in apart} | ({_OWN: within} if within else {})
        data["tinyfactory"][_OWN] = apart
    traits: Json = {}
    renamed: dict[str, str] = {}
    for key, value in fields.items():
        trait = key if _fit(key) else _identifier(key)
        while trait in traits or not _fit(trait) or (trait != key and trait in fields):
            trait += "_"
        traits[trait] = value
        if trait != key:
            renamed[trait] = key
    agent: Json = {"name": name, "traits": traits, **data}
    if renamed:
        codebook = agent.get("codebook")
        agent["codebook"] = (codebook if isinstance(codebook, dict) else {}) | renamed
    return agent


def _fit(key: str) -> bool:
    return key.isidentifier() and not keyword.iskeyword(key) and key != "name"


def _identifier(key: str) -> str:
    """Return the identifier most similar to a name; `_agent` makes it unique."""
    # Character by character: `\w` matches more than an identifier may hold, such as "²".
    signs = (sign if f"a{sign}".isidentifier() else " " for sign in key)
    words = re.sub(r"[\s_]+", "_", "".join(signs)).strip("_")
    return words if words.isidentifier() else f"field_{words}".rstrip("_")
