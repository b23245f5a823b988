#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Does a JSON document have the shape that it should have?

usage: json_schema.py SCHEMA DOCUMENT...

Of JSON Schema what the schemas here use: type, enum, minimum, minItems,
maxItems, items, properties, required, additionalProperties, and $ref to a name
in definitions.  Anything else in a schema is an error.  No key may come twice
in an object, which json-c would not notice.
"""
import json
import sys

KNOWN = {"$comment", "$ref", "type", "enum", "minimum", "minItems", "maxItems",
         "items", "properties", "required", "additionalProperties",
         "definitions"}
TYPES = {"array": list, "object": dict, "string": str, "boolean": bool,
         "integer": int}


def fail(where, text):
    raise ValueError(f"{where or 'document'}: {text}")


def check(value, schema, definitions, where=""):
    if not set(schema) <= KNOWN:
        fail(where, f"the schema has unknown {set(schema) - KNOWN}")
    if "$ref" in schema:
        check(value, definitions[schema["$ref"]], definitions, where)
        return
    if "enum" in schema and value not in schema["enum"]:
        fail(where, f"{value!r} is none of {schema['enum']}")
    if "type" in schema:
        kind = TYPES[schema["type"]]
        if not isinstance(value, kind) or \
                (kind is int and isinstance(value, bool)):
            fail(where, f"{value!r} is no {schema['type']}")
    if value != value or ("minimum" in schema and value < schema["minimum"]):
        fail(where, f"{value} is too small")
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= \
                schema.get("maxItems", len(value)):
            fail(where, f"{len(value)} items")
        for i, item in enumerate(value):
            check(item, schema.get("items", {}), definitions, f"{where}[{i}]")
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        for key in schema.get("required", []):
            if key not in value:
                fail(where, f"{key} is missing")
        for key, item in value.items():
            if key in properties:
                check(item, properties[key], definitions, f"{where}.{key}")
            elif schema.get("additionalProperties", True) is False:
                fail(where, f"{key} is unknown")


def unique(pairs):
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError(f"a key twice in {keys}")
    return dict(pairs)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        schema = json.load(file)
    for path in sys.argv[2:]:
        try:
            with open(path, encoding="utf-8") as file:
                document = json.load(file, object_pairs_hook=unique)
            check(document, schema, schema.get("definitions", {}))
        except ValueError as error:
            sys.exit(f"{path}: {error}")


main()
