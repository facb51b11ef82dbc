"""The unit tests that prove the checks for which the lab injects no fault."""

Test = tuple[str, str]
"""Its file and its name."""

_REPLICATION_COMMANDS = "tests/activities/replication/test_commands_driver.py"
_CONFIGURATION = "tests/activities/configuration/test_configuration.py"
_SERVERS = "tests/activities/load_balancer/test_haproxy_servers.py"
_COMMANDS = "tests/activities/load_balancer/test_commands_driver.py"
_HOSTS_FILE = "tests/activities/load_balancer/test_hosts_file_checks.py"
_ZONE = "tests/activities/load_balancer/test_dns_checks.py"
_RESOLVING = "tests/activities/load_balancer/test_dns_hosts.py"
_POSTGRES = "tests/activities/replication/postgresql/test_observe.py"
_TABLES = "tests/activities/replication/postgresql/test_tables.py"
_DEFINITION = "tests/activities/replication/postgresql/test_definition.py"
_RESTING = "tests/activities/replication/postgresql/test_resting_links.py"
_PROGRAMS = "tests/activities/nodes/test_linux_programs.py"
_CHECKS = "tests/workflows/preflight/test_checks.py"
_REJOIN = "tests/workflows/preflight/test_rejoin.py"
_WATCH = "tests/workflows/execution/test_rejoin_watch.py"
_INTERRUPTED = "tests/workflows/planning/test_interrupted_run.py"
JUDGED = (
    "ssh_user_not_owner",
    "installation_missing",
    "script_missing",
    "ledger_not_writable",
    "ledger_disk_low",
    "kills_user_processes",
    "clock_out_of_step",
    "node_slow",
    "port_not_listening",
    "version_differs",
    "operating_system_differs",
    "database_type_differs",
    "taeh_differs",
    "conf_differs",
    "cluster_nodes_differ",
    "protocol_server_not_running",
    "protocol_server_not_in_estate",
    "transaction_manager_not_running",
    "target_not_idle",
    "scheduling_disabled",
    "monitor_not_running",
    "graceful_timeout_short",
    "transaction_manager_timeout_short",
    "maintenance_mode",
    "replication_one_way",
    "replication_loops",
    "excluded_tables_replicated",
    "own_worker_differs",
)
"""Checks that judge what was read; the test has a case for each of them."""
LISTS = (
    "business_units_differ",
    "sites_differ",
    "routes_differ",
    "subscriptions_differ",
    "applications_differ",
    "certificates_differ",
)
RUNTIME = (
    "haproxy_socket_unusable",
    "haproxy_socket_read_only",
    "haproxy_server_missing",
    "haproxy_server_not_in_estate",
    "haproxy_addresses_resolved",
    "haproxy_configuration_not_changeable",
    "haproxy_configuration_managed",
    "haproxy_configuration_differs",
    "haproxy_reload_undoes",
    "haproxy_state_file_not_writable",
    "haproxy_health_elsewhere",
    "haproxy_sessions_cut",
)
"""Checks of the driver that tells a running HAProxy addresses; the test has a case for each."""
HAPROXY = (
    "edges_by_address",
    "server_not_in_estate",
    "reload_keeps_addresses",
    "hard_stop_after_short",
    "reloads_limited",
)
REJOIN = (
    "traffic_not_on_active",
    "returning_schedules",
    "replication_not_suspended",
    "half_returned",
    "changes_lost",
)
"""Checks that only a rejoin makes; the test has a case for each of them."""
UNIT_TESTS: dict[str, Test] = {
    "systems_mixed": (_CHECKS, "test_two_operating_systems_in_a_cluster_are_a_finding"),
    **dict.fromkeys(REJOIN, (_REJOIN, "test_a_check_refuses")),
    "active_not_scheduling": (_REJOIN, "test_a_prerequisite_ends_with_the_stage_that_ends_it"),
    "already_returned": (_REJOIN, "test_a_passive_cluster_has_returned_already"),
    "configuration_changed": (_WATCH, "test_a_rejoin_lists_what_was_changed_before_it_begins"),
    "options_differ": (_CONFIGURATION, "test_an_option_that_differs_is_named"),
    **dict.fromkeys(LISTS, (_CONFIGURATION, "test_a_list_that_differs_is_named")),
    **dict.fromkeys(JUDGED, (_CHECKS, "test_a_prerequisite_that_does_not_hold_is_found")),
    "unknown_subscription": (_POSTGRES, "test_a_subscription_that_no_link_names_is_found"),
    "commit_timestamps_off": (_POSTGRES, "test_a_server_that_tracks_no_commit_timestamps_is_found"),
    "slot_not_creatable": (_RESTING, "test_what_keeps_a_slot_from_being_made_is_found"),
    "database_too_old": (_DEFINITION, "test_a_version_that_is_too_old_is_one_finding"),
    "replication_not_alterable": (_DEFINITION, "test_a_subscription_of_another_owner_is_found"),
    "publication_differs": (_TABLES, "test_a_publication_that_is_not_there_is_named"),
    "tables_not_published": (_TABLES, "test_what_a_publication_leaves_out_is_found"),
    "tables_published_in_part": (_TABLES, "test_what_a_publication_leaves_out_is_found"),
    "tables_not_subscribed": (_TABLES, "test_a_table_that_was_published_later_is_found"),
    "program_missing": (_PROGRAMS, "test_a_finding_says_what_is_missing_and_what_for"),
    "host_program_missing": (
        "tests/activities/load_balancer/test_unix_machines.py",
        "test_a_program_that_a_redirect_needs_is_found_missing",
    ),
    "replication_program_missing": (
        _REPLICATION_COMMANDS,
        "test_a_program_that_a_suspension_needs_is_found_missing",
    ),
    "host_ledger_not_usable": (_HOSTS_FILE, "test_a_ledger_that_cannot_be_kept_is_found"),
    **dict.fromkeys(
        RUNTIME, (_SERVERS, "test_what_keeps_a_redirect_from_working_or_lasting_is_found")
    ),
    "haproxy_configuration_not_writable": (_SERVERS, "test_a_right_that_is_missing_is_found"),
    "haproxy_configuration_mounted_elsewhere": (
        "tests/activities/load_balancer/test_haproxy_checks.py",
        "test_a_configuration_that_a_container_has_mounted_is_found",
    ),
    "site_command_not_runnable": (_COMMANDS, "test_a_command_has_to_be_there"),
    "site_command_unusable": (_COMMANDS, "test_an_answer_that_cannot_be_used_is_one_finding"),
    "site_command_reports": (_COMMANDS, "test_an_observation_runs_no_redirect"),
    "replication_command_not_runnable": (_REPLICATION_COMMANDS, "test_a_command_has_to_be_there"),
    "replication_command_unusable": (
        _REPLICATION_COMMANDS,
        "test_an_answer_that_cannot_be_used_is_one_finding",
    ),
    "replication_command_reports": (_REPLICATION_COMMANDS, "test_an_observation_changes_nothing"),
    "replication_behind": (_REPLICATION_COMMANDS, "test_an_observation_changes_nothing"),
    "replication_ledger_not_usable": (
        _REPLICATION_COMMANDS,
        "test_a_ledger_that_cannot_be_kept_is_found",
    ),
    "conflicts_not_told": (
        _REPLICATION_COMMANDS,
        "test_conflicts_that_cannot_be_told_are_found_beforehand",
    ),
    "reload_not_runnable": (_HOSTS_FILE, "test_what_can_be_read_is_known_where_the_rest_cannot"),
    "hosts_file_not_changeable": (
        _HOSTS_FILE,
        "test_a_file_that_a_redirect_could_not_change_is_found",
    ),
    "hosts_file_managed": (_HOSTS_FILE, "test_a_file_that_a_redirect_could_not_change_is_found"),
    "hosts_file_not_writable": (
        _HOSTS_FILE,
        "test_what_can_be_read_is_known_where_the_rest_cannot",
    ),
    "hosts_file_mounted_elsewhere": (
        "tests/activities/load_balancer/test_hosts_file_mounts.py",
        "test_a_file_that_a_container_has_mounted_is_found",
    ),
    **dict.fromkeys(
        HAPROXY, (_HOSTS_FILE, "test_what_a_configuration_does_to_a_redirect_is_found")
    ),
    "zone_not_changeable": (_ZONE, "test_a_right_that_is_missing_is_found"),
    "names_without_addresses": (_ZONE, "test_a_name_without_addresses_of_its_own_is_found"),
    "zone_servers_differ": (_ZONE, "test_a_server_that_differs_is_found"),
    **dict.fromkeys(
        ("redirect_slow", "redirect_too_slow"),
        (_ZONE, "test_what_resolvers_may_keep_is_known_beforehand"),
    ),
    "name_in_hosts_file": (_RESOLVING, "test_a_name_in_the_hosts_file_is_found"),
    "name_not_resolved": (_RESOLVING, "test_an_observation_says_where_names_lead_there"),
    "resolver_silent": (_RESOLVING, "test_the_name_servers_of_haproxy_are_asked_from_the_machine"),
    **dict.fromkeys(
        ("address_kept", "resolvers_hold_long"),
        (_RESOLVING, "test_what_a_configuration_does_to_a_redirect_is_found"),
    ),
    "installation_path_differs": (_CHECKS, "test_an_installation_elsewhere_is_found"),
    "answers_too_slow": (
        "tests/activities/test_time_limits.py",
        "test_an_answer_that_takes_too_long_is_slow_and_not_silent",
    ),
    "half_switched": (_INTERRUPTED, "test_the_same_roles_go_on_from_where_it_was"),
    "already_switched_over": (_INTERRUPTED, "test_a_switchover_that_was_done_is_not_done_again"),
    "forwarding_refused": (
        "tests/activities/transport/test_openssh.py",
        "test_a_server_that_forwards_nothing_is_named",
    ),
    "run_as_refused": (
        "tests/activities/transport/test_sudo.py",
        "test_a_refusal_is_a_finding_that_names_the_line_for_sudoers",
    ),
    "run_as_not_minimal": (
        "tests/activities/transport/test_sudo.py",
        "test_more_rights_than_needed_are_a_warning",
    ),
    "secret_readable_by_others": (
        "tests/activities/nodes/test_nodes.py",
        "test_a_secret_that_everyone_may_read_is_found",
    ),
    "no_reading": (
        "tests/workflows/test_readiness.py",
        "test_a_place_that_could_not_be_read_is_a_finding",
    ),
    "reading_unusable": (_CONFIGURATION, "test_a_cluster_that_says_nothing_is_trouble"),
    "configuration_unreadable": (_CONFIGURATION, "test_what_cannot_be_compared_is_a_finding"),
    "no_worker_polls": (
        "tests/workflows/execution/test_own_queues.py",
        "test_a_queue_that_no_worker_polls_is_one_finding_at_once",
    ),
    "temporal_unreadable": (
        "tests/activities/test_temporal.py",
        "test_a_server_that_does_not_answer_is_one_finding",
    ),
}
"""By check; every check has either a unit test here or an injected fault."""
