//! `{{name}}`: entries are saved once and are their owner's alone, over the function and past it.

use conformance::assertions::assert_problem;
use conformance::client::Answer;
use conformance::person::Person;
use conformance::stack::Stack;
use serde_json::{Value, json};
use uuid::Uuid;

async fn save(person: &Person, entry: &Value) -> Answer {
    person.call("POST", "{{name}}", "").json(entry).send().await
}

async fn page(person: &Person, target: &str) -> Value {
    let answer = person.call("GET", "{{name}}", target).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn an_entry_is_saved_once_and_replayed() {
    let person = Person::new(&Stack::running()).await;
    let entry = json!({ "id": Uuid::new_v4(), "text": " hello " });
    let first = save(&person, &entry).await;
    assert_eq!((first.status.as_u16(), &first.json()["replayed"]), (201, &json!(false)), "{}", first.text());
    let again = save(&person, &entry).await;
    assert_eq!((again.status.as_u16(), &again.json()["replayed"]), (200, &json!(true)), "{}", again.text());
    assert_eq!(first.json()["entry"], again.json()["entry"]);
    assert_eq!(page(&person, "").await, json!({ "entries": [first.json()["entry"]], "next": null }));
    let other = save(&person, &json!({ "id": entry["id"], "text": "else" })).await;
    assert_problem(&other, 409, "id_reused");
}

#[tokio::test]
async fn pages_hold_every_entry_once_the_newest_first() {
    let person = Person::new(&Stack::running()).await;
    for text in ["one", "two", "three"] {
        assert_eq!(save(&person, &json!({ "id": Uuid::new_v4(), "text": text })).await.status, 201);
    }
    let texts = |page: &Value| -> Vec<String> {
        page["entries"].as_array().unwrap().iter().map(|entry| entry["text"].as_str().unwrap().to_owned()).collect()
    };
    let first = page(&person, "?limit=2").await;
    let second = page(&person, &format!("?limit=2&before={}", first["next"].as_str().unwrap())).await;
    assert_eq!((texts(&first), texts(&second)), (vec!["three".into(), "two".into()], vec!["one".into()]));
    assert_eq!(second["next"], Value::Null);
}

#[tokio::test]
async fn another_person_sees_nothing_of_it() {
    let stack = Stack::running();
    let (owner, other) = (Person::new(&stack).await, Person::new(&stack).await);
    let entry = json!({ "id": Uuid::new_v4(), "text": "mine" });
    assert_eq!(save(&owner, &entry).await.status, 201);
    assert_eq!(page(&other, "").await["entries"], json!([]));
    assert_eq!(other.rest("GET", "{{stem}}?select=id").send().await.json(), json!([]));
    // The same id is another entry of another person: nobody can find out whether an id is in use.
    assert_eq!(save(&other, &entry).await.status, 201);
}

#[tokio::test]
async fn the_database_holds_to_the_same_rules_past_the_function() {
    let person = Person::new(&Stack::running()).await;
    for text in ["", " ", &"x".repeat(1001)] {
        let entry = json!({ "id": Uuid::new_v4(), "text": text });
        assert_problem(&save(&person, &entry).await, 422, "validation_failed");
        let direct = person.rest("POST", "{{stem}}").json(&entry).send().await;
        assert_eq!((direct.status.as_u16(), &direct.json()["code"]), (400, &json!("23514")), "{}", direct.text());
    }
    let someone_else = json!({ "id": Uuid::new_v4(), "text": "x", "user_id": Uuid::new_v4() });
    let direct = person.rest("POST", "{{stem}}").json(&someone_else).send().await;
    assert_eq!((direct.status.as_u16(), &direct.json()["code"]), (403, &json!("42501")), "{}", direct.text());
}
