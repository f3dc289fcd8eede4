"""JSON with a demography in it: a file, or text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tinyfactory.errors import DemographyError


def read_json(source: str | Path) -> Any:
    """What stands in a JSON file, given by its path, or in JSON text.

    Raises
    ------
    DemographyError
        For a file that cannot be read, for what is no JSON, and where something stands twice.

    Examples
    --------
    >>> read_json('{"sex": {"female": 1}}')
    {'sex': {'female': 1}}
    """
    text = str(source if isinstance(source, str) else path_of(source))
    if not text.strip():
        raise DemographyError("A path or JSON was asked for, not an empty text.")
    if not text.lstrip("\ufeff \t\r\n").startswith("{"):
        try:
            text = Path(source).read_text(encoding="utf-8-sig")
        except OSError as error:
            raise DemographyError(f"{source} cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise DemographyError(f"{source} is no text in UTF-8. Save it as such.") from None
        except ValueError:  # a null character within
            raise DemographyError(f"{text!r:.80} is no path of a file and no JSON.") from None
    try:
        return json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_once)
    except DemographyError:  # of `_once`
        raise
    except json.JSONDecodeError as error:
        raise DemographyError(f"This is no JSON: {error}.") from None
    except (RecursionError, ValueError):
        raise DemographyError(
            "This JSON cannot be read: a number in it is too long, or tables stand in tables too "
            "deep."
        ) from None


def path_of(source: Any) -> Path:
    """A path; an error where there cannot be one."""
    try:
        return Path(source)
    except TypeError:
        raise DemographyError(
            f"A path was asked for, not {type(source).__name__}. For a dictionary: "
            "Demography.from_dict."
        ) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, in which nothing stands twice: the first would be lost without a word."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise DemographyError(f"{key}: this stands twice in one place of the file.")
        found[key] = value
    return found
