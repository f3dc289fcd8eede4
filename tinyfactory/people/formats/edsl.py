"""People as agents of EDSL (Expected Parrot), as plain JSON: EDSL itself is not needed.

An agent is ``{"name", "traits", "instruction"?, "codebook"?}``. The keys of its traits must be
Python identifiers, so a field such as ``"favourite dish"`` becomes ``favourite_dish``, and the
codebook of the agent holds the original name.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from typing import Any

from tinyfactory.errors import InvalidInput
from tinyfactory.people.protocols import PersonLike

Json = dict[str, Any]


def to_edsl(people: Iterable[PersonLike]) -> list[Json]:
    """Return people as the agents of an EDSL AgentList, in plain JSON.

    The fields of the person are the traits. The provenance is beside them under
    ``tinyfactory``, so it is not part of EDSL's prompts.

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
    if isinstance(agents, dict):
        agents = agents.get("agent_list")
    if not isinstance(agents, list):
        raise InvalidInput("An AgentList must be a list of agents. Nothing was loaded.")
    return [original(agent) for agent in agents]


def original(agent: Any) -> Any:
    """Return an agent with its traits under their original names from the codebook."""
    codebook = agent.get("codebook") if isinstance(agent, dict) else None
    if not isinstance(codebook, dict) or not isinstance(agent.get("traits"), dict):
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


def _agent(person: PersonLike) -> Json:
    data = person.to_dict()
    fields = data.pop("persona")
    del data["type"]
    name = fields.pop("name", None)
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
