"""Read what a site's own command answers, and believe nothing that is not whole; pure."""

from typing import Annotated, TypeVar

from pydantic import StringConstraints, ValidationError

from activities.securetransport import json_text
from workflows.errors import OutcomeUnknown
from workflows.model.base import OneLine, Value
from workflows.model.checks import Check
from workflows.model.findings import Finding
from workflows.model.text import printable

T = TypeVar("T", bound=Value)

MAX_ANSWER = 64 << 10
"""Bytes of one answer, on standard output and standard error together."""
MAX_FINDINGS = 50
MAX_SHOWN = 200
"""Characters of an answer that an operator is shown."""
TOO_MUCH = f"it printed more than {MAX_ANSWER} bytes"

Sentence = Annotated[str, StringConstraints(min_length=1, max_length=500), OneLine]


class SiteFinding(Value):
    """Something that is wrong, in the site's own words."""

    what: Sentence
    expected: Sentence
    advice: Sentence

    def of(self, check: Check, place: str) -> Finding:
        """Return it as the finding of a check."""
        return check.finding(place, seen=self.what, expected=self.expected, advice=self.advice)


async def parse(text: bytes, kind: type[T]) -> T:
    """Return the one JSON document that an answer is.

    Raises:
        OutcomeUnknown: it is no document of this kind.
    """
    if not text.strip():
        raise OutcomeUnknown("it printed nothing; expected one JSON document")
    if len(text) > MAX_ANSWER:
        raise OutcomeUnknown(TOO_MUCH)
    try:
        # Twice, as only the first refuses a key that stands twice, and only the second is strict.
        await json_text.parse(text)
        return kind.model_validate_json(text, strict=True)
    except ValidationError as mistake:
        first = mistake.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"])) or "the document"
        raise OutcomeUnknown(f"{key}: {printable(first['msg'])}") from None
    except ValueError as strange:
        raise OutcomeUnknown(
            f"it printed no JSON document ({printable(str(strange))}): {_shown(text)}"
        ) from None


def _shown(text: bytes) -> str:
    return printable(text[:MAX_SHOWN].decode("utf-8", "replace")).strip()
