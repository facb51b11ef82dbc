-- The database tells of every ALTER SUBSCRIPTION ... ENABLE or DISABLE by itself, whoever sends it,
-- and also when nothing changes; a rolled back one is never told. Needs a superuser.
CREATE FUNCTION remember_subscriptions() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('lab.enabled',
        (SELECT coalesce(json_object_agg(oid, subenabled), '{}')::text FROM pg_subscription), true);
END $$;

CREATE FUNCTION tell_subscriptions() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
    was json := current_setting('lab.enabled')::json;
BEGIN
    IF current_query() !~* '\m(enable|disable)\M' THEN
        RETURN;
    END IF;
    PERFORM pg_notify('lab_effect', json_build_object(
        'at', extract(epoch FROM clock_timestamp()),
        'service', s.subname,
        'effect', CASE WHEN s.subenabled THEN 'enable' ELSE 'disable' END,
        'changed', (was ->> s.oid::text)::boolean IS DISTINCT FROM s.subenabled,
        'by', session_user)::text)
    FROM pg_event_trigger_ddl_commands() AS command
    JOIN pg_subscription AS s ON s.oid = command.objid;
END $$;

CREATE EVENT TRIGGER remember_subscriptions ON ddl_command_start
    WHEN TAG IN ('ALTER SUBSCRIPTION') EXECUTE FUNCTION remember_subscriptions();
CREATE EVENT TRIGGER tell_subscriptions ON ddl_command_end
    WHEN TAG IN ('ALTER SUBSCRIPTION') EXECUTE FUNCTION tell_subscriptions();
