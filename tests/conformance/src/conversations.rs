//! What must hold of every conversation once the whole suite has run: nothing lost, nothing doubled, nothing out of
//! order, whatever its scenarios did.

use devstack::error::{Context as _, Result};
use devstack::stack::database;

use crate::verdict::Verdict;

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

/// Looks at every session of a database, rule by rule.
pub async fn judge(db_url: &str) -> Result<Vec<Verdict>> {
    let client = database::connect(db_url).await?;
    let mut verdicts = Vec::new();
    for (rule, query) in RULES {
        let rows = client.query(query, &[]).await.context(|| format!("It cannot be told whether {rule}"))?;
        verdicts.push(Verdict { rule, faults: rows.iter().map(|row| row.get(0)).collect() });
    }
    let empty = "select relation from (values ('sessions', exists (select from public.sessions)),
        ('session_transitions', exists (select from public.session_transitions)),
        ('chat_history', exists (select from public.chat_history))) as found (relation, has_rows) where not has_rows";
    let rows = client.query(empty, &[]).await.context(|| "It cannot be told whether there are rows".into())?;
    let rule = "the suite has left sessions, moves and messages to look at";
    verdicts.push(Verdict { rule, faults: rows.iter().map(|row| row.get(0)).collect() });
    Ok(verdicts)
}
