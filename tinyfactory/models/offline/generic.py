"""An instance of any JSON schema: plain, valid, and saying that no model wrote it."""

from __future__ import annotations

from typing import Any

from tinyfactory.utils.random import Dice

Json = dict[str, Any]

_DEEPEST = 12
_TEXTS = {
    "date": "2024-05-17",
    "date-time": "2024-05-17T09:30:00Z",
    "time": "09:30:00",
    "email": "someone@example.org",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
    "hostname": "example.org",
}


def instance(schema: Json, dice: Dice) -> Any:
    """A value that the schema allows.

    Understands `type` (also as a list), `enum`, `const`, `default`, `properties`,
    `required`, `items`, `prefixItems`, bounds, lengths, `anyOf`, `oneOf`, `allOf`, `$ref`
    into the schema itself, and common formats; a `pattern` is not looked at.

    Examples
    --------
    >>> instance({"type": "integer", "minimum": 3, "maximum": 3}, Dice(0))
    3
    """
    return _value(schema, schema, dice, "value", 0)


def _resolve(schema: Any, root: Json) -> Json:
    for _ in range(50):
        if not isinstance(schema, dict) or "$ref" not in schema:
            break
        target: Any = root
        for part in str(schema["$ref"]).removeprefix("#").strip("/").split("/"):
            if part and isinstance(target, dict):
                target = target.get(part.replace("~1", "/").replace("~0", "~"), {})
        schema = {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
    return schema if isinstance(schema, dict) else {}


def _value(schema: Any, root: Json, dice: Dice, name: str, depth: int) -> Any:
    schema = _resolve(schema, root)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return dice.pick(schema["enum"])
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            return _value(_choice(schema, key, root, dice, depth), root, dice, name, depth + 1)
    if schema.get("allOf"):
        return _value(_merged(schema, root), root, dice, name, depth + 1)
    match _type(schema, dice, depth):
        case "object":
            return _object(schema, root, dice, depth)
        case "array":
            return _array(schema, root, dice, name, depth)
        case "integer":
            return _integer(schema, dice)
        case "number":
            return _number(schema, dice)
        case "boolean":
            return dice.chance(0.5)
        case "null":
            return None
    return _text(schema, name, dice)


def _choice(schema: Json, key: str, root: Json, dice: Dice, depth: int) -> Json:
    """One of the alternatives; deep down the one that ends soonest, so that trees end."""
    options = [_resolve(option, root) for option in schema[key]]
    common = {k: v for k, v in schema.items() if k != key}
    if depth >= _DEEPEST // 2:
        ends = [o for o in options if o.get("type") not in {"object", "array"} and "anyOf" not in o]
        options = ends or options
    else:
        options = [o for o in options if o.get("type") != "null"] or options
    return {**common, **dice.pick(options)}


def _merged(schema: Json, root: Json) -> Json:
    merged: Json = {k: v for k, v in schema.items() if k != "allOf"}
    for part in schema["allOf"]:
        part = _resolve(part, root)
        both = {
            "properties": {**merged.get("properties", {}), **part.get("properties", {})},
            "required": [*merged.get("required", []), *part.get("required", [])],
        }
        merged = {**merged, **part, **{k: v for k, v in both.items() if v}}
    return merged


def _type(schema: Json, dice: Dice, depth: int) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        plain = [k for k in kind if k != "null"]
        if "null" in kind and (depth >= _DEEPEST // 2 or not plain):
            return "null"
        return str(dice.pick(plain))
    if kind is None:
        if "properties" in schema:
            return "object"
        return "array" if "items" in schema else "string"
    return str(kind)


def _object(schema: Json, root: Json, dice: Dice, depth: int) -> Json:
    required = set(schema.get("required", []))
    known = schema.get("properties", {})
    wanted = {
        key: part for key, part in known.items() if key in required or depth < _DEEPEST // 2
    }  # optional parts are left out deep down, so that recursive schemas come to an end
    made = {key: _value(part, root, dice, key, depth + 1) for key, part in wanted.items()}
    for key in required - known.keys():
        made[key] = _text({}, key, dice)
    return made


def _array(schema: Json, root: Json, dice: Dice, name: str, depth: int) -> list[Any]:
    fixed = schema.get("prefixItems", [])
    least = int(schema.get("minItems", 0))
    most = int(schema.get("maxItems", max(least, 3)))
    number = least if depth >= _DEEPEST // 2 else max(least, min(most, dice.integer(1, 3)))
    items = schema.get("items", {})
    made = [_value(part, root, dice, name, depth + 1) for part in fixed[:most]]
    attempts = 0
    while len(made) < number and items is not False and attempts < 20 * (number + 1):
        attempts += 1
        value = _value(items, root, dice, f"{name} {len(made) + 1}", depth + 1)
        if not (schema.get("uniqueItems") and value in made):
            made.append(value)
    return made


def _integer(schema: Json, dice: Dice) -> int:
    low, high = schema.get("minimum"), schema.get("maximum")
    if "exclusiveMinimum" in schema:
        low = int(schema["exclusiveMinimum"] // 1) + 1
    if "exclusiveMaximum" in schema:
        high = -int(-schema["exclusiveMaximum"] // 1) - 1
    bottom = -int(-low // 1) if low is not None else min(0, int(high) if high is not None else 0)
    top = int(high // 1) if high is not None else max(bottom + 100, 100)
    step = int(schema.get("multipleOf", 1)) or 1
    first = -(-bottom // step)
    return step * dice.integer(first, max(first, top // step))


def _number(schema: Json, dice: Dice) -> float:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is None:
        low = 0.0 if high is None or high > 0 else high - 1.0
    if high is None:
        high = low + 1.0
    if schema.get("multipleOf"):
        step = schema["multipleOf"]
        return float(step * -int(-(low / step) // 1))
    return float(low + (high - low) * dice.integer(1, 3) / 4)


def _text(schema: Json, name: str, dice: Dice) -> str:
    if schema.get("format") in _TEXTS:
        return _TEXTS[schema["format"]]
    text = f"Offline text for {name.replace('_', ' ')}, variant {dice.integer(1, 9999)}."
    least, most = int(schema.get("minLength", 0)), schema.get("maxLength")
    while len(text) < least:
        text += " " + text
    return text if most is None else text[: int(most)]
