"""The JSON Schema of estate files, for editors and continuous integration."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from workflows.model.estate import Estate


class _Schema(GenerateJsonSchema):
    """Allow numbers of seconds as durations."""

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        return {"anyOf": [{"type": "number"}, super().timedelta_schema(schema)]}


def estate_schema() -> dict[str, Any]:
    """Return the schema of an estate file, including its ``defaults`` for nodes."""
    schema = Estate.model_json_schema(schema_generator=_Schema)
    known = schema["$defs"]
    node = _partial(known["Node"])
    for key in ("ssh", "admin"):
        node["properties"][key] = _partial(known[node["properties"][key]["$ref"].split("/")[-1]])
    known["Node"] = {**node, "required": ["name"]}
    schema["properties"]["defaults"] = {
        **node,
        "title": "Defaults",
        "description": "Keys that apply to every node that does not set them itself.",
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _partial(part: dict[str, Any]) -> dict[str, Any]:
    """Return an object's schema without required keys."""
    return {key: value for key, value in part.items() if key != "required"}
