-- A move that is there already is never passed over.
--
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
