"""Estate types that are chosen by their key ``driver``, open for drivers that others register."""

from typing import Any, Generic, TypeVar

from pydantic import GetJsonSchemaHandler, ValidationError, ValidatorFunctionWrapHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails

from workflows.model.base import Value

T = TypeVar("T", bound=Value)


class DriverTypes(Generic[T]):
    """The estate types of one port's drivers; also the description of their choice for pydantic."""

    def __init__(self, default: type[T]) -> None:
        self._default = default
        self._types: dict[str, type[T]] = {}
        self.register(default)

    def register(self, kind: type[T]) -> None:
        """Let an estate name the driver whose keys this type has."""
        self._types[kind.model_fields["driver"].default] = kind

    @property
    def registered(self) -> tuple[type[T], ...]:
        """Every type that an estate may name, in the order of their registration."""
        return tuple(self._types.values())

    def validate(self, given: Any, _: ValidatorFunctionWrapHandler) -> T:  # noqa: ANN401 - raw input, whatever it is
        """Validate as the type that the key ``driver`` names; errors name their key."""
        if isinstance(given, self.registered):
            return given
        if not isinstance(given, dict):
            # Pydantic refuses whatever is no mapping.
            return self._default.model_validate(given)
        driver = given.get("driver", self._default.model_fields["driver"].default)
        if driver not in self._types:
            names = " or ".join(map(repr, self._types))
            mistake = InitErrorDetails(
                type="literal_error", loc=("driver",), input=driver, ctx={"expected": names}
            )
            raise ValidationError.from_exception_data(
                self._default.__name__, [mistake], hide_input=True
            )
        return self._types[driver].model_validate(given)

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the key as a choice between all registered types."""
        schemas = [handler(kind.__pydantic_core_schema__) for kind in self.registered]
        return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
