//! Supabase's side of `supabase functions deploy`: takes what the real CLI uploads, and shows it.

use crate::stack::checkout;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path};

use axum::extract::multipart::MultipartError;
use axum::extract::{DefaultBodyLimit, Multipart, Path as UrlPath, Query, State};
use axum::routing::post;
use axum::{Json, Router};
use devstack::tools::toolbox::Toolbox;
use hyper::StatusCode;
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// Of the shapes the CLI insists on; neither is anybody's.
const PROJECT: &str = "selvedgeselvedgetest";
const ACCESS_TOKEN: &str = "sbp_0123456789abcdef0123456789abcdef01234567";

/// A function as it reached Supabase.
#[derive(Debug)]
pub struct Upload {
    /// The function's name.
    pub slug: String,
    /// What the CLI says about it: entry point, whether the gateway checks tokens, …
    pub metadata: Value,
    /// Its files, by their path below the repository.
    pub files: BTreeMap<String, Bytes>,
}

impl Upload {
    /// Writes the files below a folder.
    pub fn unpack(&self, folder: &Path) {
        for (path, bytes) in &self.files {
            let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
            assert!(inside, "{path} leads out of the folder");
            let file = folder.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        }
    }
}

/// Deploys a function of the checkout with the real CLI. `home` is a folder for the CLI to take for the user's own.
pub async fn deploy(home: &Path, function: &str, flags: &[&str]) -> Upload {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
    let url = format!("http://{}", listener.local_addr().unwrap());
    let profile = home.join("profile.yaml");
    let members = format!("name: test\napi_url: {url}\ndashboard_url: {url}\nproject_host: 127.0.0.1\n");
    fs::write(&profile, members).unwrap();

    let checkout = checkout();
    let cli = Toolbox::new(&checkout)
        .and_then(|toolbox| toolbox.supabase())
        .expect("the Supabase CLI")
        .args(["functions", "deploy", function, "--use-api", "--yes"])
        .args(flags)
        .arg(format!("--remote={PROJECT}"))
        .args(["--profile".as_ref(), profile.as_os_str(), "--workdir".as_ref(), checkout.root().as_os_str()])
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home)
        .env("NO_PROXY", "127.0.0.1")
        .env("SUPABASE_ACCESS_TOKEN", ACCESS_TOKEN);
    let (keep, mut kept) = unbounded_channel();
    let said = tokio::select! {
        said = cli.run() => said.expect("the Supabase CLI"),
        ended = axum::serve(listener, api(keep)).into_future() => panic!("the API ended: {ended:?}"),
    };
    assert!(said.status.success(), "{}", said.everything());
    let upload = kept.try_recv().unwrap_or_else(|_| panic!("nothing was uploaded:\n{}", said.everything()));
    assert!(kept.try_recv().is_err(), "{function} was uploaded twice:\n{}", said.everything());
    upload
}

/// The one resource a deploy needs. What else the CLI asks for is 404, which it takes in its stride.
fn api(keep: UnboundedSender<Upload>) -> Router {
    Router::new()
        .route("/v1/projects/{project}/functions/deploy", post(receive))
        .layer(DefaultBodyLimit::max(20 * 1024 * 1024))
        .with_state(keep)
}

async fn receive(
    State(keep): State<UnboundedSender<Upload>>,
    UrlPath(project): UrlPath<String>,
    Query(query): Query<BTreeMap<String, String>>,
    mut form: Multipart,
) -> Result<(StatusCode, Json<Value>), MultipartError> {
    assert_eq!(project, PROJECT);
    let (mut metadata, mut files) = (Value::Null, BTreeMap::new());
    while let Some(field) = form.next_field().await? {
        match field.name() {
            Some("metadata") => metadata = serde_json::from_slice(&field.bytes().await?).expect("JSON"),
            Some("file") => {
                let path = field.file_name().expect("a file's path").to_owned();
                assert!(files.insert(path, field.bytes().await?).is_none(), "a file came twice");
            }
            other => panic!("the CLI sends {other:?}, which this API does not know"),
        }
    }
    let slug = query["slug"].clone();
    let answer = json!({ "id": "1", "slug": slug, "name": slug, "status": "ACTIVE", "version": 1 });
    // Nobody listens any more only when the test is over.
    let _ = keep.send(Upload { slug, metadata, files });
    Ok((StatusCode::CREATED, Json(answer)))
}
