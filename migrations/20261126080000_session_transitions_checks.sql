-- What session_transitions did not refuse to a caller who goes straight to PostgREST.

-- As long as the edge admits, and blank as chat_history has it.
alter table public.session_transitions
  add constraint session_transitions_response_length check (char_length(response) <= 1000),
  add constraint session_transitions_response_not_blank check (
    btrim(response, E'\t\n\u000b\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000') <> ''
  );

-- A conflict that is to be ignored (Prefer: resolution=ignore-duplicates) is only found after the triggers before the
-- row have run. session_transitions_move would have moved the session by then, and the row that says so would be left
-- out.
create function public.session_transitions_id_is_new() returns trigger
language plpgsql security invoker set search_path = '' as $$
begin
  -- Under the session's lock, so that of two equal rows at once the second sees the first.
  perform from public.sessions s where s.session_id = new.session_id for no key update;
  if exists (select from public.session_transitions t where t.session_id = new.session_id and t.id = new.id) then
    raise unique_violation using message = 'this id already stands for a move of the session';
  end if;
  return new;
end
$$;
comment on function public.session_transitions_id_is_new() is
  'Trigger on session_transitions. Refuses a row that is there, so that none can be passed over. Error: 23505.';
revoke all on function public.session_transitions_id_is_new() from public, anon, authenticated, service_role;
-- Triggers fire in the order of their names: this one before session_transitions_move.
create trigger session_transitions_id_is_new before insert on public.session_transitions
  for each row execute function public.session_transitions_id_is_new();
