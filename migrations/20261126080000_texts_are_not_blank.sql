-- Texts that the edge takes only if something is in them, for callers who go straight to PostgREST, too.
--
-- Not valid: rows that are there already keep what they have, and nobody can stop a deployment with one.
alter table public.session_transitions add constraint session_transitions_response_length
  check (char_length(response) <= 1000) not valid;

do $$
declare
  place record;
begin
  for place in
    select * from (values
      ('session_transitions', 'response'),
      ('intent_classifications', 'label'), ('intent_classifications', 'method'), ('intent_classifications', 'fsm_state'),
      ('risk_detections', 'label'), ('risk_detections', 'trigger_phrase'), ('risk_detections', 'method'),
      ('risk_detections', 'model'),
      ('system_logs', 'component'), ('system_logs', 'error_trace')
    ) as place (relation, name)
  loop
    execute format('alter table public.%I add constraint %I check (btrim(%I, %L) <> %L) not valid',
      place.relation, place.relation || '_' || place.name || '_not_blank', place.name,
      -- Blank as Unicode's White_Space has it, whatever the database's locale.
      E'\t\n\u000b\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000',
      '');
  end loop;
end
$$;
