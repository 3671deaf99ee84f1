-- A role that another database of the cluster still uses stays; the last one drops it.
DO $$
DECLARE
    unwanted text;
BEGIN
    FOREACH unwanted IN ARRAY ARRAY['robson_eventlog', 'robson_projector'] LOOP
        BEGIN
            EXECUTE format('REVOKE ALL ON SCHEMA public FROM %I', unwanted);
            EXECUTE format('DROP ROLE %I', unwanted);
        EXCEPTION
            WHEN dependent_objects_still_exist OR object_in_use THEN
                EXECUTE format('REVOKE ALL ON SCHEMA public FROM %I', unwanted);
            WHEN undefined_object THEN
                NULL;
        END;
    END LOOP;
END
$$;
