"""By which search attributes runs are found in Temporal."""

from temporalio.common import SearchAttributeKey

ESTATE = SearchAttributeKey.for_keyword("SwitchoverEstate")
STAGE = SearchAttributeKey.for_keyword("SwitchoverStage")
STATE = SearchAttributeKey.for_keyword("SwitchoverState")

SEARCH_ATTRIBUTES = (ESTATE.name, STAGE.name, STATE.name)
