//! An RSA key pair of the stack's, for RS256 tokens. Node.js makes and uses it: it is there anyway, and nothing else in
//! the stack needs RSA.

use std::{path::Path, process::Command};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use fs_err as fs;
use serde_json::{Value, json};

use crate::{
    error::{Context as _, Error, Result},
    keys::secret_file,
};

/// Prints a new private key as a JSON Web Key.
const GENERATE: &str = r#"
const { privateKey } = require("node:crypto").generateKeyPairSync("rsa", { modulusLength: 2048 });
console.log(JSON.stringify(privateKey.export({ format: "jwk" })));
"#;

/// Prints the signature over its second argument by the key in the file its first one names.
const SIGN: &str = r#"
const [file, text] = process.argv.slice(1);
const key = require("node:crypto").createPrivateKey({ key: JSON.parse(require("node:fs").readFileSync(file)), format: "jwk" });
console.log(require("node:crypto").sign("sha256", Buffer.from(text), key).toString("base64url"));
"#;

/// The id tokens name the key by.
const KID: &str = "selvedge-local-rsa";

/// Makes the key pair in a file, unless it is there.
pub fn ensure(file: &Path) -> Result<()> {
    secret_file::keep(file, || node(GENERATE, &[])).map(|_| ())
}

/// The public half as a JSON Web Key.
pub fn public_jwk(file: &Path) -> Result<Value> {
    let private: Value =
        serde_json::from_str(&fs::read_to_string(file)?).context(|| format!("{} is not JSON", file.display()))?;
    let (n, e) = (private.get("n"), private.get("e"));
    Ok(json!({ "kty": "RSA", "n": n, "e": e, "kid": KID, "alg": "RS256", "use": "sig", "key_ops": ["verify"] }))
}

/// The header of a token signed with it.
pub fn header() -> Value {
    json!({ "alg": "RS256", "kid": KID, "typ": "JWT" })
}

/// The signature over a text.
pub fn signature(file: &Path, signed: &str) -> Result<Vec<u8>> {
    let file = file.to_string_lossy();
    let text = node(SIGN, &[&file, signed])?;
    URL_SAFE_NO_PAD.decode(&text).map_err(|error| Error::new(format!("Node.js made no signature: {error}")))
}

fn node(script: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new("node")
        .args(["-e", script])
        .args(arguments)
        .output()
        .context(|| "Node.js does not start; install version 20 or newer from https://nodejs.org".into())?;
    if !output.status.success() {
        return Err(Error::new(format!("Node.js failed: {}", String::from_utf8_lossy(&output.stderr))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
