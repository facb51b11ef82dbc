"""Everything that one place can be asked to do.

An action names its place; the plan's snapshot of the estate holds its address. An action that
changes something knows the action that undoes it.
"""

from typing import Annotated

from pydantic import Field

from workflows.model.actions.change import *
from workflows.model.actions.change import Change
from workflows.model.actions.observe import *
from workflows.model.actions.observe import Observation
from workflows.model.actions.verify import *
from workflows.model.actions.verify import Verification

Action = Annotated[Observation | Verification | Change, Field(discriminator="kind")]
