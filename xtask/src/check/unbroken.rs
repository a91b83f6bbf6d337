//! What must hold of every conversation once the whole suite has run: nothing lost, nothing doubled, nothing out of
//! order, whatever its scenarios did.

use super::report::Outcome;
use crate::{
    error::{Context as _, Result},
    stack::database,
};

/// A rule, and a query whose rows break it.
const RULES: [(&str, &str); 4] = [
    (
        "a session has as many moves as its version says",
        "select s.session_id::text || ': version ' || s.version || ', ' || count(t.id) || ' moves'
           from public.sessions s left join public.session_transitions t using (session_id)
          group by s.session_id having count(t.id) <> s.version",
    ),
    (
        "the versions of its moves are 1, 2, 3 … without a gap",
        "select session_id::text || ': ' || min(version) || ' to ' || max(version) || ' in ' || count(*)
           from public.session_transitions group by session_id
         having min(version) <> 1 or max(version) <> count(*) or count(distinct version) <> count(*)",
    ),
    (
        "each move begins where the one before it ended",
        "select session_id::text || ': ' || event || ' from ' || from_state || ', being in ' || before
           from (select *, lag(to_state) over (partition by session_id order by version) as before
                   from public.session_transitions) t
          where before <> from_state",
    ),
    (
        "the places of its messages are 1, 2, 3 … without a gap",
        "select session_id::text || ': ' || min(seq) || ' to ' || max(seq) || ' in ' || count(*)
           from public.chat_history group by session_id
         having min(seq) <> 1 or max(seq) <> count(*) or count(distinct seq) <> count(*)",
    ),
];

/// Most broken conversations that are shown for each rule.
const SHOWN: usize = 5;

/// Looks at every session of a database. Each rule counts.
pub async fn judge(db_url: &str) -> Result<Outcome> {
    let client = database::connect(db_url).await?;
    let mut outcome = Outcome::default();
    for (rule, query) in RULES {
        let rows = client.query(query, &[]).await.context(|| format!("It cannot be told whether {rule}"))?;
        if rows.is_empty() {
            outcome.passed += 1;
            continue;
        }
        outcome.failed += 1;
        outcome.output.push_str(&format!("not so: {rule} ({} sessions)\n", rows.len()));
        for row in rows.iter().take(SHOWN) {
            outcome.output.push_str(&format!("  {}\n", row.get::<_, String>(0)));
        }
    }
    let counts = "select (select count(*) from public.sessions), (select count(*) from public.session_transitions),
        (select count(*) from public.chat_history)";
    let row = client.query_one(counts, &[]).await.context(|| "The sessions cannot be counted".into())?;
    let [sessions, moves, messages] = [0, 1, 2].map(|column| row.get::<_, i64>(column));
    if sessions == 0 || moves == 0 || messages == 0 {
        outcome.failed += 1;
        outcome.output.push_str("the suite has left nothing to look at\n");
    }
    outcome.note = Some(format!("{sessions} sessions, {moves} moves, {messages} messages"));
    Ok(outcome)
}
