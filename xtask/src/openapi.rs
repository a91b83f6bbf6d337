//! `cargo xtask openapi`: the functions' OpenAPI documents, written to `docs/openapi`.

use std::fs;

use serde_json::Value;

use crate::{
    checkout::Checkout,
    error::{Context as _, Error, Result},
};

/// Where the documents are.
const FOLDER: &str = "docs/openapi";

/// A function's document.
#[derive(Debug)]
pub struct Document {
    /// The function.
    pub function: &'static str,
    /// What it says.
    pub json: Value,
}

/// Every document, as the functions' types and routes say now.
pub fn documents() -> Result<Vec<Document>> {
    [
        ("analytics", analytics::openapi()),
        ("chat-message", chat_message::openapi()),
        ("fsm-transition", fsm_transition::openapi()),
    ]
    .into_iter()
    .map(|(function, document)| match document {
        Ok(json) => Ok(Document { function, json }),
        Err(faults) => Err(Error::new(format!("{function} is not declared as it is:\n{faults}"))
            .cure(format!("functions/{function}/src/openapi.rs has a declaration of each operation"))),
    })
    .collect()
}

/// Writes the documents, and says what it did.
pub fn run(checkout: &Checkout) -> Result<()> {
    for document in documents()? {
        let file = document.file();
        if document.is_written(checkout) {
            println!("unchanged  {file}");
            continue;
        }
        fs::write(checkout.path(&file), document.text()).context(|| format!("{file} cannot be written"))?;
        println!("written    {file}");
    }
    Ok(())
}

impl Document {
    /// Its file, seen from the repository's root.
    pub fn file(&self) -> String {
        format!("{FOLDER}/{}.json", self.function)
    }

    /// Whether its file says the same.
    pub fn is_written(&self, checkout: &Checkout) -> bool {
        fs::read_to_string(checkout.path(self.file())).is_ok_and(|text| text == self.text())
    }

    fn text(&self) -> String {
        let mut json = self.json.clone();
        // The same text, whatever the features of another crate make of the order of members.
        json.sort_all_objects();
        format!("{json:#}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::documents;
    use crate::checkout::Checkout;

    #[test]
    fn every_function_has_a_document() {
        let functions = Checkout::this().functions().unwrap();
        let expected: Vec<_> = functions.iter().map(|function| function.name.as_str()).collect();
        let documented: Vec<_> = documents().unwrap().iter().map(|document| document.function).collect();
        assert_eq!(documented, expected);
    }
}
