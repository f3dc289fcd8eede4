"""The columns of a list of people, and the texts of their cells."""

from __future__ import annotations

from tinyfactory.people import TinyPerson
from tinyfactory.people.index import persona_of, shown, value_at
from tinyfactory.people.schema.big_five import TRAITS
from tinyfactory.people.schema.layout import ALIASES
from tinyfactory.widgets.parts.paged_table import Column

FIRST = ("name", "age", "nationality", "occupation.title", "residence")
# Columns with a checkbox; code can add any other field.
LABELS = {
    "name": "Name",
    "age": "Age",
    "gender": "Gender",
    "nationality": "Nationality",
    "occupation.title": "Occupation",
    "occupation.organization": "Workplace",
    "residence": "Residence",
    "education": "Education",
    "style": "Style",
    "personality.traits": "Traits",
    **{f"personality.big_five.{trait}": trait.capitalize() for trait in TRAITS},
    "preferences.interests": "Interests",
    "skills": "Skills",
    "beliefs": "Beliefs",
    "health": "Health",
    "from": "From",
}
_NUMBERS = ("age", *(f"personality.big_five.{trait}" for trait in TRAITS))


def column(path: str) -> Column:
    """The column of a field.

    Examples
    --------
    >>> column("age").align, column("favourite_food").label
    ('right', 'Favourite food')
    """
    label = LABELS.get(path) or path.rpartition(".")[2].replace("_", " ").capitalize()
    align = "right" if path in _NUMBERS else "left"
    return Column(path, label, align, sortable=path != "from")  # type: ignore[arg-type]


def cell(person: TinyPerson, path: str) -> str:
    """The value of a person's field in one line.

    Examples
    --------
    >>> from tinyfactory.people import TinyPerson
    >>> ana = TinyPerson("Ana", {"skills": ["sewing", "judo"]}, register=False)
    >>> cell(ana, "skills"), cell(ana, "from")
    ('sewing; judo', '')
    """
    if path == "from":
        about = person.provenance
        return str(
            (about.get("model") if about.get("source") == "model" else None)
            or about.get("source")
            or ""
        )
    return shown(value_at(persona_of(person), ALIASES.get(path, path)))
