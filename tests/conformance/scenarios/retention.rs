//! What is deleted is gone. Looked for in every column of every table there is, not in a list of tables.

use std::collections::BTreeSet;

use conformance::catalogue::Catalogue;
use conformance::client::call;
use conformance::person::Person;
use conformance::seed::a_row_in_every_table;
use conformance::stack::Stack;
use devstack::keys::token::TokenOptions;
use serde_json::{Value, json};
use tokio_postgres::GenericClient;
use uuid::Uuid;

/// Every table that is not PostgreSQL's own, `auth` included, in quotes where it needs them.
const TABLES: &str = "
    select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'm') and n.nspname not in ('pg_catalog', 'information_schema')
      and n.nspname not like 'pg\\_%' and c.relpersistence = 'p'
    order by 1";

/// The rows, by table, that say any of these words in any column.
async fn rows_that_tell(database: &impl GenericClient, words: &[&str]) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for table in database.query(TABLES, &[]).await.unwrap() {
        let table: String = table.get(0);
        let query = format!(
            "select to_jsonb(t) from {table} t
             where exists (select from unnest($1::text[]) w where strpos(row_to_json(t)::text, w) > 0)"
        );
        let rows = database.query(&query, &[&words]).await.unwrap_or_else(|error| panic!("{table}: {error:?}"));
        found.extend(rows.iter().map(|row| (table.clone(), row.get(0))));
    }
    found
}

fn tables(found: &[(String, Value)]) -> BTreeSet<&str> {
    found.iter().map(|(table, _)| table.as_str()).collect()
}

/// The tables whose rows hang on a session, as the catalogue has it: those that have the column.
fn of_sessions(catalogue: &Catalogue) -> BTreeSet<String> {
    let tables = catalogue.relations.iter().filter(|relation| relation.is_table());
    let tables = tables.filter(|table| table.columns.iter().any(|column| column == "session_id"));
    tables.map(|table| format!("public.{}", table.name)).collect()
}

#[tokio::test]
async fn nothing_of_a_deleted_session_is_left_but_statistics_without_content() {
    let stack = Stack::running();
    let database = stack.database().await;
    let catalogue = Catalogue::read(&database).await;
    for way in ["rpc/delete_session", "sessions"] {
        let person = Person::new(&stack).await;
        let (session_id, kept) = (Uuid::new_v4(), Uuid::new_v4());
        let (secret, other) = (format!("secret-{}", Uuid::new_v4()), format!("other-{}", Uuid::new_v4()));
        a_row_in_every_table(&person, session_id, &secret).await;
        a_row_in_every_table(&person, kept, &other).await;
        let session = session_id.to_string();
        let before = rows_that_tell(&database, &[&session, &secret]).await;
        let expected = of_sessions(&catalogue);
        let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
        assert_eq!(tables(&before), expected, "a table holds nothing; let a_row_in_every_table() make a row");
        // The words are really looked for inside of text, of objects and of lists.
        let told = rows_that_tell(&database, &[&secret]).await;
        assert!(tables(&told).len() >= 4, "{told:?}");
        // Ids that the session's rows have and that could lead back to it.
        let ids: Vec<String> = before
            .iter()
            .filter(|(table, _)| table != "public.analytics")
            .flat_map(|(_, row)| row.as_object().unwrap().values().filter_map(Value::as_str))
            .filter(|text| Uuid::try_parse(text).is_ok() && **text != person.user_id.to_string())
            .map(str::to_owned)
            .collect();
        let kept_before = rows_that_tell(&database, &[&kept.to_string(), &other]).await;

        let gone = if way == "sessions" {
            person.rest("DELETE", &format!("sessions?session_id=eq.{session_id}")).send().await
        } else {
            person.rest("POST", way).json(&json!({ "session_id": session_id })).send().await
        };
        assert!(gone.status.is_success(), "{way}: {}", gone.text());

        let mut words = vec![secret.as_str()];
        words.extend(ids.iter().map(String::as_str).filter(|id| *id != session));
        assert_eq!(rows_that_tell(&database, &words).await, [], "{way}");
        // The id alone, so that nothing brings the session back.
        let left = rows_that_tell(&database, &[&session]).await;
        assert_eq!(tables(&left), BTreeSet::from(["public.deleted_ids"]), "{way}: {left:?}");
        let columns: Vec<_> = left[0].1.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(columns, ["deleted_at", "id", "kind", "user_id"], "{way}");
        assert_eq!(rows_that_tell(&database, &[&kept.to_string(), &other]).await, kept_before, "{way}");
    }
}

#[tokio::test]
async fn nothing_of_a_deleted_user_is_left_and_what_is_nobodys_stays() {
    let stack = Stack::running();
    let database = stack.database().await;
    let person = Person::new(&stack).await;
    let (session_id, secret) = (Uuid::new_v4(), format!("secret-{}", Uuid::new_v4()));
    a_row_in_every_table(&person, session_id, &secret).await;
    let anonymous = format!("anonymous-{}", Uuid::new_v4());
    let insert = "insert into public.analytics (user_id, event_type, event_data) values (null, 'x', jsonb_build_object('n', $1::text))";
    database.execute(insert, &[&anonymous]).await.unwrap();

    let words = [person.user_id.to_string(), session_id.to_string(), secret];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let before = rows_that_tell(&database, &words).await;
    let catalogue = Catalogue::read(&database).await;
    for table in catalogue.relations.iter().filter(|table| table.is_table() && catalogue.is_personal(table)) {
        let name = format!("public.{}", table.name);
        assert!(tables(&before).contains(name.as_str()), "{name} holds nothing; let a_row_in_every_table() make a row");
    }
    database.execute("delete from auth.users where id = $1", &[&person.user_id]).await.unwrap();
    assert_eq!(rows_that_tell(&database, &words).await, []);
    assert_eq!(rows_that_tell(&database, &[&anonymous]).await.len(), 1);
}

#[tokio::test]
async fn cleanup_takes_only_what_was_completed_long_enough_ago() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let mut database = stack.database().await;
    // Rolled back, so that no other test's sessions are cleaned up.
    let transaction = database.transaction().await.unwrap();
    let made = transaction
        .query(
            "insert into public.sessions (session_id, user_id, completed, completion_time, created_at, last_activity)
             select gen_random_uuid(), $1, days is not null, now() - days * interval '1 day',
               now() - interval '90 days', now() - interval '90 days'
             from unnest(array[31, 30.1, 29.9, 1, null]::double precision[]) with ordinality as u (days, place)
             order by place returning session_id, completed, completion_time > now() - interval '30 days'",
            &[&person.user_id],
        )
        .await
        .unwrap();
    let expected: BTreeSet<Uuid> =
        made.iter().filter(|row| !row.get::<_, bool>(1) || row.get::<_, bool>(2)).map(|row| row.get(0)).collect();
    assert_eq!(expected.len(), 3);
    let first: Uuid = made[0].get(0);
    let said =
        "insert into public.chat_history (session_id, id, role, message) values ($1, gen_random_uuid(), 'bot', 'x')";
    transaction.execute(said, &[&first]).await.unwrap();
    let event = "insert into public.analytics (user_id, event_type, session_id) values ($1, 'x', $2)";
    transaction.execute(event, &[&person.user_id, &first]).await.unwrap();

    transaction.batch_execute("set local role service_role").await.unwrap();
    let deleted: i32 = transaction.query_one("select public.cleanup_old_sessions()", &[]).await.unwrap().get(0);
    assert!(deleted >= 2, "{deleted}");
    let theirs = "select session_id from public.sessions where user_id = $1";
    let left = transaction.query(theirs, &[&person.user_id]).await.unwrap();
    assert_eq!(left.iter().map(|row| row.get(0)).collect::<BTreeSet<Uuid>>(), expected);
    for (table, kept) in [("chat_history", 0_i64), ("analytics", 0)] {
        let count = format!("select count(*) from public.{table} where session_id = $1");
        assert_eq!(transaction.query_one(&count, &[&first]).await.unwrap().get::<_, i64>(0), kept, "{table}");
    }
    // The event is there, without its ids.
    let kept =
        "select count(*) from public.analytics where event_type = 'x' and user_id is null and session_id is null";
    assert!(transaction.query_one(kept, &[]).await.unwrap().get::<_, i64>(0) >= 1);
    let deleted: i32 = transaction.query_one("select public.cleanup_old_sessions(1000)", &[]).await.unwrap().get(0);
    assert_eq!(deleted, 0);
    transaction.rollback().await.unwrap();
}

#[tokio::test]
async fn cleanup_is_for_the_service_role_alone_and_for_whole_days() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let service = Person {
        token: stack.mint(&TokenOptions { role: "service_role".into(), ..TokenOptions::default() }),
        ..person.clone()
    };
    for days in [json!(0), json!(-1), Value::Null] {
        let answer = service.rpc("cleanup_old_sessions", &json!({ "days": days })).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (400, &json!("22023")), "{days}");
    }
    // A hundred years: nobody's session is that old.
    let asked = json!({ "days": 36_500 });
    let answer = service.rpc("cleanup_old_sessions", &asked).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!(0)));
    assert_eq!(person.rpc("cleanup_old_sessions", &asked).await.status, 403);
    let anonymous = call("POST", format!("{}/rest/v1/rpc/cleanup_old_sessions", stack.api_url))
        .header("apikey", &stack.publishable_key)
        .json(&asked);
    assert_eq!(anonymous.send().await.status, 401);
}
