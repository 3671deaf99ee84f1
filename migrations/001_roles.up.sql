-- One database role per service, without login: a service's login is made a member and acts as its role.
--
-- Roles belong to the whole cluster, so another database of it may make, use or drop the same ones at this moment. The
-- grant ties each role to this database: from its commit on nobody else's down migration can drop the role.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['robson_eventlog', 'robson_projector'] LOOP
        FOR try IN 1..10 LOOP
            BEGIN
                IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
                    EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
                END IF;
                EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', wanted);
                EXIT;
            EXCEPTION
                -- Made or dropped by another database in between: look again.
                WHEN duplicate_object OR unique_violation OR undefined_object THEN
                    IF try = 10 THEN
                        RAISE;
                    END IF;
            END;
        END LOOP;
    END LOOP;
END
$$;
