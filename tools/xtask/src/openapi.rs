//! `cargo xtask openapi`: the functions' OpenAPI documents, written to `docs/openapi`.

use devstack::{
    checkout::{Checkout, Function},
    error::{Error, Result},
    progress::print,
    tools::{command::Tool, rust::cargo},
};
use fs_err as fs;

/// Where the documents are.
const FOLDER: &str = "docs/openapi";

/// A function's document.
#[derive(Debug)]
pub struct Document {
    /// Its file, seen from the repository's root.
    pub file: String,
    /// What it says.
    text: String,
}

/// Every document, as the functions' types and routes say now.
pub async fn documents(checkout: &Checkout) -> Result<Vec<Document>> {
    let mut documents = Vec::new();
    for function in checkout.functions()? {
        documents.push(document(checkout, &function).await?);
    }
    Ok(documents)
}

/// A function's document: its crate has a program that prints it.
pub async fn document(checkout: &Checkout, Function { name }: &Function) -> Result<Document> {
    let said = Tool::new(cargo(), checkout.root())
        .args(["run", "--quiet", "--package", name, "--example", "openapi"])
        .run()
        .await?;
    if !said.status.success() {
        return Err(Error::new(format!("{name} is not declared as it is:\n{}", said.everything()))
            .cure(format!("functions/{name}/src/openapi.rs has a declaration of each operation")));
    }
    Ok(Document { file: format!("{FOLDER}/{name}.json"), text: said.stdout })
}

/// Writes the documents, and says what it did.
pub async fn run(checkout: &Checkout) -> Result<()> {
    for document in documents(checkout).await? {
        let file = &document.file;
        if document.is_written(checkout) {
            print(format!("unchanged  {file}"));
            continue;
        }
        document.write(checkout)?;
        print(format!("written    {file}"));
    }
    Ok(())
}

impl Document {
    /// Writes its file.
    pub fn write(&self, checkout: &Checkout) -> Result<()> {
        let Self { file, text } = self;
        Ok(fs::write(checkout.path(file), text)?)
    }

    /// Whether its file says the same.
    pub fn is_written(&self, checkout: &Checkout) -> bool {
        fs::read_to_string(checkout.path(&self.file)).is_ok_and(|text| text == self.text)
    }
}
