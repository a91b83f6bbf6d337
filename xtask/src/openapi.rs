//! `cargo xtask openapi`: the functions' OpenAPI documents, written to `docs/openapi`.

use std::fs;

use crate::{
    checkout::Checkout,
    error::{Context as _, Error, Result},
};

/// Where the documents are.
const FOLDER: &str = "docs/openapi";

/// A function's document.
#[derive(Debug)]
pub struct Document {
    /// Its file, seen from the repository's root.
    pub file: String,
    /// Its text.
    pub text: String,
}

/// Every document, as the functions' types and routes say now.
pub fn documents() -> Result<Vec<Document>> {
    let of_functions = [
        ("analytics", analytics::openapi()),
        ("chat-message", chat_message::openapi()),
        ("fsm-transition", fsm_transition::openapi()),
    ];
    let document = |(name, json): (&str, std::result::Result<serde_json::Value, String>)| {
        let mut json = json.map_err(|faults| {
            Error::new(format!("{name}:\n{faults}"))
                .cure(format!("functions/{name}/src/openapi.rs declares operations"))
        })?;
        // Whatever another crate's features make of the order of members.
        json.sort_all_objects();
        Ok(Document { file: format!("{FOLDER}/{name}.json"), text: format!("{json:#}\n") })
    };
    of_functions.into_iter().map(document).collect()
}

/// Writes the documents, and says what it did.
pub fn run(checkout: &Checkout) -> Result<()> {
    for document in documents()? {
        if document.is_written(checkout) {
            println!("unchanged  {}", document.file);
            continue;
        }
        fs::write(checkout.path(&document.file), &document.text)
            .context(|| format!("{} cannot be written", document.file))?;
        println!("written    {}", document.file);
    }
    Ok(())
}

impl Document {
    /// Whether its file has its text.
    pub fn is_written(&self, checkout: &Checkout) -> bool {
        fs::read_to_string(checkout.path(&self.file)).is_ok_and(|text| text == self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::documents;
    use crate::checkout::Checkout;

    #[test]
    fn every_function_has_a_document() {
        let functions = Checkout::this().functions().unwrap();
        let files: Vec<_> = documents().unwrap().into_iter().map(|document| document.file).collect();
        let expected: Vec<_> =
            functions.iter().map(|function| format!("docs/openapi/{}.json", function.name)).collect();
        assert_eq!(files, expected);
    }
}
