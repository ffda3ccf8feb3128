-- Every object that the migrations make and that the audit log relies on, with what decides about its effect: by names,
-- never by object ids, and alike on every supported PostgreSQL. Run with the settings of objects.py.
WITH tables AS (
    SELECT c.*, format('turnup.%I', c.relname) AS name
    FROM pg_class c WHERE c.relnamespace = 'turnup'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
), roles AS (
    SELECT * FROM pg_roles WHERE rolname IN ('turnup_owner', 'turnup_definer', 'turnup_app')
), builtin AS (
    SELECT t.oid FROM pg_type t WHERE t.typnamespace IN ('pg_catalog'::regnamespace, 'turnup'::regnamespace)
), reached AS (
    -- The schemas in which PostgreSQL looks for functions and operators without a schema, after pg_catalog.
    SELECT n.oid, n.nspname FROM pg_namespace n WHERE n.nspname = 'public' OR n.nspname IN (SELECT rolname FROM roles)
), acls AS (
    SELECT 'schema turnup' AS name, n.nspacl AS acl, 'n'::"char" AS kind, n.nspowner AS owner
    FROM pg_namespace n WHERE n.nspname = 'turnup'
    UNION ALL
    SELECT CASE t.relkind WHEN 'S' THEN 'sequence ' ELSE 'table ' END || t.name, t.relacl,
           CASE t.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", t.relowner
    FROM tables t
    UNION ALL
    SELECT format('column %s.%I', t.name, a.attname), a.attacl, 'c'::"char", t.relowner
    FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid WHERE a.attacl IS NOT NULL AND NOT a.attisdropped
    UNION ALL
    SELECT format('function turnup.%I(%s)', p.proname, oidvectortypes(p.proargtypes)), p.proacl, 'f'::"char", p.proowner
    FROM pg_proc p WHERE p.pronamespace = 'turnup'::regnamespace
    UNION ALL
    SELECT format('type turnup.%I', t.typname), t.typacl, 'T'::"char", t.typowner
    FROM pg_type t WHERE t.typnamespace = 'turnup'::regnamespace AND t.typacl IS NOT NULL
), granted AS (
    SELECT a.name, CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(e.grantee) END AS grantee, a.kind,
           e.privilege_type || CASE WHEN e.is_grantable THEN ' with grant option' ELSE '' END AS privilege
    FROM acls a CROSS JOIN LATERAL aclexplode(coalesce(a.acl, acldefault(a.kind, a.owner))) e
)
SELECT 'schema turnup' AS name, jsonb_build_object('owner', pg_get_userbyid(n.nspowner)) AS facts
FROM pg_namespace n WHERE n.nspname = 'turnup'
UNION ALL
SELECT 'table ' || t.name, jsonb_build_object(
    'kind', t.relkind, 'owner', pg_get_userbyid(t.relowner), 'persistence', t.relpersistence,
    'row security', t.relrowsecurity, 'row security of the owner', t.relforcerowsecurity,
    'numbers', (SELECT concat_ws(' ', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache,
                                 s.seqcycle) FROM pg_sequence s WHERE s.seqrelid = t.oid))
FROM tables t
UNION ALL
SELECT format('column %s.%I', t.name, a.attname), jsonb_build_object(
    'type', format_type(a.atttypid, a.atttypmod), 'not null', a.attnotnull, 'identity', a.attidentity,
    'generated', a.attgenerated, 'default', pg_get_expr(d.adbin, d.adrelid),
    'collation', (SELECT format('%I.%I', n.nspname, l.collname) FROM pg_collation l
                  JOIN pg_namespace n ON n.oid = l.collnamespace WHERE l.oid = a.attcollation))
FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE t.relkind <> 'S'
UNION ALL
SELECT format('constraint %s of %s', c.conname, c.conrelid::regclass), jsonb_build_object(
    'kind', c.contype, 'deferrable', c.condeferrable, 'deferred', c.condeferred, 'validated', c.convalidated,
    'enforced', coalesce(to_jsonb(c) ->> 'conenforced', 'true'), 'check', pg_get_expr(c.conbin, c.conrelid),
    'columns', (SELECT jsonb_agg(a.attname ORDER BY k.place) FROM unnest(c.conkey) WITH ORDINALITY k (attnum, place)
                JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum),
    'table', nullif(c.confrelid, 0)::regclass,
    'referred', (SELECT jsonb_agg(a.attname ORDER BY k.place) FROM unnest(c.confkey) WITH ORDINALITY k (attnum, place)
                 JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.attnum),
    'on', CASE WHEN c.contype = 'f' THEN c.confupdtype::text || c.confdeltype::text || c.confmatchtype::text END,
    'triggers', (SELECT string_agg(DISTINCT g.tgenabled::text, '') FROM pg_trigger g
                 WHERE g.tgconstraint = c.oid AND g.tgisinternal))
FROM pg_constraint c
WHERE c.contype IN ('c', 'f', 'p', 'u', 'x')
  AND (c.conrelid IN (SELECT oid FROM tables) OR c.confrelid IN (SELECT oid FROM tables))
UNION ALL
SELECT format('index turnup.%I', c.relname), jsonb_build_object(
    'definition', pg_get_indexdef(i.indexrelid), 'valid', i.indisvalid AND i.indisready AND i.indislive,
    'primary', i.indisprimary, 'immediate', i.indimmediate, 'owner', pg_get_userbyid(c.relowner))
FROM tables t JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class c ON c.oid = i.indexrelid
UNION ALL
SELECT format('trigger %s on %s', g.tgname, t.name), jsonb_build_object(
    'definition', pg_get_triggerdef(g.oid), 'enabled', g.tgenabled)
FROM tables t JOIN pg_trigger g ON g.tgrelid = t.oid WHERE NOT g.tgisinternal
UNION ALL
SELECT format('policy %s on %s', p.polname, t.name), jsonb_build_object(
    'command', p.polcmd, 'permissive', p.polpermissive, 'using', pg_get_expr(p.polqual, p.polrelid),
    'check', pg_get_expr(p.polwithcheck, p.polrelid),
    'roles', (SELECT jsonb_agg(r.name ORDER BY r.name) FROM (
                  SELECT CASE o WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(o) END AS name FROM unnest(p.polroles) o) r))
FROM tables t JOIN pg_policy p ON p.polrelid = t.oid
UNION ALL
SELECT format('function turnup.%I(%s)', p.proname, oidvectortypes(p.proargtypes)), jsonb_build_object(
    'owner', pg_get_userbyid(p.proowner), 'language', (SELECT l.lanname FROM pg_language l WHERE l.oid = p.prolang),
    'kind', p.prokind, 'security definer', p.prosecdef, 'leakproof', p.proleakproof, 'strict', p.proisstrict,
    'volatility', p.provolatile, 'parallel', p.proparallel, 'result', pg_get_function_result(p.oid),
    'arguments', pg_get_function_arguments(p.oid), 'settings', (SELECT jsonb_agg(s ORDER BY s COLLATE "C") FROM unnest(p.proconfig) s),
    'body', encode(sha256(convert_to(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc), 'UTF8')), 'hex'))
FROM pg_proc p WHERE p.pronamespace = 'turnup'::regnamespace
UNION ALL
-- A function or operator for exactly the types of a call takes the place of PostgreSQL's own for any type.
SELECT format('function %I.%I(%s)', r.nspname, p.proname, oidvectortypes(p.proargtypes)), '{}'
FROM reached r JOIN pg_proc p ON p.pronamespace = r.oid
WHERE p.proname IN (SELECT o.proname FROM pg_proc o WHERE o.pronamespace = 'pg_catalog'::regnamespace)
  AND NOT EXISTS (SELECT FROM pg_proc o WHERE o.pronamespace = 'pg_catalog'::regnamespace AND o.proname = p.proname
                  AND o.proargtypes = p.proargtypes)
  AND NOT EXISTS (SELECT FROM unnest(p.proargtypes) a (type) WHERE a.type NOT IN (SELECT oid FROM builtin))
UNION ALL
SELECT format('operator %I.%s(%s,%s)', r.nspname, o.oprname, format_type(nullif(o.oprleft, 0), NULL),
              format_type(o.oprright, NULL)), '{}'
FROM reached r JOIN pg_operator o ON o.oprnamespace = r.oid
WHERE o.oprname IN (SELECT b.oprname FROM pg_operator b WHERE b.oprnamespace = 'pg_catalog'::regnamespace)
  AND (o.oprleft = 0 OR o.oprleft IN (SELECT oid FROM builtin)) AND o.oprright IN (SELECT oid FROM builtin)
UNION ALL
SELECT format('rule %s on %s', r.rulename, t.name), jsonb_build_object('enabled', r.ev_enabled)
FROM tables t JOIN pg_rewrite r ON r.ev_class = t.oid WHERE r.rulename <> '_RETURN'
UNION ALL
SELECT format('inheritance of %s from %s', h.inhrelid::regclass, h.inhparent::regclass), '{}'
FROM pg_inherits h WHERE h.inhparent IN (SELECT oid FROM tables) OR h.inhrelid IN (SELECT oid FROM tables)
UNION ALL
-- What else is in the schema: types, operators, collations and so on.
SELECT o.type || ' ' || o.identity, '{}'
FROM pg_depend d CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) o
WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = 'turnup'::regnamespace
  AND d.classid NOT IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_constraint'::regclass,
                        'pg_default_acl'::regclass, 'pg_trigger'::regclass)
UNION ALL
SELECT format('cast from %s to %s', format_type(c.castsource, NULL), format_type(c.casttarget, NULL)), '{}'
FROM pg_cast c
WHERE c.castfunc IN (SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'turnup'::regnamespace)
   OR EXISTS (SELECT FROM pg_type t WHERE t.oid IN (c.castsource, c.casttarget)
              AND t.typnamespace = 'turnup'::regnamespace)
UNION ALL
SELECT format('event trigger %s', e.evtname), jsonb_build_object(
    'enabled', e.evtenabled, 'event', e.evtevent, 'function', e.evtfoid::regproc)
FROM pg_event_trigger e
WHERE NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_event_trigger'::regclass AND d.objid = e.oid AND d.deptype = 'e')
UNION ALL
-- MAINTAIN came with PostgreSQL 17, as a part of ALL on a table; it counts where it is not a part of all.
SELECT format('grants on %s to %s', g.name, g.grantee), jsonb_build_object('privileges', (
    SELECT jsonb_agg(p ORDER BY p COLLATE "C") FROM unnest(array_agg(g.privilege)) p
    WHERE NOT (p LIKE 'MAINTAIN%' AND array_agg(g.privilege) @> ARRAY[
        replace(p, 'MAINTAIN', 'SELECT'), replace(p, 'MAINTAIN', 'INSERT'), replace(p, 'MAINTAIN', 'UPDATE'),
        replace(p, 'MAINTAIN', 'DELETE'), replace(p, 'MAINTAIN', 'TRUNCATE'), replace(p, 'MAINTAIN', 'TRIGGER'),
        replace(p, 'MAINTAIN', 'REFERENCES')])))
FROM granted g GROUP BY g.name, g.grantee
UNION ALL
SELECT format('default privileges of %s for %s', pg_get_userbyid(d.defaclrole), d.defaclobjtype), '{}'
FROM pg_default_acl d
WHERE d.defaclnamespace = 'turnup'::regnamespace OR d.defaclrole IN (SELECT oid FROM roles)
UNION ALL
SELECT 'role ' || r.rolname, jsonb_build_object(
    'superuser', r.rolsuper, 'bypasses row security', r.rolbypassrls, 'creates roles', r.rolcreaterole,
    'replicates', r.rolreplication, 'logs in', r.rolcanlogin, 'inherits', r.rolinherit)
FROM roles r
UNION ALL
-- A role that may create roles may also make itself a member: it is one of the administrators.
SELECT format('membership of %s in %s', pg_get_userbyid(m.member), pg_get_userbyid(m.roleid)),
       jsonb_build_object('admin', bool_or(m.admin_option))
FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
WHERE (m.roleid IN (SELECT oid FROM roles) OR m.member IN (SELECT oid FROM roles))
  AND NOT r.rolsuper AND NOT r.rolcreaterole
GROUP BY m.member, m.roleid
UNION ALL
SELECT format('setting %s of %s', split_part(s, '=', 1), coalesce(r.rolname, 'the database')), jsonb_build_object(
    'value', substr(s, strpos(s, '=') + 1))
FROM pg_db_role_setting d LEFT JOIN roles r ON r.oid = d.setrole CROSS JOIN LATERAL unnest(d.setconfig) s
WHERE d.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
  AND (d.setrole = 0 OR r.oid IS NOT NULL)
  AND (lower(split_part(s, '=', 1)) IN ('search_path', 'row_security', 'role', 'session_replication_role',
                                        'local_preload_libraries', 'session_preload_libraries', 'transform_null_equals',
                                        'array_nulls')
       OR split_part(s, '=', 1) ILIKE 'turnup.%')
UNION ALL
SELECT format('grants on setting %s to %s', a.parname, CASE e.grantee WHEN 0 THEN 'PUBLIC'
              ELSE pg_get_userbyid(e.grantee) END), jsonb_build_object('privileges', jsonb_agg(e.privilege_type))
FROM pg_parameter_acl a CROSS JOIN LATERAL aclexplode(a.paracl) e
WHERE e.grantee = 0 OR e.grantee IN (SELECT oid FROM roles)
GROUP BY a.parname, e.grantee
UNION ALL
SELECT 'subscription ' || s.subname, '{}'
FROM pg_subscription s WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
