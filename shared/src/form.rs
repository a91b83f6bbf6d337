//! Forms: what the fields of a request must be, as data, and reading them all before the caller hears of any.
//!
//! A body's members and a query's parameters are read the same way. A value that is accepted is kept as JSON text, which
//! is how it goes on to the database.

use crate::id::Id;
use crate::json::{Object, ObjectWriter, Raw, digits, push_number, quoted};
pub use crate::kind::Kind;
use crate::kind::{NOT_AN_OBJECT, TOO_LONG, Value, count};
use crate::problem::{Fault, FieldError, Problem, Rule};
use crate::query;

static REQUIRED: Rule = Rule { code: "required", detail: "is required" };
static UNKNOWN: Rule = Rule { code: "unknown_field", detail: "no such field or parameter" };
static DUPLICATE: Rule = Rule { code: "duplicate_field", detail: "stands more than once" };
static TOO_MANY: Rule = Rule { code: "too_many", detail: "must have at most # members" };
static OTHER_KEY: Rule = Rule { code: "idempotency_key_mismatch", detail: "differs from the Idempotency-Key header" };

/// Parameters that clients of Supabase add to any URL; they are for the gateway, not for the function.
const GATEWAY_PARAMETERS: &[&str] = &["apikey", "forceFunctionRegion"];

/// Most members an object with known fields may have: each is compared with all the others.
const MAX_MEMBERS: usize = 64;

/// A field of a request.
#[derive(Debug)]
pub struct Field {
    name: &'static str,
    kind: Kind,
    is_required: bool,
}

impl Field {
    /// A field that must be there.
    pub const fn required(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, is_required: true }
    }

    /// A field that may be missing or `null`.
    pub const fn optional(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, is_required: false }
    }
}

/// The fields of a request that were accepted, and what was wrong with the others. End it with [`Form::finish`] or
/// [`Form::arguments`]: they report every fault at once.
#[derive(Debug, Default)]
pub struct Form {
    values: Vec<(&'static str, String)>,
    errors: Vec<FieldError>,
}

impl Form {
    /// Reads the parameters of a query.
    pub fn of_query(query: &str, fields: &'static [Field]) -> Self {
        let mut given = Vec::new();
        for (name, value) in query::parse(query) {
            if !GATEWAY_PARAMETERS.contains(&name.as_str()) {
                given.push((name, Value::Text(value)));
            }
        }
        let mut form = Self::default();
        form.values = read(given, fields, "", &mut form.errors);
        form
    }

    /// Reads the members of an object, whose place in the body `at` points to.
    pub fn of_object(object: Raw, fields: &'static [Field], at: &str) -> Self {
        let mut form = Self::default();
        form.add_object(object, fields, at);
        form
    }

    /// Reads the members of an object as well. A body that is no object has no other fault.
    pub fn add_object(&mut self, object: Raw, fields: &'static [Field], at: &str) {
        self.add_members(Object::read(object), fields, at);
    }

    /// The same for an object that has been taken apart; `None` is what was no object.
    pub fn add_members(&mut self, object: Option<Object>, fields: &'static [Field], at: &str) {
        match object {
            Some(object) => self.values.append(&mut read(members(object), fields, at, &mut self.errors)),
            None => self.errors = vec![NOT_AN_OBJECT.broken().at(at, "")],
        }
    }

    /// Reads one more field out of a text that stands elsewhere: in a header, or in the path.
    pub fn add_text(&mut self, field: &'static Field, text: &str) {
        let given = vec![(field.name.to_owned(), Value::Text(text.to_owned()))];
        self.values.append(&mut read(given, std::slice::from_ref(field), "", &mut self.errors));
    }

    /// The request's own id: the field `id`, or the `Idempotency-Key` header, or one made for it. It is there before
    /// the first try, so that any retry is of the same thing.
    pub fn identify(&mut self, idempotency_key: Option<&str>, made: &Id) {
        let in_body = self.take(ID.name);
        let mut header = Self::default();
        if let Some(key) = idempotency_key {
            header.add_text(&ID, key);
        }
        let in_header = header.take(ID.name);
        self.errors.append(&mut header.errors);
        if in_body.is_some() && in_header.is_some() && in_body != in_header {
            self.fault(ID.name, OTHER_KEY.broken());
        }
        self.put(ID.name, in_body.or(in_header).unwrap_or_else(|| quoted(made.as_str())));
    }

    /// An accepted value, as JSON.
    pub fn json(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// An accepted string.
    pub fn text(&self, name: &str) -> Option<String> {
        Raw::parse(self.json(name)?).ok()?.string()
    }

    /// An accepted whole number.
    pub fn number(&self, name: &str) -> Option<u64> {
        digits(self.json(name)?)
    }

    /// Takes an accepted value out, as JSON: it is not sent on.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let place = self.values.iter().position(|(known, _)| *known == name)?;
        Some(self.values.remove(place).1)
    }

    /// Takes an accepted string out.
    pub fn take_text(&mut self, name: &str) -> Option<String> {
        let text = self.text(name);
        self.take(name);
        text
    }

    /// Adds a value, as JSON, to those that are sent on.
    pub fn put(&mut self, name: &'static str, json: String) {
        self.values.push((name, json));
    }

    /// Adds a whole number to what is sent on.
    pub fn put_number(&mut self, name: &'static str, number: u64) {
        let mut json = String::new();
        push_number(&mut json, number);
        self.put(name, json);
    }

    /// Reports a fault of a field.
    pub fn fault(&mut self, name: &str, fault: Fault) {
        self.fault_at("", name, fault);
    }

    /// Reports a fault of a field of the object that `at` points to.
    pub fn fault_at(&mut self, at: &str, name: &str, fault: Fault) {
        self.errors.push(fault.at(at, name));
    }

    /// Holds an accepted text to a limit that is known only now, in characters.
    pub fn limit(&mut self, name: &str, characters: usize) {
        if self.text(name).is_some_and(|text| count(&text) > characters) {
            self.fault(name, TOO_LONG.broken_at(characters as u64));
        }
    }

    /// What is wrong so far.
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// Takes what is wrong so far.
    pub fn take_errors(&mut self) -> Vec<FieldError> {
        std::mem::take(&mut self.errors)
    }

    /// Reports every fault, if there is one.
    pub fn finish(&mut self) -> Result<(), Problem> {
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::invalid(self.take_errors())) }
    }

    /// The accepted values as a JSON object, each under its name: the parameters of a database function. Or every fault.
    pub fn arguments(&mut self) -> Result<String, Problem> {
        self.finish()?;
        Ok(self.object())
    }

    /// The accepted values as a JSON object.
    pub fn object(&self) -> String {
        object_of(&self.values)
    }
}

/// The field that identifies a request.
static ID: Field = Field::optional("id", Kind::Id);

pub(crate) fn object_of(values: &[(&'static str, String)]) -> String {
    let mut object = ObjectWriter::new();
    for (name, value) in values {
        object.raw(name, value);
    }
    object.finish()
}

/// The members of an object, as values of fields.
pub(crate) fn members(object: Object) -> Vec<(String, Value)> {
    let mut members = Vec::new();
    for (name, value) in object.members {
        members.push((name, Value::Json(value)));
    }
    members
}

/// Reads the members of the object that `at` points to.
pub(crate) fn read(
    given: Vec<(String, Value)>,
    fields: &'static [Field],
    at: &str,
    errors: &mut Vec<FieldError>,
) -> Vec<(&'static str, String)> {
    let mut values = Vec::new();
    if given.len() > MAX_MEMBERS {
        errors.push(TOO_MANY.broken_at(MAX_MEMBERS as u64).at(at, ""));
        return values;
    }
    for (place, (name, value)) in given.iter().enumerate() {
        let fault = if given.iter().take(place).any(|(earlier, _)| earlier == name) {
            DUPLICATE.broken()
        } else {
            match fields.iter().find(|field| field.name == name) {
                None => UNKNOWN.broken(),
                Some(_) if value.is_null() => continue,
                Some(field) => match field.kind.read(value, at, name, errors) {
                    Ok(json) => {
                        values.push((field.name, json));
                        continue;
                    }
                    Err(fault) => fault,
                },
            }
        };
        errors.push(fault.at(at, name));
    }
    for field in fields.iter().filter(|field| field.is_required) {
        if !given.iter().any(|(name, value)| name == field.name && !value.is_null()) {
            errors.push(REQUIRED.broken().at(at, field.name));
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::{Field, Form, Kind};
    use crate::id::Id;
    use crate::json::Raw;
    use crate::kind::is_fraction;
    use crate::problem::Rule;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    const ID: &str = "018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e";
    const OTHER: &str = "018f4e9a-7d3c-7cc0-9d0e-000000000001";

    static NOT_A_WORD: Rule = Rule { code: "not_allowed", detail: "must be a or b" };
    static NOT_A_YES: Rule = Rule { code: "no_yes", detail: "must be yes" };
    static FIELDS: &[Field] = &[
        Field::optional("id", Kind::Id),
        Field::required("text", Kind::Text(3)),
        Field::optional("name", Kind::Name),
        Field::optional("word", Kind::Word(&["a", "b"], &NOT_A_WORD)),
        Field::optional("yes", Kind::Parsed(|text| (text == "yes").then(|| "true".to_owned()), &NOT_A_YES)),
        Field::optional("limit", Kind::Within(200)),
        Field::optional("count", Kind::Count),
        Field::optional("fraction", Kind::Fraction),
        Field::optional("amount", Kind::Amount),
        Field::optional("object", Kind::Object(24)),
        Field::optional("parts", Kind::Fields(PARTS)),
    ];
    static PARTS: &[Field] = &[Field::required("a/b", Kind::Text(3)), Field::optional("c", Kind::Count)];

    fn body(text: &str) -> Form {
        Form::of_object(Raw::parse(text).unwrap(), FIELDS, "")
    }

    fn faults(mut form: Form) -> Vec<(String, &'static str)> {
        let problem = form.finish().unwrap_err();
        problem.errors.iter().map(|error| (error.pointer.clone(), error.fault.rule.code)).collect()
    }

    fn expected(faults: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
        faults.iter().map(|(pointer, code)| ((*pointer).to_owned(), *code)).collect()
    }

    /// The code of the one fault a value of a field has; `ok` where it has none.
    fn judged(field: &str, json: &str) -> String {
        let mut form = body(&format!(r#"{{"text":"x","{field}":{json}}}"#));
        match form.take_errors().as_slice() {
            [] => "ok".to_owned(),
            [error] => {
                assert_eq!(error.pointer, format!("/{field}"));
                error.fault.rule.code.to_owned()
            }
            several => panic!("{several:?}"),
        }
    }

    #[test]
    fn every_fault_of_a_body_is_reported_at_once() {
        let form = body(r#"{"id":"x","name":7,"extra":1,"more/so":2,"extra":3,"text":null,"parts":{"c":-1,"d":0}}"#);
        assert_eq!(
            faults(form),
            expected(&[
                ("/id", "invalid_uuid"),
                ("/name", "wrong_type"),
                ("/extra", "unknown_field"),
                ("/more~1so", "unknown_field"),
                ("/extra", "duplicate_field"),
                ("/parts/c", "out_of_range"),
                ("/parts/d", "unknown_field"),
                ("/parts/a~1b", "required"),
                ("/text", "required"),
            ])
        );
    }

    #[test]
    fn a_body_that_is_no_object_has_that_one_fault() {
        for text in ["[1]", "7", "\"{}\"", "null"] {
            assert_eq!(faults(body(text)), expected(&[("", "wrong_type")]), "{text}");
        }
    }

    #[test]
    fn what_is_accepted_goes_on_as_it_was_written() {
        let text = r#"{"text":" é\n","object":{"n":1.50},"fraction":5e-7,"parts":{"a/b":" x ","c":3},"count":null,"id":"018F4E9A-7D3C-7CC0-9D0E-3F2B5A6C7D8E"}"#;
        let mut form = body(text);
        assert_eq!(form.text("text").as_deref(), Some("é"));
        let sent =
            format!(r#"{{"text":"é","object":{{"n":1.50}},"fraction":5e-7,"parts":{{"a/b":"x","c":3}},"id":"{ID}"}}"#);
        assert_eq!(form.arguments().unwrap(), sent);
    }

    #[test]
    fn unknown_repeated_missing_and_wrong_parameters_are_all_named() {
        let form = Form::of_query("limt=5&limit=0&word=a&word=b&apikey=x&forceFunctionRegion=eu-west-1", FIELDS);
        assert_eq!(
            faults(form),
            expected(&[
                ("/limt", "unknown_field"),
                ("/limit", "out_of_range"),
                ("/word", "duplicate_field"),
                ("/text", "required"),
            ])
        );
    }

    #[test]
    fn texts_are_trimmed_and_counted_in_characters() {
        for (json, code) in [
            ("\" \\u00a0hi\\n\"", "ok"),
            ("\"\u{1F469}\u{200D}\u{1F469}\"", "ok"),
            ("\"abcd\"", "too_long"),
            ("\" \\u2003 \"", "blank"),
            ("\"a\\u0000\"", "nul_character"),
            ("\"\\ud800\"", "invalid_string"),
            ("7", "wrong_type"),
        ] {
            let mut form = body(&format!(r#"{{"text":{json}}}"#));
            assert_eq!(form.take_errors().first().map_or("ok", |error| error.fault.rule.code), code, "{json}");
        }
        let mut form = body(r#"{"text":"éa"}"#);
        form.limit("text", 2);
        assert!(form.finish().is_ok());
        form.limit("text", 1);
        assert_eq!(faults(form), expected(&[("/text", "too_long")]));
    }

    #[test]
    fn each_kind_has_its_rule() {
        for (field, good, bad, code) in [
            ("name", "\"next_step-2\"", "\"Next\"", "invalid_name"),
            ("name", "\"a\"", "\"\"", "invalid_name"),
            ("name", "\"a\"", "\"1a\"", "invalid_name"),
            ("word", "\"b\"", "\"c\"", "not_allowed"),
            ("yes", "\"yes\"", "\"no\"", "no_yes"),
            ("count", "0", "-1", "out_of_range"),
            ("count", "2147483647", "2147483648", "out_of_range"),
            ("count", "7", "\"7\"", "out_of_range"),
            ("count", "7", "1.0", "out_of_range"),
            ("fraction", "1", "1.01", "out_of_range"),
            ("fraction", "0", "\"0\"", "out_of_range"),
            ("amount", "12.5", "-0.1", "out_of_range"),
            ("amount", "1e+30", "1e+308", "out_of_range"),
            ("amount", "0", "null ", "ok"),
            ("amount", "0", "\"1\"", "out_of_range"),
            ("amount", "0", "100000000000000000000000000000000", "out_of_range"),
            ("object", r#"{"a":[{}]}"#, "[]", "wrong_type"),
            ("object", "{}", r#""{}""#, "wrong_type"),
            ("object", "{}", r#"{"a":"24 bytes and one mor"}"#, "too_large"),
            ("object", "{}", "{\"\":1e400}", "too_large"),
            ("object", "{\"\":1e9}", "{\"\":\"\\u0000\"}", "not_storable"),
            ("parts", r#"{"a/b":"x"}"#, "[]", "wrong_type"),
        ] {
            assert_eq!(
                (judged(field, good).as_str(), judged(field, bad).as_str()),
                ("ok", code),
                "{field} {good} {bad}"
            );
        }
        let long = format!("\"{}\"", "a".repeat(65));
        assert_eq!(judged("name", &long), "invalid_name");
        static WIDE: &[Field] = &[Field::optional("deep", Kind::Object(1000))];
        for (levels, is_fine) in [(16, true), (17, false)] {
            let text = format!("{{\"deep\":{}1{}}}", "{\"a\":".repeat(levels), "}".repeat(levels));
            assert_eq!(Form::of_object(Raw::parse(&text).unwrap(), WIDE, "").finish().is_ok(), is_fine, "{levels}");
        }
    }

    #[test]
    fn numbers_of_a_query_are_digits_within_bounds() {
        for (text, is_fine) in
            [("1", true), ("200", true), ("", false), ("0", false), ("201", false), ("%2B5", false), ("1.0", false)]
        {
            let form = Form::of_query(&format!("text=x&limit={text}"), FIELDS);
            assert_eq!(form.errors().is_empty(), is_fine, "{text}");
        }
        assert_eq!(Form::of_query("text=x&limit=007", FIELDS).number("limit"), Some(7));
    }

    #[test]
    fn an_id_may_come_by_either_way_or_be_made() {
        let made = Id::parse(ID).unwrap();
        let id = |body_id: &str, key: Option<&str>| {
            let mut form = body(&format!(r#"{{"text":"x"{body_id}}}"#));
            form.identify(key, &made);
            form.finish().map(|()| form.text("id").unwrap()).map_err(|problem| problem.errors[0].fault.rule.code)
        };
        let in_body = format!(r#","id":"{OTHER}""#);
        assert_eq!(id("", None), Ok(ID.to_owned()));
        assert_eq!(id("", Some(OTHER)), Ok(OTHER.to_owned()));
        assert_eq!(id(&in_body, None), Ok(OTHER.to_owned()));
        assert_eq!(id(&in_body, Some(&OTHER.to_uppercase())), Ok(OTHER.to_owned()));
        assert_eq!(id(&in_body, Some(ID)), Err("idempotency_key_mismatch"));
        assert_eq!(id("", Some("x")), Err("invalid_uuid"));
    }

    #[test]
    fn an_object_of_very_many_members_is_one_fault() {
        let members: Vec<_> = (0..10_000).map(|number| format!("\"m{number}\":0")).collect();
        assert_eq!(faults(body(&format!("{{{}}}", members.join(",")))), expected(&[("", "too_many")]));
    }

    proptest! {
        #[test]
        fn a_fraction_is_what_arithmetic_says(whole in 0_u32..3, decimals in "[0-9]{0,4}", power in 0_u32..9) {
            let text = if decimals.is_empty() { whole.to_string() } else { format!("{whole}.{decimals}") };
            let text = if power == 0 { text } else { format!("{text}e-{power}") };
            prop_assert_eq!(is_fraction(&text), (0.0..=1.0).contains(&text.parse::<f64>().unwrap()), "{}", text);
        }

        #[test]
        fn no_body_and_no_query_makes_the_reader_panic(text in any::<String>()) {
            if let Ok(raw) = Raw::parse(&text) {
                let _ = Form::of_object(raw, FIELDS, "").finish();
            }
            let _ = Form::of_query(&text, FIELDS).finish();
        }
    }
}
