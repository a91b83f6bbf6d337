//! What is inside the cursor of a list. Clients never look; the database functions take the place itself, so tests do.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The place a cursor stands for: `desc:41`, or `<microseconds>:<id>`.
pub fn place(cursor: &Value) -> String {
    let text = cursor.as_str().unwrap_or_else(|| panic!("a cursor is text: {cursor}"));
    let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    String::from_utf8(bytes).expect("UTF-8")
}

/// The cursor of a history: its order, and the `seq` the page ended with.
pub fn order_and_seq(cursor: &Value) -> (String, i64) {
    let place = place(cursor);
    let (order, seq) = place.split_once(':').unwrap_or_else(|| panic!("{place}"));
    assert!(["asc", "desc"].contains(&order), "{place}");
    (order.to_owned(), seq.parse().unwrap_or_else(|error| panic!("{place}: {error}")))
}

/// The cursor of another list: the time in microseconds and the id the page ended with.
pub fn time_and_id(cursor: &Value) -> (i64, String) {
    let place = place(cursor);
    let (time, id) = place.split_once(':').unwrap_or_else(|| panic!("{place}"));
    (time.parse().unwrap_or_else(|error| panic!("{place}: {error}")), id.to_owned())
}

/// Makes the arguments of a page those of the page to follow; `false` where none follows.
pub fn follow(page: &Value, arguments: &mut Value) -> bool {
    if page["next"].is_null() {
        return false;
    }
    if page["messages"].is_array() {
        let (order, seq) = order_and_seq(&page["next"]);
        assert_eq!(order, arguments["order"].as_str().unwrap_or("desc"));
        arguments["before"] = json!(seq);
    } else {
        let (time, id) = time_and_id(&page["next"]);
        arguments["before_time"] = json!(time);
        arguments["before_id"] = json!(id);
    }
    true
}
