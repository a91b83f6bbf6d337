//! What the database functions return is the HTTP response: body, status and headers, as PostgREST sends them.

use conformance::client::Answer;
use conformance::cursor;
use conformance::person::{Person, message};
use conformance::scratch_database::ScratchDatabase;
use conformance::stack::Stack;
use conformance::visitor::Visitor;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

const MIB: usize = 1_048_576;

/// Status, `Location` and `ETag` of a response. A header that is missing is empty.
fn head(answer: &Answer) -> (u16, &str, &str) {
    (answer.status.as_u16(), answer.header("location"), answer.header("etag"))
}

/// The names of an object's members, sorted.
fn members(object: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_saved_message_is_201_with_the_query_that_reads_it() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    for seq in 1..=3 {
        let said = message(session_id, "hello");
        let saved = person.rpc("save_message", &said).await;
        let (status, location, tag) = head(&saved);
        assert_eq!((status, tag), (201, ""), "{}", saved.text());
        assert_eq!(members(&saved.json()), ["message", "replayed", "session"]);
        let query = location.strip_prefix(&format!("?session_id={session_id}&limit=1&before=")).expect(location);
        assert_eq!(cursor::order_and_seq(&json!(query)), ("desc".to_owned(), seq + 1));
        let asked = json!({ "session_id": session_id, "limit": 1, "before": seq + 1 });
        assert_eq!(person.rpc("get_history", &asked).await.json()["messages"], json!([saved.json()["message"]]));

        let replay = person.rpc("save_message", &said).await;
        assert_eq!((head(&replay), &replay.json()["replayed"]), ((200, "", ""), &json!(true)));
        let mut other = said;
        other["message"] = json!("other");
        assert_eq!(head(&person.rpc("save_message", &other).await), (409, "", ""));
    }
    let mut invalid = message(session_id, "hello");
    invalid["role"] = json!("nobody");
    assert_eq!(head(&person.rpc("save_message", &invalid).await), (400, "", ""));
}

#[tokio::test]
async fn a_summary_is_201_when_it_is_the_first_of_its_type_and_200_when_it_replaces_one() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    person.rpc("save_message", &message(session_id, "hello")).await;
    for (n, status) in [(1, 201), (2, 200)] {
        let summary = json!({ "session_id": session_id, "summary_type": "partial", "summary_data": { "n": n } });
        let put = person.rpc("put_session_summary", &summary).await;
        assert_eq!(head(&put), (status, "", ""), "{}", put.text());
        assert_eq!(members(&put.json()), ["generated_at", "session_id", "summary_data", "summary_type"]);
        let asked = json!({ "session_id": session_id, "summary_type": "partial" });
        let got = person.rpc("get_session_summary", &asked).await;
        assert_eq!((head(&got), got.text()), ((200, "", ""), put.text()));
    }
}

#[tokio::test]
async fn a_move_and_a_state_carry_the_version_as_their_tag_and_an_error_carries_none() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let moved = |id: Uuid, event: &str| json!({ "session_id": session_id, "id": id, "event": event });
    let ids = [Uuid::new_v4(), Uuid::new_v4()];
    for (id, event, tag) in
        [(ids[0], "next_step", "\"1\""), (ids[1], "unclear", "\"2\""), (ids[0], "next_step", "\"1\"")]
    {
        let answer = person.rpc("transition_session", &moved(id, event)).await;
        assert_eq!(head(&answer), (200, "", tag), "{}", answer.text());
        assert_eq!(format!("\"{}\"", answer.json()["version"]), tag);
    }
    let asked = json!({ "session_id": session_id });
    let get = format!("rpc/get_session_state?session_id={session_id}");
    for answer in [person.rpc("get_session_state", &asked).await, person.rest("GET", &get).send().await] {
        assert_eq!((head(&answer), &answer.json()["version"]), ((200, "", "\"2\""), &json!(2)));
    }

    let illegal = person.rpc("transition_session", &moved(Uuid::new_v4(), "no_such_event")).await;
    assert_eq!((head(&illegal), &illegal.json()["message"]), ((422, "", ""), &json!("illegal_transition")));
    let mut late = moved(Uuid::new_v4(), "unclear");
    late["expected_version"] = json!(1);
    let conflict = person.rpc("transition_session", &late).await;
    assert_eq!((head(&conflict), &conflict.json()["message"]), ((409, "", ""), &json!("version_conflict")));
    let reused = person.rpc("transition_session", &moved(ids[0], "unclear")).await;
    assert_eq!((head(&reused), &reused.json()["message"]), ((409, "", ""), &json!("id_reused")));
    let none = person.rpc("get_session_state", &json!({ "session_id": Uuid::new_v4() })).await;
    assert_eq!((head(&none), &none.json()["message"]), ((404, "", ""), &json!("session_not_found")));
}

#[tokio::test]
async fn events_and_log_lines_are_201_for_everybody_who_may_send_them() {
    let stack = Stack::running();
    let (person, visitor) = (Person::new(&stack).await, Visitor(stack.clone()));
    let events = json!({ "events": [{ "id": Uuid::new_v4(), "event_type": "pass_through" }] });
    let line = json!({ "id": Uuid::new_v4(), "log_level": "INFO", "component": "test", "message": "hello" });
    for (function, body) in [("record_events", events), ("record_log", line)] {
        let target = format!("rpc/{function}");
        // The second time it is a repetition.
        for _ in 0..2 {
            for call in [person.rest("POST", &target), visitor.rest("POST", &target)] {
                let answer = call.json(&body).send().await;
                assert_eq!(head(&answer), (201, "", ""), "{function}: {}", answer.text());
            }
        }
    }
    let too_many = json!({ "events": vec![json!({ "event_type": "x" }); 501] });
    assert_eq!(head(&person.rpc("record_events", &too_many).await), (400, "", ""));
}

/// PostgREST uses one connection for many requests.
#[tokio::test]
async fn no_status_and_no_header_outlives_its_request() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let asked = json!({ "session_id": session_id });
    for n in 1..=20 {
        assert_eq!(person.rpc("save_message", &message(session_id, "hello")).await.status, 201);
        for (function, arguments) in [
            ("get_history", &asked),
            ("get_session", &asked),
            ("list_sessions", &json!({})),
            ("list_risk_detections", &json!({})),
            ("get_analytics_summary", &json!({})),
            ("database_is_there", &json!({})),
        ] {
            assert_eq!(head(&person.rpc(function, arguments).await), (200, "", ""), "{n} {function}");
        }
    }
}

#[tokio::test]
async fn a_cursor_is_base64url_without_padding_or_line_ends() {
    let database = Stack::running().database().await;
    let long = "1735689600123456:".repeat(20);
    for place in ["", "a", "ab", "abc", "desc:41", "~~~???>>>ÿÿÿ", &long] {
        let encoded: String = database.query_one("select selvedge.page_cursor($1)", &[&place]).await.unwrap().get(0);
        // The decoder takes neither padding, nor line ends, nor the other alphabet.
        assert_eq!(cursor::place(&json!(encoded)), place);
    }
}

/// The largest messages there are: 8000 characters of four bytes, and 16 KiB of `meta`.
#[tokio::test]
async fn a_page_of_the_largest_messages_ends_at_one_mebibyte_and_reading_on_loses_none() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let database = person.stack.database().await;
    let session = "insert into public.sessions (session_id, user_id) values ($1, $2)";
    database.execute(session, &[&session_id, &person.user_id]).await.unwrap();
    let insert = "with said as (
          insert into public.chat_history (session_id, id, role, message, meta)
          select $1, gen_random_uuid(), 'bot', repeat('🙂', 8000), jsonb_build_object('a', repeat('x', 16370))
          from generate_series(1, 200) returning id
        )
        insert into public.risk_detections (session_id, message_id, label, details)
        select $1, id, 'distress', jsonb_build_object('a', repeat('x', 16370)) from said";
    database.execute(insert, &[&session_id]).await.unwrap();
    let item = 8000 * 4 + 16_370;
    for (function, member, arguments, item) in [
        ("get_history", "messages", json!({ "session_id": session_id, "limit": 200 }), item),
        ("get_history", "messages", json!({ "session_id": session_id, "limit": 200, "order": "asc" }), item),
        ("list_risk_detections", "risk_detections", json!({ "session_id": session_id, "limit": 200 }), 16_370),
        ("list_risk_detections", "risk_detections", json!({ "limit": 200 }), 16_370),
    ] {
        let (mut asked, mut seen) = (arguments.clone(), Vec::new());
        loop {
            let answer = person.rpc(function, &asked).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            // Around the items there are commas, names and the cursor.
            assert!(answer.bytes.len() <= MIB + 1024, "{arguments}: {}", answer.bytes.len());
            let page = answer.json();
            seen.extend(page[member].as_array().unwrap().iter().cloned());
            if !cursor::follow(&page, &mut asked) {
                break;
            }
            // Another item would have been too much: each is `item` bytes and less than a KiB around them.
            assert!(answer.bytes.len() + item + 1024 > MIB, "{arguments}: {}", answer.bytes.len());
        }
        if member == "messages" {
            let mut seqs: Vec<i64> = seen.iter().map(|message| message["seq"].as_i64().unwrap()).collect();
            if arguments["order"].is_null() {
                seqs.reverse();
            }
            assert_eq!(seqs, (1..=200).collect::<Vec<_>>());
        } else {
            let mut ids: Vec<&str> = seen.iter().map(|detection| detection["id"].as_str().unwrap()).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!((seen.len(), ids.len()), (200, 200));
        }
    }
}

/// How large the items of each list are, in its order: some fit exactly, some miss by a byte, some are larger than a page.
const SIZES: [usize; 12] = [
    700_000,
    MIB - 700_000,
    600_000,
    MIB - 600_000 + 1,
    2 * MIB,
    1_000,
    3 * MIB,
    MIB,
    MIB + 1,
    500_000,
    500_000,
    1_000,
];

/// One person with one session of messages, a risk in each, and sessions beside it, all of the sizes above. No caller
/// could store most of them: the limits are taken away, and a title may have any length.
const SCENE: &str = "
    set session_replication_role = replica;
    alter domain public.text_65536 drop constraint text_65536_length;
    alter domain public.text_200 drop constraint text_200_length;
    alter domain public.json_object_16_kib drop constraint json_object_16_kib_size;
    create function pg_temp.nth(n bigint) returns uuid language sql immutable
      as $$ select lpad(to_hex(n), 32, '0')::uuid $$;
    create temporary table wanted as select size, n from unnest($sizes) with ordinality as u (size, n);
    insert into auth.users (id) values (pg_temp.nth(1));
    insert into public.sessions (session_id, user_id, machine, machine_version, fsm_state, title, last_activity)
      select pg_temp.nth(n), pg_temp.nth(1), 'supportive-yarn', 1, 'welcome', 'x', timestamptz '2026-01-01T00:00:00Z' - n * interval '1 day' from wanted;
    insert into public.chat_history (session_id, id, role, message, seq, created_at)
      select pg_temp.nth(1), pg_temp.nth(n), 'bot', 'x', n, timestamptz '2026-01-01T00:00:00Z' from wanted;
    insert into public.risk_detections (session_id, message_id, label, detected_at, details)
      select pg_temp.nth(1), pg_temp.nth(n), 'x', timestamptz '2026-01-01T00:00:00Z' - n * interval '1 day', '{\"a\": \"x\"}'
      from wanted;
    update public.chat_history h set message = repeat('x', 1 + w.size - octet_length(selvedge.message_object(h)::text))
      from wanted w where h.seq = w.n;
    set request.jwt.claims = '{\"sub\": \"00000000-0000-0000-0000-000000000001\"}';
    create temporary table listed as select (item ->> 'session_id')::uuid as id, octet_length(item::text) as size
      from json_array_elements(public.list_sessions(200) -> 'sessions') item;
    update public.sessions s set title = repeat('x', 1 + w.size - l.size)
      from wanted w, listed l where s.session_id = pg_temp.nth(w.n) and l.id = s.session_id;
    update public.risk_detections d
      set details = jsonb_build_object('a', repeat('x', 1 + w.size - octet_length(to_json(d)::text)))
      from wanted w where d.message_id = pg_temp.nth(w.n);
    set session_replication_role = origin;";

/// The sizes page by page, as the rule has it.
fn split(sizes: &[usize]) -> Vec<Vec<usize>> {
    let mut pages: Vec<Vec<usize>> = vec![Vec::new()];
    for size in sizes {
        let page = pages.last_mut().unwrap();
        if page.is_empty() || page.iter().sum::<usize>() + size <= MIB {
            page.push(*size);
        } else {
            pages.push(vec![*size]);
        }
    }
    pages
}

/// How long the one long text of an item is: what tells the items of a page apart.
fn longest(item: &Value) -> usize {
    match item {
        Value::String(text) => text.len(),
        Value::Object(members) => members.values().map(longest).max().unwrap_or(0),
        _ => 0,
    }
}

/// Reads a list to its end as the person; the length of each item's long text, page by page.
async fn pages(database: &mut Client, function: &str, member: &str, mut arguments: Value) -> Vec<Vec<usize>> {
    let transaction = database.transaction().await.unwrap();
    let claims = json!({ "sub": "00000000-0000-0000-0000-000000000001", "role": "authenticated" });
    let become_person = format!("set local role authenticated; set local \"request.jwt.claims\" = '{claims}';");
    transaction.batch_execute(&become_person).await.unwrap();
    let mut pages = Vec::new();
    loop {
        let named: Vec<String> = arguments
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| format!("\"{name}\" => '{}'", value.to_string().trim_matches('"')))
            .collect();
        let call = format!("select public.{function}({})::text", named.join(", "));
        let page: String =
            transaction.query_one(&call, &[]).await.unwrap_or_else(|error| panic!("{call}: {error:?}")).get(0);
        let page: Value = serde_json::from_str(&page).unwrap();
        pages.push(page[member].as_array().unwrap().iter().map(longest).collect());
        if !cursor::follow(&page, &mut arguments) {
            return pages;
        }
    }
}

#[tokio::test]
async fn each_list_ends_a_page_before_the_item_that_is_too_much_and_holds_one_at_least() {
    let scratch = ScratchDatabase::new(&Stack::running()).await;
    let mut database = scratch.connect().await;
    let sizes: Vec<String> = SIZES.iter().map(usize::to_string).collect();
    database
        .batch_execute(&SCENE.replace("$sizes", &format!("array[{}]", sizes.join(", "))))
        .await
        .unwrap_or_else(|error| panic!("{error:?}"));
    let session_id = "00000000-0000-0000-0000-000000000001";
    let expected = split(&SIZES);
    assert_eq!(expected.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1, 1, 1, 1, 1, 1, 1, 3]);
    let backwards: Vec<usize> = SIZES.iter().rev().copied().collect();
    for (function, member, arguments, expected) in [
        ("get_history", "messages", json!({ "session_id": session_id, "limit": 200, "order": "asc" }), &expected),
        ("get_history", "messages", json!({ "session_id": session_id, "limit": 200 }), &split(&backwards)),
        ("list_sessions", "sessions", json!({ "limit": 200 }), &expected),
        ("list_risk_detections", "risk_detections", json!({ "limit": 200 }), &expected),
        ("list_risk_detections", "risk_detections", json!({ "session_id": session_id, "limit": 200 }), &expected),
    ] {
        let seen = pages(&mut database, function, member, arguments.clone()).await;
        // What is around the long text differs from list to list, by less than 1000 bytes; see SIZES.
        let close = |seen: &usize, size: &usize| seen <= size && size - seen < 1000;
        let same = seen.len() == expected.len()
            && seen.iter().zip(expected).all(|(seen, sizes)| {
                seen.len() == sizes.len() && seen.iter().zip(sizes).all(|(seen, size)| close(seen, size))
            });
        assert!(same, "{function} {arguments}: {seen:?}");
    }
    drop(database);
    scratch.remove().await;
}
