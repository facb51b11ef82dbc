"""The estate's ``load_balancer``: whatever has a registered driver."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    GetJsonSchemaHandler,
    SerializeAsAny,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails

from workflows.model.load_balancers.base import LoadBalancer
from workflows.model.load_balancers.hosts_file import HostsFileLoadBalancer

DEFAULT_DRIVER = "hosts_file"

_TYPES: dict[str, type[LoadBalancer]] = {}


def register(kind: type[LoadBalancer]) -> None:
    """Let an estate name the driver whose keys this type has."""
    _TYPES[kind.model_fields["driver"].default] = kind


def registered() -> tuple[type[LoadBalancer], ...]:
    """Return every type that an estate may name, in the order of their registration."""
    return tuple(_TYPES.values())


def _by_driver(given: Any, _: ValidatorFunctionWrapHandler) -> LoadBalancer:  # noqa: ANN401 - raw input, whatever it is
    """Validate as the type that the key ``driver`` names; errors keep the place of their key."""
    if not isinstance(given, dict):
        # Pydantic refuses whatever is no mapping.
        return (
            given
            if isinstance(given, LoadBalancer)
            else _TYPES[DEFAULT_DRIVER].model_validate(given)
        )
    driver = given.get("driver", DEFAULT_DRIVER)
    if driver not in _TYPES:
        names = " or ".join(map(repr, _TYPES))
        mistake = InitErrorDetails(
            type="literal_error", loc=("driver",), input=driver, ctx={"expected": names}
        )
        raise ValidationError.from_exception_data("LoadBalancer", [mistake], hide_input=True)
    return _TYPES[driver].model_validate(given)


class _SchemaOfEveryType:
    """Describe the key in JSON Schema as a choice between all registered types."""

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schemas = [handler(kind.__pydantic_core_schema__) for kind in registered()]
        return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


AnyLoadBalancer = Annotated[
    SerializeAsAny[LoadBalancer], WrapValidator(_by_driver), _SchemaOfEveryType()
]

register(HostsFileLoadBalancer)
