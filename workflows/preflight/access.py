"""Checks that every place can be read; the activities that read make their findings."""

from workflows.model.checks import AccessCheck, Check, Heading, Scope
from workflows.model.findings import Severity
from workflows.model.stages import StageName

_ACCOUNT = "correct the account, its key or password, or the host key"

no_reading = AccessCheck(
    "no_reading",
    "A reading of every place was made",
    Scope.EVERYWHERE,
    advice="read the worker's log",
)
reading_unusable = AccessCheck(
    "reading_unusable",
    "Every answer is understood",
    Scope.EVERYWHERE,
    advice="run the query by hand; if the text is the vendor's, report it",
)
answers_too_slow = AccessCheck(
    "answers_too_slow",
    "Every answer comes in time",
    Scope.EVERYWHERE,
    advice="find out what keeps the place busy; if it is always so slow, raise "
    "timing.answer_timeout in the estate",
)
node_unreachable_ssh = AccessCheck("node_unreachable_ssh", "The node answers over SSH", Scope.NODES)
ssh_access_refused = AccessCheck(
    "ssh_access_refused",
    "SSH accepts the configured key, and the host key is the expected one",
    Scope.NODES,
    advice=_ACCOUNT,
    may_pass=False,
)
forwarding_refused = AccessCheck(
    "forwarding_refused",
    "SSH forwards connections to the admin API, unless it is reached directly",
    Scope.NODES,
    advice="allow it for this account in sshd_config (AllowTcpForwarding, PermitOpen), or write "
    "`via: direct` under `admin` in the estate",
    may_pass=False,
)
run_as_refused = AccessCheck(
    "run_as_refused",
    "sudo runs commands as the account that `ssh.run_as` names",
    Scope.EVERYWHERE,
    advice="correct sudoers there: docs/machines.md shows the file",
    may_pass=False,
)
run_as_not_minimal = Check(
    "run_as_not_minimal",
    "sudo lets the account that logs in run commands as `ssh.run_as` alone",
    Scope.EVERYWHERE,
    Heading.ACCESS,
    severity=Severity.WARNS,
)
secret_readable_by_others = Check(
    "secret_readable_by_others",
    "Only the worker's user may read the files of keys and passwords",
    Scope.NODES,
    Heading.ACCESS,
    severity=Severity.WARNS,
)
node_unreachable_admin = AccessCheck(
    "node_unreachable_admin", "The node's admin API answers", Scope.NODES
)
admin_access_refused = AccessCheck(
    "admin_access_refused",
    "The admin API accepts the configured account",
    Scope.NODES,
    advice=_ACCOUNT,
    may_pass=False,
)
access_refused = AccessCheck(
    "access_refused",
    "Load balancer, databases and probes accept the configured accounts",
    Scope.EVERYWHERE,
    advice=_ACCOUNT,
    may_pass=False,
)
configuration_unreadable = AccessCheck(
    "configuration_unreadable",
    "The configuration of both clusters can be compared",
    Scope.TARGET,
    heading=Heading.EQUALITY,
    until=StageName.REDIRECT_TRAFFIC,
)
database_unreachable = AccessCheck(
    "database_unreachable", "Both databases answer", Scope.LINKS, heading=Heading.REPLICATION
)
storage_unreadable = AccessCheck(
    "storage_unreadable",
    "Both storages can be read",
    Scope.CLUSTERS,
    heading=Heading.STORAGE,
    until=StageName.REDIRECT_TRAFFIC,
    acceptable=True,
)
load_balancer_unreachable = AccessCheck(
    "load_balancer_unreachable",
    "The load balancer host answers",
    Scope.HOSTS,
    heading=Heading.TRAFFIC,
)
probe_unreachable = AccessCheck(
    "probe_unreachable",
    "The load balancer lets a probe log in",
    Scope.HOSTS,
    heading=Heading.TRAFFIC,
)
temporal_unreadable = AccessCheck(
    "temporal_unreadable", "Temporal answers the worker", Scope.ESTATE, heading=Heading.TEMPORAL
)
no_worker_polls = AccessCheck(
    "no_worker_polls",
    "A worker polls the task queue of each cluster that has its own",
    Scope.OWN_QUEUES,
    heading=Heading.TEMPORAL,
)
