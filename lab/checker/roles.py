"""The source and the target of a run of the lab."""

import yaml

from lab.checker.expected import Variant
from lab.checker.invariants import Roles
from lab.checker.legs import LEGS, Leg
from lab.layout import Layout
from workflows.model.estate import Estate

SOURCE, TARGET = "cluster1", "cluster2"


def roles(layout: Layout, variant: Variant = "by_stage", leg: Leg = LEGS["switchover"]) -> Roles:
    """Say which cluster is which in the estate that was described."""
    text = layout.estate_file.read_text(encoding="utf-8")
    estate = Estate.model_validate(yaml.safe_load(text))
    return Roles(estate, leg.source, leg.target, variant, leg.procedure)
