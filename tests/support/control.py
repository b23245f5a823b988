# SPDX-License-Identifier: BSD-3-Clause
"""The tests' own end of a daemon's socket, and a validator for what it says.

A schema is JSON with the few words of JSON Schema that say all there is to
say here: type, properties, required, additionalProperties, items, enum,
pattern, minimum, and "$ref" to another file of tests/schema.
"""
import json
import os
import re
import socket

SCHEMAS = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                       "..", "schema")


class Refused(Exception):
    """The daemon answered with an error."""

    def __init__(self, error):
        super().__init__(error["message"])
        self.error = error
        self.errno = error["errno"]


class Control:
    """One connection.  Not for several threads."""

    def __init__(self, path, timeout=60):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.buffer = b""
        self.last_id = 0
        self.early = {}
        self.greeting = self.hear()

    def close(self):
        self.socket.close()

    def hear(self):
        """The next message."""
        while b"\n" not in self.buffer:
            more = self.socket.recv(1 << 16)
            if not more:
                raise EOFError("the daemon has closed the connection")
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def ask(self, verb, **args):
        """Send a request; returns its id."""
        self.last_id += 1
        message = {"id": self.last_id, "verb": verb}
        if args:
            message["args"] = args
        self.socket.sendall(json.dumps(message).encode() + b"\n")
        return self.last_id

    def answer(self, number):
        """Wait for the answer to a request."""
        while number not in self.early:
            message = self.hear()
            self.early[message["id"]] = message
        message = self.early.pop(number)
        if "error" in message:
            raise Refused(message["error"])
        return message["result"]

    def call(self, verb, **args):
        return self.answer(self.ask(verb, **args))

    def list(self):
        return {device["dev"]: device for device in self.call("list")}


TYPES = {
    "object": dict, "array": list, "string": str, "boolean": bool,
    "integer": int, "number": (int, float),
}


def load(name):
    with open(os.path.join(SCHEMAS, name + ".json"), encoding="ascii") as file:
        return json.load(file)


def findings(value, schema, where="$"):
    """Yields what is wrong with a value, by a schema or the name of one."""
    if isinstance(schema, str):
        schema = load(schema)
    if "$ref" in schema:
        yield from findings(value, load(schema["$ref"]), where)
        return
    wanted = schema.get("type")
    # To Python true is a number.
    if wanted and (not isinstance(value, TYPES[wanted]) or
                   (isinstance(value, bool) and wanted != "boolean")):
        yield f"{where}: {value!r} is no {wanted}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is none of {schema['enum']}"
    if "pattern" in schema and not re.fullmatch(schema["pattern"], value):
        yield f"{where}: {value!r} is not like {schema['pattern']}"
    if "minimum" in schema and value < schema["minimum"]:
        yield f"{where}: {value!r} is below {schema['minimum']}"
    if isinstance(value, dict):
        known = schema.get("properties", {})
        for key in schema.get("required", []):
            if key not in value:
                yield f"{where}: '{key}' is missing"
        for key, member in value.items():
            if key in known:
                yield from findings(member, known[key], f"{where}.{key}")
            elif not schema.get("additionalProperties", False):
                yield f"{where}: '{key}' is not known"
    if isinstance(value, list) and "items" in schema:
        for i, member in enumerate(value):
            yield from findings(member, schema["items"], f"{where}[{i}]")


def check(value, schema):
    """Raises ValueError unless the value is as the schema has it."""
    wrong = list(findings(value, schema))
    if wrong:
        raise ValueError("; ".join(wrong))
