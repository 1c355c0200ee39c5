"""The shipped schema, our small reader of it, and its documentation."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_run import make_diagnosis

from partscope.report.schema import ANNOTATIONS, KEYWORDS, diagnosis_schema, find_fault

SCHEMA = diagnosis_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
DOCS = Path(__file__).parents[2] / "docs" / "diagnosis.md"
SMALL = make_diagnosis(filters=2)
VARIANTS = [
    {},
    {"collapsed": True},
    {"landmarks": False},
    {"labels": False},
    {"landmarks": False, "labels": False, "collapsed": True},
]


def keywords_of(schema: Any) -> set[str]:
    if not isinstance(schema, dict):
        return set()
    found = set(schema)
    for word in ("properties", "$defs"):
        for inner in schema.get(word, {}).values():
            found |= keywords_of(inner)
    for word in ("items", "if", "then", "else", "additionalProperties"):
        found |= keywords_of(schema.get(word))
    return found


def properties_of(schema: Any) -> set[str]:
    found = set(schema.get("properties", {}))
    for inner in [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]:
        found |= properties_of(inner)
    return found


def places_of(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else []
    return [place for key, value in pairs for place in [(*path, key), *places_of(value, (*path, key))]]


def changed(document: dict[str, Any], place: tuple[Any, ...], change: Any) -> dict[str, Any]:
    document = copy.deepcopy(document)
    node: Any = document
    for key in place[:-1]:
        node = node[key]
    if change == "remove":
        del node[place[-1]]
    else:
        node[place[-1]] = change
    return document


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_variant_is_valid(variant: dict[str, bool]) -> None:
    document = json.loads(json.dumps(make_diagnosis(**variant)))
    VALIDATOR.validate(document)
    assert find_fault(document, SCHEMA) is None


def test_schema_is_itself_valid_and_uses_only_keywords_that_our_reader_knows() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert keywords_of(SCHEMA) <= KEYWORDS | ANNOTATIONS


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(places_of(SMALL)), st.sampled_from(["remove", None, -1, 7.5, True, "x", "", [], {}]))
def test_our_reader_agrees_with_jsonschema(place: tuple[Any, ...], change: Any) -> None:
    document = changed(SMALL, place, change)
    expected = VALIDATOR.is_valid(document)
    assert (find_fault(document, SCHEMA) is None) is expected


def test_strict_validation_refuses_an_unknown_property_that_the_report_lets_through() -> None:
    document = {**SMALL, "surprise": 1}
    assert not VALIDATOR.is_valid(document)
    assert find_fault(document, SCHEMA) is None


@pytest.mark.parametrize(
    ("place", "change", "message"),
    [
        (("p", "value"), 1.5, "p.value is 1.5, above 1"),
        (("p", "n"), -1, "p.n is -1, below 0"),
        (("p", "value"), None, "p.low is"),
        (("p",), "remove", "p is missing"),
        (("crop", "diagonal_px"), 0, "crop.diagonal_px is 0, not above 0"),
        (("fidelity", "full", "error"), "remove", "fidelity.full.error is missing"),
        (("filters", 1, "dead"), "yes", 'filters.1.dead is "yes", not boolean'),
        (("fidelity", "measure"), "kl", 'fidelity.measure is "kl", not "error" or "disagreement"'),
        (("fidelity", "targets"), [], "fidelity.targets has 0 items, fewer than 1"),
        (("absent",), {"x": ""}, "absent.x is an empty string"),
    ],
)
def test_faults_are_named_by_their_path(place: tuple[Any, ...], change: Any, message: str) -> None:
    document = changed(SMALL, place, change)
    if message == "p.low is":
        document["p"]["low"] = 0.4
    fault = find_fault(document, SCHEMA)
    assert fault is not None
    assert fault.startswith(message)


def test_docs_mention_every_property() -> None:
    described = set(re.findall(r"`([a-z0-9_.\[\]]+)`", DOCS.read_text(encoding="utf-8")))
    last = {name.replace("[]", "").rsplit(".", 1)[-1] for name in described}
    assert sorted(properties_of(SCHEMA) - last) == []
