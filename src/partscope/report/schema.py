"""Checking a diagnosis against the JSON Schema that ships with the package, without a further library."""

import json
from importlib import resources
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
KEYWORDS = {
    "type",
    "const",
    "enum",
    "$ref",
    "properties",
    "required",
    "items",
    "minItems",
    "minLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "additionalProperties",
    "if",
    "then",
    "else",
}
ANNOTATIONS = {"$schema", "$id", "$defs", "title", "description"}


def diagnosis_schema() -> dict[str, Any]:
    """Reads the schema of ``diagnosis.json``, format 1."""
    text = (resources.files("partscope") / "diagnosis" / "diagnosis.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def find_fault(value: Any, schema: dict[str, Any]) -> str | None:
    """Finds the first place where a document departs from a schema.

    Reads the keywords that our schema uses (draft 2020-12). Properties that the schema does not know are let
    through, so that a report can be made from a file that a newer version has added to.

    Args:
        value: a document as ``json.loads`` gives it.
        schema: the schema, with ``$defs`` at its top.

    Returns:
        A sentence that starts with the dotted path of the fault; none when there is no fault.

    Example:
        >>> find_fault({"n": -1}, {"properties": {"n": {"minimum": 0}}})
        'n is -1, below 0'
    """
    return _fault(value, schema, schema, "")


def _fault(value: Any, schema: dict[str, Any], root: dict[str, Any], path: str) -> str | None:
    name = path or "the file"
    if "$ref" in schema:
        fault = _fault(value, root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, path)
        if fault:
            return fault
    if "type" in schema and not _is_of(value, schema["type"]):
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return f"{name} is {_shown(value)}, not {' or '.join(kinds)}"
    allowed = schema.get("enum", [schema["const"]] if "const" in schema else None)
    same = [a for a in allowed or () if a == value and isinstance(a, bool) == isinstance(value, bool)]
    if allowed is not None and not same:
        return f"{name} is {_shown(value)}, not {' or '.join(map(_shown, allowed))}"
    return (
        _number_fault(value, schema, name)
        or _object_fault(value, schema, root, path)
        or _array_fault(value, schema, root, path)
        or _branch_fault(value, schema, root, path)
    )


def _number_fault(value: Any, schema: dict[str, Any], name: str) -> str | None:
    if not _is_of(value, "number"):
        return None
    if value < schema.get("minimum", value):
        return f"{name} is {value}, below {schema['minimum']}"
    if value > schema.get("maximum", value):
        return f"{name} is {value}, above {schema['maximum']}"
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        return f"{name} is {value}, not above {schema['exclusiveMinimum']}"
    return None


def _object_fault(value: Any, schema: dict[str, Any], root: dict[str, Any], path: str) -> str | None:
    if not isinstance(value, dict):
        return None
    missing = [key for key in schema.get("required", []) if key not in value]
    if missing:
        return f"{f'{path}.' if path else ''}{missing[0]} is missing"
    properties = schema.get("properties", {})
    others = schema.get("additionalProperties")
    for key, content in value.items():
        inner = properties.get(key, others if isinstance(others, dict) else {})
        fault = _fault(content, inner, root, f"{path}.{key}" if path else str(key))
        if fault:
            return fault
    return None


def _array_fault(value: Any, schema: dict[str, Any], root: dict[str, Any], path: str) -> str | None:
    if isinstance(value, str) and len(value) < schema.get("minLength", 0):
        return f"{path} is an empty string"
    if not isinstance(value, list):
        return None
    if len(value) < schema.get("minItems", 0):
        return f"{path} has {len(value)} items, fewer than {schema['minItems']}"
    for index, content in enumerate(value):
        fault = _fault(content, schema.get("items", {}), root, f"{path}.{index}")
        if fault:
            return fault
    return None


def _branch_fault(value: Any, schema: dict[str, Any], root: dict[str, Any], path: str) -> str | None:
    if "if" not in schema:
        return None
    branch = "else" if _fault(value, schema["if"], root, path) else "then"
    return _fault(value, schema.get(branch, {}), root, path)


def _is_of(value: Any, kinds: str | list[str]) -> bool:
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if isinstance(value, bool):
        return "boolean" in kinds
    return any(isinstance(value, TYPES[kind]) for kind in kinds)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
