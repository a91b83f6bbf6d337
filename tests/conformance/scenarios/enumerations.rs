//! The words the edge knows and the words the database's checks take are the same words.

use std::collections::BTreeMap;

use analytics::LogLevel;
use chat_message::{MESSAGE_MAX_CHARS, Role, SummaryType, USER_MESSAGE_MOST_CHARS};
use conformance::stack::Stack;
use shared::request::Word;
use tokio_postgres::Client;

/// Every list of words a check holds a column to, by the constraint's name.
fn known() -> BTreeMap<&'static str, Vec<&'static str>> {
    BTreeMap::from([
        ("chat_history_role", words_of::<Role>()),
        ("session_summaries_type", words_of::<SummaryType>()),
        ("system_logs_log_level", words_of::<LogLevel>()),
    ])
}

fn words_of<W: Word>() -> Vec<&'static str> {
    W::ALL.iter().map(|(word, _)| *word).collect()
}

async fn definition(database: &Client, name: &str) -> String {
    let query = "select pg_get_constraintdef(oid) from pg_constraint where conname = $1";
    database.query_one(query, &[&name]).await.unwrap().get(0)
}

/// The words of a check such as `CHECK ((role = ANY (ARRAY['user'::text, 'bot'::text])))`.
fn words(definition: &str) -> Vec<&str> {
    let mut words: Vec<_> = definition.split('\'').skip(1).step_by(2).collect();
    words.sort_unstable();
    words
}

#[tokio::test]
async fn every_list_of_words_in_the_database_is_the_edges_own() {
    let database = Stack::running().database().await;
    // As PostgreSQL prints `in (…)`, whatever the table; a new list must be given its place here.
    let lists = "select conname::text, pg_get_constraintdef(oid) from pg_constraint
        where contype = 'c' and connamespace = 'public'::regnamespace
          -- Words of the database's own, which no request has.
          and conname not in ('analytics_source', 'chat_history_written_by', 'rate_limits_role')
          and pg_get_constraintdef(oid) ~ '= ANY \\(ARRAY\\[''' order by 1";
    let lists = database.query(lists, &[]).await.unwrap();
    let found: BTreeMap<String, String> = lists.iter().map(|row| (row.get(0), row.get(1))).collect();
    let known = known();
    assert_eq!(found.keys().collect::<Vec<_>>(), known.keys().collect::<Vec<_>>());
    for (name, definition) in &found {
        let mut expected = known[name.as_str()].clone();
        expected.sort_unstable();
        assert_eq!(words(definition), expected, "{definition}");
    }
}

#[tokio::test]
async fn the_longest_message_is_the_same_for_both() {
    let database = Stack::running().database().await;
    for (check, longest) in
        [("chat_history_user_message_length", USER_MESSAGE_MOST_CHARS), ("text_65536_length", MESSAGE_MAX_CHARS)]
    {
        let length = definition(&database, check).await;
        assert!(length.contains(&format!("<= {longest})")), "{length}");
    }
}
