//! The local stack itself: its issuer, its gateway, its database. What is said of them holds for either host.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use conformance::client::{Answer, call};
use conformance::event::event;
use conformance::person::Person;
use conformance::scratch::Scratch;
use conformance::scratch_database::ScratchDatabase;
use conformance::stack::{Stack, checkout};
use devstack::host::Host;
use devstack::stack::database::{self, Given};
use devstack::stack::postgres::{Postgres, PostgresOptions};
use devstack::stack::{self, StackOptions, ports};
use devstack::tools::platform::PostgresLine;
use devstack::tools::toolbox::Toolbox;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use uuid::Uuid;

/// Sends something to the issuer, as whoever the token is.
async fn auth(stack: &Stack, method: &str, path: &str, token: &str, body: &Value) -> Answer {
    call(method, format!("{}/auth/v1/{path}", stack.api_url))
        .header("apikey", &stack.publishable_key)
        .header("authorization", format!("Bearer {token}"))
        .json(body)
        .send()
        .await
}

async fn signed_up(stack: &Stack) -> Value {
    auth(stack, "POST", "signup", "", &json!({})).await.json()
}

fn address() -> String {
    format!("{}@example.com", Uuid::new_v4().simple())
}

/// A refusal's status and code.
fn refusal(answer: &Answer) -> (u16, String) {
    let body = answer.json();
    assert_eq!(body["code"], answer.status.as_u16(), "{body}");
    assert!(body["msg"].is_string(), "{body}");
    (answer.status.as_u16(), body["error_code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_refresh_token_used_twice_at_once_answers_with_the_same_session() {
    let stack = Stack::running();
    let first = signed_up(&stack).await;
    let refresh = async |token: &Value| {
        auth(&stack, "POST", "token?grant_type=refresh_token", "", &json!({ "refresh_token": token })).await
    };
    let (one, other) = tokio::join!(refresh(&first["refresh_token"]), refresh(&first["refresh_token"]));
    let (one, other) = (one.json(), other.json());
    assert!(one["refresh_token"].is_string(), "{one}");
    assert_eq!(one["refresh_token"], other["refresh_token"]);
    for session in [&one, &other] {
        let token = session["access_token"].as_str().unwrap();
        assert_eq!(auth(&stack, "GET", "user", token, &json!({})).await.status, 200);
    }

    // The token of a tab that has slept meanwhile: it gets what is current now.
    let two = refresh(&one["refresh_token"]).await.json();
    assert_eq!(refresh(&first["refresh_token"]).await.json()["refresh_token"], two["refresh_token"]);

    // Ten seconds later somebody has a copy, and the session ends.
    let earlier = "update auth.refresh_tokens set revoked_at = revoked_at - interval '10 seconds' where token = $1";
    let database = stack.database().await;
    database.execute(earlier, &[&first["refresh_token"].as_str().unwrap()]).await.unwrap();
    let used = refresh(&first["refresh_token"]).await;
    assert_eq!(refusal(&used), (400, "refresh_token_already_used".to_owned()));
    let ended = refresh(&two["refresh_token"]).await;
    assert_eq!(refusal(&ended), (400, "refresh_token_not_found".to_owned()));
    let token = two["access_token"].as_str().unwrap();
    assert_eq!(refusal(&auth(&stack, "GET", "user", token, &json!({})).await).1, "session_not_found");
}

#[tokio::test]
async fn an_anonymous_user_becomes_permanent_and_changes_what_is_theirs() {
    let stack = Stack::running();
    let session = signed_up(&stack).await;
    let token = session["access_token"].as_str().unwrap();
    let change = async |body: Value| auth(&stack, "PUT", "user", token, &body).await;
    let sign_in = async |email: &str, password: &str| {
        let body = json!({ "email": email, "password": password });
        auth(&stack, "POST", "token?grant_type=password", "", &body).await
    };

    let email = address();
    let user = change(json!({ "email": email, "password": "correct horse", "data": { "a": 1, "b": 2 } })).await.json();
    assert_eq!((&user["id"], &user["email"]), (&session["user"]["id"], &json!(email)));
    assert_eq!((&user["is_anonymous"], &user["user_metadata"]), (&json!(false), &json!({ "a": 1, "b": 2 })));
    assert_eq!(user["app_metadata"]["provider"], "email");
    let elsewhere = sign_in(&email, "correct horse").await;
    assert_eq!(elsewhere.status, 200, "{}", elsewhere.text());

    // Metadata are merged, and null takes a member away.
    let user = change(json!({ "data": { "a": null, "c": { "d": null } } })).await.json();
    assert_eq!(user["user_metadata"], json!({ "b": 2, "c": { "d": null } }));

    // A new password signs everybody else out.
    let next = address();
    assert_eq!(change(json!({ "email": next, "password": "another horse" })).await.json()["email"], json!(next));
    assert_eq!(sign_in(&email, "correct horse").await.status, 400);
    assert_eq!(sign_in(&next, "another horse").await.status, 200);
    let elsewhere = elsewhere.json();
    let gone = auth(&stack, "GET", "user", elsewhere["access_token"].as_str().unwrap(), &json!({})).await;
    assert_eq!(refusal(&gone), (403, "session_not_found".to_owned()));
    assert_eq!(auth(&stack, "GET", "user", token, &json!({})).await.status, 200);
}

#[tokio::test]
async fn a_change_that_cannot_be_made_is_refused_in_the_words_of_supabase() {
    let stack = Stack::running();
    let somebody = address();
    auth(&stack, "POST", "signup", "", &json!({ "email": somebody, "password": "somebody's" })).await;
    let session = signed_up(&stack).await;
    let token = session["access_token"].as_str().unwrap();
    let change = async |body: Value| refusal(&auth(&stack, "PUT", "user", token, &body).await);
    for (body, status, code) in [
        (json!({ "password": "longenough" }), 422, "validation_failed"),
        (json!({ "email": "nonsense" }), 400, "validation_failed"),
        (json!({ "email": address(), "password": "short" }), 422, "weak_password"),
        (json!({ "email": somebody }), 422, "email_exists"),
        (json!({ "phone": "+610000000" }), 422, "phone_provider_disabled"),
    ] {
        assert_eq!(change(body.clone()).await, (status, code.to_owned()), "{body}");
    }
    let mine = json!({ "email": address(), "password": "longenough" });
    assert_eq!(auth(&stack, "PUT", "user", token, &mine).await.status, 200);
    assert_eq!(change(json!({ "password": "longenough" })).await, (422, "same_password".to_owned()));
    assert_eq!(refusal(&auth(&stack, "PUT", "user", "nonsense", &json!({})).await), (403, "bad_jwt".to_owned()));
}

#[tokio::test]
async fn a_method_that_a_path_of_the_issuer_does_not_have_is_405_with_a_body() {
    let stack = Stack::running();
    for (method, path) in [("PATCH", "user"), ("DELETE", "token"), ("PUT", "signup"), ("POST", "health")] {
        let answer = auth(&stack, method, path, "", &json!({})).await;
        assert_eq!(refusal(&answer), (405, "method_not_allowed".to_owned()), "{method} {path}");
        assert!(!answer.header("allow").is_empty(), "{method} {path}");
    }
}

/// As curl sends them: two on one connection, with a body between them.
#[tokio::test]
async fn postgrests_operators_for_json_reach_it_as_curl_sends_them() {
    let person = Person::new(&Stack::running()).await;
    let mut sent = event("local-stack");
    sent["event_data"]["k"] = json!(7);
    assert_eq!(person.track(&sent).await.status, 201);

    let host = person.stack.api_url.trim_start_matches("http://");
    let mut connection = tokio::net::TcpStream::connect(host).await.unwrap();
    let headers = format!(
        "host: {host}\r\napikey: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n",
        person.stack.publishable_key, person.token
    );
    let get =
        |end: &str| format!("GET /rest/v1/analytics?select=id&event_data->>k=eq.7 HTTP/1.1\r\n{headers}{end}\r\n");
    let body = r#"{"a":"GET /> HTTP/1.1"}"#;
    let post = format!("POST /rest/v1/rpc/<none> HTTP/1.1\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
    let requests = format!("{}{post}{}", get(""), get("connection: close\r\n"));
    connection.write_all(requests.as_bytes()).await.unwrap();
    let mut answers = String::new();
    connection.read_to_string(&mut answers).await.unwrap();
    let statuses: Vec<_> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "404", "200"], "{answers}");
    assert_eq!(answers.matches(sent["id"].as_str().unwrap()).count(), 2, "{answers}");
}

#[tokio::test]
async fn a_database_that_is_not_the_stacks_to_change_is_refused_before_it_is_changed() {
    let running = Stack::running();
    let scratch = ScratchDatabase::empty(&running).await;
    let client = scratch.connect().await;
    let passwords = "select string_agg(rolname || coalesce(rolpassword, ''), ',' order by rolname) from pg_authid";
    let before: String = running.database().await.query_one(passwords, &[]).await.unwrap().get(0);
    let reserve = async |db_url: &str, change_any_database| {
        let checkout = checkout();
        let options = StackOptions::ephemeral(&checkout, Host::Workers);
        let folder = options.folder.clone();
        let options = StackOptions { db_url: Some(db_url.to_owned()), change_any_database, ..options };
        let reserved = stack::Stack::reserve(&checkout, options).await;
        let outcome = reserved.as_ref().map(|_| ()).map_err(ToString::to_string);
        match reserved {
            Ok(stack) => stack.stop().await,
            Err(_) => fs::remove_dir_all(folder).unwrap(),
        }
        outcome
    };
    let refused = async |url: &str, why: &str| {
        let error = reserve(url, false).await.expect_err(why);
        assert!(error.contains(why) && error.contains("--yes-change-this-database"), "{error}");
    };

    // Not on this machine: nobody even connects.
    refused("postgresql://postgres@192.0.2.1/postgres", "is not at 127.0.0.1").await;
    // The server is a stack's already, and this database is not what its roles are for.
    refused(&scratch.url(), "serves another database").await;
    client.batch_execute("create schema auth; create table auth.users (id uuid)").await.unwrap();
    refused(&scratch.url(), "a schema auth that is not the local stack's").await;
    client.batch_execute("comment on schema auth is 'Selvedge, but not by the stack'").await.unwrap();
    refused(&scratch.url(), "a schema auth that is not the local stack's").await;

    let tables = "select count(*) from pg_class where relnamespace::regnamespace::text in ('auth', 'public')";
    assert_eq!(client.query_one(tables, &[]).await.unwrap().get::<_, i64>(0), 1, "nothing was added");
    let after: String = running.database().await.query_one(passwords, &[]).await.unwrap().get(0);
    assert!(after == before, "no role's password was changed");

    reserve(&scratch.url(), true).await.unwrap();
    client.batch_execute("comment on schema auth is 'selvedge 0'").await.unwrap();
    reserve(&scratch.url(), false).await.unwrap();
    scratch.remove().await;
}

#[tokio::test]
async fn a_database_made_by_an_older_version_gets_what_was_added_and_keeps_its_rows() {
    let scratch = ScratchDatabase::empty(&Stack::running()).await;
    let client = scratch.connect().await;
    let checkout = checkout();
    let auth = fs::read_to_string(checkout.path("supabase/local/20_auth.sql")).unwrap();
    client.batch_execute(&auth).await.unwrap();
    let older = "alter table auth.refresh_tokens drop column revoked_at;
        comment on schema auth is 'selvedge 0';
        insert into auth.users (email) values ('kept@example.com')";
    client.batch_execute(older).await.unwrap();
    assert_eq!(database::give_what_hosting_has(&checkout, &client).await.unwrap(), Given::Changes);
    assert_eq!(database::give_what_hosting_has(&checkout, &client).await.unwrap(), Given::Nothing);
    let row = client.query_one("select email, (select max(revoked_at) from auth.refresh_tokens) from auth.users", &[]);
    assert_eq!(row.await.unwrap().get::<_, &str>(0), "kept@example.com");
    scratch.remove().await;
}

#[tokio::test]
async fn the_databases_password_is_random_and_only_its_owner_can_read_it() {
    let stack = Stack::running();
    let with = |password: &str| {
        let (_, place) = stack.db_url.rsplit_once('@').unwrap();
        format!("postgresql://postgres{password}@{place}")
    };
    for url in [with(""), with(":postgres"), with(":")] {
        assert!(database::connect(&url).await.is_err(), "{url}");
    }
    let description = std::env::var("SELVEDGE_STACK").unwrap();
    for file in [description.clone(), description.replace("stack.json", "postgres-password")] {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn data_that_asked_for_no_password_keeps_its_rows_and_asks_from_now_on() {
    let scratch = Scratch::new("postgres").await;
    let toolbox = Toolbox::new(&checkout()).unwrap();
    let port = ports::free(1).unwrap()[0];
    let options = PostgresOptions { line: PostgresLine::V17, port, ephemeral: false, durable: true };
    let started = async || {
        let postgres = Postgres::start(&scratch, &toolbox, options).await.unwrap_or_else(|error| panic!("{error}"));
        postgres.until_ready().await.unwrap_or_else(|error| panic!("{error}"));
        postgres
    };
    let first = started().await;
    let client = database::connect(first.url()).await.unwrap();
    client.batch_execute("create table kept (a integer); alter role postgres password null").await.unwrap();
    let (data, before) = (first.place().data.clone(), first.url().to_owned());
    first.stop().await;
    // As versions before 0.2 left it.
    fs::write(data.join("pg_hba.conf"), "host all all 127.0.0.1/32 trust\n").unwrap();
    fs::remove_file(scratch.folder().join("postgres-password")).unwrap();

    let second = started().await;
    assert_ne!(second.url(), before);
    let client = database::connect(second.url()).await.unwrap();
    client.batch_execute("select a from kept").await.unwrap();
    assert!(database::connect(&format!("postgresql://postgres@127.0.0.1:{port}/postgres")).await.is_err());
    drop(client);
    second.stop().await;
    fs::remove_dir_all(data).unwrap();
}
