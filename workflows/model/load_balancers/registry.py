"""The estate's ``load_balancer``: any type that has a registered driver."""

from typing import Annotated

from pydantic import SerializeAsAny, WrapValidator

from workflows.model.driver_types import DriverTypes
from workflows.model.load_balancers.base import LoadBalancer
from workflows.model.load_balancers.commands import CommandsLoadBalancer
from workflows.model.load_balancers.dns import DnsLoadBalancer
from workflows.model.load_balancers.haproxy import HaproxyLoadBalancer
from workflows.model.load_balancers.hosts_file import HostsFileLoadBalancer

TYPES: DriverTypes[LoadBalancer] = DriverTypes(HostsFileLoadBalancer)
TYPES.register(CommandsLoadBalancer)
TYPES.register(DnsLoadBalancer)
TYPES.register(HaproxyLoadBalancer)

AnyLoadBalancer = Annotated[SerializeAsAny[LoadBalancer], WrapValidator(TYPES.validate), TYPES]
